// SPDX-License-Identifier: MIT OR Apache-2.0
//! Other faults, what becomes of the upper filesystem, and what patch 4 cannot see.

use libc::{EINVAL, EIO, EROFS};
use vremount_kernel::base::Feature;
use vremount_machine::image::Fs;
use vremount_protocol::Mode::Volatile;
use vremount_protocol::{Disk, Fault, Layers, Op, Place, Stack, Via};

use crate::Claim;
use crate::citations::{ERRSEQ, HAD_ERRORS, REMOUNTED, SUBSET};
use crate::refusal_reason::Reason;
use crate::step::{BYTES, FILE, SECOND_SEED, SYNC, Script, Want, overlay};
use crate::topics::writeback::EXPIRED_MS;

pub fn claims() -> Vec<Claim> {
    [windows(), full(), unseen(), shut_down()].into_iter().flatten().collect()
}

fn direct() -> Op {
    Op::WriteDirect { disk: Disk::A, file: FILE.to_string(), bytes: BYTES, seed: SECOND_SEED }
}

/// Around the overlay.
fn write_to_upper() -> Op {
    Op::Write {
        disk: Disk::A,
        layers: Layers::First,
        place: Place::Upper,
        file: "data/even-more".to_string(),
        bytes: BYTES,
        seed: SECOND_SEED,
    }
}

const UNREADABLE: Want = Want::Refused { errno: EIO, reason: Reason::CheckpointUnreadable };
/// Ways of ext4 to take no more writes after an error, other than to become read-only.
const STOPS_OTHERWISE: &[Feature] = &[Feature::QuietReadOnly, Feature::ErrorsShutDown];
const BTRFS: &[Fs] = &[Fs::Btrfs, Fs::BtrfsSubvolume];
const GO_ON_WHEN_FULL: &[Fs] = &[Fs::Ext4NoJournal, Fs::Ext2, Fs::Xfs, Fs::F2fs];
const NO_JOURNAL: &str = "has no journal that must be written to go on";

fn windows() -> Vec<Claim> {
    vec![
        Claim::new(
            "writes-fail-for-a-moment",
            "Writes that fail for a second, in which nothing was written back, do not matter",
            HAD_ERRORS,
            3,
            Script::on_upper()
                .mounted(Volatile)
                .write()
                .run(SYNC)
                .break_with(Fault::Writes)
                // Evidence that they do, which is not kept.
                .given(direct(), Want::Fails(EIO))
                .run(Op::Sleep { ms: 1000 })
                .still_writable()
                .unmount()
                .run(SYNC)
                .mounts(Volatile)
                .intact(),
        )
        .but(BTRFS, Feature::DirectErrors),
        Claim::new(
            "writes-fail-for-long",
            "Refused when writes failed for as long as it takes the kernel's own writeback to come by",
            HAD_ERRORS,
            4,
            Script::on_upper()
                .at_risk()
                .break_with(Fault::Writes)
                .run(Op::Sleep { ms: EXPIRED_MS })
                .still_writable()
                .lost()
                .given(SYNC, Want::Fails(EIO))
                .refuses_for_error(),
        )
        .only(
            &[Fs::Ext4, Fs::Ext4NoJournal, Fs::Ext2, Fs::Btrfs, Fs::BtrfsSubvolume, Fs::F2fs],
            "writes to its log by itself meanwhile, and may shut down over that",
        ),
        Claim::new(
            "errors-before-and-after",
            "An error that was seen before the first mount does not matter, the same error after it does",
            ERRSEQ,
            4,
            Script::on_upper()
                .doomed()
                .fails_seen_by(SYNC)
                .unmount()
                .run(Op::FreshUpper { disk: Disk::A })
                .doomed()
                .unmount()
                .fails_seen_by(SYNC)
                .refuses_for_error(),
        ),
    ]
}

/// New files take new blocks, which a disk without space cannot give.
fn full() -> Vec<Claim> {
    let full = |script: Script, fault| {
        let more = Op::Write {
            disk: Disk::A,
            layers: Layers::First,
            place: Place::Overlay,
            file: "data/more".to_string(),
            bytes: 4 * BYTES,
            seed: SECOND_SEED,
        };
        let filled = script.mounted(Volatile).write().run(SYNC).break_with(fault).run(more);
        // Filesystems differ in what they make of it.
        filled.given(SYNC, Want::FailsToWriteBack).heal().unmount()
    };
    let writable = || Op::UpperWritable { disk: Disk::A };
    // What is written more makes it notice.
    let noticed = |by| full(Script::on_upper(), Fault::NoSpace).given(SYNC, Want::Whatever).given(write_to_upper(), by);
    let read_only = |by| noticed(by).given(writable(), Want::Fails(EROFS));
    let thin = || Script(Vec::new()).attach_on(Disk::A, Stack::Thin, "");
    vec![
        Claim::new(
            "no-space-below",
            "Refused after writeback found no space below the disk, for its image is on a filesystem that is full",
            HAD_ERRORS,
            4,
            full(Script::on_upper(), Fault::NoSpace).run(writable()).refuses_for_error(),
        )
        .only(GO_ON_WHEN_FULL, "cannot write its journal either, and is read-only then"),
        Claim::new(
            "no-space-below-a-journal",
            "An upper that found no space for its journal is read-only, and refused for that",
            HAD_ERRORS,
            0,
            read_only(Want::Fails(EROFS)).refuses(Volatile, EINVAL, Reason::UpperReadOnly),
        )
        .only(&[Fs::Ext4], NO_JOURNAL)
        .without(STOPS_OTHERWISE),
        Claim::new(
            "no-space-below-a-quiet-journal",
            "Refused after an upper found no space for its journal, and takes no more writes without being read-only",
            HAD_ERRORS,
            4,
            noticed(Want::Fails(EROFS)).run(writable()).refuses_for_error(),
        )
        .only(&[Fs::Ext4], NO_JOURNAL)
        .needs(&[Feature::QuietReadOnly]),
        Claim::new(
            "no-space-below-a-journal-that-shuts-down",
            "An upper that shut itself down, for want of space for its journal, is not mounted on",
            HAD_ERRORS,
            3,
            noticed(Want::Fails(EROFS)).then(overlay(Disk::A, Volatile, Via::Mount), UNREADABLE),
        )
        .only(&[Fs::Ext4], NO_JOURNAL)
        .needs(&[Feature::ErrorsShutDown]),
        Claim::new(
            "no-space-below-btrfs",
            "A btrfs that found no space for its trees is read-only, and refused for that",
            HAD_ERRORS,
            0,
            // Some of them cannot even be read any more, so that nobody can tell whether the mount changed anything.
            read_only(Want::Whatever).then(
                overlay(Disk::A, Volatile, Via::Mount),
                Want::Refused { errno: EINVAL, reason: Reason::UpperReadOnly },
            ),
        )
        .only(BTRFS, "has no trees that must be written to go on"),
        Claim::new(
            "pool-full",
            "Refused after writeback found no space in the pool of a thin volume",
            HAD_ERRORS,
            4,
            full(thin(), Fault::PoolFull).run(writable()).refuses_for_error(),
        )
        .only(GO_ON_WHEN_FULL, "cannot write its journal either, and is read-only then"),
    ]
}

fn unseen() -> Vec<Claim> {
    let direct_failed = || {
        Script::on_upper()
            .mounted(Volatile)
            .write()
            .run(SYNC)
            .break_data(Disk::A)
            .given(direct(), Want::Fails(EIO))
            .still_writable()
    };
    vec![
        Claim::new(
            "direct-write-error-is-not-seen",
            "A known limit: an error of an O_DIRECT write is told its writer alone, and the upper is reused",
            SUBSET,
            3,
            direct_failed().unmount().mounts(Volatile).intact(),
        )
        .but(BTRFS, Feature::DirectErrors),
        Claim::new(
            "direct-write-error",
            "Refused after an O_DIRECT write failed, where that is recorded for the superblock",
            HAD_ERRORS,
            4,
            direct_failed().given(SYNC, Want::Fails(EIO)).unmount().refuses_for_error(),
        )
        .needs(&[Feature::DirectErrors])
        .only(BTRFS, "tells an error of an O_DIRECT write to its writer alone"),
        Claim::new(
            "flush-error-is-not-seen",
            "A known limit: a failed flush does not reach s_wb_err, and the upper is reused",
            SUBSET,
            3,
            Script::on_upper()
                .mounted(Volatile)
                .write()
                .unmount()
                // With the journal committed, the next sync is a bare flush.
                .run(SYNC)
                .break_with(Fault::Flush)
                .fails_seen_by(Op::FsyncUpperFile { disk: Disk::A, file: FILE.into() })
                .mounts(Volatile)
                .intact(),
        )
        .only(&[Fs::Ext4, Fs::Ext2, Fs::F2fs], "fsync of a file with nothing to write does not flush"),
        metadata(
            "metadata-error",
            "Refused after metadata of the upper filesystem could not be written",
            4,
            |script| script.refuses_for_error(),
        )
        .needs(&[Feature::BufferErrors]),
        metadata(
            "metadata-error-is-not-seen",
            "A known limit: that an inode could not be written does not reach s_wb_err, and the upper is reused",
            3,
            |script| {
                // What the disk has of the inode is what it was.
                let mode = Op::HasMode { disk: Disk::A, file: FILE.to_string(), mode: LOST_MODE };
                script.run(Op::DropCaches).mounts(Volatile).intact().given(mode, Want::Differs)
            },
        )
        .without(&[Feature::BufferErrors]),
        Claim::new(
            "read-error-is-not-seen",
            "An error of a read is no writeback error: the mount fails while it lasts, and is accepted after it",
            SUBSET,
            3,
            Script::on_upper()
                .after_volatile()
                .forget()
                .break_with(Fault::Reads)
                .given(Op::HoldFile { disk: Disk::A, place: Place::Upper, file: FILE.to_string() }, Want::Fails(EIO))
                .then(overlay(Disk::A, Volatile, Via::Mount), Want::Refused { errno: EIO, reason: Reason::Unreadable })
                .still_writable()
                .mounts(Volatile)
                .intact(),
        )
        .only(&[Fs::Ext4, Fs::Ext4NoJournal, Fs::Ext2, Fs::F2fs], "keeps its metadata in memory while it is mounted"),
    ]
}

const LOST_MODE: u32 = 0o600;

/// Nothing is left to be written but an inode.
fn metadata(name: &'static str, title: &'static str, since: u8, then: impl Fn(Script) -> Script) -> Claim {
    let script = Script::on_upper()
        .mounted(Volatile)
        .write()
        .run(SYNC)
        .break_with(Fault::Writes)
        .run(Op::SetMode { disk: Disk::A, file: FILE.to_string(), mode: LOST_MODE })
        .given(Op::FlushBuffers { disk: Disk::A }, Want::IoErrors)
        .still_writable()
        // Who asks is told, where there is something to tell.
        .given(SYNC, Want::Whatever)
        .unmount();
    Claim::new(name, title, SUBSET, since, then(script))
        .only(&[Fs::Ext4NoJournal, Fs::Ext2], "has a journal or a log for its metadata, and may go read-only over that")
}

fn shut_down() -> Vec<Claim> {
    let shut = |name, on, want| {
        let script = Script::on_upper()
            .after_volatile()
            .run(SYNC)
            .run(Op::ShutDownUpper { disk: Disk::A })
            .then(overlay(Disk::A, Volatile, Via::Mount), want)
            .unmount_upper()
            .mount_upper()
            .refuses(Volatile, EINVAL, Reason::UpperRemounted);
        let title = "A filesystem that was shut down is not mounted on, and refused once it is mounted again";
        Claim::new(name, title, REMOUNTED, 3, script).only(on, "cannot be shut down, or fails in another way then")
    };
    vec![
        shut(
            "upper-shut-down",
            &[Fs::Ext4, Fs::Ext4NoJournal],
            UNREADABLE,
        ),
        shut("upper-shut-down-xfs", &[Fs::Xfs], Want::Refused { errno: EIO, reason: Reason::Unreadable }),
        // It can still be read, and the first thing that overlayfs writes fails.
        shut("upper-shut-down-f2fs", &[Fs::F2fs], Want::RefusedUnsaid(EIO)),
        stopped(
            "upper-went-read-only",
            "An upper that went read-only over an error is refused for that, and once it is mounted again for that",
            |script| script.given(Op::UpperWritable { disk: Disk::A }, Want::Fails(EROFS)),
            Want::Refused { errno: EINVAL, reason: Reason::UpperReadOnly },
        )
        .only(&[Fs::Ext4, Fs::Ext4NoJournal], "does not go read-only over a failed read")
        .without(STOPS_OTHERWISE),
        stopped(
            "upper-went-quietly-read-only",
            "An upper that takes no more writes after an error is refused for it, and once it is mounted again for that",
            |script| script.run(Op::UpperWritable { disk: Disk::A }).given(write_to_upper(), Want::Fails(EROFS)),
            Want::Refused { errno: EIO, reason: Reason::UnseenError },
        )
        .only(&[Fs::Ext4], "does not stop over a failed read, or has no journal that knows of it")
        .needs(&[Feature::QuietReadOnly, Feature::BufferErrors]),
        stopped(
            "upper-in-an-emergency",
            "An upper that takes no more writes after an error of no superblock is not mounted on, and refused afterwards",
            |script| script.run(Op::UpperWritable { disk: Disk::A }).given(write_to_upper(), Want::Fails(EROFS)),
            Want::RefusedUnsaid(EROFS),
        )
        .only(&[Fs::Ext4, Fs::Ext4NoJournal], "does not stop over a failed read")
        .needs(&[Feature::QuietReadOnly])
        .without(&[Feature::BufferErrors]),
        stopped(
            "upper-shut-itself-down",
            "An upper that shut itself down over an error is not mounted on, and refused once it is mounted again",
            |script| script.run(Op::UpperWritable { disk: Disk::A }).given(write_to_upper(), Want::Fails(EIO)),
            UNREADABLE,
        )
        .only(&[Fs::Ext4, Fs::Ext4NoJournal], "does not shut itself down over a failed read")
        .needs(&[Feature::ErrorsShutDown]),
    ]
}

/// Its metadata cannot be read, for a moment.
fn stopped(name: &'static str, title: &'static str, evidence: impl Fn(Script) -> Script, want: Want) -> Claim {
    let hold = Op::HoldFile { disk: Disk::A, place: Place::Upper, file: FILE.to_string() };
    let script = Script(Vec::new())
        .attach_on(Disk::A, Stack::Plain, "errors=remount-ro")
        .after_volatile()
        .forget()
        .break_with(Fault::Everything)
        .given(hold, Want::Fails(EIO))
        .heal();
    let script = evidence(script)
        .then(overlay(Disk::A, Volatile, Via::Mount), want)
        .unmount_upper()
        .mount_upper()
        .refuses(Volatile, EINVAL, Reason::UpperRemounted);
    Claim::new(name, title, REMOUNTED, 3, script)
}

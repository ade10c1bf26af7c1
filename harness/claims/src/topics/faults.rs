// SPDX-License-Identifier: MIT OR Apache-2.0
//! Other faults, what becomes of the upper filesystem, and what patch 4 cannot see.

use libc::{EINVAL, EIO, EROFS};
use vremount_kernel::base::Feature;
use vremount_machine::image::Fs;
use vremount_protocol::Mode::Volatile;
use vremount_protocol::{AccessPath, DeviceStack, Disk, Fault, FileLocation, LayerSet, Op};

use crate::Claim;
use crate::citations::{ERRSEQ, HAD_ERRORS, REMOUNTED, SUBSET};
use crate::refusal_reason::Reason;
use crate::step::{BYTES, ClaimBuilder, Expectation, FILE, SECOND_SEED, SYNC, overlay};
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
        layers: LayerSet::First,
        place: FileLocation::Upper,
        file: "data/even-more".to_string(),
        bytes: BYTES,
        seed: SECOND_SEED,
    }
}

const UNREADABLE: Expectation = Expectation::Refused { errno: EIO, reason: Reason::CheckpointUnreadable };
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
            ClaimBuilder::on_upper()
                .setup_mount(Volatile)
                .write()
                .run(SYNC)
                .break_with(Fault::Writes)
                // Evidence that they do, which is not kept.
                .precondition(direct(), Expectation::Fails(EIO))
                .run(Op::Sleep { ms: 1000 })
                .upper_still_writable()
                .unmount()
                .run(SYNC)
                .assert_mounts(Volatile)
                .assert_data_intact(),
        )
        .excluding(BTRFS, Feature::DirectErrors),
        Claim::new(
            "writes-fail-for-long",
            "Refused when writes failed for as long as it takes the kernel's own writeback to come by",
            HAD_ERRORS,
            4,
            ClaimBuilder::on_upper()
                .dirty_after_unmount()
                .break_with(Fault::Writes)
                .run(Op::Sleep { ms: EXPIRED_MS })
                .upper_still_writable()
                .second_write_lost()
                .precondition(SYNC, Expectation::Fails(EIO))
                .assert_refused_for_writeback_error(),
        )
        .on_filesystems(
            &[Fs::Ext4, Fs::Ext4NoJournal, Fs::Ext2, Fs::Btrfs, Fs::BtrfsSubvolume, Fs::F2fs],
            "writes to its log by itself meanwhile, and may shut down over that",
        ),
        Claim::new(
            "errors-before-and-after",
            "An error that was seen before the first mount does not matter, the same error after it does",
            ERRSEQ,
            4,
            ClaimBuilder::on_upper()
                .dirty_on_broken_disk()
                .fail_reported_to(SYNC)
                .unmount()
                .run(Op::FreshUpper { disk: Disk::A })
                .dirty_on_broken_disk()
                .unmount()
                .fail_reported_to(SYNC)
                .assert_refused_for_writeback_error(),
        ),
    ]
}

/// New files take new blocks, which a disk without space cannot give.
fn full() -> Vec<Claim> {
    let full = |script: ClaimBuilder, fault| {
        let more = Op::Write {
            disk: Disk::A,
            layers: LayerSet::First,
            place: FileLocation::Overlay,
            file: "data/more".to_string(),
            bytes: 4 * BYTES,
            seed: SECOND_SEED,
        };
        let filled = script.setup_mount(Volatile).write().run(SYNC).break_with(fault).run(more);
        // Filesystems differ in what they make of it.
        filled.precondition(SYNC, Expectation::FailsToWriteBack).heal().unmount()
    };
    let writable = || Op::UpperWritable { disk: Disk::A };
    // What is written more makes it notice.
    let noticed = |by| {
        full(ClaimBuilder::on_upper(), Fault::NoSpace)
            .precondition(SYNC, Expectation::Whatever)
            .precondition(write_to_upper(), by)
    };
    let read_only = |by| noticed(by).precondition(writable(), Expectation::Fails(EROFS));
    let thin = || ClaimBuilder(Vec::new()).attach_on(Disk::A, DeviceStack::Thin, "");
    vec![
        Claim::new(
            "no-space-below",
            "Refused after writeback found no space below the disk, for its image is on a filesystem that is full",
            HAD_ERRORS,
            4,
            full(ClaimBuilder::on_upper(), Fault::NoSpace).run(writable()).assert_refused_for_writeback_error(),
        )
        .on_filesystems(GO_ON_WHEN_FULL, "cannot write its journal either, and is read-only then"),
        Claim::new(
            "no-space-below-a-journal",
            "An upper that found no space for its journal is read-only, and refused for that",
            HAD_ERRORS,
            0,
            read_only(Expectation::Fails(EROFS)).assert_refused(Volatile, EINVAL, Reason::UpperReadOnly),
        )
        .on_filesystems(&[Fs::Ext4], NO_JOURNAL)
        .conflicting_with(STOPS_OTHERWISE),
        Claim::new(
            "no-space-below-a-quiet-journal",
            "Refused after an upper found no space for its journal, and takes no more writes without being read-only",
            HAD_ERRORS,
            4,
            noticed(Expectation::Fails(EROFS)).run(writable()).assert_refused_for_writeback_error(),
        )
        .on_filesystems(&[Fs::Ext4], NO_JOURNAL)
        .requiring(&[Feature::QuietReadOnly]),
        Claim::new(
            "no-space-below-a-journal-that-shuts-down",
            "An upper that shut itself down, for want of space for its journal, is not mounted on",
            HAD_ERRORS,
            3,
            noticed(Expectation::Fails(EROFS)).assertion(overlay(Disk::A, Volatile, AccessPath::Mount), UNREADABLE),
        )
        .on_filesystems(&[Fs::Ext4], NO_JOURNAL)
        .requiring(&[Feature::ErrorsShutDown]),
        Claim::new(
            "no-space-below-btrfs",
            "A btrfs that found no space for its trees is read-only, and refused for that",
            HAD_ERRORS,
            0,
            // Some of them cannot even be read any more, so that nobody can tell whether the mount changed anything.
            read_only(Expectation::Whatever).assertion(
                overlay(Disk::A, Volatile, AccessPath::Mount),
                Expectation::Refused { errno: EINVAL, reason: Reason::UpperReadOnly },
            ),
        )
        .on_filesystems(BTRFS, "has no trees that must be written to go on"),
        Claim::new(
            "pool-full",
            "Refused after writeback found no space in the pool of a thin volume",
            HAD_ERRORS,
            4,
            full(thin(), Fault::PoolFull).run(writable()).assert_refused_for_writeback_error(),
        )
        .on_filesystems(GO_ON_WHEN_FULL, "cannot write its journal either, and is read-only then"),
    ]
}

fn unseen() -> Vec<Claim> {
    let direct_failed = || {
        ClaimBuilder::on_upper()
            .setup_mount(Volatile)
            .write()
            .run(SYNC)
            .break_data(Disk::A)
            .precondition(direct(), Expectation::Fails(EIO))
            .upper_still_writable()
    };
    vec![
        Claim::new(
            "direct-write-error-is-not-seen",
            "A known limit: an error of an O_DIRECT write is told its writer alone, and the upper is reused",
            SUBSET,
            3,
            direct_failed().unmount().assert_mounts(Volatile).assert_data_intact(),
        )
        .excluding(BTRFS, Feature::DirectErrors),
        Claim::new(
            "direct-write-error",
            "Refused after an O_DIRECT write failed, where that is recorded for the superblock",
            HAD_ERRORS,
            4,
            direct_failed().precondition(SYNC, Expectation::Fails(EIO)).unmount().assert_refused_for_writeback_error(),
        )
        .requiring(&[Feature::DirectErrors])
        .on_filesystems(BTRFS, "tells an error of an O_DIRECT write to its writer alone"),
        Claim::new(
            "flush-error-is-not-seen",
            "A known limit: a failed flush does not reach s_wb_err, and the upper is reused",
            SUBSET,
            3,
            ClaimBuilder::on_upper()
                .setup_mount(Volatile)
                .write()
                .unmount()
                // With the journal committed, the next sync is a bare flush.
                .run(SYNC)
                .break_with(Fault::Flush)
                .fail_reported_to(Op::FsyncUpperFile { disk: Disk::A, file: FILE.into() })
                .assert_mounts(Volatile)
                .assert_data_intact(),
        )
        .on_filesystems(&[Fs::Ext4, Fs::Ext2, Fs::F2fs], "fsync of a file with nothing to write does not flush"),
        metadata(
            "metadata-error",
            "Refused after metadata of the upper filesystem could not be written",
            4,
            |script| script.assert_refused_for_writeback_error(),
        )
        .requiring(&[Feature::BufferErrors]),
        metadata(
            "metadata-error-is-not-seen",
            "A known limit: that an inode could not be written does not reach s_wb_err, and the upper is reused",
            3,
            |script| {
                // What the disk has of the inode is what it was.
                let mode = Op::HasMode { disk: Disk::A, file: FILE.to_string(), mode: LOST_MODE };
                script
                    .run(Op::DropCaches)
                    .assert_mounts(Volatile)
                    .assert_data_intact()
                    .precondition(mode, Expectation::Differs)
            },
        )
        .conflicting_with(&[Feature::BufferErrors]),
        Claim::new(
            "read-error-is-not-seen",
            "An error of a read is no writeback error: the mount fails while it lasts, and is accepted after it",
            SUBSET,
            3,
            ClaimBuilder::on_upper()
                .volatile_session()
                .sync_and_drop_caches()
                .break_with(Fault::Reads)
                .precondition(
                    Op::HoldFile { disk: Disk::A, place: FileLocation::Upper, file: FILE.to_string() },
                    Expectation::Fails(EIO),
                )
                .assertion(
                    overlay(Disk::A, Volatile, AccessPath::Mount),
                    Expectation::Refused { errno: EIO, reason: Reason::Unreadable },
                )
                .upper_still_writable()
                .assert_mounts(Volatile)
                .assert_data_intact(),
        )
        .on_filesystems(
            &[Fs::Ext4, Fs::Ext4NoJournal, Fs::Ext2, Fs::F2fs],
            "keeps its metadata in memory while it is mounted",
        ),
    ]
}

const LOST_MODE: u32 = 0o600;

/// Nothing is left to be written but an inode.
fn metadata(name: &'static str, title: &'static str, since: u8, then: impl Fn(ClaimBuilder) -> ClaimBuilder) -> Claim {
    let script = ClaimBuilder::on_upper()
        .setup_mount(Volatile)
        .write()
        .run(SYNC)
        .break_with(Fault::Writes)
        .run(Op::SetMode { disk: Disk::A, file: FILE.to_string(), mode: LOST_MODE })
        .precondition(Op::FlushBuffers { disk: Disk::A }, Expectation::IoErrors)
        .upper_still_writable()
        // Who asks is told, where there is something to tell.
        .precondition(SYNC, Expectation::Whatever)
        .unmount();
    Claim::new(name, title, SUBSET, since, then(script)).on_filesystems(
        &[Fs::Ext4NoJournal, Fs::Ext2],
        "has a journal or a log for its metadata, and may go read-only over that",
    )
}

fn shut_down() -> Vec<Claim> {
    let shut = |name, on, want| {
        let script = ClaimBuilder::on_upper()
            .volatile_session()
            .run(SYNC)
            .run(Op::ShutDownUpper { disk: Disk::A })
            .assertion(overlay(Disk::A, Volatile, AccessPath::Mount), want)
            .unmount_upper()
            .mount_upper()
            .assert_refused(Volatile, EINVAL, Reason::UpperRemounted);
        let title = "A filesystem that was shut down is not mounted on, and refused once it is mounted again";
        Claim::new(name, title, REMOUNTED, 3, script)
            .on_filesystems(on, "cannot be shut down, or fails in another way then")
    };
    vec![
        shut(
            "upper-shut-down",
            &[Fs::Ext4, Fs::Ext4NoJournal],
            UNREADABLE,
        ),
        shut("upper-shut-down-xfs", &[Fs::Xfs], Expectation::Refused { errno: EIO, reason: Reason::Unreadable }),
        // It can still be read, and the first thing that overlayfs writes fails.
        shut("upper-shut-down-f2fs", &[Fs::F2fs], Expectation::RefusedUnsaid(EIO)),
        stopped(
            "upper-went-read-only",
            "An upper that went read-only over an error is refused for that, and once it is mounted again for that",
            |script| script.precondition(Op::UpperWritable { disk: Disk::A }, Expectation::Fails(EROFS)),
            Expectation::Refused { errno: EINVAL, reason: Reason::UpperReadOnly },
        )
        .on_filesystems(&[Fs::Ext4, Fs::Ext4NoJournal], "does not go read-only over a failed read")
        .conflicting_with(STOPS_OTHERWISE),
        stopped(
            "upper-went-quietly-read-only",
            "An upper that takes no more writes after an error is refused for it, and once it is mounted again for that",
            |script| script.run(Op::UpperWritable { disk: Disk::A }).precondition(write_to_upper(), Expectation::Fails(EROFS)),
            Expectation::Refused { errno: EIO, reason: Reason::UnseenError },
        )
        .on_filesystems(&[Fs::Ext4], "does not stop over a failed read, or has no journal that knows of it")
        .requiring(&[Feature::QuietReadOnly, Feature::BufferErrors]),
        stopped(
            "upper-in-an-emergency",
            "An upper that takes no more writes after an error of no superblock is not mounted on, and refused afterwards",
            |script| script.run(Op::UpperWritable { disk: Disk::A }).precondition(write_to_upper(), Expectation::Fails(EROFS)),
            Expectation::RefusedUnsaid(EROFS),
        )
        .on_filesystems(&[Fs::Ext4, Fs::Ext4NoJournal], "does not stop over a failed read")
        .requiring(&[Feature::QuietReadOnly])
        .conflicting_with(&[Feature::BufferErrors]),
        stopped(
            "upper-shut-itself-down",
            "An upper that shut itself down over an error is not mounted on, and refused once it is mounted again",
            |script| script.run(Op::UpperWritable { disk: Disk::A }).precondition(write_to_upper(), Expectation::Fails(EIO)),
            UNREADABLE,
        )
        .on_filesystems(&[Fs::Ext4, Fs::Ext4NoJournal], "does not shut itself down over a failed read")
        .requiring(&[Feature::ErrorsShutDown]),
    ]
}

/// Its metadata cannot be read, for a moment.
fn stopped(
    name: &'static str,
    title: &'static str,
    evidence: impl Fn(ClaimBuilder) -> ClaimBuilder,
    want: Expectation,
) -> Claim {
    let hold = Op::HoldFile { disk: Disk::A, place: FileLocation::Upper, file: FILE.to_string() };
    let script = ClaimBuilder(Vec::new())
        .attach_on(Disk::A, DeviceStack::Plain, "errors=remount-ro")
        .volatile_session()
        .sync_and_drop_caches()
        .break_with(Fault::Everything)
        .precondition(hold, Expectation::Fails(EIO))
        .heal();
    let script = evidence(script)
        .assertion(overlay(Disk::A, Volatile, AccessPath::Mount), want)
        .unmount_upper()
        .mount_upper()
        .assert_refused(Volatile, EINVAL, Reason::UpperRemounted);
    Claim::new(name, title, REMOUNTED, 3, script)
}

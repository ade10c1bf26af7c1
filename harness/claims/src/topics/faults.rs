// SPDX-License-Identifier: MIT OR Apache-2.0
//! Other disk faults, upper filesystems that stop after an error, and errors that `s_wb_err` does
//! not record.

use libc::{EINVAL, EIO, EROFS};
use vremount_kernel::base::Feature;
use vremount_machine::image::Fs;
use vremount_protocol::Mode::Volatile;
use vremount_protocol::{AccessPath, DeviceStack, Disk, Fault, FileLocation, LayerSet, Op};

use crate::Claim;
use crate::builder::{BYTES, ClaimBuilder, FILE, SECOND_SEED, SYNC, mount_overlay};
use crate::citations::{ERRSEQ, HAD_ERRORS, REMOUNTED, SUBSET};
use crate::refusal_reason::Reason;
use crate::step::Expectation;
use crate::topics::writeback::EXPIRED_MS;

pub fn claims() -> Vec<Claim> {
    [temporary_faults(), full_disks(), unrecorded_errors(), stopped_filesystems()].into_iter().flatten().collect()
}

fn write_direct() -> Op {
    Op::WriteDirect { disk: Disk::A, file: FILE.to_string(), bytes: BYTES, seed: SECOND_SEED }
}

/// Write to the upper directory, not through the overlay.
fn write_to_upper() -> Op {
    Op::Write {
        disk: Disk::A,
        layers: LayerSet::First,
        location: FileLocation::Upper,
        file: "data/even-more".to_string(),
        bytes: BYTES,
        seed: SECOND_SEED,
    }
}

/// Succeeds if the upper filesystem is mounted read-write, fails with EROFS if it is read-only.
const CHECK_READ_WRITE: Op = Op::UpperWritable { disk: Disk::A };
/// The mount fails because the checkpoint cannot be read.
const UNREADABLE: Expectation = Expectation::Refused { errno: EIO, reason: Reason::CheckpointUnreadable };
/// Bases on which ext4 does not become read-only after an error, but blocks writes or shuts down.
const EXT4_NOT_READ_ONLY: &[Feature] = &[Feature::QuietReadOnly, Feature::ErrorsShutDown];
const BTRFS: &[Fs] = &[Fs::Btrfs, Fs::BtrfsSubvolume];
/// Filesystems that stay writable if the disk is full.
const WRITABLE_WHEN_FULL: &[Fs] = &[Fs::Ext4NoJournal, Fs::Ext2, Fs::Xfs, Fs::F2fs];
const READ_ONLY_WHEN_FULL: &str =
    "the filesystem cannot write its journal or trees to a full disk, and becomes read-only";
const EXT4_ONLY: &str = "the claim is about the journal of ext4";

/// Faults that end before the mount.
fn temporary_faults() -> Vec<Claim> {
    vec![
        Claim::new(
            "writes-fail-for-a-moment",
            "Reuse succeeds if writes to the disk fail for a second in which no data is written back",
            HAD_ERRORS,
            3,
            ClaimBuilder::with_upper()
                .setup_mount(Volatile)
                .write_data()
                .run(SYNC)
                .inject(Fault::Writes)
                // Evidence that writes fail. An O_DIRECT error is not recorded.
                .require(write_direct(), Expectation::Fails(EIO))
                .run(Op::Sleep { ms: 1000 })
                .clear_fault_and_require_read_write()
                .unmount()
                .run(SYNC)
                .assert_mounts(Volatile)
                .assert_data_intact(),
        )
        .excluding(BTRFS, Feature::DirectErrors),
        Claim::new(
            "writes-fail-for-long",
            "Reuse is refused as `writeback-error` if writes to the disk fail until background writeback runs",
            HAD_ERRORS,
            4,
            ClaimBuilder::with_upper()
                .setup_dirty_after_unmount()
                .inject(Fault::Writes)
                .run(Op::Sleep { ms: EXPIRED_MS })
                .clear_fault_and_require_read_write()
                .require_second_write_lost()
                .require(SYNC, Expectation::Fails(EIO))
                .assert_refused_for_writeback_error(),
        )
        .on_filesystems(
            &[Fs::Ext4, Fs::Ext4NoJournal, Fs::Ext2, Fs::Btrfs, Fs::BtrfsSubvolume, Fs::F2fs],
            "the filesystem writes its log in the background and may shut down when that fails",
        ),
        Claim::new(
            "errors-before-and-after",
            "An error after the first volatile mount refuses reuse, even if the same error was reported before it",
            ERRSEQ,
            4,
            ClaimBuilder::with_upper()
                .setup_dirty_on_broken_disk()
                .require_error_reported_by(SYNC)
                .unmount()
                .run(Op::RecreateUpper { disk: Disk::A })
                .setup_dirty_on_broken_disk()
                .unmount()
                .require_error_reported_by(SYNC)
                .assert_refused_for_writeback_error(),
        ),
    ]
}

/// Disks without space. A new file needs new blocks, which such a disk cannot provide.
fn full_disks() -> Vec<Claim> {
    let write_to_full_disk = |builder: ClaimBuilder, fault| {
        let more = Op::Write {
            disk: Disk::A,
            layers: LayerSet::First,
            location: FileLocation::Overlay,
            file: "data/more".to_string(),
            bytes: 4 * BYTES,
            seed: SECOND_SEED,
        };
        let filled = builder.setup_mount(Volatile).write_data().run(SYNC).inject(fault).run(more);
        // Filesystems report EIO or ENOSPC.
        filled.require(SYNC, Expectation::FailsWithEioOrEnospc).clear_fault().unmount()
    };
    // Another write makes the filesystem detect the error.
    let detect_error = |by| {
        write_to_full_disk(ClaimBuilder::with_upper(), Fault::NoSpace)
            .require(SYNC, Expectation::AnyOutcome)
            .require(write_to_upper(), by)
    };
    let read_only = |by| detect_error(by).require(CHECK_READ_WRITE, Expectation::Fails(EROFS));
    let thin = || ClaimBuilder::new().attach_on(Disk::A, DeviceStack::Thin, "");
    vec![
        Claim::new(
            "no-space-below",
            "Reuse is refused as `writeback-error` after writeback failed because the disk image could not grow",
            HAD_ERRORS,
            4,
            write_to_full_disk(ClaimBuilder::with_upper(), Fault::NoSpace)
                .run(CHECK_READ_WRITE)
                .assert_refused_for_writeback_error(),
        )
        .on_filesystems(WRITABLE_WHEN_FULL, READ_ONLY_WHEN_FULL),
        Claim::new(
            "no-space-below-a-journal",
            "If ext4 becomes read-only because it cannot write its journal to a full disk, reuse is refused",
            HAD_ERRORS,
            0,
            read_only(Expectation::Fails(EROFS)).assert_refused(Volatile, EINVAL, Reason::UpperReadOnly),
        )
        .on_filesystems(&[Fs::Ext4], EXT4_ONLY)
        .conflicting_with(EXT4_NOT_READ_ONLY),
        Claim::new(
            "no-space-below-a-quiet-journal",
            "If a full disk makes ext4 refuse writes without going read-only, reuse is refused as `writeback-error`",
            HAD_ERRORS,
            4,
            detect_error(Expectation::Fails(EROFS)).run(CHECK_READ_WRITE).assert_refused_for_writeback_error(),
        )
        .on_filesystems(&[Fs::Ext4], EXT4_ONLY)
        .requiring(&[Feature::QuietReadOnly]),
        Claim::new(
            "no-space-below-a-journal-that-shuts-down",
            "If ext4 shuts down because it cannot write its journal to a full disk, reuse fails with EIO",
            HAD_ERRORS,
            3,
            detect_error(Expectation::Fails(EROFS))
                .assert(mount_overlay(Disk::A, Volatile, AccessPath::Mount), UNREADABLE),
        )
        .on_filesystems(&[Fs::Ext4], EXT4_ONLY)
        .requiring(&[Feature::ErrorsShutDown]),
        Claim::new(
            "no-space-below-btrfs",
            "If btrfs becomes read-only because it cannot write its trees to a full disk, reuse is refused",
            HAD_ERRORS,
            0,
            // Some trees cannot be read any more, so that a snapshot fails.
            read_only(Expectation::AnyOutcome).assert(
                mount_overlay(Disk::A, Volatile, AccessPath::Mount),
                Expectation::Refused { errno: EINVAL, reason: Reason::UpperReadOnly },
            ),
        )
        .on_filesystems(BTRFS, "the claim is about btrfs"),
        Claim::new(
            "pool-full",
            "Reuse is refused as `writeback-error` after writeback failed because a thin pool was full",
            HAD_ERRORS,
            4,
            write_to_full_disk(thin(), Fault::PoolFull).run(CHECK_READ_WRITE).assert_refused_for_writeback_error(),
        )
        .on_filesystems(WRITABLE_WHEN_FULL, READ_ONLY_WHEN_FULL),
    ]
}

/// Errors that `s_wb_err` records on some filesystems or bases only.
fn unrecorded_errors() -> Vec<Claim> {
    let fail_direct_write = || {
        ClaimBuilder::with_upper()
            .setup_mount(Volatile)
            .write_data()
            .run(SYNC)
            .inject_data_fault(Disk::A)
            .require(write_direct(), Expectation::Fails(EIO))
            .clear_fault_and_require_read_write()
    };
    vec![
        Claim::new(
            "direct-write-error-is-not-seen",
            "Known limit: a failed O_DIRECT write is reported only to its caller, and reuse succeeds",
            SUBSET,
            3,
            fail_direct_write().unmount().assert_mounts(Volatile).assert_data_intact(),
        )
        .excluding(BTRFS, Feature::DirectErrors),
        Claim::new(
            "direct-write-error",
            "Reuse is refused as `writeback-error` if a failed O_DIRECT write is recorded in the superblock",
            HAD_ERRORS,
            4,
            fail_direct_write().require(SYNC, Expectation::Fails(EIO)).unmount().assert_refused_for_writeback_error(),
        )
        .requiring(&[Feature::DirectErrors])
        .on_filesystems(BTRFS, "the filesystem reports an O_DIRECT error only to the caller"),
        Claim::new(
            "flush-error-is-not-seen",
            "Known limit: a failed flush is not recorded in `s_wb_err`, and reuse succeeds",
            SUBSET,
            3,
            ClaimBuilder::with_upper()
                .setup_mount(Volatile)
                .write_data()
                .unmount()
                // This commits the journal, so that the next fsync is only a flush.
                .run(SYNC)
                .inject(Fault::Flush)
                .require_error_reported_by(Op::FsyncUpperFile { disk: Disk::A, file: FILE.into() })
                .assert_mounts(Volatile)
                .assert_data_intact(),
        )
        .on_filesystems(
            &[Fs::Ext4, Fs::Ext2, Fs::F2fs],
            "fsync of a file without dirty data sends no flush on this filesystem",
        ),
        metadata(
            "metadata-error",
            "Reuse is refused as `writeback-error` after an inode of the upper filesystem could not be written",
            4,
            |builder| builder.assert_refused_for_writeback_error(),
        )
        .requiring(&[Feature::BufferErrors]),
        metadata(
            "metadata-error-is-not-seen",
            "Known limit: a failed write of an inode is not recorded in `s_wb_err`, and reuse succeeds",
            3,
            |builder| {
                // Evidence: the inode on the disk is the old one.
                let mode = Op::HasMode { disk: Disk::A, file: FILE.to_string(), mode: LOST_MODE };
                builder
                    .run(Op::DropCaches)
                    .assert_mounts(Volatile)
                    .assert_data_intact()
                    .require(mode, Expectation::Differs)
            },
        )
        .conflicting_with(&[Feature::BufferErrors]),
        Claim::new(
            "read-error-is-not-seen",
            "A read error is not a writeback error: reuse fails with EIO while reads fail, and succeeds afterwards",
            SUBSET,
            3,
            ClaimBuilder::with_upper()
                .setup_volatile_upper()
                .sync_and_drop_caches()
                .inject(Fault::Reads)
                .require(
                    Op::OpenFile { disk: Disk::A, location: FileLocation::Upper, file: FILE.to_string() },
                    Expectation::Fails(EIO),
                )
                .assert(
                    mount_overlay(Disk::A, Volatile, AccessPath::Mount),
                    Expectation::Refused { errno: EIO, reason: Reason::Unreadable },
                )
                .clear_fault_and_require_read_write()
                .assert_mounts(Volatile)
                .assert_data_intact(),
        )
        .on_filesystems(
            &[Fs::Ext4, Fs::Ext4NoJournal, Fs::Ext2, Fs::F2fs],
            "the filesystem keeps its metadata in memory while it is mounted",
        ),
    ]
}

/// The file mode that is not written to the disk.
const LOST_MODE: u32 = 0o600;

/// A write of an inode fails, and nothing else is dirty.
fn metadata(
    name: &'static str,
    title: &'static str,
    min_level: u8,
    then: impl Fn(ClaimBuilder) -> ClaimBuilder,
) -> Claim {
    let builder = ClaimBuilder::with_upper()
        .setup_mount(Volatile)
        .write_data()
        .run(SYNC)
        .inject(Fault::Writes)
        .run(Op::SetMode { disk: Disk::A, file: FILE.to_string(), mode: LOST_MODE })
        .require(Op::FlushBuffers { disk: Disk::A }, Expectation::IoErrors)
        .clear_fault_and_require_read_write()
        // This reports the error on bases that record it.
        .require(SYNC, Expectation::AnyOutcome)
        .unmount();
    Claim::new(name, title, SUBSET, min_level, then(builder)).on_filesystems(
        &[Fs::Ext4NoJournal, Fs::Ext2],
        "the filesystem stops or becomes read-only when it cannot write metadata",
    )
}

/// Upper filesystems that were shut down or stopped after an error.
fn stopped_filesystems() -> Vec<Claim> {
    let shut_down = |name, on, expected| {
        let builder = ClaimBuilder::with_upper()
            .setup_volatile_upper()
            .run(SYNC)
            .run(Op::ShutDownUpper { disk: Disk::A })
            .assert(mount_overlay(Disk::A, Volatile, AccessPath::Mount), expected)
            .unmount_upper()
            .mount_upper()
            .assert_refused(Volatile, EINVAL, Reason::UpperRemounted);
        let title =
            "Reuse fails with EIO while the upper filesystem is shut down, and as `upper-remounted` once mounted again";
        Claim::new(name, title, REMOUNTED, 3, builder)
            .on_filesystems(on, "the filesystem cannot be shut down, or another claim covers its shutdown")
    };
    vec![
        shut_down("upper-shut-down", &[Fs::Ext4, Fs::Ext4NoJournal], UNREADABLE),
        shut_down("upper-shut-down-xfs", &[Fs::Xfs], Expectation::Refused { errno: EIO, reason: Reason::Unreadable }),
        // f2fs can still be read. The first write of overlayfs fails.
        shut_down("upper-shut-down-f2fs", &[Fs::F2fs], Expectation::RefusedWithoutReason(EIO)),
        stopped(
            "upper-went-read-only",
            "Reuse is refused while an error keeps ext4 read-only, and as `upper-remounted` once mounted again",
            |builder| builder.require(CHECK_READ_WRITE, Expectation::Fails(EROFS)),
            Expectation::Refused { errno: EINVAL, reason: Reason::UpperReadOnly },
        )
        .on_filesystems(&[Fs::Ext4, Fs::Ext4NoJournal], "the filesystem does not become read-only after a failed read")
        .conflicting_with(EXT4_NOT_READ_ONLY),
        stopped(
            "upper-went-quietly-read-only",
            "Reuse fails with EIO while an error blocks ext4 writes, and as `upper-remounted` once mounted again",
            |builder| builder.run(CHECK_READ_WRITE).require(write_to_upper(), Expectation::Fails(EROFS)),
            Expectation::Refused { errno: EIO, reason: Reason::UnseenError },
        )
        .on_filesystems(&[Fs::Ext4], "the filesystem continues after a failed read")
        .requiring(&[Feature::QuietReadOnly, Feature::BufferErrors]),
        stopped(
            "upper-in-an-emergency",
            "Reuse fails with EROFS while ext4 is in emergency state, and as `upper-remounted` once mounted again",
            |builder| builder.run(CHECK_READ_WRITE).require(write_to_upper(), Expectation::Fails(EROFS)),
            Expectation::RefusedWithoutReason(EROFS),
        )
        .on_filesystems(&[Fs::Ext4, Fs::Ext4NoJournal], "the filesystem continues after a failed read")
        .requiring(&[Feature::QuietReadOnly])
        .conflicting_with(&[Feature::BufferErrors]),
        stopped(
            "upper-shut-itself-down",
            "Reuse fails with EIO while an error keeps ext4 shut down, and as `upper-remounted` once mounted again",
            |builder| builder.run(CHECK_READ_WRITE).require(write_to_upper(), Expectation::Fails(EIO)),
            UNREADABLE,
        )
        .on_filesystems(&[Fs::Ext4, Fs::Ext4NoJournal], "the filesystem does not shut down after a failed read")
        .requiring(&[Feature::ErrorsShutDown]),
    ]
}

/// All I/O of the disk fails for a moment, and a failed read makes the filesystem stop.
fn stopped(
    name: &'static str,
    title: &'static str,
    evidence: impl Fn(ClaimBuilder) -> ClaimBuilder,
    expected: Expectation,
) -> Claim {
    let hold = Op::OpenFile { disk: Disk::A, location: FileLocation::Upper, file: FILE.to_string() };
    let builder = ClaimBuilder::new()
        .attach_on(Disk::A, DeviceStack::Loop, "errors=remount-ro")
        .setup_volatile_upper()
        .sync_and_drop_caches()
        .inject(Fault::Everything)
        .require(hold, Expectation::Fails(EIO))
        .clear_fault();
    let builder = evidence(builder)
        .assert(mount_overlay(Disk::A, Volatile, AccessPath::Mount), expected)
        .unmount_upper()
        .mount_upper()
        .assert_refused(Volatile, EINVAL, Reason::UpperRemounted);
    Claim::new(name, title, REMOUNTED, 3, builder)
}

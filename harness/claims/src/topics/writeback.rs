// SPDX-License-Identifier: MIT OR Apache-2.0
//! Writeback errors of the upper filesystem: reuse is refused from level 4 on.

use libc::{EINVAL, EIO};
use vremount_kernel::base::Feature;
use vremount_protocol::Mode::{Durable, Volatile};
use vremount_protocol::{Disk, Fault, LayerSet, Op};

use crate::Claim;
use crate::builder::{ClaimBuilder, FILE, SECOND_SEED, SYNC, compare_file};
use crate::citations::{BY_HAND, ERRSEQ, HAD_ERRORS, UNDERLYING};
use crate::refusal_reason::Reason;
use crate::step::Expectation;

/// Longer than it takes the kernel to write dirty data back: it does so at an age of 30 s and
/// checks every 5 s.
pub const EXPIRED_MS: u64 = 40_000;

/// Asserts that repeated syncfs(2) and fsync(2) calls all fail. Other filesystems report an error
/// only once.
fn assert_every_sync_fails(builder: ClaimBuilder) -> ClaimBuilder {
    let sync = || Op::SyncOverlay { disk: Disk::A };
    let fsync = Op::FsyncOverlayFile { disk: Disk::A, file: FILE.to_string() };
    [sync(), sync(), fsync, sync()].into_iter().fold(builder, |builder, op| builder.assert(op, Expectation::Fails(EIO)))
}

pub fn claims() -> Vec<Claim> {
    vec![
        Claim::new(
            "error-while-mounted",
            "Reuse is refused as `writeback-error` after a writeback error while the overlay was mounted",
            HAD_ERRORS,
            4,
            ClaimBuilder::with_upper()
                .setup_dirty_on_broken_disk()
                .require_error_reported_by(SYNC)
                .unmount()
                .assert_refused_for_writeback_error(),
        ),
        Claim::new(
            "error-after-unmount",
            "Reuse is refused as `writeback-error` after a writeback error between unmount and reuse",
            HAD_ERRORS,
            4,
            ClaimBuilder::with_upper()
                .setup_dirty_on_broken_disk()
                .unmount()
                .require_error_reported_by(SYNC)
                .assert_refused_for_writeback_error(),
        ),
        Claim::new(
            "error-unseen",
            "Reuse is refused with EIO while a writeback error is unseen, and as `writeback-error` once reported",
            ERRSEQ,
            4,
            ClaimBuilder::with_upper()
                .setup_dirty_on_broken_disk()
                .unmount()
                .require_unseen_error()
                .assert_refused(Volatile, EIO, Reason::UnseenError)
                .require(SYNC, Expectation::Fails(EIO))
                .assert_refused_for_writeback_error(),
        ),
        Claim::new(
            "error-in-the-background",
            "Reuse is refused after background writeback failed: with EIO while unseen, then as `writeback-error`",
            HAD_ERRORS,
            4,
            ClaimBuilder::with_upper()
                .setup_dirty_on_broken_disk()
                .unmount()
                .run(Op::Sleep { ms: EXPIRED_MS })
                .clear_fault_and_require_read_write()
                .require_second_write_lost()
                .assert_refused(Volatile, EIO, Reason::UnseenError)
                .require(SYNC, Expectation::Fails(EIO))
                .assert_refused_for_writeback_error(),
        ),
        Claim::new(
            "error-seen-by-another",
            "Reuse is refused as `writeback-error` if syncfs on another file descriptor reported the error",
            ERRSEQ,
            4,
            ClaimBuilder::with_upper()
                .setup_dirty_on_broken_disk()
                .require_unseen_error()
                .unmount()
                .require_error_reported_by(Op::SyncUpperNewDescriptor { disk: Disk::A })
                .assert_refused_for_writeback_error(),
        ),
        Claim::new(
            "error-is-permanent",
            "Reuse stays refused as `writeback-error` although later syncs of the upper filesystem succeed",
            ERRSEQ,
            4,
            ClaimBuilder::with_upper()
                .setup_dirty_on_broken_disk()
                .unmount()
                .require_error_reported_by(SYNC)
                .assert_refused_for_writeback_error()
                .run(SYNC)
                .assert_refused_for_writeback_error()
                .run(Op::WriteBack)
                .run(SYNC)
                .assert_refused_for_writeback_error(),
        ),
        Claim::new(
            "error-overridden",
            "If the marker is removed after a `writeback-error` refusal, the upper can be mounted and reused",
            ERRSEQ,
            4,
            ClaimBuilder::with_upper()
                .setup_dirty_on_broken_disk()
                .unmount()
                .require_error_reported_by(SYNC)
                .assert_refused_for_writeback_error()
                .run(Op::RemoveMarker { disk: Disk::A })
                .assert_mounts(Volatile)
                .unmount()
                .assert_mounts(Volatile),
        ),
        Claim::new(
            "error-everywhere",
            "Reuse is refused as `writeback-error` after all I/O of the disk failed for a moment",
            HAD_ERRORS,
            4,
            ClaimBuilder::with_upper()
                .setup_dirty_after_unmount()
                .inject(Fault::Everything)
                .require_unseen_error()
                .require(SYNC, Expectation::Fails(EIO))
                .assert_refused_for_writeback_error(),
        ),
        Claim::new(
            "error-before-first-mount",
            "An unseen error refuses a first volatile mount with EIO; once it is reported, mount and reuse succeed",
            ERRSEQ,
            4,
            ClaimBuilder::with_upper()
                .setup_dirty_on_broken_disk()
                .unmount()
                .require_unseen_error()
                .run(Op::RecreateUpper { disk: Disk::A })
                .assert_refused(Volatile, EIO, Reason::UnseenError)
                .require(SYNC, Expectation::Fails(EIO))
                .assert_mounts(Volatile)
                .unmount()
                .assert_mounts(Volatile),
        )
        .holding_since(Feature::SyncErrors, 3),
        Claim::new(
            "error-before-durable-mount",
            "A durable mount of fresh directories ignores an unseen writeback error and does not report it",
            UNDERLYING,
            0,
            ClaimBuilder::with_upper()
                .setup_dirty_on_broken_disk()
                .unmount()
                .require_unseen_error()
                .run(Op::RecreateUpper { disk: Disk::A })
                .assert_mounts(Durable)
                .unmount()
                .assert(SYNC, Expectation::Fails(EIO)),
        ),
        Claim::new(
            "syncfs-that-succeeds-is-not-enough",
            "A syncfs after the error was reported succeeds; without the marker, an upper with lost data is mounted",
            BY_HAND,
            0,
            ClaimBuilder::with_upper()
                .setup_dirty_on_broken_disk()
                .unmount()
                .require_error_reported_by(SYNC)
                .assert(Op::SyncUpperNewDescriptor { disk: Disk::A }, Expectation::Done)
                .run(Op::RemoveMarker { disk: Disk::A })
                .run(Op::DropCaches)
                .assert_mounts(Volatile)
                .assert(compare_file(LayerSet::First, SECOND_SEED), Expectation::Differs),
        ),
        Claim::new(
            "error-told-before-a-reload",
            "After a module reload, syncfs repeats a reported error only on descriptors opened before the error",
            BY_HAND,
            3,
            ClaimBuilder::with_upper()
                .setup_dirty_on_broken_disk()
                .unmount()
                .require_error_reported_by(Op::SyncUpperNewDescriptor { disk: Disk::A })
                .run(Op::ReloadOverlay)
                .assert_refused(Volatile, EINVAL, Reason::OtherBoot)
                .assert(Op::SyncUpperNewDescriptor { disk: Disk::A }, Expectation::Done)
                .assert(SYNC, Expectation::Fails(EIO)),
        ),
        Claim::new(
            "error-is-told-by-sync",
            "After a writeback error, every syncfs and fsync on a volatile overlay fails, even if it was reported",
            HAD_ERRORS,
            0,
            assert_every_sync_fails(
                ClaimBuilder::with_upper().setup_dirty_on_broken_disk().require_error_reported_by(SYNC),
            ),
        )
        .requiring(&[Feature::SyncErrors]),
        Claim::new(
            "error-is-told-by-sync-after-reuse",
            "After an error, every syncfs and fsync on a reused overlay fails, and it cannot be reused again",
            HAD_ERRORS,
            4,
            assert_every_sync_fails(
                ClaimBuilder::with_upper()
                    .setup_mount(Volatile)
                    .write_data()
                    .run(SYNC)
                    .unmount()
                    .assert_mounts(Volatile)
                    .inject_data_fault(Disk::A)
                    .overwrite_data()
                    .require_error_reported_by(SYNC),
            )
            .unmount()
            .assert_refused_for_writeback_error(),
        )
        .requiring(&[Feature::SyncErrors]),
    ]
}

// SPDX-License-Identifier: MIT OR Apache-2.0
//! Reuse that is refused because the upper filesystem could not write data back. Patch 4 alone makes these hold.

use libc::{EINVAL, EIO};
use vremount_kernel::base::Feature;
use vremount_protocol::Mode::{Durable, Volatile};
use vremount_protocol::{Disk, Fault, LayerSet, Op};

use crate::Claim;
use crate::citations::{BY_HAND, ERRSEQ, HAD_ERRORS, UNDERLYING};
use crate::refusal_reason::Reason;
use crate::step::{ClaimBuilder, Expectation, FILE, SECOND_SEED, SYNC, compare};

/// Dirty data is written back when it is 30 s old, by a thread that looks every 5 s.
pub const EXPIRED_MS: u64 = 40_000;

/// Not once, as syncfs(2) does on other filesystems: again and again.
fn told_by_sync(script: ClaimBuilder) -> ClaimBuilder {
    let sync = || Op::SyncOverlay { disk: Disk::A };
    let fsync = Op::FsyncOverlayFile { disk: Disk::A, file: FILE.to_string() };
    [sync(), sync(), fsync, sync()].into_iter().fold(script, |script, op| script.assertion(op, Expectation::Fails(EIO)))
}

pub fn claims() -> Vec<Claim> {
    vec![
        Claim::new(
            "error-while-mounted",
            "Refused after a writeback error while the overlay was mounted",
            HAD_ERRORS,
            4,
            ClaimBuilder::on_upper()
                .dirty_on_broken_disk()
                .fail_reported_to(SYNC)
                .unmount()
                .assert_refused_for_writeback_error(),
        ),
        Claim::new(
            "error-after-unmount",
            "Refused after a writeback error between unmount and reuse",
            HAD_ERRORS,
            4,
            ClaimBuilder::on_upper()
                .dirty_on_broken_disk()
                .unmount()
                .fail_reported_to(SYNC)
                .assert_refused_for_writeback_error(),
        ),
        Claim::new(
            "error-unseen",
            "Refused with EIO while nobody has seen the error, for good afterwards",
            ERRSEQ,
            4,
            ClaimBuilder::on_upper()
                .dirty_on_broken_disk()
                .unmount()
                .fail_unreported()
                .assert_refused(Volatile, EIO, Reason::UnseenError)
                .precondition(SYNC, Expectation::Fails(EIO))
                .assert_refused_for_writeback_error(),
        ),
        Claim::new(
            "error-in-the-background",
            "Refused after the kernel's own writeback failed, half a minute after the last write",
            HAD_ERRORS,
            4,
            ClaimBuilder::on_upper()
                .dirty_on_broken_disk()
                .unmount()
                .run(Op::Sleep { ms: EXPIRED_MS })
                .upper_still_writable()
                .second_write_lost()
                .assert_refused(Volatile, EIO, Reason::UnseenError)
                .precondition(SYNC, Expectation::Fails(EIO))
                .assert_refused_for_writeback_error(),
        ),
        Claim::new(
            "error-seen-by-another",
            "Refused after the error was reported to somebody else",
            ERRSEQ,
            4,
            ClaimBuilder::on_upper()
                .dirty_on_broken_disk()
                .fail_unreported()
                .unmount()
                .fail_reported_to(Op::SyncUpperAfresh { disk: Disk::A })
                .assert_refused_for_writeback_error(),
        ),
        Claim::new(
            "error-is-permanent",
            "Refused again and again, however often the upper filesystem is synced without error",
            ERRSEQ,
            4,
            ClaimBuilder::on_upper()
                .dirty_on_broken_disk()
                .unmount()
                .fail_reported_to(SYNC)
                .assert_refused_for_writeback_error()
                .run(SYNC)
                .assert_refused_for_writeback_error()
                .run(Op::WriteBack)
                .run(SYNC)
                .assert_refused_for_writeback_error(),
        ),
        Claim::new(
            "error-overridden",
            "Who removes the marker after a refusal starts anew: the upper is fresh, with a sample of after the error",
            ERRSEQ,
            4,
            ClaimBuilder::on_upper()
                .dirty_on_broken_disk()
                .unmount()
                .fail_reported_to(SYNC)
                .assert_refused_for_writeback_error()
                .run(Op::RemoveMarker { disk: Disk::A })
                .assert_mounts(Volatile)
                .unmount()
                .assert_mounts(Volatile),
        ),
        Claim::new(
            "error-everywhere",
            "Refused after the whole disk failed for a moment",
            HAD_ERRORS,
            4,
            ClaimBuilder::on_upper()
                .dirty_after_unmount()
                .break_with(Fault::Everything)
                .fail_unreported()
                .precondition(SYNC, Expectation::Fails(EIO))
                .assert_refused_for_writeback_error(),
        ),
        Claim::new(
            "error-before-first-mount",
            "A first volatile mount is refused with EIO over an unseen error, and works once it was seen",
            ERRSEQ,
            4,
            ClaimBuilder::on_upper()
                .dirty_on_broken_disk()
                .unmount()
                .fail_unreported()
                .run(Op::FreshUpper { disk: Disk::A })
                .assert_refused(Volatile, EIO, Reason::UnseenError)
                .precondition(SYNC, Expectation::Fails(EIO))
                .assert_mounts(Volatile)
                .unmount()
                .assert_mounts(Volatile),
        )
        .holding_since(Feature::SyncErrors, 3),
        Claim::new(
            "error-before-durable-mount",
            "A durable mount of fresh directories asks for no error, seen or not, and reports none, as it always did",
            UNDERLYING,
            0,
            ClaimBuilder::on_upper()
                .dirty_on_broken_disk()
                .unmount()
                .fail_unreported()
                .run(Op::FreshUpper { disk: Disk::A })
                .assert_mounts(Durable)
                .unmount()
                .assertion(SYNC, Expectation::Fails(EIO)),
        ),
        Claim::new(
            "syncfs-that-succeeds-is-not-enough",
            "Syncfs of the upper filesystem succeeds once somebody else was told of the error: without the marker, lost data is mounted",
            BY_HAND,
            0,
            ClaimBuilder::on_upper()
                .dirty_on_broken_disk()
                .unmount()
                .fail_reported_to(SYNC)
                .assertion(Op::SyncUpperAfresh { disk: Disk::A }, Expectation::Done)
                .run(Op::RemoveMarker { disk: Disk::A })
                .run(Op::DropCaches)
                .assert_mounts(Volatile)
                .assertion(compare(LayerSet::First, SECOND_SEED), Expectation::Differs),
        ),
        Claim::new(
            "error-told-before-a-reload",
            "After a reload of the module an error that somebody was told of is told to who had the upper open all the time, and to no other",
            BY_HAND,
            3,
            ClaimBuilder::on_upper()
                .dirty_on_broken_disk()
                .unmount()
                .fail_reported_to(Op::SyncUpperAfresh { disk: Disk::A })
                .run(Op::ReloadOverlay)
                .assert_refused(Volatile, EINVAL, Reason::OtherBoot)
                .assertion(Op::SyncUpperAfresh { disk: Disk::A }, Expectation::Done)
                .assertion(SYNC, Expectation::Fails(EIO)),
        ),
        Claim::new(
            "error-is-told-by-sync",
            "Every sync of a volatile overlay fails once there was an error, whoever else was told of it",
            HAD_ERRORS,
            0,
            told_by_sync(ClaimBuilder::on_upper().dirty_on_broken_disk().fail_reported_to(SYNC)),
        )
        .requiring(&[Feature::SyncErrors]),
        Claim::new(
            "error-is-told-by-sync-after-reuse",
            "Every sync of an overlay that was reused fails once there was an error, and it is not reused again",
            HAD_ERRORS,
            4,
            told_by_sync(
                ClaimBuilder::on_upper()
                    .setup_mount(Volatile)
                    .write()
                    .run(SYNC)
                    .unmount()
                    .assert_mounts(Volatile)
                    .break_data(Disk::A)
                    .write_again()
                    .fail_reported_to(SYNC),
            )
            .unmount()
            .assert_refused_for_writeback_error(),
        )
        .requiring(&[Feature::SyncErrors]),
    ]
}

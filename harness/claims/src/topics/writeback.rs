// SPDX-License-Identifier: MIT OR Apache-2.0
//! Reuse that is refused because the upper filesystem could not write data back. Patch 4 alone makes these hold.

use libc::{EINVAL, EIO};
use vremount_kernel::base::Feature;
use vremount_protocol::Mode::{Durable, Volatile};
use vremount_protocol::{Disk, Fault, Layers, Op};

use crate::Claim;
use crate::citations::{BY_HAND, ERRSEQ, HAD_ERRORS, UNDERLYING};
use crate::refusal_reason::Reason;
use crate::step::{FILE, SECOND_SEED, SYNC, Script, Want, compare};

/// Dirty data is written back when it is 30 s old, by a thread that looks every 5 s.
pub const EXPIRED_MS: u64 = 40_000;

/// Not once, as syncfs(2) does on other filesystems: again and again.
fn told_by_sync(script: Script) -> Script {
    let sync = || Op::SyncOverlay { disk: Disk::A };
    let fsync = Op::FsyncOverlayFile { disk: Disk::A, file: FILE.to_string() };
    [sync(), sync(), fsync, sync()].into_iter().fold(script, |script, op| script.then(op, Want::Fails(EIO)))
}

pub fn claims() -> Vec<Claim> {
    vec![
        Claim::new(
            "error-while-mounted",
            "Refused after a writeback error while the overlay was mounted",
            HAD_ERRORS,
            4,
            Script::on_upper().doomed().fails_seen_by(SYNC).unmount().refuses_for_error(),
        ),
        Claim::new(
            "error-after-unmount",
            "Refused after a writeback error between unmount and reuse",
            HAD_ERRORS,
            4,
            Script::on_upper().doomed().unmount().fails_seen_by(SYNC).refuses_for_error(),
        ),
        Claim::new(
            "error-unseen",
            "Refused with EIO while nobody has seen the error, for good afterwards",
            ERRSEQ,
            4,
            Script::on_upper()
                .doomed()
                .unmount()
                .fails_unseen()
                .refuses(Volatile, EIO, Reason::UnseenError)
                .given(SYNC, Want::Fails(EIO))
                .refuses_for_error(),
        ),
        Claim::new(
            "error-in-the-background",
            "Refused after the kernel's own writeback failed, half a minute after the last write",
            HAD_ERRORS,
            4,
            Script::on_upper()
                .doomed()
                .unmount()
                .run(Op::Sleep { ms: EXPIRED_MS })
                .still_writable()
                .lost()
                .refuses(Volatile, EIO, Reason::UnseenError)
                .given(SYNC, Want::Fails(EIO))
                .refuses_for_error(),
        ),
        Claim::new(
            "error-seen-by-another",
            "Refused after the error was reported to somebody else",
            ERRSEQ,
            4,
            Script::on_upper()
                .doomed()
                .fails_unseen()
                .unmount()
                .fails_seen_by(Op::SyncUpperAfresh { disk: Disk::A })
                .refuses_for_error(),
        ),
        Claim::new(
            "error-is-permanent",
            "Refused again and again, however often the upper filesystem is synced without error",
            ERRSEQ,
            4,
            Script::on_upper()
                .doomed()
                .unmount()
                .fails_seen_by(SYNC)
                .refuses_for_error()
                .run(SYNC)
                .refuses_for_error()
                .run(Op::WriteBack)
                .run(SYNC)
                .refuses_for_error(),
        ),
        Claim::new(
            "error-overridden",
            "Who removes the marker after a refusal starts anew: the upper is fresh, with a sample of after the error",
            ERRSEQ,
            4,
            Script::on_upper()
                .doomed()
                .unmount()
                .fails_seen_by(SYNC)
                .refuses_for_error()
                .run(Op::RemoveMarker { disk: Disk::A })
                .mounts(Volatile)
                .unmount()
                .mounts(Volatile),
        ),
        Claim::new(
            "error-everywhere",
            "Refused after the whole disk failed for a moment",
            HAD_ERRORS,
            4,
            Script::on_upper()
                .at_risk()
                .break_with(Fault::Everything)
                .fails_unseen()
                .given(SYNC, Want::Fails(EIO))
                .refuses_for_error(),
        ),
        Claim::new(
            "error-before-first-mount",
            "A first volatile mount is refused with EIO over an unseen error, and works once it was seen",
            ERRSEQ,
            4,
            Script::on_upper()
                .doomed()
                .unmount()
                .fails_unseen()
                .run(Op::FreshUpper { disk: Disk::A })
                .refuses(Volatile, EIO, Reason::UnseenError)
                .given(SYNC, Want::Fails(EIO))
                .mounts(Volatile)
                .unmount()
                .mounts(Volatile),
        )
        .earlier(Feature::SyncErrors, 3),
        Claim::new(
            "error-before-durable-mount",
            "A durable mount of fresh directories asks for no error, seen or not, and reports none, as it always did",
            UNDERLYING,
            0,
            Script::on_upper()
                .doomed()
                .unmount()
                .fails_unseen()
                .run(Op::FreshUpper { disk: Disk::A })
                .mounts(Durable)
                .unmount()
                .then(SYNC, Want::Fails(EIO)),
        ),
        Claim::new(
            "syncfs-that-succeeds-is-not-enough",
            "Syncfs of the upper filesystem succeeds once somebody else was told of the error: without the marker, lost data is mounted",
            BY_HAND,
            0,
            Script::on_upper()
                .doomed()
                .unmount()
                .fails_seen_by(SYNC)
                .then(Op::SyncUpperAfresh { disk: Disk::A }, Want::Done)
                .run(Op::RemoveMarker { disk: Disk::A })
                .run(Op::DropCaches)
                .mounts(Volatile)
                .then(compare(Layers::First, SECOND_SEED), Want::Differs),
        ),
        Claim::new(
            "error-told-before-a-reload",
            "After a reload of the module an error that somebody was told of is told to who had the upper open all the time, and to no other",
            BY_HAND,
            3,
            Script::on_upper()
                .doomed()
                .unmount()
                .fails_seen_by(Op::SyncUpperAfresh { disk: Disk::A })
                .run(Op::ReloadOverlay)
                .refuses(Volatile, EINVAL, Reason::OtherBoot)
                .then(Op::SyncUpperAfresh { disk: Disk::A }, Want::Done)
                .then(SYNC, Want::Fails(EIO)),
        ),
        Claim::new(
            "error-is-told-by-sync",
            "Every sync of a volatile overlay fails once there was an error, whoever else was told of it",
            HAD_ERRORS,
            0,
            told_by_sync(Script::on_upper().doomed().fails_seen_by(SYNC)),
        )
        .needs(&[Feature::SyncErrors]),
        Claim::new(
            "error-is-told-by-sync-after-reuse",
            "Every sync of an overlay that was reused fails once there was an error, and it is not reused again",
            HAD_ERRORS,
            4,
            told_by_sync(
                Script::on_upper()
                    .mounted(Volatile)
                    .write()
                    .run(SYNC)
                    .unmount()
                    .mounts(Volatile)
                    .break_data(Disk::A)
                    .write_again()
                    .fails_seen_by(SYNC),
            )
            .unmount()
            .refuses_for_error(),
        )
        .needs(&[Feature::SyncErrors]),
    ]
}

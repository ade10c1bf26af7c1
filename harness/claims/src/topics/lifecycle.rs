// SPDX-License-Identifier: MIT OR Apache-2.0
//! What may happen to mounts between one volatile mount and the next, and what does not count.

use libc::EINVAL;
use vremount_protocol::Mode::{Durable, Volatile};
use vremount_protocol::{Disk, Layers, Op, Place, Scope, Stack, Via};

use crate::Claim;
use crate::citations::{
    ALLOWS_VOLATILE, HAD_ERRORS, INSTANCE, OURS_IN_USE, REMOUNTED, RESTART, SAME_FILESYSTEM, UNDERLYING,
};
use crate::refusal_reason::Reason;
use crate::step::{
    FILE, FIRST_SEED, SYNC, Script, Want, compare, overlay, overlay_of, overlay_on, overlay_with, unmount, write_on,
};

pub fn claims() -> Vec<Claim> {
    [upper(), overlays()].into_iter().flatten().collect()
}

fn upper() -> Vec<Claim> {
    let remount = |options: &str| Op::RemountUpper { disk: Disk::A, options: options.to_string() };
    let detach = || Op::UnmountUpper { disk: Disk::A, lazy: true };
    let hold = || Op::HoldFile { disk: Disk::A, place: Place::Upper, file: FILE.to_string() };
    vec![
        Claim::new(
            "upper-read-only-for-a-while",
            "An upper filesystem that was read-only for a while is still the same mount of it",
            UNDERLYING,
            3,
            Script::on_upper()
                .after_volatile()
                .run(remount("ro"))
                .refuses(Volatile, EINVAL, Reason::UpperReadOnly)
                .run(remount("rw"))
                .mounts(Volatile)
                .intact(),
        ),
        Claim::new(
            "upper-frozen-for-a-while",
            "An upper filesystem that was frozen and thawed is still the same mount of it",
            UNDERLYING,
            3,
            Script::on_upper()
                .after_volatile()
                .run(Op::FreezeUpper { disk: Disk::A })
                .run(Op::ThawUpper { disk: Disk::A })
                .mounts(Volatile)
                .intact(),
        ),
        Claim::new(
            "upper-mounted-at-two-places",
            "A device that is mounted twice stays the same upper when the first mount goes",
            REMOUNTED,
            3,
            Script::on_upper()
                .run(Op::Reach { disk: Disk::A, via: Via::Again })
                .after_volatile()
                .unmount_upper()
                .then(overlay(Disk::A, Volatile, Via::Again), Want::Mounted)
                .intact(),
        ),
        Claim::new(
            "upper-copied",
            "A copy of the whole filesystem of a volatile upper, byte for byte, is another filesystem",
            INSTANCE,
            3,
            Script::on_upper()
                .run(Op::Attach { disk: Disk::B, on: Stack::Plain })
                .after_volatile()
                .run(SYNC)
                .unmount_upper()
                .run(Op::CopyDisk { from: Disk::A, to: Disk::B })
                .run(Op::MountUpper { disk: Disk::B, options: String::new() })
                .then(
                    overlay(Disk::B, Volatile, Via::Mount),
                    Want::Refused { errno: EINVAL, reason: Reason::UpperRemounted },
                ),
        ),
        Claim::new(
            "upper-and-work-on-two-mounts",
            "Upper and work directory must be reached through the same mount, as they always had to be",
            UNDERLYING,
            0,
            Script::on_upper().after_volatile().run(Op::Reach { disk: Disk::A, via: Via::Bind }).refuses_op(
                overlay_with(Volatile, "workdir=/bind/a/work"),
                EINVAL,
                Reason::TwoMounts,
            ),
        ),
        Claim::new(
            "upper-moved",
            "A mount that was moved is the same upper",
            REMOUNTED,
            3,
            Script::on_upper()
                .after_volatile()
                .run(Op::Reach { disk: Disk::A, via: Via::Moved })
                .then(overlay(Disk::A, Volatile, Via::Moved), Want::Mounted)
                .intact()
                .unmount()
                .run(Op::Unreach { disk: Disk::A, via: Via::Moved })
                .mounts(Volatile)
                .intact(),
        ),
        Claim::new(
            "upper-unmounted-lazily-in-use",
            "An upper that was unmounted lazily and is still used was never unmounted",
            REMOUNTED,
            3,
            Script::on_upper().after_volatile().run(hold()).run(detach()).mount_upper().mounts(Volatile).intact(),
        ),
        Claim::new(
            "upper-unmounted-lazily",
            "Refused when the last user of an upper that was unmounted lazily has gone",
            REMOUNTED,
            3,
            Script::on_upper().after_volatile().run(hold()).run(detach()).run(Op::ReleaseFiles).mount_upper().refuses(
                Volatile,
                EINVAL,
                Reason::UpperRemounted,
            ),
        ),
    ]
}

fn overlays() -> Vec<Claim> {
    let read_only = |mode| overlay_with(mode, "ro");
    let remount = |options: &str| Op::RemountOverlay { disk: Disk::A, options: options.to_string() };
    vec![
        Claim::new(
            "overlay-remounted",
            "mount -o remount of a volatile overlay changes neither marker nor checkpoint",
            RESTART,
            3,
            Script::on_upper()
                .mounted(Volatile)
                .write()
                .run(Op::Snapshot { disk: Disk::A, scope: Scope::Marker })
                .given(remount("ro"), Want::MountedReadOnly)
                .then(remount("rw"), Want::Mounted)
                .then(remount("rw,volatile"), Want::Mounted)
                .then(Op::SameAsSnapshot { disk: Disk::A, scope: Scope::Marker }, Want::Done)
                .unmount()
                .mounts(Volatile)
                .intact(),
        ),
        Claim::new(
            "volatile-then-read-only",
            "A volatile upper is mounted read-only if it is mounted volatile, and refused if not",
            "But, for now, prevents volatile -> non-volatile",
            3,
            Script::on_upper()
                .after_volatile()
                .refuses_op(read_only(Durable), EINVAL, Reason::NotVolatile)
                .then(read_only(Volatile), Want::MountedReadOnly)
                .intact()
                .unmount()
                .mounts(Volatile)
                .intact(),
        ),
        Claim::new(
            "read-only-then-volatile",
            "An upper that was first mounted volatile and read-only is mounted volatile again",
            ALLOWS_VOLATILE,
            3,
            Script::on_upper()
                .given(read_only(Volatile), Want::MountedReadOnly)
                .unmount()
                .mounts(Volatile)
                .write()
                .unmount()
                .then(read_only(Volatile), Want::MountedReadOnly)
                .intact(),
        ),
        Claim::new(
            "every-transition",
            "Durable, volatile and read-only mounts follow each other, but for durable after volatile; without the marker \
             that too",
            ALLOWS_VOLATILE,
            3,
            Script::on_upper()
                .mounted(Durable)
                .write()
                .unmount()
                .then(read_only(Durable), Want::MountedReadOnly)
                .unmount()
                .mounts(Durable)
                .unmount()
                .mounts(Volatile)
                .unmount()
                .then(read_only(Volatile), Want::MountedReadOnly)
                .unmount()
                .mounts(Volatile)
                .unmount()
                .refuses(Durable, EINVAL, Reason::NotVolatile)
                .refuses_op(read_only(Durable), EINVAL, Reason::NotVolatile)
                .mounts(Volatile)
                .intact()
                .unmount()
                .run(SYNC)
                .run(Op::RemoveMarker { disk: Disk::A })
                .then(read_only(Durable), Want::MountedReadOnly)
                .unmount()
                .mounts(Durable)
                .unmount()
                .mounts(Volatile)
                .intact(),
        ),
        Claim::new(
            "overlay-unmounted-lazily",
            "Refused while a lazily unmounted overlay is still used, accepted when its last user has gone",
            OURS_IN_USE,
            3,
            Script::on_upper()
                .mounted(Volatile)
                .write()
                .run(Op::HoldFile { disk: Disk::A, place: Place::Overlay, file: FILE.to_string() })
                .run(Op::UnmountOverlay { disk: Disk::A, layers: Layers::First, lazy: true })
                .refuses(Volatile, EINVAL, Reason::InUse)
                .run(Op::ReleaseFiles)
                .mounts(Volatile)
                .intact(),
        ),
        Claim::new(
            "overlay-as-upper",
            "An overlay is no upper: what happens to its data is known to the filesystem below alone",
            UNDERLYING,
            0,
            Script::on_upper().mounted(Volatile).write().refuses_op(
                overlay_of(Layers::Other, Volatile, "upperdir=/merged/a/data,workdir=/merged/a/folder"),
                EINVAL,
                Reason::NotAnUpper,
            ),
        ),
        Claim::new(
            "volatile-without-upper",
            "A volatile upper that is the lower layer of an overlay without an upper is only read, volatile or not",
            RESTART,
            0,
            Script::on_upper()
                .after_volatile()
                .run(Op::Snapshot { disk: Disk::A, scope: Scope::Tree })
                .then(overlay_on(Layers::LowerOnly, Volatile), Want::MountedReadOnly)
                .then(compare(Layers::LowerOnly, FIRST_SEED), Want::Done)
                .run(unmount(Layers::LowerOnly))
                .then(Op::SameAsSnapshot { disk: Disk::A, scope: Scope::Tree }, Want::Done),
        ),
        Claim::new(
            "overlays-side-by-side",
            "Of several overlays on one filesystem each is reused by itself, whatever the others do",
            SAME_FILESYSTEM,
            3,
            Script::on_upper()
                .mounted(Volatile)
                .write()
                .given(overlay_on(Layers::Other, Volatile), Want::Mounted)
                .run(write_on(Layers::Other, FIRST_SEED))
                .run(unmount(Layers::Other))
                .intact()
                .unmount()
                .then(overlay_on(Layers::Other, Volatile), Want::Mounted)
                .mounts(Volatile)
                .intact()
                .then(compare(Layers::Other, FIRST_SEED), Want::Done),
        ),
        Claim::new(
            "error-refuses-all-overlays",
            "A writeback error of one overlay refuses all that are on the same filesystem",
            HAD_ERRORS,
            4,
            Script::on_upper()
                .given(overlay_on(Layers::Other, Volatile), Want::Mounted)
                .run(unmount(Layers::Other))
                .doomed()
                .fails_seen_by(SYNC)
                .unmount()
                .refuses_for_error()
                .refuses_op(overlay_on(Layers::Other, Volatile), EINVAL, Reason::WritebackError),
        ),
    ]
}

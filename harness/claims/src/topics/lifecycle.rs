// SPDX-License-Identifier: MIT OR Apache-2.0
//! What may happen to mounts between one volatile mount and the next, and what does not count.

use libc::EINVAL;
use vremount_protocol::Mode::{Durable, Volatile};
use vremount_protocol::{AccessPath, DeviceStack, Disk, FileLocation, LayerSet, Op, SnapshotScope};

use crate::Claim;
use crate::citations::{
    ALLOWS_VOLATILE, HAD_ERRORS, INSTANCE, OURS_IN_USE, REMOUNTED, RESTART, SAME_FILESYSTEM, UNDERLYING,
};
use crate::refusal_reason::Reason;
use crate::step::{
    ClaimBuilder, Expectation, FILE, FIRST_SEED, SYNC, compare, overlay, overlay_of, overlay_on, overlay_with, unmount,
    write_on,
};

pub fn claims() -> Vec<Claim> {
    [upper(), overlays()].into_iter().flatten().collect()
}

fn upper() -> Vec<Claim> {
    let remount = |options: &str| Op::RemountUpper { disk: Disk::A, options: options.to_string() };
    let detach = || Op::UnmountUpper { disk: Disk::A, lazy: true };
    let hold = || Op::HoldFile { disk: Disk::A, place: FileLocation::Upper, file: FILE.to_string() };
    vec![
        Claim::new(
            "upper-read-only-for-a-while",
            "An upper filesystem that was read-only for a while is still the same mount of it",
            UNDERLYING,
            3,
            ClaimBuilder::on_upper()
                .volatile_session()
                .run(remount("ro"))
                .assert_refused(Volatile, EINVAL, Reason::UpperReadOnly)
                .run(remount("rw"))
                .assert_mounts(Volatile)
                .assert_data_intact(),
        ),
        Claim::new(
            "upper-frozen-for-a-while",
            "An upper filesystem that was frozen and thawed is still the same mount of it",
            UNDERLYING,
            3,
            ClaimBuilder::on_upper()
                .volatile_session()
                .run(Op::FreezeUpper { disk: Disk::A })
                .run(Op::ThawUpper { disk: Disk::A })
                .assert_mounts(Volatile)
                .assert_data_intact(),
        ),
        Claim::new(
            "upper-mounted-at-two-places",
            "A device that is mounted twice stays the same upper when the first mount goes",
            REMOUNTED,
            3,
            ClaimBuilder::on_upper()
                .run(Op::Reach { disk: Disk::A, via: AccessPath::Again })
                .volatile_session()
                .unmount_upper()
                .assertion(overlay(Disk::A, Volatile, AccessPath::Again), Expectation::Mounted)
                .assert_data_intact(),
        ),
        Claim::new(
            "upper-copied",
            "A copy of the whole filesystem of a volatile upper, byte for byte, is another filesystem",
            INSTANCE,
            3,
            ClaimBuilder::on_upper()
                .run(Op::Attach { disk: Disk::B, on: DeviceStack::Plain })
                .volatile_session()
                .run(SYNC)
                .unmount_upper()
                .run(Op::CopyDisk { from: Disk::A, to: Disk::B })
                .run(Op::MountUpper { disk: Disk::B, options: String::new() })
                .assertion(
                    overlay(Disk::B, Volatile, AccessPath::Mount),
                    Expectation::Refused { errno: EINVAL, reason: Reason::UpperRemounted },
                ),
        ),
        Claim::new(
            "upper-and-work-on-two-mounts",
            "Upper and work directory must be reached through the same mount, as they always had to be",
            UNDERLYING,
            0,
            ClaimBuilder::on_upper()
                .volatile_session()
                .run(Op::Reach { disk: Disk::A, via: AccessPath::Bind })
                .assert_op_refused(overlay_with(Volatile, "workdir=/bind/a/work"), EINVAL, Reason::TwoMounts),
        ),
        Claim::new(
            "upper-moved",
            "A mount that was moved is the same upper",
            REMOUNTED,
            3,
            ClaimBuilder::on_upper()
                .volatile_session()
                .run(Op::Reach { disk: Disk::A, via: AccessPath::Moved })
                .assertion(overlay(Disk::A, Volatile, AccessPath::Moved), Expectation::Mounted)
                .assert_data_intact()
                .unmount()
                .run(Op::Unreach { disk: Disk::A, via: AccessPath::Moved })
                .assert_mounts(Volatile)
                .assert_data_intact(),
        ),
        Claim::new(
            "upper-unmounted-lazily-in-use",
            "An upper that was unmounted lazily and is still used was never unmounted",
            REMOUNTED,
            3,
            ClaimBuilder::on_upper()
                .volatile_session()
                .run(hold())
                .run(detach())
                .mount_upper()
                .assert_mounts(Volatile)
                .assert_data_intact(),
        ),
        Claim::new(
            "upper-unmounted-lazily",
            "Refused when the last user of an upper that was unmounted lazily has gone",
            REMOUNTED,
            3,
            ClaimBuilder::on_upper()
                .volatile_session()
                .run(hold())
                .run(detach())
                .run(Op::ReleaseFiles)
                .mount_upper()
                .assert_refused(Volatile, EINVAL, Reason::UpperRemounted),
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
            ClaimBuilder::on_upper()
                .setup_mount(Volatile)
                .write()
                .run(Op::Snapshot { disk: Disk::A, scope: SnapshotScope::Marker })
                .precondition(remount("ro"), Expectation::MountedReadOnly)
                .assertion(remount("rw"), Expectation::Mounted)
                .assertion(remount("rw,volatile"), Expectation::Mounted)
                .assertion(Op::SameAsSnapshot { disk: Disk::A, scope: SnapshotScope::Marker }, Expectation::Done)
                .unmount()
                .assert_mounts(Volatile)
                .assert_data_intact(),
        ),
        Claim::new(
            "volatile-then-read-only",
            "A volatile upper is mounted read-only if it is mounted volatile, and refused if not",
            "But, for now, prevents volatile -> non-volatile",
            3,
            ClaimBuilder::on_upper()
                .volatile_session()
                .assert_op_refused(read_only(Durable), EINVAL, Reason::NotVolatile)
                .assertion(read_only(Volatile), Expectation::MountedReadOnly)
                .assert_data_intact()
                .unmount()
                .assert_mounts(Volatile)
                .assert_data_intact(),
        ),
        Claim::new(
            "read-only-then-volatile",
            "An upper that was first mounted volatile and read-only is mounted volatile again",
            ALLOWS_VOLATILE,
            3,
            ClaimBuilder::on_upper()
                .precondition(read_only(Volatile), Expectation::MountedReadOnly)
                .unmount()
                .assert_mounts(Volatile)
                .write()
                .unmount()
                .assertion(read_only(Volatile), Expectation::MountedReadOnly)
                .assert_data_intact(),
        ),
        Claim::new(
            "every-transition",
            "Durable, volatile and read-only mounts follow each other, but for durable after volatile; without the marker \
             that too",
            ALLOWS_VOLATILE,
            3,
            ClaimBuilder::on_upper()
                .setup_mount(Durable)
                .write()
                .unmount()
                .assertion(read_only(Durable), Expectation::MountedReadOnly)
                .unmount()
                .assert_mounts(Durable)
                .unmount()
                .assert_mounts(Volatile)
                .unmount()
                .assertion(read_only(Volatile), Expectation::MountedReadOnly)
                .unmount()
                .assert_mounts(Volatile)
                .unmount()
                .assert_refused(Durable, EINVAL, Reason::NotVolatile)
                .assert_op_refused(read_only(Durable), EINVAL, Reason::NotVolatile)
                .assert_mounts(Volatile)
                .assert_data_intact()
                .unmount()
                .run(SYNC)
                .run(Op::RemoveMarker { disk: Disk::A })
                .assertion(read_only(Durable), Expectation::MountedReadOnly)
                .unmount()
                .assert_mounts(Durable)
                .unmount()
                .assert_mounts(Volatile)
                .assert_data_intact(),
        ),
        Claim::new(
            "overlay-unmounted-lazily",
            "Refused while a lazily unmounted overlay is still used, accepted when its last user has gone",
            OURS_IN_USE,
            3,
            ClaimBuilder::on_upper()
                .setup_mount(Volatile)
                .write()
                .run(Op::HoldFile { disk: Disk::A, place: FileLocation::Overlay, file: FILE.to_string() })
                .run(Op::UnmountOverlay { disk: Disk::A, layers: LayerSet::First, lazy: true })
                .assert_refused(Volatile, EINVAL, Reason::InUse)
                .run(Op::ReleaseFiles)
                .assert_mounts(Volatile)
                .assert_data_intact(),
        ),
        Claim::new(
            "overlay-as-upper",
            "An overlay is no upper: what happens to its data is known to the filesystem below alone",
            UNDERLYING,
            0,
            ClaimBuilder::on_upper().setup_mount(Volatile).write().assert_op_refused(
                overlay_of(LayerSet::Other, Volatile, "upperdir=/merged/a/data,workdir=/merged/a/folder"),
                EINVAL,
                Reason::NotAnUpper,
            ),
        ),
        Claim::new(
            "volatile-without-upper",
            "A volatile upper that is the lower layer of an overlay without an upper is only read, volatile or not",
            RESTART,
            0,
            ClaimBuilder::on_upper()
                .volatile_session()
                .run(Op::Snapshot { disk: Disk::A, scope: SnapshotScope::Tree })
                .assertion(overlay_on(LayerSet::LowerOnly, Volatile), Expectation::MountedReadOnly)
                .assertion(compare(LayerSet::LowerOnly, FIRST_SEED), Expectation::Done)
                .run(unmount(LayerSet::LowerOnly))
                .assertion(Op::SameAsSnapshot { disk: Disk::A, scope: SnapshotScope::Tree }, Expectation::Done),
        ),
        Claim::new(
            "overlays-side-by-side",
            "Of several overlays on one filesystem each is reused by itself, whatever the others do",
            SAME_FILESYSTEM,
            3,
            ClaimBuilder::on_upper()
                .setup_mount(Volatile)
                .write()
                .precondition(overlay_on(LayerSet::Other, Volatile), Expectation::Mounted)
                .run(write_on(LayerSet::Other, FIRST_SEED))
                .run(unmount(LayerSet::Other))
                .assert_data_intact()
                .unmount()
                .assertion(overlay_on(LayerSet::Other, Volatile), Expectation::Mounted)
                .assert_mounts(Volatile)
                .assert_data_intact()
                .assertion(compare(LayerSet::Other, FIRST_SEED), Expectation::Done),
        ),
        Claim::new(
            "error-refuses-all-overlays",
            "A writeback error of one overlay refuses all that are on the same filesystem",
            HAD_ERRORS,
            4,
            ClaimBuilder::on_upper()
                .precondition(overlay_on(LayerSet::Other, Volatile), Expectation::Mounted)
                .run(unmount(LayerSet::Other))
                .dirty_on_broken_disk()
                .fail_reported_to(SYNC)
                .unmount()
                .assert_refused_for_writeback_error()
                .assert_op_refused(overlay_on(LayerSet::Other, Volatile), EINVAL, Reason::WritebackError),
        ),
    ]
}

// SPDX-License-Identifier: MIT OR Apache-2.0
//! Events between two volatile mounts: remount, freeze, move, lazy unmount, read-only mounts, other
//! overlays.

use libc::EINVAL;
use vremount_protocol::Mode::{Durable, Volatile};
use vremount_protocol::{AccessPath, DeviceStack, Disk, FileLocation, LayerSet, Op, SnapshotScope};

use crate::Claim;
use crate::builder::{
    ClaimBuilder, FILE, FIRST_SEED, SYNC, compare_file, mount_layers, mount_layers_with, mount_overlay,
    mount_overlay_with, unmount_layers, write_file_in,
};
use crate::citations::{
    ALLOWS_VOLATILE, HAD_ERRORS, INSTANCE, NOT_DURABLE, OURS_IN_USE, REMOUNTED, RESTART, SAME_FILESYSTEM, UNDERLYING,
};
use crate::refusal_reason::Reason;
use crate::step::Expectation;

pub fn claims() -> Vec<Claim> {
    [upper(), overlays()].into_iter().flatten().collect()
}

fn upper() -> Vec<Claim> {
    let remount = |options: &str| Op::RemountUpper { disk: Disk::A, options: options.to_string() };
    let unmount_lazily = || Op::UnmountUpper { disk: Disk::A, lazy: true };
    let hold_file = || Op::OpenFile { disk: Disk::A, location: FileLocation::Upper, file: FILE.to_string() };
    vec![
        Claim::new(
            "upper-read-only-for-a-while",
            "Reuse is refused while the upper filesystem is read-only, and succeeds when it is read-write again",
            UNDERLYING,
            3,
            ClaimBuilder::with_upper()
                .setup_volatile_upper()
                .run(remount("ro"))
                .assert_refused(Volatile, EINVAL, Reason::UpperReadOnly)
                .run(remount("rw"))
                .assert_mounts(Volatile)
                .assert_data_intact(),
        ),
        Claim::new(
            "upper-frozen-for-a-while",
            "Reuse succeeds after the upper filesystem was frozen and thawed",
            UNDERLYING,
            3,
            ClaimBuilder::with_upper()
                .setup_volatile_upper()
                .run(Op::FreezeUpper { disk: Disk::A })
                .run(Op::ThawUpper { disk: Disk::A })
                .assert_mounts(Volatile)
                .assert_data_intact(),
        ),
        Claim::new(
            "upper-mounted-at-two-places",
            "If the upper filesystem is mounted twice, unmounting one of the mounts does not prevent reuse",
            REMOUNTED,
            3,
            ClaimBuilder::with_upper()
                .run(Op::AddAccessPath { disk: Disk::A, via: AccessPath::SecondMount })
                .setup_volatile_upper()
                .unmount_upper()
                .assert(mount_overlay(Disk::A, Volatile, AccessPath::SecondMount), Expectation::Mounted)
                .assert_data_intact(),
        ),
        Claim::new(
            "upper-copied",
            "On a block-by-block copy of the upper filesystem, reuse is refused as `upper-remounted`",
            INSTANCE,
            3,
            ClaimBuilder::with_upper()
                .run(Op::Attach { disk: Disk::B, stack: DeviceStack::Loop })
                .setup_volatile_upper()
                .run(SYNC)
                .unmount_upper()
                .run(Op::CopyDisk { from: Disk::A, to: Disk::B })
                .run(Op::MountUpper { disk: Disk::B, options: String::new() })
                .assert(
                    mount_overlay(Disk::B, Volatile, AccessPath::Mount),
                    Expectation::Refused { errno: EINVAL, reason: Reason::UpperRemounted },
                ),
        ),
        Claim::new(
            "upper-and-work-on-two-mounts",
            "Upper and work directories reached through two mounts of one filesystem are refused with EINVAL",
            UNDERLYING,
            0,
            ClaimBuilder::with_upper()
                .setup_volatile_upper()
                .run(Op::AddAccessPath { disk: Disk::A, via: AccessPath::Bind })
                .assert_op_refused(mount_overlay_with(Volatile, "workdir=/bind/a/work"), EINVAL, Reason::TwoMounts),
        ),
        Claim::new(
            "upper-moved",
            "Reuse succeeds after the mount of the upper filesystem was moved, and after it was moved back",
            REMOUNTED,
            3,
            ClaimBuilder::with_upper()
                .setup_volatile_upper()
                .run(Op::AddAccessPath { disk: Disk::A, via: AccessPath::Moved })
                .assert(mount_overlay(Disk::A, Volatile, AccessPath::Moved), Expectation::Mounted)
                .assert_data_intact()
                .unmount()
                .run(Op::RemoveAccessPath { disk: Disk::A, via: AccessPath::Moved })
                .assert_mounts(Volatile)
                .assert_data_intact(),
        ),
        Claim::new(
            "upper-unmounted-lazily-in-use",
            "Reuse succeeds if a lazily unmounted upper filesystem was still in use when it was mounted again",
            REMOUNTED,
            3,
            ClaimBuilder::with_upper()
                .setup_volatile_upper()
                .run(hold_file())
                .run(unmount_lazily())
                .mount_upper()
                .assert_mounts(Volatile)
                .assert_data_intact(),
        ),
        Claim::new(
            "upper-unmounted-lazily",
            "Reuse is refused as `upper-remounted` if a lazily unmounted upper filesystem lost its last user",
            REMOUNTED,
            3,
            ClaimBuilder::with_upper()
                .setup_volatile_upper()
                .run(hold_file())
                .run(unmount_lazily())
                .run(Op::CloseFiles)
                .mount_upper()
                .assert_refused(Volatile, EINVAL, Reason::UpperRemounted),
        ),
    ]
}

fn overlays() -> Vec<Claim> {
    let read_only = |mode| mount_overlay_with(mode, "ro");
    let remount = |options: &str| Op::RemountOverlay { disk: Disk::A, options: options.to_string() };
    vec![
        Claim::new(
            "overlay-remounted",
            "`mount -o remount` of a volatile overlay changes neither its marker nor its checkpoint",
            RESTART,
            3,
            ClaimBuilder::with_upper()
                .setup_mount(Volatile)
                .write_data()
                .run(Op::Snapshot { disk: Disk::A, scope: SnapshotScope::Marker })
                .require(remount("ro"), Expectation::MountedReadOnly)
                .assert(remount("rw"), Expectation::Mounted)
                .assert(remount("rw,volatile"), Expectation::Mounted)
                .assert(Op::CompareSnapshot { disk: Disk::A, scope: SnapshotScope::Marker }, Expectation::Done)
                .unmount()
                .assert_mounts(Volatile)
                .assert_data_intact(),
        ),
        Claim::new(
            "volatile-then-read-only",
            "A read-only mount of a volatile upper needs `volatile`, and is refused as `not-volatile` without it",
            NOT_DURABLE,
            3,
            ClaimBuilder::with_upper()
                .setup_volatile_upper()
                .assert_op_refused(read_only(Durable), EINVAL, Reason::NotVolatile)
                .assert(read_only(Volatile), Expectation::MountedReadOnly)
                .assert_data_intact()
                .unmount()
                .assert_mounts(Volatile)
                .assert_data_intact(),
        ),
        Claim::new(
            "read-only-then-volatile",
            "An upper whose first volatile mount was read-only can be reused read-write and read-only",
            ALLOWS_VOLATILE,
            3,
            ClaimBuilder::with_upper()
                .require(read_only(Volatile), Expectation::MountedReadOnly)
                .unmount()
                .assert_mounts(Volatile)
                .write_data()
                .unmount()
                .assert(read_only(Volatile), Expectation::MountedReadOnly)
                .assert_data_intact(),
        ),
        Claim::new(
            "every-transition",
            "Of all transitions between durable, volatile and read-only mounts, only volatile to durable is refused",
            ALLOWS_VOLATILE,
            3,
            ClaimBuilder::with_upper()
                .setup_mount(Durable)
                .write_data()
                .unmount()
                .assert(read_only(Durable), Expectation::MountedReadOnly)
                .unmount()
                .assert_mounts(Durable)
                .unmount()
                .assert_mounts(Volatile)
                .unmount()
                .assert(read_only(Volatile), Expectation::MountedReadOnly)
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
                .assert(read_only(Durable), Expectation::MountedReadOnly)
                .unmount()
                .assert_mounts(Durable)
                .unmount()
                .assert_mounts(Volatile)
                .assert_data_intact(),
        ),
        Claim::new(
            "overlay-unmounted-lazily",
            "Reuse is refused as `in-use` while a lazily unmounted overlay has users, and succeeds afterwards",
            OURS_IN_USE,
            3,
            ClaimBuilder::with_upper()
                .setup_mount(Volatile)
                .write_data()
                .run(Op::OpenFile { disk: Disk::A, location: FileLocation::Overlay, file: FILE.to_string() })
                .run(Op::UnmountOverlay { disk: Disk::A, layers: LayerSet::First, lazy: true })
                .assert_refused(Volatile, EINVAL, Reason::InUse)
                .run(Op::CloseFiles)
                .assert_mounts(Volatile)
                .assert_data_intact(),
        ),
        Claim::new(
            "overlay-as-upper",
            "An upper directory that is on another overlay is refused with EINVAL",
            UNDERLYING,
            0,
            ClaimBuilder::with_upper().setup_mount(Volatile).write_data().assert_op_refused(
                mount_layers_with(LayerSet::Other, Volatile, "upperdir=/merged/a/data,workdir=/merged/a/folder"),
                EINVAL,
                Reason::NotAnUpper,
            ),
        ),
        Claim::new(
            "volatile-without-upper",
            "An overlay without upperdir can mount a volatile upper as a lower layer, and does not change it",
            RESTART,
            0,
            ClaimBuilder::with_upper()
                .setup_volatile_upper()
                .run(Op::Snapshot { disk: Disk::A, scope: SnapshotScope::Tree })
                .assert(mount_layers(LayerSet::LowerOnly, Volatile), Expectation::MountedReadOnly)
                .assert(compare_file(LayerSet::LowerOnly, FIRST_SEED), Expectation::Done)
                .run(unmount_layers(LayerSet::LowerOnly))
                .assert(Op::CompareSnapshot { disk: Disk::A, scope: SnapshotScope::Tree }, Expectation::Done),
        ),
        Claim::new(
            "overlays-side-by-side",
            "Two volatile overlays on the same filesystem can be reused independently of each other",
            SAME_FILESYSTEM,
            3,
            ClaimBuilder::with_upper()
                .setup_mount(Volatile)
                .write_data()
                .require(mount_layers(LayerSet::Other, Volatile), Expectation::Mounted)
                .run(write_file_in(LayerSet::Other, FIRST_SEED))
                .run(unmount_layers(LayerSet::Other))
                .assert_data_intact()
                .unmount()
                .assert(mount_layers(LayerSet::Other, Volatile), Expectation::Mounted)
                .assert_mounts(Volatile)
                .assert_data_intact()
                .assert(compare_file(LayerSet::Other, FIRST_SEED), Expectation::Done),
        ),
        Claim::new(
            "error-refuses-all-overlays",
            "A writeback error refuses reuse of every volatile upper on the same filesystem",
            HAD_ERRORS,
            4,
            ClaimBuilder::with_upper()
                .require(mount_layers(LayerSet::Other, Volatile), Expectation::Mounted)
                .run(unmount_layers(LayerSet::Other))
                .setup_dirty_on_broken_disk()
                .require_error_reported_by(SYNC)
                .unmount()
                .assert_refused_for_writeback_error()
                .assert_op_refused(mount_layers(LayerSet::Other, Volatile), EINVAL, Reason::WritebackError),
        ),
    ]
}

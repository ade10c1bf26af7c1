// SPDX-License-Identifier: MIT OR Apache-2.0
//! Mounts that are refused: not volatile, in use, upper filesystem unmounted, module reloaded,
//! other boot.

use libc::{EINVAL, ENOENT};
use vremount_kernel::base::Feature;
use vremount_machine::image::Fs;
use vremount_protocol::Mode::{Durable, Volatile};
use vremount_protocol::{AccessPath, CheckpointTamper, Disk, LayerSet, Op, SnapshotScope};

use crate::Claim;
use crate::builder::{
    BORROWED_WORK, ClaimBuilder, SYNC, mount_layers, mount_layers_with, mount_overlay, unmount_layers,
};
use crate::citations::{BOOT_ID, CHECKPOINT, NOT_DURABLE, OURS_IN_USE, REMOUNTED};
use crate::refusal_reason::Reason;
use crate::step::{Expectation, HostStep};

pub fn claims() -> Vec<Claim> {
    let snapshot_marker = || Op::Snapshot { disk: Disk::A, scope: SnapshotScope::Marker };
    vec![
        Claim::new(
            "volatile-then-durable",
            "A durable mount of a volatile upper is refused as `not-volatile`",
            NOT_DURABLE,
            3,
            ClaimBuilder::with_upper().setup_volatile_upper().assert_refused(Durable, EINVAL, Reason::NotVolatile),
        )
        // This also holds without xattrs, where no checkpoint exists.
        .on_filesystems(&Fs::ALL, ""),
        Claim::new(
            "second-mount-while-in-use",
            "A second volatile mount of a mounted volatile upper is refused as `in-use` and changes nothing",
            OURS_IN_USE,
            3,
            ClaimBuilder::with_upper()
                .setup_mount(Volatile)
                .write_data()
                .assert_data_intact()
                .run(Op::Snapshot { disk: Disk::A, scope: SnapshotScope::Tree })
                .assert(
                    mount_layers(LayerSet::Second, Volatile),
                    Expectation::Refused { errno: EINVAL, reason: Reason::InUse },
                )
                .assert(Op::CompareSnapshot { disk: Disk::A, scope: SnapshotScope::Tree }, Expectation::Done)
                .assert_data_intact()
                .unmount()
                // The refused mount does not prevent reuse.
                .assert(Op::MountRepeatedly { disk: Disk::A, count: 1 }, Expectation::Done),
        ),
        Claim::new(
            "second-mount-of-what-is-not-reused",
            "An upper in use is refused as `in-use` before its checkpoint is read and after `volatile` is checked",
            OURS_IN_USE,
            3,
            ClaimBuilder::with_upper()
                .setup_mount(Volatile)
                .tamper(CheckpointTamper::Remove)
                .assert(
                    mount_layers(LayerSet::Second, Volatile),
                    Expectation::Refused { errno: EINVAL, reason: Reason::InUse },
                )
                .assert(
                    mount_layers(LayerSet::Second, Durable),
                    Expectation::Refused { errno: EINVAL, reason: Reason::NotVolatile },
                )
                .unmount()
                .assert_refused(Volatile, EINVAL, Reason::NoCheckpoint),
        ),
        Claim::new(
            "second-mount-of-a-work-directory",
            "Reuse is refused as `in-use` while another upper is mounted with the same work directory",
            OURS_IN_USE,
            3,
            ClaimBuilder::with_upper()
                .setup_volatile_upper()
                // This combination is undefined. It mounts because a checkpoint does not identify
                // the upper.
                .assert(mount_layers_with(LayerSet::Other, Volatile, BORROWED_WORK), Expectation::Mounted)
                .assert_refused(Volatile, EINVAL, Reason::InUse)
                .run(unmount_layers(LayerSet::Other))
                .assert_mounts(Volatile)
                .assert_data_intact(),
        ),
        Claim::new(
            "first-mount-beside-another",
            "If the upper is in use, a first volatile mount stores no checkpoint, which prevents reuse",
            OURS_IN_USE,
            3,
            ClaimBuilder::with_upper()
                .setup_mount(Durable)
                .require(mount_layers(LayerSet::Second, Volatile), Expectation::Mounted)
                .run(unmount_layers(LayerSet::Second))
                .unmount()
                .assert_refused(Volatile, EINVAL, Reason::NoCheckpoint),
        ),
        Claim::new(
            "first-mount-of-a-work-directory-in-use",
            "If the work directory is in use, a first volatile mount stores no checkpoint, which prevents reuse",
            OURS_IN_USE,
            3,
            ClaimBuilder::with_upper()
                .require(mount_layers_with(LayerSet::Other, Durable, BORROWED_WORK), Expectation::Mounted)
                .setup_mount(Volatile)
                .unmount()
                .run(unmount_layers(LayerSet::Other))
                .assert_refused(Volatile, EINVAL, Reason::NoCheckpoint),
        ),
        Claim::new(
            "upper-remounted",
            "Reuse is refused as `upper-remounted` after the upper filesystem was unmounted and mounted again",
            REMOUNTED,
            3,
            ClaimBuilder::with_upper()
                .setup_volatile_upper()
                .run(SYNC)
                .unmount_upper()
                .mount_upper()
                .assert_refused(Volatile, EINVAL, Reason::UpperRemounted)
                .remove_marker_and_assert_mount()
                // Instance ids are not reused, so a second unmount is detected too.
                .unmount()
                .unmount_upper()
                .mount_upper()
                .assert_refused(Volatile, EINVAL, Reason::UpperRemounted),
        ),
        Claim::new(
            "overlay-reloaded",
            "Reuse is refused as `other-boot` after the overlay module was unloaded and loaded again",
            BOOT_ID,
            3,
            ClaimBuilder::with_upper()
                .setup_volatile_upper()
                .run(Op::ReloadOverlay)
                .assert_refused(Volatile, EINVAL, Reason::OtherBoot)
                .remove_marker_and_assert_mount(),
        ),
        Claim::new(
            "machine-rebooted",
            "Reuse is refused as `other-boot` after a clean reboot",
            BOOT_ID,
            3,
            ClaimBuilder::with_upper()
                .setup_volatile_upper()
                .run(SYNC)
                .unmount_upper()
                // Instance ids start at 1 again, so that only the boot id differs.
                .host(HostStep::Reboot)
                .attach(Disk::A)
                .assert_refused(Volatile, EINVAL, Reason::OtherBoot)
                .remove_marker_and_assert_mount(),
        ),
        Claim::new(
            "kernel-kexeced",
            "Reuse is refused as `other-boot` after kexec of another kernel",
            BOOT_ID,
            3,
            ClaimBuilder::with_upper()
                .setup_volatile_upper()
                .unmount_upper()
                .host(HostStep::Kexec)
                .attach(Disk::A)
                .assert_refused(Volatile, EINVAL, Reason::OtherBoot),
        ),
        Claim::new(
            "power-cut",
            "Reuse is refused as `other-boot` after a power cut while the overlay was mounted",
            BOOT_ID,
            3,
            ClaimBuilder::with_upper()
                .setup_mount(Volatile)
                .write_data()
                // This writes the marker to the disk. Later writes may be lost.
                .run(Op::SyncUpper { disk: Disk::A })
                .overwrite_data()
                .host(HostStep::PowerCut)
                .attach(Disk::A)
                .assert_refused(Volatile, EINVAL, Reason::OtherBoot),
        ),
        Claim::new(
            "power-cut-while-writing",
            "After a power cut during writes, volatile mounts are refused as `other-boot`, durable ones as \
             `not-volatile`",
            BOOT_ID,
            3,
            ClaimBuilder::with_upper()
                .setup_mount(Volatile)
                .run(Op::SyncUpper { disk: Disk::A })
                .run(Op::KeepWriting { disk: Disk::A })
                .host(HostStep::PowerCut)
                .attach(Disk::A)
                // On ext2 a directory may name files that are not on the disk, so a snapshot of the
                // tree fails.
                .run(snapshot_marker())
                .assert(
                    mount_overlay(Disk::A, Volatile, AccessPath::Mount),
                    Expectation::Refused { errno: EINVAL, reason: Reason::OtherBoot },
                )
                .assert(
                    mount_overlay(Disk::A, Durable, AccessPath::Mount),
                    Expectation::Refused { errno: EINVAL, reason: Reason::NotVolatile },
                )
                .assert(Op::CompareSnapshot { disk: Disk::A, scope: SnapshotScope::Marker }, Expectation::Done),
        ),
        Claim::new(
            "marker-lost-to-a-power-cut",
            "If a power cut loses the unsynced marker, a volatile mount succeeds with the last synced data",
            CHECKPOINT,
            0,
            ClaimBuilder::with_upper()
                .setup_mount(Durable)
                .write_data()
                .unmount()
                .run(SYNC)
                .setup_mount(Volatile)
                .overwrite_data()
                .host(HostStep::PowerCut)
                .attach(Disk::A)
                .require(Op::RemoveMarker { disk: Disk::A }, Expectation::Fails(ENOENT))
                .assert_mounts(Volatile)
                .assert_data_intact(),
        )
        // There the directory on the disk may name a marker that is not on the disk.
        .excluding(&[Fs::Ext2], Feature::Ext2SyncsDirectories),
    ]
}

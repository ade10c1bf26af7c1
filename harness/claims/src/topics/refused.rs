// SPDX-License-Identifier: MIT OR Apache-2.0
//! Reuse that is refused because the upper is not what it was, each for its own reason.

use libc::{EINVAL, ENOENT};
use vremount_kernel::base::Feature;
use vremount_machine::image::Fs;
use vremount_protocol::Mode::{Durable, Volatile};
use vremount_protocol::{AccessPath, CheckpointTamper, Disk, LayerSet, Op, SnapshotScope};

use crate::Claim;
use crate::citations::{BOOT_ID, CHECKPOINT, OURS_IN_USE, REMOUNTED};
use crate::refusal_reason::Reason;
use crate::step::{BORROWED_WORK, ClaimBuilder, Expectation, HostStep, SYNC, overlay, overlay_of, overlay_on, unmount};

pub fn claims() -> Vec<Claim> {
    let marker = || Op::Snapshot { disk: Disk::A, scope: SnapshotScope::Marker };
    vec![
        Claim::new(
            "volatile-then-durable",
            "A volatile upper cannot be mounted durable",
            "But, for now, prevents volatile -> non-volatile",
            3,
            ClaimBuilder::on_upper().volatile_session().assert_refused(Durable, EINVAL, Reason::NotVolatile),
        )
        // Even where there is no checkpoint.
        .on_filesystems(&Fs::ALL, ""),
        Claim::new(
            "second-mount-while-in-use",
            "A volatile upper cannot be mounted twice at the same time",
            OURS_IN_USE,
            3,
            ClaimBuilder::on_upper()
                .setup_mount(Volatile)
                .write()
                .assert_data_intact()
                .run(Op::Snapshot { disk: Disk::A, scope: SnapshotScope::Tree })
                .assertion(
                    overlay_on(LayerSet::Second, Volatile),
                    Expectation::Refused { errno: EINVAL, reason: Reason::InUse },
                )
                .assertion(Op::SameAsSnapshot { disk: Disk::A, scope: SnapshotScope::Tree }, Expectation::Done)
                .assert_data_intact()
                .unmount()
                // Nor does it keep the upper from being reused.
                .assertion(Op::Cycle { disk: Disk::A, times: 1 }, Expectation::Done),
        ),
        Claim::new(
            "second-mount-of-what-is-not-reused",
            "That it is in use is told before what is wrong with its checkpoint, but after that it is volatile",
            OURS_IN_USE,
            3,
            ClaimBuilder::on_upper()
                .setup_mount(Volatile)
                .forge(CheckpointTamper::Remove)
                .assertion(
                    overlay_on(LayerSet::Second, Volatile),
                    Expectation::Refused { errno: EINVAL, reason: Reason::InUse },
                )
                .assertion(
                    overlay_on(LayerSet::Second, Durable),
                    Expectation::Refused { errno: EINVAL, reason: Reason::NotVolatile },
                )
                .unmount()
                .assert_refused(Volatile, EINVAL, Reason::NoCheckpoint),
        ),
        Claim::new(
            "second-mount-of-a-work-directory",
            "A work directory that is mounted with another upper is in use too",
            OURS_IN_USE,
            3,
            ClaimBuilder::on_upper()
                .volatile_session()
                // With another upper: undefined, but a checkpoint does not identify the upper.
                .assertion(overlay_of(LayerSet::Other, Volatile, BORROWED_WORK), Expectation::Mounted)
                .assert_refused(Volatile, EINVAL, Reason::InUse)
                .run(unmount(LayerSet::Other))
                .assert_mounts(Volatile)
                .assert_data_intact(),
        ),
        Claim::new(
            "first-mount-beside-another",
            "What another overlay used during the first volatile mount has no checkpoint, and is never reused",
            OURS_IN_USE,
            3,
            ClaimBuilder::on_upper()
                .setup_mount(Durable)
                .precondition(overlay_on(LayerSet::Second, Volatile), Expectation::Mounted)
                .run(unmount(LayerSet::Second))
                .unmount()
                .assert_refused(Volatile, EINVAL, Reason::NoCheckpoint),
        ),
        Claim::new(
            "first-mount-of-a-work-directory-in-use",
            "What another upper used the work directory of during the first volatile mount has no checkpoint either",
            OURS_IN_USE,
            3,
            ClaimBuilder::on_upper()
                .precondition(overlay_of(LayerSet::Other, Durable, BORROWED_WORK), Expectation::Mounted)
                .setup_mount(Volatile)
                .unmount()
                .run(unmount(LayerSet::Other))
                .assert_refused(Volatile, EINVAL, Reason::NoCheckpoint),
        ),
        Claim::new(
            "upper-remounted",
            "Refused after the upper filesystem was unmounted and mounted again",
            REMOUNTED,
            3,
            ClaimBuilder::on_upper()
                .volatile_session()
                .run(SYNC)
                .unmount_upper()
                .mount_upper()
                .assert_refused(Volatile, EINVAL, Reason::UpperRemounted)
                .remove_marker_and_remount()
                // Once more, for no number comes again.
                .unmount()
                .unmount_upper()
                .mount_upper()
                .assert_refused(Volatile, EINVAL, Reason::UpperRemounted),
        ),
        Claim::new(
            "overlay-reloaded",
            "Refused after the overlay module was unloaded and loaded again",
            BOOT_ID,
            3,
            ClaimBuilder::on_upper()
                .volatile_session()
                .run(Op::ReloadOverlay)
                .assert_refused(Volatile, EINVAL, Reason::OtherBoot)
                .remove_marker_and_remount(),
        ),
        Claim::new(
            "machine-rebooted",
            "Refused after a clean reboot, though superblocks are numbered from 1 again",
            BOOT_ID,
            3,
            ClaimBuilder::on_upper()
                .volatile_session()
                .run(SYNC)
                .unmount_upper()
                .host_action(HostStep::Reboot)
                .attach(Disk::A)
                .assert_refused(Volatile, EINVAL, Reason::OtherBoot)
                .remove_marker_and_remount(),
        ),
        Claim::new(
            "kernel-kexeced",
            "Refused after another kernel took the machine over without a reboot",
            BOOT_ID,
            3,
            ClaimBuilder::on_upper()
                .volatile_session()
                .unmount_upper()
                .host_action(HostStep::Kexec)
                .attach(Disk::A)
                .assert_refused(Volatile, EINVAL, Reason::OtherBoot),
        ),
        Claim::new(
            "power-cut",
            "Refused after the machine lost power while the overlay was mounted",
            BOOT_ID,
            3,
            ClaimBuilder::on_upper()
                .setup_mount(Volatile)
                .write()
                // Whatever else is lost, the marker has reached the disk.
                .run(Op::SyncUpper { disk: Disk::A })
                .write_again()
                .host_action(HostStep::PowerCut)
                .attach(Disk::A)
                .assert_refused(Volatile, EINVAL, Reason::OtherBoot),
        ),
        Claim::new(
            "power-cut-while-writing",
            "Refused after the machine lost power in the middle of writes and syncs, whatever of them has reached the disk",
            BOOT_ID,
            3,
            ClaimBuilder::on_upper()
                .setup_mount(Volatile)
                .run(Op::SyncUpper { disk: Disk::A })
                .run(Op::KeepWriting { disk: Disk::A })
                .host_action(HostStep::PowerCut)
                .attach(Disk::A)
                // Without a journal (ext2) there may be names of files that never got to the disk: not all can be looked at.
                .run(marker())
                .assertion(
                    overlay(Disk::A, Volatile, AccessPath::Mount),
                    Expectation::Refused { errno: EINVAL, reason: Reason::OtherBoot },
                )
                .assertion(
                    overlay(Disk::A, Durable, AccessPath::Mount),
                    Expectation::Refused { errno: EINVAL, reason: Reason::NotVolatile },
                )
                .assertion(Op::SameAsSnapshot { disk: Disk::A, scope: SnapshotScope::Marker }, Expectation::Done),
        ),
        Claim::new(
            "marker-lost-to-a-power-cut",
            "A marker that the power cut took refuses nothing: an older state is mounted",
            CHECKPOINT,
            0,
            ClaimBuilder::on_upper()
                .setup_mount(Durable)
                .write()
                .unmount()
                .run(SYNC)
                .setup_mount(Volatile)
                .write_again()
                .host_action(HostStep::PowerCut)
                .attach(Disk::A)
                .precondition(Op::RemoveMarker { disk: Disk::A }, Expectation::Fails(ENOENT))
                .assert_mounts(Volatile)
                .assert_data_intact(),
        )
        // What names a file is on the disk then, and the file is not.
        .excluding(&[Fs::Ext2], Feature::Ext2SyncsDirectories),
    ]
}

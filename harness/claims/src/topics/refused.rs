// SPDX-License-Identifier: MIT OR Apache-2.0
//! Reuse that is refused because the upper is not what it was, each for its own reason.

use libc::{EINVAL, ENOENT};
use vremount_kernel::base::Feature;
use vremount_machine::image::Fs;
use vremount_protocol::Mode::{Durable, Volatile};
use vremount_protocol::{Disk, Forgery, Layers, Op, Scope, Via};

use crate::Claim;
use crate::citations::{BOOT_ID, CHECKPOINT, OURS_IN_USE, REMOUNTED};
use crate::refusal_reason::Reason;
use crate::step::{BORROWED_WORK, HostStep, SYNC, Script, Want, overlay, overlay_of, overlay_on, unmount};

pub fn claims() -> Vec<Claim> {
    let marker = || Op::Snapshot { disk: Disk::A, scope: Scope::Marker };
    vec![
        Claim::new(
            "volatile-then-durable",
            "A volatile upper cannot be mounted durable",
            "But, for now, prevents volatile -> non-volatile",
            3,
            Script::on_upper().after_volatile().refuses(Durable, EINVAL, Reason::NotVolatile),
        )
        // Even where there is no checkpoint.
        .only(&Fs::ALL, ""),
        Claim::new(
            "second-mount-while-in-use",
            "A volatile upper cannot be mounted twice at the same time",
            OURS_IN_USE,
            3,
            Script::on_upper()
                .mounted(Volatile)
                .write()
                .intact()
                .run(Op::Snapshot { disk: Disk::A, scope: Scope::Tree })
                .then(overlay_on(Layers::Second, Volatile), Want::Refused { errno: EINVAL, reason: Reason::InUse })
                .then(Op::SameAsSnapshot { disk: Disk::A, scope: Scope::Tree }, Want::Done)
                .intact()
                .unmount()
                // Nor does it keep the upper from being reused.
                .then(Op::Cycle { disk: Disk::A, times: 1 }, Want::Done),
        ),
        Claim::new(
            "second-mount-of-what-is-not-reused",
            "That it is in use is told before what is wrong with its checkpoint, but after that it is volatile",
            OURS_IN_USE,
            3,
            Script::on_upper()
                .mounted(Volatile)
                .forge(Forgery::Remove)
                .then(overlay_on(Layers::Second, Volatile), Want::Refused { errno: EINVAL, reason: Reason::InUse })
                .then(overlay_on(Layers::Second, Durable), Want::Refused { errno: EINVAL, reason: Reason::NotVolatile })
                .unmount()
                .refuses(Volatile, EINVAL, Reason::NoCheckpoint),
        ),
        Claim::new(
            "second-mount-of-a-work-directory",
            "A work directory that is mounted with another upper is in use too",
            OURS_IN_USE,
            3,
            Script::on_upper()
                .after_volatile()
                // With another upper: undefined, but a checkpoint does not identify the upper.
                .then(overlay_of(Layers::Other, Volatile, BORROWED_WORK), Want::Mounted)
                .refuses(Volatile, EINVAL, Reason::InUse)
                .run(unmount(Layers::Other))
                .mounts(Volatile)
                .intact(),
        ),
        Claim::new(
            "first-mount-beside-another",
            "What another overlay used during the first volatile mount has no checkpoint, and is never reused",
            OURS_IN_USE,
            3,
            Script::on_upper()
                .mounted(Durable)
                .given(overlay_on(Layers::Second, Volatile), Want::Mounted)
                .run(unmount(Layers::Second))
                .unmount()
                .refuses(Volatile, EINVAL, Reason::NoCheckpoint),
        ),
        Claim::new(
            "first-mount-of-a-work-directory-in-use",
            "What another upper used the work directory of during the first volatile mount has no checkpoint either",
            OURS_IN_USE,
            3,
            Script::on_upper()
                .given(overlay_of(Layers::Other, Durable, BORROWED_WORK), Want::Mounted)
                .mounted(Volatile)
                .unmount()
                .run(unmount(Layers::Other))
                .refuses(Volatile, EINVAL, Reason::NoCheckpoint),
        ),
        Claim::new(
            "upper-remounted",
            "Refused after the upper filesystem was unmounted and mounted again",
            REMOUNTED,
            3,
            Script::on_upper()
                .after_volatile()
                .run(SYNC)
                .unmount_upper()
                .mount_upper()
                .refuses(Volatile, EINVAL, Reason::UpperRemounted)
                .kept_by_hand()
                // Once more, for no number comes again.
                .unmount()
                .unmount_upper()
                .mount_upper()
                .refuses(Volatile, EINVAL, Reason::UpperRemounted),
        ),
        Claim::new(
            "overlay-reloaded",
            "Refused after the overlay module was unloaded and loaded again",
            BOOT_ID,
            3,
            Script::on_upper()
                .after_volatile()
                .run(Op::ReloadOverlay)
                .refuses(Volatile, EINVAL, Reason::OtherBoot)
                .kept_by_hand(),
        ),
        Claim::new(
            "machine-rebooted",
            "Refused after a clean reboot, though superblocks are numbered from 1 again",
            BOOT_ID,
            3,
            Script::on_upper()
                .after_volatile()
                .run(SYNC)
                .unmount_upper()
                .host(HostStep::Reboot)
                .attach(Disk::A)
                .refuses(Volatile, EINVAL, Reason::OtherBoot)
                .kept_by_hand(),
        ),
        Claim::new(
            "kernel-kexeced",
            "Refused after another kernel took the machine over without a reboot",
            BOOT_ID,
            3,
            Script::on_upper().after_volatile().unmount_upper().host(HostStep::Kexec).attach(Disk::A).refuses(
                Volatile,
                EINVAL,
                Reason::OtherBoot,
            ),
        ),
        Claim::new(
            "power-cut",
            "Refused after the machine lost power while the overlay was mounted",
            BOOT_ID,
            3,
            Script::on_upper()
                .mounted(Volatile)
                .write()
                // Whatever else is lost, the marker has reached the disk.
                .run(Op::SyncUpper { disk: Disk::A })
                .write_again()
                .host(HostStep::PowerCut)
                .attach(Disk::A)
                .refuses(Volatile, EINVAL, Reason::OtherBoot),
        ),
        Claim::new(
            "power-cut-while-writing",
            "Refused after the machine lost power in the middle of writes and syncs, whatever of them has reached the disk",
            BOOT_ID,
            3,
            Script::on_upper()
                .mounted(Volatile)
                .run(Op::SyncUpper { disk: Disk::A })
                .run(Op::KeepWriting { disk: Disk::A })
                .host(HostStep::PowerCut)
                .attach(Disk::A)
                // Without a journal (ext2) there may be names of files that never got to the disk: not all can be looked at.
                .run(marker())
                .then(
                    overlay(Disk::A, Volatile, Via::Mount),
                    Want::Refused { errno: EINVAL, reason: Reason::OtherBoot },
                )
                .then(
                    overlay(Disk::A, Durable, Via::Mount),
                    Want::Refused { errno: EINVAL, reason: Reason::NotVolatile },
                )
                .then(Op::SameAsSnapshot { disk: Disk::A, scope: Scope::Marker }, Want::Done),
        ),
        Claim::new(
            "marker-lost-to-a-power-cut",
            "A marker that the power cut took refuses nothing: an older state is mounted",
            CHECKPOINT,
            0,
            Script::on_upper()
                .mounted(Durable)
                .write()
                .unmount()
                .run(SYNC)
                .mounted(Volatile)
                .write_again()
                .host(HostStep::PowerCut)
                .attach(Disk::A)
                .given(Op::RemoveMarker { disk: Disk::A }, Want::Fails(ENOENT))
                .mounts(Volatile)
                .intact(),
        )
        // What names a file is on the disk then, and the file is not.
        .but(&[Fs::Ext2], Feature::Ext2SyncsDirectories),
    ]
}

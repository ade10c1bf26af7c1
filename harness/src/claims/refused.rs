// SPDX-License-Identifier: MIT OR Apache-2.0
//! Reuse that is refused because the upper is not what it was, each for its own reason.

use libc::EINVAL;
use vremount_wire::Mode::{Durable, Volatile};
use vremount_wire::{Disk, Forgery, Layers, Op, Scope, Via};

use super::step::{HostStep, Script, Want};
use super::{Claim, claim};
use crate::reason::Reason;

const BOOT_ID: &str = "it generates a UUID at load time which can be used to uniquely identify it";
const CHECKPOINT: &str = "we can checkpoint this data on disk in an xattr";
const OURS_IN_USE: &str = "there is no reuse while the upper is in use";

pub fn claims() -> Vec<Claim> {
    [identity(), checkpoint()].into_iter().flatten().collect()
}

fn identity() -> Vec<Claim> {
    let unmount_upper = || Op::UnmountUpper { disk: Disk::A };
    let mount_upper = || Op::MountUpper { disk: Disk::A, options: String::new() };
    vec![
        claim(
            "volatile-then-durable",
            "A volatile upper cannot be mounted durable",
            "But, for now, prevents volatile -> non-volatile",
            3,
            Script::on_upper().after_volatile().refuses(Durable, EINVAL, Reason::NotVolatile),
        ),
        claim(
            "second-mount-while-in-use",
            "A volatile upper cannot be mounted twice at the same time",
            OURS_IN_USE,
            3,
            Script::on_upper()
                .mounted(Volatile)
                .write()
                .intact()
                .run(Op::Snapshot { disk: Disk::A, scope: Scope::Tree })
                .then(
                    Op::MountOverlay {
                        disk: Disk::A,
                        layers: Layers::Second,
                        mode: Volatile,
                        via: Via::Mount,
                        options: String::new(),
                    },
                    Want::Refused { errno: EINVAL, reason: Reason::InUse },
                )
                .then(Op::SameAsSnapshot { disk: Disk::A, scope: Scope::Tree }, Want::Done)
                .intact()
                .unmount()
                // Nor does it keep the upper from being reused.
                .then(Op::Cycle { disk: Disk::A, times: 1 }, Want::Done),
        ),
        claim(
            "upper-remounted",
            "Refused after the upper filesystem was unmounted and mounted again",
            "It can also make sure the underlying filesystem wasn't remounted",
            3,
            Script::on_upper().after_volatile().run(unmount_upper()).run(mount_upper()).refuses(
                Volatile,
                EINVAL,
                Reason::UpperRemounted,
            ),
        ),
        claim(
            "overlay-reloaded",
            "Refused after the overlay module was unloaded and loaded again",
            BOOT_ID,
            3,
            Script::on_upper().after_volatile().run(Op::ReloadOverlay).refuses(Volatile, EINVAL, Reason::OtherBoot),
        ),
        claim(
            "machine-rebooted",
            "Refused after a clean reboot, though superblocks are numbered from 1 again",
            BOOT_ID,
            3,
            Script::on_upper().after_volatile().run(unmount_upper()).host(HostStep::Reboot).attach(Disk::A).refuses(
                Volatile,
                EINVAL,
                Reason::OtherBoot,
            ),
        ),
        claim(
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
    ]
}

fn checkpoint() -> Vec<Claim> {
    let forged = |name, title, forgery, reason| {
        claim(
            name,
            title,
            CHECKPOINT,
            3,
            Script::on_upper().after_volatile().forge(forgery).refuses(Volatile, EINVAL, reason),
        )
    };
    vec![
        forged(
            "no-checkpoint",
            "A marker without a checkpoint is refused, such as an older kernel leaves",
            Forgery::Remove,
            Reason::NoCheckpoint,
        ),
        forged(
            "short-checkpoint",
            "A checkpoint that is cut off is refused",
            Forgery::Length(20),
            Reason::BadCheckpoint,
        ),
        forged(
            "long-checkpoint",
            "A checkpoint with more behind it is refused",
            Forgery::Length(64),
            Reason::BadCheckpoint,
        ),
        forged(
            "random-checkpoint",
            "A checkpoint of random bytes is refused",
            Forgery::Random { seed: 5 },
            Reason::BadCheckpoint,
        ),
    ]
}

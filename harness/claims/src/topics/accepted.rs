// SPDX-License-Identifier: MIT OR Apache-2.0
//! Mounts that succeed: with the series because it is safe, and those that always did.

use libc::{EINVAL, ENOENT};
use vremount_kernel::base::Feature;
use vremount_machine::image::Fs;
use vremount_protocol::Mode::{Durable, Volatile};
use vremount_protocol::{Disk, Layers, Op, Place, Scope, Via};

use crate::Claim;
use crate::citations::{ALLOWS_VOLATILE, BY_HAND, CHECKPOINT, HAD_ERRORS, NO_SYNCFS, RESTART, SUBSET, UNDERLYING};
use crate::refusal_reason::Reason;
use crate::step::{FIRST_SEED, Script, Want, overlay, overlay_on, unmount, write};

pub fn claims() -> Vec<Claim> {
    [reuse(), always()].into_iter().flatten().collect()
}

const MUCH: &str = "data/much";
/// What fits on the smallest of the images.
const MUCH_BYTES: u64 = 8 << 20;

fn much() -> Op {
    Op::Write {
        disk: Disk::A,
        layers: Layers::First,
        place: Place::Overlay,
        file: MUCH.to_string(),
        bytes: MUCH_BYTES,
        seed: FIRST_SEED,
    }
}

/// New with the series.
fn reuse() -> Vec<Claim> {
    let marker = || Op::Snapshot { disk: Disk::A, scope: Scope::Marker };
    vec![
        Claim::new(
            "reuse",
            "A volatile upper is mounted volatile again, and all data is there",
            ALLOWS_VOLATILE,
            3,
            Script::on_upper().after_volatile().mounts(Volatile).intact(),
        ),
        Claim::new(
            "reuse-beside-a-durable-mount",
            "Of two durable mounts of one upper the first has the lock; when it has gone nothing keeps others from reuse",
            SUBSET,
            3,
            // To share directories is undefined already, and so is what files come to.
            Script::on_upper()
                .mounted(Durable)
                .given(overlay_on(Layers::Second, Durable), Want::Mounted)
                .unmount()
                .mounted(Volatile)
                .unmount()
                .mounts(Volatile)
                .run(unmount(Layers::Second)),
        ),
        Claim::new(
            "reuse-without-sync",
            "Nothing is written or flushed between unmount and reuse",
            NO_SYNCFS,
            3,
            // Neither the kernel's writeback nor the journal's commit may come in between.
            Script::on_upper()
                .run(Op::PauseWriteback)
                .mounted(Volatile)
                .write()
                .run(Op::CountIo { disk: Disk::A })
                .unmount()
                .mounts(Volatile)
                .then(Op::CountedIo { disk: Disk::A }, Want::NoIo)
                .intact()
                // The counter works: a sync is seen.
                .run(Op::CountIo { disk: Disk::A })
                .run(Op::SyncUpper { disk: Disk::A })
                .given(Op::CountedIo { disk: Disk::A }, Want::SomeIo),
        )
        .but(&[Fs::Ext2], Feature::Ext2SyncsDirectories),
        Claim::new(
            "reuse-with-much-to-write",
            "Megabytes that were never written back are there after reuse",
            NO_SYNCFS,
            3,
            Script::on_upper().run(Op::PauseWriteback).mounted(Volatile).run(much()).unmount().mounts(Volatile).then(
                Op::Compare {
                    disk: Disk::A,
                    layers: Layers::First,
                    file: MUCH.to_string(),
                    bytes: MUCH_BYTES,
                    seed: FIRST_SEED,
                },
                Want::Done,
            ),
        ),
        Claim::new(
            "reuse-100-times",
            "A volatile upper is mounted a hundred times in a row",
            RESTART,
            3,
            Script::on_upper()
                .after_volatile()
                .then(Op::Cycle { disk: Disk::A, times: 100 }, Want::Done)
                .mounts(Volatile)
                .intact(),
        ),
        Claim::new(
            "reuse-keeps-the-checkpoint",
            "Reuse does not write the checkpoint again",
            CHECKPOINT,
            3,
            Script::on_upper()
                .after_volatile()
                .run(marker())
                .mounts(Volatile)
                .unmount()
                .then(Op::SameAsSnapshot { disk: Disk::A, scope: Scope::Marker }, Want::Done),
        ),
        Claim::new(
            "reuse-after-refused-durable",
            "A durable mount that was refused does not keep the upper from being reused",
            "prevents volatile -> non-volatile",
            3,
            Script::on_upper().after_volatile().refuses(Durable, EINVAL, Reason::NotVolatile).mounts(Volatile).intact(),
        ),
        Claim::new(
            "reuse-after-error-elsewhere",
            "A writeback error on another filesystem does not matter",
            HAD_ERRORS,
            3,
            Script::on_upper()
                .after_volatile()
                .attach(Disk::B)
                .given(overlay(Disk::B, Volatile, Via::Mount), Want::Mounted)
                .run(write(Disk::B, 1))
                .run(Op::SyncUpper { disk: Disk::B })
                .break_data(Disk::B)
                .run(write(Disk::B, 2))
                .given(Op::SyncUpper { disk: Disk::B }, Want::Fails(libc::EIO))
                .mounts(Volatile)
                .intact(),
        ),
        Claim::new(
            "reuse-through-bind-mount",
            "An upper that is reached through a bind mount is the same upper",
            UNDERLYING,
            3,
            Script::on_upper()
                .run(Op::Reach { disk: Disk::A, via: Via::Bind })
                .given(overlay(Disk::A, Volatile, Via::Bind), Want::Mounted)
                .write()
                .unmount()
                .then(overlay(Disk::A, Volatile, Via::Bind), Want::Mounted)
                .intact()
                .unmount()
                .run(Op::Unreach { disk: Disk::A, via: Via::Bind })
                .mounts(Volatile)
                .intact(),
        ),
    ]
}

/// True before the series, and still.
fn always() -> Vec<Claim> {
    vec![
        Claim::new(
            "durable-then-volatile",
            "A durable upper can be mounted volatile",
            "non-volatile -> volatile",
            0,
            Script::on_upper().mounted(Durable).write().unmount().mounts(Volatile).intact(),
        ),
        Claim::new(
            "durable-then-durable",
            "A durable upper can be mounted durable, and never has a marker",
            "non-volatile -> non-volatile",
            0,
            Script::on_upper()
                .mounted(Durable)
                .write()
                .unmount()
                .mounts(Durable)
                .intact()
                .unmount()
                .then(Op::RemoveMarker { disk: Disk::A }, Want::Fails(ENOENT)),
        ),
        Claim::new(
            "fresh-upper",
            "Safe today: a fresh upper in place of the volatile one",
            "Throw away the entire upperdir between mounts",
            0,
            Script::on_upper()
                .after_volatile()
                .run(Op::FreshUpper { disk: Disk::A })
                .mounts(Volatile)
                .unmount()
                .run(Op::FreshUpper { disk: Disk::A })
                .mounts(Durable),
        ),
        Claim::new(
            "syncfs-and-remove-marker",
            "Safe today: syncfs of the upper filesystem, then removing the marker",
            BY_HAND,
            0,
            Script::on_upper()
                .mounted(Volatile)
                .write()
                .unmount()
                .run(Op::CountIo { disk: Disk::A })
                .run(Op::SyncUpper { disk: Disk::A })
                .given(Op::CountedIo { disk: Disk::A }, Want::SomeIo)
                .run(Op::RemoveMarker { disk: Disk::A })
                .mounts(Durable)
                .intact()
                .unmount()
                .mounts(Volatile)
                .intact(),
        ),
    ]
}

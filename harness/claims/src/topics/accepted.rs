// SPDX-License-Identifier: MIT OR Apache-2.0
//! Mounts that succeed: with the series because it is safe, and those that always did.

use libc::{EINVAL, ENOENT};
use vremount_kernel::base::Feature;
use vremount_machine::image::Fs;
use vremount_protocol::Mode::{Durable, Volatile};
use vremount_protocol::{AccessPath, Disk, FileLocation, LayerSet, Op, SnapshotScope};

use crate::Claim;
use crate::citations::{ALLOWS_VOLATILE, BY_HAND, CHECKPOINT, HAD_ERRORS, NO_SYNCFS, RESTART, SUBSET, UNDERLYING};
use crate::refusal_reason::Reason;
use crate::step::{ClaimBuilder, Expectation, FIRST_SEED, overlay, overlay_on, unmount, write};

pub fn claims() -> Vec<Claim> {
    [reuse(), always()].into_iter().flatten().collect()
}

const MUCH: &str = "data/much";
/// What fits on the smallest of the images.
const MUCH_BYTES: u64 = 8 << 20;

fn much() -> Op {
    Op::Write {
        disk: Disk::A,
        layers: LayerSet::First,
        place: FileLocation::Overlay,
        file: MUCH.to_string(),
        bytes: MUCH_BYTES,
        seed: FIRST_SEED,
    }
}

/// New with the series.
fn reuse() -> Vec<Claim> {
    let marker = || Op::Snapshot { disk: Disk::A, scope: SnapshotScope::Marker };
    vec![
        Claim::new(
            "reuse",
            "A volatile upper is mounted volatile again, and all data is there",
            ALLOWS_VOLATILE,
            3,
            ClaimBuilder::on_upper().volatile_session().assert_mounts(Volatile).assert_data_intact(),
        ),
        Claim::new(
            "reuse-beside-a-durable-mount",
            "Of two durable mounts of one upper the first has the lock; when it has gone nothing keeps others from reuse",
            SUBSET,
            3,
            // To share directories is undefined already, and so is what files come to.
            ClaimBuilder::on_upper()
                .setup_mount(Durable)
                .precondition(overlay_on(LayerSet::Second, Durable), Expectation::Mounted)
                .unmount()
                .setup_mount(Volatile)
                .unmount()
                .assert_mounts(Volatile)
                .run(unmount(LayerSet::Second)),
        ),
        Claim::new(
            "reuse-without-sync",
            "Nothing is written or flushed between unmount and reuse",
            NO_SYNCFS,
            3,
            // Neither the kernel's writeback nor the journal's commit may come in between.
            ClaimBuilder::on_upper()
                .run(Op::PauseWriteback)
                .setup_mount(Volatile)
                .write()
                .run(Op::CountIo { disk: Disk::A })
                .unmount()
                .assert_mounts(Volatile)
                .assertion(Op::CountedIo { disk: Disk::A }, Expectation::NoIo)
                .assert_data_intact()
                // The counter works: a sync is seen.
                .run(Op::CountIo { disk: Disk::A })
                .run(Op::SyncUpper { disk: Disk::A })
                .precondition(Op::CountedIo { disk: Disk::A }, Expectation::SomeIo),
        )
        .excluding(&[Fs::Ext2], Feature::Ext2SyncsDirectories),
        Claim::new(
            "reuse-with-much-to-write",
            "Megabytes that were never written back are there after reuse",
            NO_SYNCFS,
            3,
            ClaimBuilder::on_upper()
                .run(Op::PauseWriteback)
                .setup_mount(Volatile)
                .run(much())
                .unmount()
                .assert_mounts(Volatile)
                .assertion(
                    Op::Compare {
                        disk: Disk::A,
                        layers: LayerSet::First,
                        file: MUCH.to_string(),
                        bytes: MUCH_BYTES,
                        seed: FIRST_SEED,
                    },
                    Expectation::Done,
                ),
        ),
        Claim::new(
            "reuse-100-times",
            "A volatile upper is mounted a hundred times in a row",
            RESTART,
            3,
            ClaimBuilder::on_upper()
                .volatile_session()
                .assertion(Op::Cycle { disk: Disk::A, times: 100 }, Expectation::Done)
                .assert_mounts(Volatile)
                .assert_data_intact(),
        ),
        Claim::new(
            "reuse-keeps-the-checkpoint",
            "Reuse does not write the checkpoint again",
            CHECKPOINT,
            3,
            ClaimBuilder::on_upper()
                .volatile_session()
                .run(marker())
                .assert_mounts(Volatile)
                .unmount()
                .assertion(Op::SameAsSnapshot { disk: Disk::A, scope: SnapshotScope::Marker }, Expectation::Done),
        ),
        Claim::new(
            "reuse-after-refused-durable",
            "A durable mount that was refused does not keep the upper from being reused",
            "prevents volatile -> non-volatile",
            3,
            ClaimBuilder::on_upper()
                .volatile_session()
                .assert_refused(Durable, EINVAL, Reason::NotVolatile)
                .assert_mounts(Volatile)
                .assert_data_intact(),
        ),
        Claim::new(
            "reuse-after-error-elsewhere",
            "A writeback error on another filesystem does not matter",
            HAD_ERRORS,
            3,
            ClaimBuilder::on_upper()
                .volatile_session()
                .attach(Disk::B)
                .precondition(overlay(Disk::B, Volatile, AccessPath::Mount), Expectation::Mounted)
                .run(write(Disk::B, 1))
                .run(Op::SyncUpper { disk: Disk::B })
                .break_data(Disk::B)
                .run(write(Disk::B, 2))
                .precondition(Op::SyncUpper { disk: Disk::B }, Expectation::Fails(libc::EIO))
                .assert_mounts(Volatile)
                .assert_data_intact(),
        ),
        Claim::new(
            "reuse-through-bind-mount",
            "An upper that is reached through a bind mount is the same upper",
            UNDERLYING,
            3,
            ClaimBuilder::on_upper()
                .run(Op::Reach { disk: Disk::A, via: AccessPath::Bind })
                .precondition(overlay(Disk::A, Volatile, AccessPath::Bind), Expectation::Mounted)
                .write()
                .unmount()
                .assertion(overlay(Disk::A, Volatile, AccessPath::Bind), Expectation::Mounted)
                .assert_data_intact()
                .unmount()
                .run(Op::Unreach { disk: Disk::A, via: AccessPath::Bind })
                .assert_mounts(Volatile)
                .assert_data_intact(),
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
            ClaimBuilder::on_upper()
                .setup_mount(Durable)
                .write()
                .unmount()
                .assert_mounts(Volatile)
                .assert_data_intact(),
        ),
        Claim::new(
            "durable-then-durable",
            "A durable upper can be mounted durable, and never has a marker",
            "non-volatile -> non-volatile",
            0,
            ClaimBuilder::on_upper()
                .setup_mount(Durable)
                .write()
                .unmount()
                .assert_mounts(Durable)
                .assert_data_intact()
                .unmount()
                .assertion(Op::RemoveMarker { disk: Disk::A }, Expectation::Fails(ENOENT)),
        ),
        Claim::new(
            "fresh-upper",
            "Safe today: a fresh upper in place of the volatile one",
            "Throw away the entire upperdir between mounts",
            0,
            ClaimBuilder::on_upper()
                .volatile_session()
                .run(Op::FreshUpper { disk: Disk::A })
                .assert_mounts(Volatile)
                .unmount()
                .run(Op::FreshUpper { disk: Disk::A })
                .assert_mounts(Durable),
        ),
        Claim::new(
            "syncfs-and-remove-marker",
            "Safe today: syncfs of the upper filesystem, then removing the marker",
            BY_HAND,
            0,
            ClaimBuilder::on_upper()
                .setup_mount(Volatile)
                .write()
                .unmount()
                .run(Op::CountIo { disk: Disk::A })
                .run(Op::SyncUpper { disk: Disk::A })
                .precondition(Op::CountedIo { disk: Disk::A }, Expectation::SomeIo)
                .run(Op::RemoveMarker { disk: Disk::A })
                .assert_mounts(Durable)
                .assert_data_intact()
                .unmount()
                .assert_mounts(Volatile)
                .assert_data_intact(),
        ),
    ]
}

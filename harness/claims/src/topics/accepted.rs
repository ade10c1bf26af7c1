// SPDX-License-Identifier: MIT OR Apache-2.0
//! Mounts that succeed: reuse, which the series adds, and mounts that succeed without the series.

use libc::{EINVAL, ENOENT};
use vremount_kernel::base::Feature;
use vremount_machine::image::Fs;
use vremount_protocol::Mode::{Durable, Volatile};
use vremount_protocol::{AccessPath, Disk, FileLocation, LayerSet, Op, SnapshotScope};

use crate::Claim;
use crate::builder::{ClaimBuilder, FIRST_SEED, mount_layers, mount_overlay, unmount_layers, write_file};
use crate::citations::{ALLOWS_VOLATILE, BY_HAND, CHECKPOINT, HAD_ERRORS, NO_SYNCFS, RESTART, SUBSET, UNDERLYING};
use crate::refusal_reason::Reason;
use crate::step::Expectation;

pub fn claims() -> Vec<Claim> {
    [reuse(), unchanged()].into_iter().flatten().collect()
}

const LARGE_FILE: &str = "data/large-file";
/// Fits on the smallest disk image.
const LARGE_BYTES: u64 = 8 << 20;

fn write_large_file() -> Op {
    Op::Write {
        disk: Disk::A,
        layers: LayerSet::First,
        location: FileLocation::Overlay,
        file: LARGE_FILE.to_string(),
        bytes: LARGE_BYTES,
        seed: FIRST_SEED,
    }
}

/// Mounts that succeed from level 3 on.
fn reuse() -> Vec<Claim> {
    let snapshot_marker = || Op::Snapshot { disk: Disk::A, scope: SnapshotScope::Marker };
    vec![
        Claim::new(
            "reuse",
            "An upper that was mounted volatile can be mounted volatile again, with its data intact",
            ALLOWS_VOLATILE,
            3,
            ClaimBuilder::with_upper().setup_volatile_upper().assert_mounts(Volatile).assert_data_intact(),
        ),
        Claim::new(
            "reuse-beside-a-durable-mount",
            "Reuse succeeds beside a durable mount of the same upper that does not hold the in-use lock",
            SUBSET,
            3,
            // Overlays that share directories are undefined, so the claim makes no statement about
            // files.
            ClaimBuilder::with_upper()
                .setup_mount(Durable)
                .require(mount_layers(LayerSet::Second, Durable), Expectation::Mounted)
                .unmount()
                .setup_mount(Volatile)
                .unmount()
                .assert_mounts(Volatile)
                .run(unmount_layers(LayerSet::Second)),
        ),
        Claim::new(
            "reuse-without-sync",
            "Unmount and reuse of a volatile overlay issue no write and no flush to the disk",
            NO_SYNCFS,
            3,
            // Background writeback and journal commits would count as I/O.
            ClaimBuilder::with_upper()
                .run(Op::PauseWriteback)
                .setup_mount(Volatile)
                .write_data()
                .run(Op::StartIoCount { disk: Disk::A })
                .unmount()
                .assert_mounts(Volatile)
                .assert(Op::ReadIoCount { disk: Disk::A }, Expectation::NoIo)
                .assert_data_intact()
                // Evidence that the counter works: it counts a sync.
                .run(Op::StartIoCount { disk: Disk::A })
                .run(Op::SyncUpper { disk: Disk::A })
                .require(Op::ReadIoCount { disk: Disk::A }, Expectation::SomeIo),
        )
        .excluding(&[Fs::Ext2], Feature::Ext2SyncsDirectories),
        Claim::new(
            "reuse-with-much-to-write",
            "8 MiB of data that is still dirty at unmount is intact after reuse",
            NO_SYNCFS,
            3,
            ClaimBuilder::with_upper()
                .run(Op::PauseWriteback)
                .setup_mount(Volatile)
                .run(write_large_file())
                .unmount()
                .assert_mounts(Volatile)
                .assert(
                    Op::Compare {
                        disk: Disk::A,
                        layers: LayerSet::First,
                        file: LARGE_FILE.to_string(),
                        bytes: LARGE_BYTES,
                        seed: FIRST_SEED,
                    },
                    Expectation::Done,
                ),
        ),
        Claim::new(
            "reuse-100-times",
            "A volatile upper can be reused 100 times in a row, with its data intact",
            RESTART,
            3,
            ClaimBuilder::with_upper()
                .setup_volatile_upper()
                .assert(Op::MountRepeatedly { disk: Disk::A, count: 100 }, Expectation::Done)
                .assert_mounts(Volatile)
                .assert_data_intact(),
        ),
        Claim::new(
            "reuse-keeps-the-checkpoint",
            "Reuse does not modify the marker or its checkpoint",
            CHECKPOINT,
            3,
            ClaimBuilder::with_upper()
                .setup_volatile_upper()
                .run(snapshot_marker())
                .assert_mounts(Volatile)
                .unmount()
                .assert(Op::CompareSnapshot { disk: Disk::A, scope: SnapshotScope::Marker }, Expectation::Done),
        ),
        Claim::new(
            "reuse-after-refused-durable",
            "A volatile upper can be reused after a durable mount of it was refused",
            "prevents volatile -> non-volatile",
            3,
            ClaimBuilder::with_upper()
                .setup_volatile_upper()
                .assert_refused(Durable, EINVAL, Reason::NotVolatile)
                .assert_mounts(Volatile)
                .assert_data_intact(),
        ),
        Claim::new(
            "reuse-after-error-elsewhere",
            "A writeback error on another filesystem does not prevent reuse",
            HAD_ERRORS,
            3,
            ClaimBuilder::with_upper()
                .setup_volatile_upper()
                .attach(Disk::B)
                .require(mount_overlay(Disk::B, Volatile, AccessPath::Mount), Expectation::Mounted)
                .run(write_file(Disk::B, 1))
                .run(Op::SyncUpper { disk: Disk::B })
                .inject_data_fault(Disk::B)
                .run(write_file(Disk::B, 2))
                .require(Op::SyncUpper { disk: Disk::B }, Expectation::Fails(libc::EIO))
                .assert_mounts(Volatile)
                .assert_data_intact(),
        ),
        Claim::new(
            "reuse-through-bind-mount",
            "An upper can be reused through a bind mount of its filesystem and through the original mount",
            UNDERLYING,
            3,
            ClaimBuilder::with_upper()
                .run(Op::AddAccessPath { disk: Disk::A, via: AccessPath::Bind })
                .require(mount_overlay(Disk::A, Volatile, AccessPath::Bind), Expectation::Mounted)
                .write_data()
                .unmount()
                .assert(mount_overlay(Disk::A, Volatile, AccessPath::Bind), Expectation::Mounted)
                .assert_data_intact()
                .unmount()
                .run(Op::RemoveAccessPath { disk: Disk::A, via: AccessPath::Bind })
                .assert_mounts(Volatile)
                .assert_data_intact(),
        ),
    ]
}

/// Mounts that succeed at every level.
fn unchanged() -> Vec<Claim> {
    vec![
        Claim::new(
            "durable-then-volatile",
            "An upper that was mounted durable can be mounted volatile, with its data intact",
            "non-volatile -> volatile",
            0,
            ClaimBuilder::with_upper()
                .setup_mount(Durable)
                .write_data()
                .unmount()
                .assert_mounts(Volatile)
                .assert_data_intact(),
        ),
        Claim::new(
            "durable-then-durable",
            "An upper that was mounted durable can be mounted durable again, and has no marker",
            "non-volatile -> non-volatile",
            0,
            ClaimBuilder::with_upper()
                .setup_mount(Durable)
                .write_data()
                .unmount()
                .assert_mounts(Durable)
                .assert_data_intact()
                .unmount()
                .assert(Op::RemoveMarker { disk: Disk::A }, Expectation::Fails(ENOENT)),
        ),
        Claim::new(
            "fresh-upper",
            "Upper and work directories created anew after a volatile mount can be mounted volatile or durable",
            "Throw away the entire upperdir between mounts",
            0,
            ClaimBuilder::with_upper()
                .setup_volatile_upper()
                .run(Op::RecreateUpper { disk: Disk::A })
                .assert_mounts(Volatile)
                .unmount()
                .run(Op::RecreateUpper { disk: Disk::A })
                .assert_mounts(Durable),
        ),
        Claim::new(
            "syncfs-and-remove-marker",
            "After syncfs of the upper filesystem and removal of the marker, the upper can be mounted durable",
            BY_HAND,
            0,
            ClaimBuilder::with_upper()
                .setup_mount(Volatile)
                .write_data()
                .unmount()
                .run(Op::StartIoCount { disk: Disk::A })
                .run(Op::SyncUpper { disk: Disk::A })
                .require(Op::ReadIoCount { disk: Disk::A }, Expectation::SomeIo)
                .run(Op::RemoveMarker { disk: Disk::A })
                .assert_mounts(Durable)
                .assert_data_intact()
                .unmount()
                .assert_mounts(Volatile)
                .assert_data_intact(),
        ),
    ]
}

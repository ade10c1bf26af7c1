// SPDX-License-Identifier: MIT OR Apache-2.0
//! The operations that sequences consist of.

use std::sync::LazyLock;

use vremount_claims::{Action, BORROWED_WORK, FILE, HostStep};
use vremount_protocol::{
    AccessPath, CheckpointField, CheckpointTamper, DeviceStack, Disk, Fault, FileLocation, LayerSet, Mode, Op,
    SnapshotScope,
};

/// Actions that are always done together; proptest adds and removes them as one.
pub type ActionGroup = Vec<Action>;

/// Size of a written file: a few blocks. More blocks would not change what the kernel reports.
const BYTES: u64 = 16 * 1024;
const FEATURE: &str = "feature";

/// Operations of the guest as a group.
pub fn guest(ops: impl IntoIterator<Item = Op>) -> ActionGroup {
    ops.into_iter().map(Action::Guest).collect()
}

fn attach(disk: Disk) -> Vec<Op> {
    vec![Op::Attach { disk, stack: DeviceStack::Loop }, mount_upper(disk)]
}

fn mount_upper(disk: Disk) -> Op {
    Op::MountUpper { disk, options: String::new() }
}

fn unmount_upper(disk: Disk) -> Op {
    Op::UnmountUpper { disk, lazy: false }
}

/// Mounts an overlay on a disk.
pub fn mount(disk: Disk, layers: LayerSet, mode: Mode) -> Op {
    Op::MountOverlay { disk, layers, mode, via: AccessPath::Mount, options: String::new() }
}

fn unmount(disk: Disk, layers: LayerSet) -> Op {
    Op::UnmountOverlay { disk, layers, lazy: false }
}

fn write(disk: Disk, layers: LayerSet, seed: u64) -> Op {
    Op::Write { disk, layers, location: FileLocation::Overlay, file: FILE.to_string(), bytes: BYTES, seed }
}

/// Writes other data directly to the upper directory, whether or not an overlay is mounted.
fn overwrite_in_upper(disk: Disk) -> Op {
    Op::Write {
        disk,
        layers: LayerSet::First,
        location: FileLocation::Upper,
        file: FILE.to_string(),
        bytes: BYTES,
        seed: 2,
    }
}

/// Compares the file of an overlay with the data of a seed.
pub fn compare(disk: Disk, layers: LayerSet, seed: u64) -> Op {
    Op::Compare { disk, layers, file: FILE.to_string(), bytes: BYTES, seed }
}

fn break_data(disk: Disk) -> Op {
    Op::InjectFault { disk, fault: Fault::Data { file: FILE.to_string() } }
}

fn hold(disk: Disk, place: FileLocation) -> Op {
    Op::OpenFile { disk, location: place, file: FILE.to_string() }
}

fn forge(disk: Disk, forgery: CheckpointTamper) -> Op {
    Op::TamperCheckpoint { disk, tamper: forgery }
}

/// Beginnings of sequences. Periodic writeback is stopped, so that data reaches a disk only if an
/// operation writes it back.
pub static OPENINGS: LazyLock<[ActionGroup; 3]> = LazyLock::new(|| {
    let fresh = [vec![Op::PauseWriteback], attach(Disk::A)].concat();
    let (a, first) = (Disk::A, LayerSet::First);
    // A file with blocks on the disk, so that a fault can be injected into them.
    let used = vec![mount(a, first, Mode::Volatile), write(a, first, 1), Op::SyncUpper { disk: a }, unmount(a, first)];
    let two = attach(Disk::B);
    [guest(fresh.clone()), guest([fresh.clone(), used.clone()].concat()), guest([fresh, used, two].concat())]
});

/// Index of the opening of the short sequences.
pub const USED: usize = 1;

/// End of sequences, as far as the model covers it: a mount, and a comparison of the data.
pub fn closing() -> [Op; 3] {
    let (disk, layers) = (Disk::A, LayerSet::First);
    [mount(disk, layers, Mode::Volatile), compare(disk, layers, 1), compare(disk, layers, 2)]
}

/// Small set, of which every short sequence is tried: one operation for each condition of reuse.
pub static SMALL: LazyLock<Vec<ActionGroup>> = LazyLock::new(|| {
    let (disk, first) = (Disk::A, LayerSet::First);
    let ops = [
        mount(disk, first, Mode::Volatile),
        mount(disk, first, Mode::Durable),
        mount(disk, LayerSet::Second, Mode::Volatile),
        mount(disk, LayerSet::Other, Mode::Volatile),
        unmount(disk, first),
        overwrite_in_upper(disk),
        Op::SyncUpper { disk },
        Op::WriteBack,
        break_data(disk),
        Op::RemoveFault { disk },
        unmount_upper(disk),
        mount_upper(disk),
        Op::ReloadOverlay,
        Op::RemoveMarker { disk },
        forge(disk, CheckpointTamper::Increment(CheckpointField::InstanceId)),
        forge(disk, CheckpointTamper::Increment(CheckpointField::Errseq)),
        forge(disk, CheckpointTamper::Remove),
        Op::MakeIncompat { disk, name: FEATURE.to_string() },
    ];
    ops.into_iter().map(|op| guest([op])).collect()
});

/// Large set for random sequences, each group as often as its weight. Groups that matter more come
/// first, because shrinking moves towards the first ones.
pub static LARGE: LazyLock<Vec<ActionGroup>> = LazyLock::new(|| {
    let disks = [Disk::A, Disk::A, Disk::A, Disk::B];
    let weighted = disks.into_iter().flat_map(weighted_ops);
    let failures = disks.into_iter().flat_map(failures);
    let rare = [
        guest([Op::WriteBack]),
        guest([Op::ReloadOverlay]),
        guest([Op::CloseFiles]),
        guest([forge(Disk::A, CheckpointTamper::CopyFrom(Disk::B, LayerSet::First))]),
        guest(attach(Disk::B)),
        restart(HostStep::Reboot, unmount_upper(Disk::A)),
        restart(HostStep::PowerCut, Op::SyncUpper { disk: Disk::A }),
    ];
    let weights = [9, 6, 3, 1, 1, 1, 1];
    let rare = rare.into_iter().zip(weights).flat_map(|(group, weight)| vec![group; weight]);
    weighted.flat_map(|(weight, op)| vec![guest([op]); weight]).chain(failures).chain(rare).collect()
});

/// Writeback that fails, by each operation that reports it or does not. A random sequence would
/// rarely contain all these operations in this order.
fn failures(disk: Disk) -> Vec<ActionGroup> {
    let file = || FILE.to_string();
    let written_back = [
        Op::WriteBack,
        Op::WriteBackData { disk, file: file() },
        Op::FsyncUpperFile { disk, file: file() },
        Op::SyncUpper { disk },
        Op::SyncUpperNewDescriptor { disk },
        unmount_upper(disk),
    ];
    written_back.map(|op| guest([break_data(disk), overwrite_in_upper(disk), op, Op::RemoveFault { disk }])).into()
}

/// Restarts the machine after `before`, which brings disk A into a known state, and attaches disk A
/// again.
fn restart(step: HostStep, before: Op) -> ActionGroup {
    let after = [vec![Op::PauseWriteback], attach(Disk::A)].concat();
    [guest([before]), vec![Action::Host(step)], guest(after)].concat()
}

/// Operations on a disk, with their weights.
fn weighted_ops(disk: Disk) -> Vec<(usize, Op)> {
    let (first, second, other) = (LayerSet::First, LayerSet::Second, LayerSet::Other);
    let feature = || FEATURE.to_string();
    let remount = |options: &str| Op::RemountUpper { disk, options: options.to_string() };
    let through_bind =
        Op::MountOverlay { disk, layers: first, mode: Mode::Volatile, via: AccessPath::Bind, options: String::new() };
    // The borrowed work directory is on disk A. On disk B the model does not cover the mount.
    let options = BORROWED_WORK.to_string();
    let borrowing = Op::MountOverlay { disk, layers: other, mode: Mode::Volatile, via: AccessPath::Mount, options };
    vec![
        (6, mount(disk, first, Mode::Volatile)),
        (2, mount(disk, first, Mode::Durable)),
        (1, mount(disk, second, Mode::Volatile)),
        (1, mount(disk, second, Mode::Durable)),
        (3, mount(disk, other, Mode::Volatile)),
        (1, mount(disk, other, Mode::Durable)),
        (1, through_bind),
        (1, borrowing),
        (6, unmount(disk, first)),
        (2, unmount(disk, second)),
        (3, unmount(disk, other)),
        (1, Op::UnmountOverlay { disk, layers: first, lazy: true }),
        (3, write(disk, first, 1)),
        (3, write(disk, first, 2)),
        (2, write(disk, other, 1)),
        (2, compare(disk, first, 1)),
        (2, compare(disk, first, 2)),
        (1, compare(disk, other, 1)),
        (4, Op::SyncUpper { disk }),
        (2, Op::SyncUpperNewDescriptor { disk }),
        (3, Op::WriteBackData { disk, file: FILE.to_string() }),
        (1, Op::FsyncUpperFile { disk, file: FILE.to_string() }),
        (4, break_data(disk)),
        (4, Op::RemoveFault { disk }),
        (1, unmount_upper(disk)),
        (1, Op::UnmountUpper { disk, lazy: true }),
        (6, mount_upper(disk)),
        (1, remount("ro")),
        (2, remount("rw")),
        (2, Op::AddAccessPath { disk, via: AccessPath::Bind }),
        (1, Op::RemoveAccessPath { disk, via: AccessPath::Bind }),
        (1, hold(disk, FileLocation::Upper)),
        (1, hold(disk, FileLocation::Overlay)),
        (1, Op::RecreateUpper { disk }),
        (2, Op::RemoveMarker { disk }),
        (1, forge(disk, CheckpointTamper::Remove)),
        (1, forge(disk, CheckpointTamper::Resize(16))),
        (1, forge(disk, CheckpointTamper::Fill(0))),
        (1, forge(disk, CheckpointTamper::Increment(CheckpointField::BootId))),
        (1, forge(disk, CheckpointTamper::Increment(CheckpointField::InstanceId))),
        (1, forge(disk, CheckpointTamper::Increment(CheckpointField::Errseq))),
        (1, Op::MakeIncompat { disk, name: feature() }),
        (2, Op::RemoveIncompat { disk, name: feature() }),
        (1, Op::CreateLeftover { disk }),
        (2, Op::RemoveLeftover { disk }),
        (2, Op::Snapshot { disk, scope: SnapshotScope::Marker }),
        (2, Op::CompareSnapshot { disk, scope: SnapshotScope::Marker }),
    ]
}

// SPDX-License-Identifier: MIT OR Apache-2.0
//! Builds the list of steps of a claim, and the operations that most claims use.

use vremount_protocol::{
    AccessPath, CheckpointTamper, DeviceStack, Disk, Fault, FileLocation, LayerSet, MarkerReplacement, Mode, Op,
    SnapshotScope,
};

use crate::refusal_reason::Reason;
use crate::step::{Expectation, HostStep, Step};

/// The file that most claims write and read, relative to the root of the overlay.
pub const FILE: &str = "data/file";
/// The size of [`FILE`] in bytes: many blocks, but written in an instant.
pub const BYTES: u64 = 256 * 1024;
/// The seed of the data that [`ClaimBuilder::write_data`] writes.
pub const FIRST_SEED: u64 = 1;
/// The seed of the data that [`ClaimBuilder::overwrite_data`] writes.
pub const SECOND_SEED: u64 = 2;
/// Overlay option that selects the work directory of [`LayerSet::First`] on disk A, for an overlay
/// with another upper.
pub const BORROWED_WORK: &str = "workdir=/mnt/a/work";
/// syncfs(2) of the upper filesystem on disk A.
pub const SYNC: Op = Op::SyncUpper { disk: Disk::A };

/// A list of steps under construction. Each method appends steps; unless a disk is given they are
/// about disk A.
///
/// A method whose name contains `assert` appends assertions, one with `require` appends evidence. The
/// others append operations that must succeed, or a host step.
pub struct ClaimBuilder(Vec<Step>);

impl ClaimBuilder {
    /// No steps.
    pub fn new() -> Self {
        ClaimBuilder(Vec::new())
    }

    /// Attaches disk A and mounts its upper filesystem.
    pub fn with_upper() -> Self {
        ClaimBuilder::new().attach(Disk::A)
    }

    /// The steps in order.
    pub fn build(self) -> Vec<Step> {
        self.0
    }

    /// Appends a precondition.
    pub fn require(mut self, op: Op, expected: Expectation) -> Self {
        self.0.push(Step::Precondition(op, expected));
        self
    }

    /// Appends an assertion.
    pub fn assert(mut self, op: Op, expected: Expectation) -> Self {
        self.0.push(Step::Assertion(op, expected));
        self
    }

    /// Appends a host step.
    pub fn host(mut self, step: HostStep) -> Self {
        self.0.push(Step::Host(step));
        self
    }

    /// Appends an operation that must succeed.
    pub fn run(self, op: Op) -> Self {
        self.require(op, Expectation::Done)
    }

    /// Attaches a disk as a loop device and mounts its filesystem.
    pub fn attach(self, disk: Disk) -> Self {
        self.attach_on(disk, DeviceStack::Loop, "")
    }

    /// Attaches a disk on a stack of devices and mounts its filesystem with mount options.
    pub fn attach_on(self, disk: Disk, stack: DeviceStack, options: &str) -> Self {
        self.run(Op::Attach { disk, stack }).run(Op::MountUpper { disk, options: options.to_string() })
    }

    /// Unmounts the upper filesystem.
    pub fn unmount_upper(self) -> Self {
        self.run(Op::UnmountUpper { disk: Disk::A, lazy: false })
    }

    /// Mounts the upper filesystem again.
    pub fn mount_upper(self) -> Self {
        self.run(Op::MountUpper { disk: Disk::A, options: String::new() })
    }

    /// Mounts the overlay, as a precondition.
    pub fn setup_mount(self, mode: Mode) -> Self {
        self.require(mount_overlay(Disk::A, mode, AccessPath::Mount), Expectation::Mounted)
    }

    /// Asserts that a mount of the overlay succeeds.
    pub fn assert_mounts(self, mode: Mode) -> Self {
        self.assert(mount_overlay(Disk::A, mode, AccessPath::Mount), Expectation::Mounted)
    }

    /// Asserts that a mount of the overlay is refused and changes nothing on the upper filesystem.
    pub fn assert_refused(self, mode: Mode, errno: i32, reason: Reason) -> Self {
        self.assert_op_refused(mount_overlay(Disk::A, mode, AccessPath::Mount), errno, reason)
    }

    /// Asserts that a mount operation is refused and changes nothing on the upper filesystem.
    pub fn assert_op_refused(self, op: Op, errno: i32, reason: Reason) -> Self {
        self.run(Op::Snapshot { disk: Disk::A, scope: SnapshotScope::Tree })
            .assert(op, Expectation::Refused { errno, reason })
            .assert(Op::CompareSnapshot { disk: Disk::A, scope: SnapshotScope::Tree }, Expectation::Done)
    }

    /// Asserts that a volatile mount is refused as `writeback-error`.
    pub fn assert_refused_for_writeback_error(self) -> Self {
        self.assert_refused(Mode::Volatile, libc::EINVAL, Reason::WritebackError)
    }

    /// Unmounts the overlay.
    pub fn unmount(self) -> Self {
        self.run(unmount_layers(LayerSet::First))
    }

    /// Writes the data that [`ClaimBuilder::assert_data_intact`] expects.
    pub fn write_data(self) -> Self {
        self.run(write_file(Disk::A, FIRST_SEED))
    }

    /// Writes other data to the same blocks.
    pub fn overwrite_data(self) -> Self {
        self.run(write_file(Disk::A, SECOND_SEED))
    }

    /// Asserts that the overlay contains what [`ClaimBuilder::write_data`] wrote.
    pub fn assert_data_intact(self) -> Self {
        self.assert(compare_file(LayerSet::First, FIRST_SEED), Expectation::Done)
    }

    /// Mounts the overlay volatile, writes data, and unmounts it.
    pub fn setup_volatile_upper(self) -> Self {
        self.setup_mount(Mode::Volatile).write_data().unmount()
    }

    /// Removes the marker, and asserts that a volatile mount then succeeds with intact data.
    pub fn remove_marker_and_assert_mount(self) -> Self {
        self.run(Op::RemoveMarker { disk: Disk::A }).assert_mounts(Mode::Volatile).assert_data_intact()
    }

    /// Changes the checkpoint of the marker.
    pub fn tamper(self, change: CheckpointTamper) -> Self {
        self.run(Op::TamperCheckpoint { disk: Disk::A, tamper: change })
    }

    /// Replaces the marker by something else.
    pub fn replace_marker(self, with: MarkerReplacement) -> Self {
        self.run(Op::ReplaceMarker { disk: Disk::A, replacement: with })
    }

    /// Injects a fault into disk A.
    pub fn inject(self, fault: Fault) -> Self {
        self.run(Op::InjectFault { disk: Disk::A, fault })
    }

    /// Makes the data blocks of [`FILE`] on a disk fail.
    pub fn inject_data_fault(self, disk: Disk) -> Self {
        self.run(Op::InjectFault { disk, fault: Fault::Data { file: FILE.into() } })
    }

    /// Removes the fault.
    pub fn clear_fault(self) -> Self {
        self.run(Op::RemoveFault { disk: Disk::A })
    }

    /// Removes the fault and requires that the upper filesystem is still read-write: reuse would be
    /// refused on a read-only one.
    pub fn clear_fault_and_require_read_write(self) -> Self {
        self.clear_fault().run(Op::UpperWritable { disk: Disk::A })
    }

    /// Writes everything back, the journal included, and drops all caches, so that a mount reads
    /// from the disk.
    pub fn sync_and_drop_caches(self) -> Self {
        let disk = Disk::A;
        self.run(SYNC)
            .run(Op::FreezeUpper { disk })
            .run(Op::ThawUpper { disk })
            .run(Op::FlushBuffers { disk })
            .run(Op::DropCaches)
    }

    /// Mounts the overlay volatile with synced data, makes its blocks fail, and overwrites it in
    /// the page cache.
    pub fn setup_dirty_on_broken_disk(self) -> Self {
        self.setup_mount(Mode::Volatile).write_data().run(SYNC).inject_data_fault(Disk::A).overwrite_data()
    }

    /// Mounts the overlay volatile with synced data, overwrites it in the page cache, and unmounts
    /// the overlay.
    pub fn setup_dirty_after_unmount(self) -> Self {
        self.setup_mount(Mode::Volatile).write_data().run(SYNC).overwrite_data().unmount()
    }

    /// Requires a writeback error that no system call reports, then removes the fault.
    pub fn require_unseen_error(self) -> Self {
        self.require(Op::WriteBackData { disk: Disk::A, file: FILE.into() }, Expectation::IoErrors)
            .clear_fault_and_require_read_write()
    }

    /// Requires a writeback error that this operation reports, then removes the fault.
    pub fn require_error_reported_by(self, sync: Op) -> Self {
        self.require(sync, Expectation::Fails(libc::EIO)).clear_fault_and_require_read_write()
    }

    /// Requires that the disk does not contain what [`ClaimBuilder::overwrite_data`] wrote.
    pub fn require_second_write_lost(self) -> Self {
        let op = Op::CompareOnDisk { disk: Disk::A, file: FILE.into(), bytes: BYTES, seed: SECOND_SEED };
        self.require(op, Expectation::Differs)
    }
}

/// Mount of the first overlay of a disk.
pub fn mount_overlay(disk: Disk, mode: Mode, via: AccessPath) -> Op {
    Op::MountOverlay { disk, layers: LayerSet::First, mode, via, options: String::new() }
}

/// Mount of the first overlay of disk A with further options.
pub fn mount_overlay_with(mode: Mode, options: &str) -> Op {
    mount_layers_with(LayerSet::First, mode, options)
}

/// Mount of another overlay of disk A.
pub fn mount_layers(layers: LayerSet, mode: Mode) -> Op {
    mount_layers_with(layers, mode, "")
}

/// Mount of another overlay of disk A with further options.
pub fn mount_layers_with(layers: LayerSet, mode: Mode, options: &str) -> Op {
    Op::MountOverlay { disk: Disk::A, layers, mode, via: AccessPath::Mount, options: options.to_string() }
}

/// Unmount of an overlay of disk A.
pub fn unmount_layers(layers: LayerSet) -> Op {
    Op::UnmountOverlay { disk: Disk::A, layers, lazy: false }
}

/// Write of [`FILE`] in the first overlay of a disk.
pub fn write_file(disk: Disk, seed: u64) -> Op {
    Op::Write { disk, layers: LayerSet::First, location: FileLocation::Overlay, file: FILE.into(), bytes: BYTES, seed }
}

/// Write of [`FILE`] in another overlay of disk A.
pub fn write_file_in(layers: LayerSet, seed: u64) -> Op {
    Op::Write { disk: Disk::A, layers, location: FileLocation::Overlay, file: FILE.into(), bytes: BYTES, seed }
}

/// Comparison of [`FILE`] in an overlay of disk A with the data of a seed.
pub fn compare_file(layers: LayerSet, seed: u64) -> Op {
    Op::Compare { disk: Disk::A, layers, file: FILE.into(), bytes: BYTES, seed }
}

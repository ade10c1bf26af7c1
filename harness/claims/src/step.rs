// SPDX-License-Identifier: MIT OR Apache-2.0
//! The steps of a claim and the words it is written in.

use serde::{Deserialize, Serialize};
use vremount_protocol::{
    AccessPath, CheckpointTamper, DeviceStack, Disk, Fault, FileLocation, LayerSet, MarkerReplacement, Mode, Op,
    SnapshotScope,
};

use crate::refusal_reason::Reason;

/// One step of a claim.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Evidence: without this outcome nothing can be said about the claim.
    Precondition(Op, Expectation),
    /// The claim: with another outcome it is broken.
    Assertion(Op, Expectation),
    /// Something that happens to the machine.
    Host(HostStep),
}

/// What is done in a step, whatever it must lead to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Action {
    Guest(Op),
    HostAction(HostStep),
}

impl Step {
    #[must_use]
    pub fn action(&self) -> Action {
        match self {
            Step::Precondition(op, _) | Step::Assertion(op, _) => Action::Guest(op.clone()),
            Step::Host(host) => Action::HostAction(*host),
        }
    }

    /// What the guest does, if it is the guest's.
    #[must_use]
    pub fn op(&self) -> Option<&Op> {
        match self {
            Step::Precondition(op, _) | Step::Assertion(op, _) => Some(op),
            Step::Host(_) => None,
        }
    }

    /// Whether this breaks a disk on purpose: what `--no-faults` leaves out.
    #[must_use]
    pub fn is_fault(&self) -> bool {
        matches!(self, Step::Precondition(Op::Break { .. }, _))
    }
}

/// What the guest cannot do itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum HostStep {
    /// The machine was shut down cleanly and starts again with the same disk.
    Reboot,
    /// The machine is killed and starts again with the same disk.
    PowerCut,
    /// Another kernel takes the machine over, without firmware.
    Kexec,
}

/// What a step must lead to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expectation {
    Done,
    /// An overlay that is mounted read-write, volatile or not as asked for.
    Mounted,
    /// An overlay that is mounted read-only.
    MountedReadOnly,
    Refused {
        errno: i32,
        reason: Reason,
    },
    /// A mount that fails with this errno, and the kernel states none of the reasons that are known.
    RefusedUnsaid(i32),
    /// Failed with this errno.
    Fails(i32),
    /// Failed with EIO or ENOSPC.
    FailsToWriteBack,
    /// Failed with EIO, or the kernel logged I/O errors meanwhile.
    IoErrors,
    /// A comparison that finds a difference.
    Differs,
    /// As the one who is asked finds it: mounted, or refused for a writeback error, seen or not.
    MountedOrError,
    /// Nothing at all: for what only some of the runs of a step have to take back.
    Whatever,
    /// One of mounts at the same time wins, so many others are refused with EINVAL, all for this reason. Or none wins and that one
    /// is refused, too: of two that have one lock each, each is in the other's way.
    OneWins {
        others: u32,
        reason: Reason,
    },
    /// Of mounts at the same time no more than one wins, whatever the others are refused for.
    AtMostOneWins,
    /// Of mounts that were short of memory some were refused with ENOMEM.
    RefusedUntilFed,
    /// Of mounts after such as were short of memory some are mounted, and all others refused because there is no checkpoint.
    AcceptedOrUnchecked,
    /// The disk was asked for neither a write nor a flush.
    NoIo,
    /// The disk was asked for something.
    SomeIo,
}

/// The file most claims are about.
pub const FILE: &str = "data/file";
/// Large enough for many blocks, small enough to be written in an instant: 256 KiB.
pub const BYTES: u64 = 256 * 1024;
pub const FIRST_SEED: u64 = 1;
pub const SECOND_SEED: u64 = 2;

/// A claim in the making: each method adds a step. Claims are about disk A unless they say otherwise.
pub struct ClaimBuilder(pub Vec<Step>);

impl ClaimBuilder {
    /// A fresh upper filesystem, mounted.
    pub fn on_upper() -> Self {
        ClaimBuilder(Vec::new()).attach(Disk::A)
    }

    pub fn precondition(mut self, op: Op, want: Expectation) -> Self {
        self.0.push(Step::Precondition(op, want));
        self
    }

    pub fn assertion(mut self, op: Op, want: Expectation) -> Self {
        self.0.push(Step::Assertion(op, want));
        self
    }

    pub fn host_action(mut self, step: HostStep) -> Self {
        self.0.push(Step::Host(step));
        self
    }

    /// Something that is simply done.
    pub fn run(self, op: Op) -> Self {
        self.precondition(op, Expectation::Done)
    }

    /// The devices of a disk, and its filesystem mounted.
    pub fn attach(self, disk: Disk) -> Self {
        self.attach_on(disk, DeviceStack::Plain, "")
    }

    pub fn attach_on(self, disk: Disk, on: DeviceStack, options: &str) -> Self {
        self.run(Op::Attach { disk, on }).run(Op::MountUpper { disk, options: options.to_string() })
    }

    /// The upper filesystem goes and comes back.
    pub fn unmount_upper(self) -> Self {
        self.run(Op::UnmountUpper { disk: Disk::A, lazy: false })
    }

    pub fn mount_upper(self) -> Self {
        self.run(Op::MountUpper { disk: Disk::A, options: String::new() })
    }

    /// An earlier mount: part of the story.
    pub fn setup_mount(self, mode: Mode) -> Self {
        self.precondition(overlay(Disk::A, mode, AccessPath::Mount), Expectation::Mounted)
    }

    /// A mount that the claim says succeeds.
    pub fn assert_mounts(self, mode: Mode) -> Self {
        self.assertion(overlay(Disk::A, mode, AccessPath::Mount), Expectation::Mounted)
    }

    /// A mount that the claim says is refused, and that nothing on the disk tells of.
    pub fn assert_refused(self, mode: Mode, errno: i32, reason: Reason) -> Self {
        self.assert_op_refused(overlay(Disk::A, mode, AccessPath::Mount), errno, reason)
    }

    pub fn assert_op_refused(self, op: Op, errno: i32, reason: Reason) -> Self {
        self.run(Op::Snapshot { disk: Disk::A, scope: SnapshotScope::Tree })
            .assertion(op, Expectation::Refused { errno, reason })
            .assertion(Op::SameAsSnapshot { disk: Disk::A, scope: SnapshotScope::Tree }, Expectation::Done)
    }

    pub fn unmount(self) -> Self {
        self.run(unmount(LayerSet::First))
    }

    /// Writes what [`Script::intact`] expects.
    pub fn write(self) -> Self {
        self.run(write(Disk::A, FIRST_SEED))
    }

    /// Writes something else to the same blocks.
    pub fn write_again(self) -> Self {
        self.run(write(Disk::A, SECOND_SEED))
    }

    /// What was written is there, byte for byte.
    pub fn assert_data_intact(self) -> Self {
        self.assertion(compare(LayerSet::First, FIRST_SEED), Expectation::Done)
    }

    /// Somebody who knows better takes the marker away, and all that was written is there.
    pub fn remove_marker_and_remount(self) -> Self {
        self.run(Op::RemoveMarker { disk: Disk::A }).assert_mounts(Mode::Volatile).assert_data_intact()
    }

    /// Volatile once, with data in it.
    pub fn volatile_session(self) -> Self {
        self.setup_mount(Mode::Volatile).write().unmount()
    }

    pub fn break_data(self, disk: Disk) -> Self {
        self.run(Op::Break { disk, fault: Fault::Data { file: FILE.into() } })
    }

    pub fn break_with(self, fault: Fault) -> Self {
        self.run(Op::Break { disk: Disk::A, fault })
    }

    /// Nothing of the disk is in memory that is not in use: all is written, out of the journal too, and forgotten.
    pub fn sync_and_drop_caches(self) -> Self {
        let disk = Disk::A;
        self.run(SYNC)
            .run(Op::FreezeUpper { disk })
            .run(Op::ThawUpper { disk })
            .run(Op::FlushBuffers { disk })
            .run(Op::DropCaches)
    }

    pub fn heal(self) -> Self {
        self.run(Op::Heal { disk: Disk::A })
    }

    pub fn forge(self, forgery: CheckpointTamper) -> Self {
        self.run(Op::Forge { disk: Disk::A, forgery })
    }

    pub fn replace_marker(self, with: MarkerReplacement) -> Self {
        self.run(Op::ReplaceMarker { disk: Disk::A, with })
    }

    /// Volatile, with data on the disk, and other data in the page cache that the disk is not going to take.
    pub fn dirty_on_broken_disk(self) -> Self {
        self.setup_mount(Mode::Volatile).write().run(SYNC).break_data(Disk::A).write_again()
    }

    /// Volatile and unmounted, with other data in the page cache than on a disk that works so far.
    pub fn dirty_after_unmount(self) -> Self {
        self.setup_mount(Mode::Volatile).write().run(SYNC).write_again().unmount()
    }

    /// The error happens and nobody is told.
    pub fn fail_unreported(self) -> Self {
        self.precondition(Op::WriteBackData { disk: Disk::A, file: FILE.into() }, Expectation::IoErrors)
            .upper_still_writable()
    }

    /// The error happens and this sync is told.
    pub fn fail_reported_to(self, sync: Op) -> Self {
        self.precondition(sync, Expectation::Fails(libc::EIO)).upper_still_writable()
    }

    /// An upper that went read-only would be refused for that.
    pub fn upper_still_writable(self) -> Self {
        self.heal().run(Op::UpperWritable { disk: Disk::A })
    }

    /// What the second write wrote has not reached the disk, and is not going to.
    pub fn second_write_lost(self) -> Self {
        let op = Op::CompareOnDisk { disk: Disk::A, file: FILE.into(), bytes: BYTES, seed: SECOND_SEED };
        self.precondition(op, Expectation::Differs)
    }

    pub fn assert_refused_for_writeback_error(self) -> Self {
        self.assert_refused(Mode::Volatile, libc::EINVAL, Reason::WritebackError)
    }
}

pub const SYNC: Op = Op::SyncUpper { disk: Disk::A };

pub fn overlay(disk: Disk, mode: Mode, via: AccessPath) -> Op {
    Op::MountOverlay { disk, layers: LayerSet::First, mode, via, options: String::new() }
}

/// The overlay of disk A with further options.
pub fn overlay_with(mode: Mode, options: &str) -> Op {
    overlay_of(LayerSet::First, mode, options)
}

/// Another overlay on disk A.
pub fn overlay_on(layers: LayerSet, mode: Mode) -> Op {
    overlay_of(layers, mode, "")
}

/// An option of an overlay that borrows the work directory of [`Layers::First`] on disk A.
pub const BORROWED_WORK: &str = "workdir=/mnt/a/work";

pub fn overlay_of(layers: LayerSet, mode: Mode, options: &str) -> Op {
    Op::MountOverlay { disk: Disk::A, layers, mode, via: AccessPath::Mount, options: options.to_string() }
}

pub fn unmount(layers: LayerSet) -> Op {
    Op::UnmountOverlay { disk: Disk::A, layers, lazy: false }
}

pub fn write(disk: Disk, seed: u64) -> Op {
    Op::Write { disk, layers: LayerSet::First, place: FileLocation::Overlay, file: FILE.into(), bytes: BYTES, seed }
}

/// To another overlay of disk A.
pub fn write_on(layers: LayerSet, seed: u64) -> Op {
    Op::Write { disk: Disk::A, layers, place: FileLocation::Overlay, file: FILE.into(), bytes: BYTES, seed }
}

pub fn compare(layers: LayerSet, seed: u64) -> Op {
    Op::Compare { disk: Disk::A, layers, file: FILE.into(), bytes: BYTES, seed }
}

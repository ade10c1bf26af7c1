// SPDX-License-Identifier: MIT OR Apache-2.0
//! The steps of a claim and the words it is written in.

use vremount_wire::{Disk, Fault, Forgery, Layers, Mode, Op, Scope, Via};

use crate::reason::Reason;

/// One step of a claim.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Evidence: without this outcome nothing can be said about the claim.
    Given(Op, Want),
    /// The claim: with another outcome it is broken.
    Then(Op, Want),
    /// Something that happens to the machine.
    Host(HostStep),
}

impl Step {
    /// What the guest does, if it is the guest's.
    #[must_use]
    pub fn op(&self) -> Option<&Op> {
        match self {
            Step::Given(op, _) | Step::Then(op, _) => Some(op),
            Step::Host(_) => None,
        }
    }

    /// Whether this breaks something on purpose.
    #[must_use]
    pub fn is_fault(&self) -> bool {
        matches!(self, Step::Given(Op::Break { .. }, _))
    }
}

/// What the guest cannot do itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HostStep {
    /// The machine was shut down cleanly and starts again with the same disk.
    Reboot,
    /// The machine is killed and starts again with the same disk.
    PowerCut,
}

/// What a step must lead to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Want {
    Done,
    /// An overlay that is mounted read-write, volatile or not as asked for.
    Mounted,
    Refused {
        errno: i32,
        reason: Reason,
    },
    /// Failed with this errno.
    Fails(i32),
    /// Done, and the kernel logged I/O errors meanwhile.
    IoErrors,
    /// The disk was asked for neither a write nor a flush.
    NoIo,
    /// The disk was asked to flush at least once.
    Flushed,
}

/// The file most claims are about.
pub const FILE: &str = "data/file";
/// Large enough for many blocks, small enough to be written in an instant: 256 KiB.
pub const BYTES: u64 = 256 * 1024;
const FIRST_SEED: u64 = 1;
const SECOND_SEED: u64 = 2;

/// A claim in the making: each method adds a step. Claims are about disk A unless they say otherwise.
pub struct Script(pub Vec<Step>);

impl Script {
    /// A fresh upper filesystem, mounted.
    pub fn on_upper() -> Self {
        Script(Vec::new()).attach(Disk::A)
    }

    pub fn given(mut self, op: Op, want: Want) -> Self {
        self.0.push(Step::Given(op, want));
        self
    }

    pub fn then(mut self, op: Op, want: Want) -> Self {
        self.0.push(Step::Then(op, want));
        self
    }

    pub fn host(mut self, step: HostStep) -> Self {
        self.0.push(Step::Host(step));
        self
    }

    /// Something that is simply done.
    pub fn run(self, op: Op) -> Self {
        self.given(op, Want::Done)
    }

    /// The devices of a disk, and its filesystem mounted.
    pub fn attach(self, disk: Disk) -> Self {
        self.run(Op::Attach { disk }).run(Op::MountUpper { disk, options: String::new() })
    }

    /// An earlier mount: part of the story.
    pub fn mounted(self, mode: Mode) -> Self {
        self.given(overlay(Disk::A, mode, Via::Mount), Want::Mounted)
    }

    /// A mount that the claim says succeeds.
    pub fn mounts(self, mode: Mode) -> Self {
        self.then(overlay(Disk::A, mode, Via::Mount), Want::Mounted)
    }

    /// A mount that the claim says is refused, and that nothing on the disk tells of.
    pub fn refuses(self, mode: Mode, errno: i32, reason: Reason) -> Self {
        self.run(Op::Snapshot { disk: Disk::A, scope: Scope::Tree })
            .then(overlay(Disk::A, mode, Via::Mount), Want::Refused { errno, reason })
            .then(Op::SameAsSnapshot { disk: Disk::A, scope: Scope::Tree }, Want::Done)
    }

    pub fn unmount(self) -> Self {
        self.run(Op::UnmountOverlay { disk: Disk::A, layers: Layers::First })
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
    pub fn intact(self) -> Self {
        self.then(Op::Compare { disk: Disk::A, file: FILE.into(), bytes: BYTES, seed: FIRST_SEED }, Want::Done)
    }

    /// Volatile once, with data in it.
    pub fn after_volatile(self) -> Self {
        self.mounted(Mode::Volatile).write().unmount()
    }

    pub fn break_data(self, disk: Disk) -> Self {
        self.run(Op::Break { disk, fault: Fault::Data { file: FILE.into() } })
    }

    pub fn forge(self, forgery: Forgery) -> Self {
        self.run(Op::Forge { disk: Disk::A, forgery })
    }
}

pub fn overlay(disk: Disk, mode: Mode, via: Via) -> Op {
    Op::MountOverlay { disk, layers: Layers::First, mode, via, options: String::new() }
}

pub fn write(disk: Disk, seed: u64) -> Op {
    Op::Write { disk, file: FILE.into(), bytes: BYTES, seed }
}

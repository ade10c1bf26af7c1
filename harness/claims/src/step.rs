// SPDX-License-Identifier: MIT OR Apache-2.0
//! The steps of a claim and the outcomes that they expect.

use serde::{Deserialize, Serialize};
use vremount_protocol::Op;

use crate::refusal_reason::Reason;

/// One step of a claim.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// An operation that prepares the claim. If its outcome differs, the verdict is `cannot tell`.
    Precondition(Op, Expectation),
    /// An operation that the claim is about. If its outcome differs, the verdict is `broken`.
    Assertion(Op, Expectation),
    /// An action of the host on the machine.
    Host(HostStep),
}

/// The action of a step without its expectation. Transcripts contain it, so that a sequence can be
/// repeated.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Action {
    /// An operation of the guest.
    Guest(Op),
    /// An action of the host on the machine.
    #[serde(rename = "host")]
    Host(HostStep),
}

impl Step {
    /// The action of the step, without its expectation.
    #[must_use]
    pub fn action(&self) -> Action {
        match self {
            Step::Precondition(op, _) | Step::Assertion(op, _) => Action::Guest(op.clone()),
            Step::Host(host) => Action::Host(*host),
        }
    }

    /// The operation of the guest; `None` for a host step.
    #[must_use]
    pub fn op(&self) -> Option<&Op> {
        match self {
            Step::Precondition(op, _) | Step::Assertion(op, _) => Some(op),
            Step::Host(_) => None,
        }
    }

    /// Whether the step injects a disk fault. `--no-faults` leaves such steps out.
    #[must_use]
    pub fn is_fault(&self) -> bool {
        matches!(self, Step::Precondition(Op::InjectFault { .. }, _))
    }
}

/// An action of the host that ends one boot of the machine and starts the next.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum HostStep {
    /// The machine shuts down cleanly and boots again with the same disks.
    Reboot,
    /// The host kills the machine and boots it again with the same disks.
    PowerCut,
    /// The running kernel starts another one with kexec, without firmware.
    Kexec,
}

/// The outcome that a step must have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expectation {
    /// The operation succeeds.
    Done,
    /// An overlay is mounted read-write, and is volatile exactly if the operation asks for it.
    Mounted,
    /// An overlay is mounted read-only, and is volatile exactly if the operation asks for it.
    MountedReadOnly,
    /// The mount fails with this errno, and the kernel logs exactly this reason.
    Refused {
        /// The errno of mount(2).
        errno: i32,
        /// The reason in the kernel log.
        reason: Reason,
    },
    /// The mount fails with this errno, and the kernel logs no known reason.
    RefusedWithoutReason(i32),
    /// The operation fails with this errno.
    Fails(i32),
    /// The operation fails with EIO or ENOSPC. Filesystems differ in which one they report.
    FailsWithEioOrEnospc,
    /// The operation fails with EIO, or the kernel logs I/O errors during it.
    IoErrors,
    /// A comparison finds a difference.
    Differs,
    /// The overlay is mounted read-write, or refused for a writeback error: EIO while it is unseen,
    /// EINVAL afterwards.
    MountedOrWritebackError,
    /// Any outcome. For steps that undo what only some runs have done.
    AnyOutcome,
    /// At most one of several simultaneous mounts succeeds; the others fail with EINVAL and this
    /// reason. None succeeds if two mounts hold one of the two in-use locks each.
    AtMostOneMountedOthersRefused {
        /// The number of mounts minus one.
        others: u32,
        /// The reason that the kernel logs for each refused mount.
        reason: Reason,
    },
    /// At most one of several simultaneous mounts succeeds; the others may fail for any reason.
    AtMostOneMounted,
    /// Some of the mounts with a failing allocation are refused with ENOMEM.
    SomeRefusedWithEnomem,
    /// Of the mounts that each follow one with a failing allocation, some succeed. All others are
    /// refused as `no-checkpoint`.
    SomeMountedOthersNoCheckpoint,
    /// The disk received no write and no flush.
    NoIo,
    /// The disk received a write or a flush.
    SomeIo,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn transcripts_name_actions_guest_and_host() {
        let json = |action: &Action| serde_json::to_string(action).unwrap();
        assert_eq!(json(&Step::Host(HostStep::PowerCut).action()), r#"{"host":"power-cut"}"#);
        assert_eq!(json(&Action::Guest(Op::ReloadOverlay)), r#"{"guest":"reload-overlay"}"#);
    }
}

// SPDX-License-Identifier: MIT OR Apache-2.0
//! Outcomes, expectations and steps as text.

use std::collections::BTreeMap;
use std::fmt;

use vremount_protocol::Outcome;

use crate::{Expectation, HostStep, Step, describe};

/// An outcome as text, such as `refused EINVAL`.
#[must_use]
pub fn describe_outcome(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Done => "done".to_string(),
        Outcome::Mounted { volatile, read_only } => format!(
            "mounted {}{}",
            if *volatile { "volatile" } else { "durable" },
            if *read_only { ", read-only" } else { "" }
        ),
        Outcome::Refused { errno } => format!("refused {}", errno_name(*errno)),
        Outcome::Failed { errno: 0, message: what } | Outcome::Differs { difference: what } => what.clone(),
        Outcome::Failed { errno, message: what } => format!("{what}: {}", errno_name(*errno)),
        Outcome::Raced { mounted, refused } => format!("{mounted} mounted{}", by_errno(refused)),
        Outcome::Starved { mounted, read_only, refused } => {
            format!("{mounted} mounted, {read_only} read-only{}", by_errno(refused))
        }
        Outcome::Measured(_) => "measured".to_string(),
        Outcome::Counted(io) => format!("{} writes, {} flushes", io.writes, io.flushes),
    }
}

/// `, 15 refused EINVAL` for each errno.
fn by_errno(refused: &BTreeMap<i32, u32>) -> String {
    refused.iter().map(|(errno, count)| format!(", {count} refused {}", errno_name(*errno))).collect()
}

/// An expectation as text, such as `refused EINVAL in-use`.
impl fmt::Display for Expectation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Expectation::Done => f.write_str("done"),
            Expectation::Mounted => f.write_str("mounted"),
            Expectation::Refused { errno, reason } => write!(f, "refused {} {reason}", errno_name(*errno)),
            Expectation::RefusedWithoutReason(errno) => {
                write!(f, "refused {} without a known reason", errno_name(*errno))
            }
            Expectation::Fails(errno) => write!(f, "fails {}", errno_name(*errno)),
            Expectation::FailsWithEioOrEnospc => f.write_str("fails EIO or ENOSPC"),
            Expectation::IoErrors => f.write_str("fails EIO or I/O errors logged"),
            Expectation::NoIo => f.write_str("no writes, no flushes"),
            Expectation::SomeIo => f.write_str("writes or flushes"),
            Expectation::MountedReadOnly => f.write_str("mounted read-only"),
            Expectation::MountedOrWritebackError => f.write_str("mounted, or refused for a writeback error"),
            Expectation::Differs => f.write_str("differs"),
            Expectation::AnyOutcome => f.write_str("any outcome"),
            Expectation::AtMostOneMountedOthersRefused { reason, .. } => {
                write!(f, "at most one mounted, all others refused EINVAL {reason}")
            }
            Expectation::AtMostOneMounted => f.write_str("at most one mounted"),
            Expectation::SomeRefusedWithEnomem => f.write_str("some refused ENOMEM"),
            Expectation::SomeMountedOthersNoCheckpoint => {
                f.write_str("some mounted, all others refused EINVAL no-checkpoint")
            }
        }
    }
}

/// An operation, with the expected outcome of an assertion after `=>` and that of a precondition in
/// parentheses.
impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Step::Precondition(op, Expectation::Done) => f.write_str(&describe(op)),
            Step::Precondition(op, want) => write!(f, "{} ({want})", describe(op)),
            Step::Assertion(op, want) => write!(f, "{} => {want}", describe(op)),
            Step::Host(HostStep::Reboot) => f.write_str("reboot the machine"),
            Step::Host(HostStep::Kexec) => f.write_str("kexec another kernel"),
            Step::Host(HostStep::PowerCut) => f.write_str("cut the machine's power"),
        }
    }
}

/// The symbolic name of an errno, such as `EINVAL`, or the number if it has none.
#[must_use]
pub fn errno_name(errno: i32) -> String {
    match nix::errno::Errno::from_raw(errno) {
        nix::errno::Errno::UnknownErrno => errno.to_string(),
        known => format!("{known:?}"),
    }
}

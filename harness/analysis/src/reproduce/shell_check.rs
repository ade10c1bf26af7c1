// SPDX-License-Identifier: MIT OR Apache-2.0
//! Translates each expectation into a call of a function of the shell library.

use vremount_claims::{Expectation, errno_name};
use vremount_protocol::Op;

use crate::reproduce::shell_call::{NO_FAILED_ALLOCATION, Unsupported};

/// How a script checks an outcome.
pub struct ShellCheck {
    /// The shell command.
    pub check: String,
    /// The expected outcome, as the script prints it.
    pub expected: String,
}

impl ShellCheck {
    fn new(check: impl Into<String>, expected: impl Into<String>) -> Self {
        ShellCheck { check: check.into(), expected: expected.into() }
    }
}

/// The check of an operation with this expectation.
///
/// # Errors
/// If no script can cause such an outcome.
pub fn expectation(op: &Op, expected: Expectation) -> Result<ShellCheck, Unsupported> {
    let mode = if op.requests_volatile() { "volatile" } else { "durable" };
    Ok(match expected {
        Expectation::Done => ShellCheck::new("expect_done", "done"),
        Expectation::Mounted => ShellCheck::new(format!("expect_mounted {mode}"), format!("mounted {mode}")),
        Expectation::MountedReadOnly => {
            ShellCheck::new(format!("expect_mounted '{mode}, read-only'"), format!("mounted {mode}, read-only"))
        }
        Expectation::Refused { errno, reason } => {
            let errno = errno_name(errno);
            ShellCheck::new(format!("expect_refused {errno} {reason}"), format!("refused {errno}, {reason}"))
        }
        Expectation::RefusedWithoutReason(errno) => {
            let (errno, reason) = (errno_name(errno), "no reason stated");
            ShellCheck::new(format!("expect_refused {errno} '{reason}'"), format!("refused {errno}, {reason}"))
        }
        Expectation::Fails(errno) => {
            let errno = errno_name(errno);
            ShellCheck::new(format!("expect_failed {errno}"), format!("failed {errno}"))
        }
        Expectation::FailsWithEioOrEnospc => ShellCheck::new("expect_failed_to_write_back", "failed EIO or ENOSPC"),
        Expectation::IoErrors => ShellCheck::new("expect_io_errors", "I/O errors"),
        Expectation::Differs => ShellCheck::new("expect_differs", "differs"),
        Expectation::MountedOrWritebackError => {
            ShellCheck::new("expect_mounted_or_error", "mounted, or refused for a writeback error")
        }
        Expectation::AnyOutcome => ShellCheck::new("expect_anything", "anything"),
        Expectation::AtMostOneMountedOthersRefused { others, reason } => {
            let reasons = vec![reason.to_string(); others as usize].join(" ");
            let expected = format!("1 mounted, {others} refused EINVAL: {reasons}");
            ShellCheck::new(format!("expect_one_wins {others} {reason}"), expected)
        }
        Expectation::AtMostOneMounted => ShellCheck::new("expect_at_most_one_wins", "at most one mounted"),
        Expectation::SomeRefusedWithEnomem | Expectation::SomeMountedOthersNoCheckpoint => {
            return Err(NO_FAILED_ALLOCATION);
        }
        Expectation::NoIo => ShellCheck::new("expect_no_io", "0 writes, 0 flushes"),
        Expectation::SomeIo => ShellCheck::new("expect_some_io", "writes or flushes"),
    })
}

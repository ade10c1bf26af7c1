// SPDX-License-Identifier: MIT OR Apache-2.0
//! Exit codes of the command `vremount`.

use std::process::ExitCode;

/// Exit code of a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// Every claim holds, or the command did its work.
    Success = 0,
    /// At least one claim is broken.
    Broken = 1,
    /// The command line is invalid.
    Usage = 2,
    /// The result is undecided. `git bisect run` skips the commit on this code.
    CannotTell = 125,
}

impl Exit {
    /// Combined exit code of two: usage > broken > cannot tell > success.
    #[must_use]
    pub fn worst(self, other: Exit) -> Exit {
        let by_severity = [Exit::Usage, Exit::Broken, Exit::CannotTell];
        by_severity.into_iter().find(|exit| [self, other].contains(exit)).unwrap_or(Exit::Success)
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        ExitCode::from(exit as u8)
    }
}

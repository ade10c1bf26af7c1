// SPDX-License-Identifier: MIT OR Apache-2.0
//! Exit codes of the command: the one place for them.

use std::process::ExitCode;

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// Every claim holds; for other commands: done.
    Success = 0,
    /// A claim is broken.
    Broken = 1,
    /// The command line makes no sense.
    Usage = 2,
    /// Nothing can be said; `git bisect run` skips the commit.
    CannotTell = 125,
}

impl Exit {
    /// What two say together. What is broken weighs more than what nobody can tell.
    #[must_use]
    pub fn worst(self, other: Exit) -> Exit {
        let worse = [Exit::Usage, Exit::Broken, Exit::CannotTell];
        worse.into_iter().find(|exit| [self, other].contains(exit)).unwrap_or(Exit::Success)
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        ExitCode::from(exit as u8)
    }
}

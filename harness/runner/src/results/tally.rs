// SPDX-License-Identifier: MIT OR Apache-2.0
//! Numbers of cases by verdict.

use std::fmt;

use serde::{Deserialize, Serialize};
use vremount_claims::exit::Exit;
use vremount_claims::verdict::Verdict;

use crate::results::merged::MergedResults;
use crate::results::run_results::Results;

/// Number of cases by verdict.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tally {
    /// Cases that hold.
    pub holds: usize,
    /// Cases that are broken.
    pub broken: usize,
    /// Undecided cases, and runs that failed to start.
    pub cannot_tell: usize,
    /// Cases that are not applicable.
    pub skipped: usize,
    /// Planned cases without a record.
    pub missing: usize,
}

impl Tally {
    /// Counts the cases of a run.
    #[must_use]
    pub fn from_results(results: &Results) -> Self {
        let mut tally = Tally::default();
        for (_, record) in results.cases() {
            *match record.map(|record| record.verdict) {
                Some(Verdict::Holds) => &mut tally.holds,
                Some(Verdict::Broken) => &mut tally.broken,
                Some(Verdict::CannotTell) => &mut tally.cannot_tell,
                Some(Verdict::Skipped) => &mut tally.skipped,
                None => &mut tally.missing,
            } += 1;
        }
        tally
    }

    /// Counts the cases of several runs. A run that failed to start counts as one undecided case.
    #[must_use]
    pub fn from_merged(merged: &MergedResults) -> Self {
        let start = Tally { cannot_tell: merged.run_errors.len(), ..Tally::default() };
        merged.runs.iter().map(Tally::from_results).fold(start, |sum, tally| Tally {
            holds: sum.holds + tally.holds,
            broken: sum.broken + tally.broken,
            cannot_tell: sum.cannot_tell + tally.cannot_tell,
            skipped: sum.skipped + tally.skipped,
            missing: sum.missing + tally.missing,
        })
    }

    /// The exit code of a command with these results: Broken if any case is broken, otherwise
    /// CannotTell if any case is undecided or missing, otherwise Success.
    #[must_use]
    pub fn exit_code(self) -> Exit {
        match self {
            Tally { broken: 1.., .. } => Exit::Broken,
            Tally { cannot_tell: 1.., .. } | Tally { missing: 1.., .. } => Exit::CannotTell,
            _ => Exit::Success,
        }
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Tally { holds, broken, cannot_tell, skipped, missing } = self;
        write!(f, "{holds} hold, {broken} broken, {cannot_tell} cannot tell, {skipped} skipped")?;
        if *missing > 0 { write!(f, ", {missing} missing") } else { Ok(()) }
    }
}

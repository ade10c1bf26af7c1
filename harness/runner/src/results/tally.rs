// SPDX-License-Identifier: MIT OR Apache-2.0
//! Counts of verdicts.

use std::fmt;

use serde::{Deserialize, Serialize};
use vremount_claims::exit::Exit;
use vremount_claims::verdict::Verdict;

use super::{MergedResults, Results};

/// How many claims came out which way.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tally {
    pub holds: usize,
    pub broken: usize,
    pub cannot_tell: usize,
    pub skipped: usize,
    /// Planned, and never ran to their end.
    pub missing: usize,
}

impl Tally {
    #[must_use]
    pub fn of(results: &Results) -> Self {
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

    /// Of many runs; of one that could not start, nobody can tell a thing.
    #[must_use]
    pub fn of_all(merged: &MergedResults) -> Self {
        let start = Tally { cannot_tell: merged.not_run.len(), ..Tally::default() };
        merged.runs.iter().map(Tally::of).fold(start, |sum, tally| Tally {
            holds: sum.holds + tally.holds,
            broken: sum.broken + tally.broken,
            cannot_tell: sum.cannot_tell + tally.cannot_tell,
            skipped: sum.skipped + tally.skipped,
            missing: sum.missing + tally.missing,
        })
    }

    /// What it means for the command as a whole. What is broken weighs more than what nobody can tell.
    #[must_use]
    pub fn exit(self) -> Exit {
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

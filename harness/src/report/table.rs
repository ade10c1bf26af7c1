// SPDX-License-Identifier: MIT OR Apache-2.0
//! One line a claim.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::error::Exit;
use crate::results::{Merged, Planned, Record, Results};
use crate::verdict::{Seen, Verdict};

/// The line of a case: verdict, claim, filesystem, outcome, time; below it, why it is not `holds`.
#[must_use]
pub fn line(record: &Record) -> String {
    let outcome = record.observed.as_ref().map_or_else(|| "-".to_string(), Seen::to_string);
    let mut line = format!(
        "{:<12} {:<28} {:<15} {:<32} {:>5.2} s",
        record.verdict.to_string(),
        record.claim,
        record.fs.name(),
        outcome,
        Duration::from_millis(record.ms).as_secs_f64()
    );
    if let Some(because) = &record.because {
        line += &format!("\n             {because}");
    }
    // Of what was skipped there is nothing to see.
    if !matches!(record.verdict, Verdict::Holds | Verdict::Skipped) {
        line += &format!("\n             see {}", record.log.display());
    }
    line
}

/// The line of a case that never ran to its end.
#[must_use]
pub fn missing(case: &Planned) -> String {
    format!("{:<12} {:<28} {}", "missing", case.claim, case.fs.name())
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Verdict::Holds => "holds",
            Verdict::Broken => "broken",
            Verdict::CannotTell => "cannot tell",
            Verdict::Skipped => "skipped",
        })
    }
}

impl fmt::Display for Seen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.outcome)?;
        if let Some(errno) = &self.errno {
            write!(f, " {errno}")?;
        }
        if let Some(reason) = &self.reason {
            write!(f, " {reason}")?;
        }
        Ok(())
    }
}

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
    pub fn of_all(merged: &Merged) -> Self {
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
            _ => Exit::Holds,
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

// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a run came to, as it is kept in its log and as every report is made from it.

mod invocation;
mod log;
mod merged;
mod record;
mod run_error;
mod run_plan;
mod tally;
#[cfg(any(test, feature = "testing"))]
pub mod testing;

pub use invocation::Invocation;
pub use log::{FILE, Log};
pub use merged::{Expected, MergedResults};
pub use record::Record;
pub use run_error::{RunError, RunOutcome};
pub use run_plan::{PlannedCase, RunOptions, RunPlan, SCHEMA};
pub use tally::Tally;
use vremount_machine::image::Fs;

/// A run, finished or not.
#[derive(Debug, Clone)]
pub struct Results {
    pub plan: RunPlan,
    /// The first, and one for each time that it went on; those of a run that is joined of parts, all of them.
    pub starts: Vec<Invocation>,
    /// As they came in.
    records: Vec<Record>,
}

impl Results {
    /// What came of a case; none if it never ran to its end.
    #[must_use]
    pub fn of(&self, claim: &str, fs: Fs) -> Option<&Record> {
        self.records.iter().find(|record| record.claim == claim && record.fs == fs)
    }

    /// All that was planned, in that order, with what came of it.
    pub fn cases(&self) -> impl Iterator<Item = (&PlannedCase, Option<&Record>)> {
        self.plan.cases.iter().map(|case| (case, self.of(&case.claim, case.fs)))
    }

    /// The same, claim by claim.
    pub fn claims(&self) -> impl Iterator<Item = Vec<(&PlannedCase, Option<&Record>)>> {
        let claims = self.plan.cases.chunk_by(|a, b| a.claim == b.claim);
        claims.map(|cases| cases.iter().map(|case| (case, self.of(&case.claim, case.fs))).collect())
    }

    /// Takes in one more, if it was planned and is not there yet.
    fn add(&mut self, record: Record) -> Result<(), String> {
        let name = format!("{} on {}", record.claim, record.fs.name());
        if !self.plan.cases.iter().any(|case| case.claim == record.claim && case.fs == record.fs) {
            return Err(format!("{name} was not planned"));
        }
        if self.of(&record.claim, record.fs).is_some() {
            return Err(format!("{name} is there twice"));
        }
        self.records.push(record);
        Ok(())
    }
}

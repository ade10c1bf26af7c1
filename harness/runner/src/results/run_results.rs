// SPDX-License-Identifier: MIT OR Apache-2.0
//! The results of one run.

use vremount_machine::image::Fs;

use crate::results::invocation::Invocation;
use crate::results::record::Record;
use crate::results::run_plan::{PlannedCase, RunPlan};

/// Name of the log in the run directory.
pub const LOG_FILE: &str = "results.jsonl";

/// The results of a run, complete or not.
#[derive(Debug, Clone)]
pub struct Results {
    /// What the run tests.
    pub plan: RunPlan,
    /// One for the start of the run and one for each time that it was resumed. For a run that is
    /// merged from shards, those of all shards.
    pub invocations: Vec<Invocation>,
    /// The finished cases, in the order in which they finished.
    pub(super) records: Vec<Record>,
}

impl Results {
    /// Results without records.
    #[must_use]
    pub(super) fn new(plan: RunPlan) -> Self {
        Results { plan, invocations: Vec::new(), records: Vec::new() }
    }

    /// The record of a case; none if the case has not finished.
    #[must_use]
    pub fn find_record(&self, claim: &str, fs: Fs) -> Option<&Record> {
        self.records.iter().find(|record| record.claim == claim && record.fs == fs)
    }

    /// All planned cases in the order of the plan, each with its record.
    pub fn cases(&self) -> impl Iterator<Item = (&PlannedCase, Option<&Record>)> {
        self.plan.cases.iter().map(|case| (case, self.find_record(&case.claim, case.fs)))
    }

    /// All planned cases with their records, grouped by claim.
    pub fn claims(&self) -> impl Iterator<Item = Vec<(&PlannedCase, Option<&Record>)>> {
        let claims = self.plan.cases.chunk_by(|a, b| a.claim == b.claim);
        claims.map(|cases| cases.iter().map(|case| (case, self.find_record(&case.claim, case.fs))).collect())
    }

    /// Adds the record of a planned case that has none yet. The error says why a record is refused.
    pub(super) fn add(&mut self, record: Record) -> Result<(), String> {
        let name = format!("{} on {}", record.claim, record.fs.name());
        if !self.plan.cases.iter().any(|case| case.claim == record.claim && case.fs == record.fs) {
            return Err(format!("{name} is not in the plan"));
        }
        if self.find_record(&record.claim, record.fs).is_some() {
            return Err(format!("{name} has two records"));
        }
        self.records.push(record);
        Ok(())
    }
}

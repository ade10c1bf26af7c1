// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a run came to, as it is kept in its log and as every report is made from it.

mod log;
mod merged;
mod not_run;
mod plan;
mod record;
mod start;

pub use log::{FILE, Log};
pub use merged::{Expected, Merged};
pub use not_run::{NotRun, Outcome};
pub use plan::{How, Plan, Planned, SCHEMA};
pub use record::Record;
pub use start::Start;

use crate::image::Fs;

/// A run, finished or not.
#[derive(Debug, Clone)]
pub struct Results {
    pub plan: Plan,
    /// The first, and one for each time that it went on; those of a run that is joined of parts, all of them.
    pub starts: Vec<Start>,
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
    pub fn cases(&self) -> impl Iterator<Item = (&Planned, Option<&Record>)> {
        self.plan.cases.iter().map(|case| (case, self.of(&case.claim, case.fs)))
    }

    /// The same, claim by claim.
    pub fn claims(&self) -> impl Iterator<Item = Vec<(&Planned, Option<&Record>)>> {
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

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::verdict::{Judgement, Seen, Verdict};

    /// Two claims on three filesystems, of every kind of outcome; `missing` never ran.
    pub(crate) fn one_of_each() -> Results {
        let because = |verdict, because: &str| Judgement {
            verdict,
            expected: Some(seen("mounted", None)),
            observed: Some(seen("refused", Some("EINVAL"))),
            because: Some(because.to_string()),
        };
        let holds = Judgement { verdict: Verdict::Holds, because: None, ..because(Verdict::Holds, "") };
        let mut results = planned(&[
            ("first", Fs::Ext4),
            ("first", Fs::Ext2),
            ("first", Fs::Xfs),
            ("second", Fs::Ext4),
            ("second", Fs::Ramfs),
            ("third", Fs::Ramfs),
        ]);
        for (claim, fs, judgement) in [
            ("first", Fs::Ext2, because(Verdict::Broken, "mount: expected <mounted>, observed refused EINVAL")),
            ("first", Fs::Ext4, holds.clone()),
            ("first", Fs::Xfs, Judgement::cannot_tell("it hung\n             | a last line")),
            ("second", Fs::Ext4, holds),
            ("third", Fs::Ramfs, Judgement::skipped("has no xattrs")),
        ] {
            results.add(record(claim, fs, judgement)).unwrap();
        }
        results
    }

    fn seen(outcome: &str, errno: Option<&str>) -> Seen {
        Seen { outcome: outcome.to_string(), errno: errno.map(str::to_string), reason: None }
    }

    pub(crate) fn planned(cases: &[(&str, Fs)]) -> Results {
        let cases = cases.iter().map(|(claim, fs)| Planned { claim: (*claim).to_string(), fs: *fs }).collect();
        Results { plan: Plan::toy(cases), starts: Vec::new(), records: Vec::new() }
    }

    pub(crate) fn record(claim: &str, fs: Fs, judgement: Judgement) -> Record {
        Record {
            claim: claim.to_string(),
            fs,
            verdict: judgement.verdict,
            expected: judgement.expected,
            observed: judgement.observed,
            because: judgement.because,
            early_crash: false,
            ms: 1500,
            boots_ms: vec![40],
            phases_us: record::Phases::default(),
            log: format!("/runs/{claim}-{}.jsonl", fs.name()).into(),
        }
    }
}

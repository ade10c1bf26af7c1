// SPDX-License-Identifier: MIT OR Apache-2.0
//! Result of testing a mutant.

use serde::Serialize;
use vremount_claims::verdict::Verdict;
use vremount_machine::image::Fs;
use vremount_runner::results::Record;

use crate::explore::SequenceResult;
use crate::mutants::mutant::Mutant;

/// Whether a mutant was detected, and whether it should have been.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum MutantStatus {
    /// A claim or a sequence detects it.
    Killed,
    /// Nothing detects it, and its file explains why nothing can.
    #[serde(rename = "argued")]
    Equivalent,
    /// Nothing detects it.
    Survived,
    /// Its file explains why nothing can detect it, but something does.
    #[serde(rename = "argued-in-vain")]
    NotEquivalent,
    /// It did not build or run, or nothing detects it and a result is undecided.
    CannotTell,
}

/// A claim or a sequence that detects a mutant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Killer {
    /// Name of the claim, or `sequence N` of an exploration.
    pub name: String,
    /// The upper filesystem.
    pub fs: Fs,
    /// How the outcome differs from the expected one.
    pub because: String,
}

/// Result of testing a mutant.
#[derive(Debug, Clone, Default, Serialize)]
pub struct MutantResult {
    /// Name of the mutant; empty for the unchanged series.
    pub name: String,
    /// What is wrong with it.
    #[serde(rename = "what")]
    pub description: String,
    /// Why nothing can detect it, if its file says so.
    #[serde(rename = "argument", skip_serializing_if = "Option::is_none")]
    pub equivalence: Option<String>,
    /// What detects it, each claim once for each filesystem.
    pub killed_by: Vec<Killer>,
    /// Why it did not build, or the reason of the first undecided result.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cannot_tell: Option<String>,
    /// Number of cases that hold on it.
    #[serde(rename = "hold")]
    pub holding_cases: usize,
}

impl MutantResult {
    /// The result of a mutant before any test.
    #[must_use]
    pub fn new(mutant: &Mutant) -> Self {
        let Mutant { name, description, equivalence, .. } = mutant.clone();
        MutantResult { name, description, equivalence, ..MutantResult::default() }
    }

    /// Adds the result of a case.
    pub fn add(&mut self, record: &Record) {
        let because = || record.because.clone().unwrap_or_default();
        match record.verdict {
            Verdict::Broken => {
                self.killed_by.push(Killer { name: record.claim.clone(), fs: record.fs, because: because() });
            }
            Verdict::CannotTell => {
                let why = || format!("{} on {}: {}", record.claim, record.fs.name(), because());
                self.cannot_tell.get_or_insert_with(why);
            }
            Verdict::Holds => self.holding_cases += 1,
            Verdict::Skipped => {}
        }
    }

    /// Adds a broken case that was not broken when it was run again. It does not detect the mutant.
    pub fn add_unrepeated(&mut self, record: &Record) {
        let because = record.because.as_deref().unwrap_or_default();
        let why = || format!("{} on {} was broken once, and not again: {because}", record.claim, record.fs.name());
        self.cannot_tell.get_or_insert_with(why);
    }

    /// Adds the result of an explored sequence on ext4.
    pub fn add_sequence(&mut self, sequence: &SequenceResult) {
        let because = sequence.verdict_detail.because.clone().unwrap_or_default();
        let name = format!("sequence {}", sequence.number);
        match sequence.verdict_detail.verdict {
            Verdict::Broken => self.killed_by.push(Killer { name, fs: Fs::Ext4, because }),
            Verdict::CannotTell => {
                self.cannot_tell.get_or_insert_with(|| format!("{name}: {because}"));
            }
            Verdict::Holds | Verdict::Skipped => {}
        }
    }

    /// Names of the claims and sequences that detect it, each once.
    #[must_use]
    pub fn killers(&self) -> Vec<&str> {
        let mut names: Vec<_> = self.killed_by.iter().map(|killer| killer.name.as_str()).collect();
        names.dedup();
        names
    }

    /// The status. An undecided result does not matter if something else detects the mutant: it may
    /// hang elsewhere.
    #[must_use]
    pub fn status(&self) -> MutantStatus {
        match (self.killed_by.is_empty(), &self.equivalence, &self.cannot_tell) {
            (false, None, _) => MutantStatus::Killed,
            (false, Some(_), _) => MutantStatus::NotEquivalent,
            (true, _, Some(_)) => MutantStatus::CannotTell,
            (true, Some(_), None) if self.holding_cases > 0 => MutantStatus::Equivalent,
            (true, None, None) if self.holding_cases > 0 => MutantStatus::Survived,
            // No case was run.
            (true, _, None) => MutantStatus::CannotTell,
        }
    }
}

#[cfg(test)]
pub mod tests {
    use rstest::rstest;
    use vremount_claims::verdict::VerdictDetail;
    use vremount_runner::testing::record;

    use super::*;

    pub fn result(
        name: &str,
        killers: &[&str],
        equivalence: Option<&str>,
        cannot_tell: Option<&str>,
        holding_cases: usize,
    ) -> MutantResult {
        let killer = |name: &&str| Killer { name: (*name).to_string(), fs: Fs::Ext4, because: "reason".to_string() };
        MutantResult {
            name: name.to_string(),
            description: format!("{name} is wrong."),
            equivalence: equivalence.map(str::to_string),
            killed_by: killers.iter().map(killer).collect(),
            cannot_tell: cannot_tell.map(str::to_string),
            holding_cases,
        }
    }

    #[test]
    fn case_that_is_broken_once_does_not_kill() {
        let mut result = result("m", &[], None, None, 3);
        result.add_unrepeated(&record("races", Fs::Ext4, VerdictDetail::kernel_failure("reason".to_string())));
        assert_eq!((result.status(), result.killed_by.len()), (MutantStatus::CannotTell, 0));
        assert!(result.cannot_tell.is_some_and(|why| why.starts_with("races on ext4 was broken once, and not again")));
    }

    #[rstest]
    #[case::killed(&["a"], None, None, 3, MutantStatus::Killed)]
    #[case::killed_and_undecided_elsewhere(&["a"], None, Some("it hangs"), 3, MutantStatus::Killed)]
    #[case::survived(&[], None, None, 3, MutantStatus::Survived)]
    #[case::undecided(&[], None, Some("it hangs"), 3, MutantStatus::CannotTell)]
    #[case::not_built(&[], Some("same"), Some("no"), 0, MutantStatus::CannotTell)]
    #[case::equivalent(&[], Some("same"), None, 3, MutantStatus::Equivalent)]
    #[case::not_equivalent(&["a"], Some("same"), None, 3, MutantStatus::NotEquivalent)]
    #[case::no_case_was_run(&[], Some("same"), None, 0, MutantStatus::CannotTell)]
    fn status_follows_from_results(
        #[case] killers: &[&str],
        #[case] equivalence: Option<&str>,
        #[case] cannot_tell: Option<&str>,
        #[case] holding_cases: usize,
        #[case] expected: MutantStatus,
    ) {
        assert_eq!(result("m", killers, equivalence, cannot_tell, holding_cases).status(), expected);
    }

    #[test]
    fn json_keys_are_stable() {
        let json = serde_json::to_value(result("m", &["a"], Some("same"), None, 3)).unwrap();
        for key in ["name", "what", "argument", "killed_by", "hold"] {
            assert!(json.get(key).is_some(), "{key}");
        }
        let status = serde_json::to_value([MutantStatus::Equivalent, MutantStatus::NotEquivalent]).unwrap();
        assert_eq!(status, serde_json::json!(["argued", "argued-in-vain"]));
    }
}

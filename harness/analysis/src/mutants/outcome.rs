// SPDX-License-Identifier: MIT OR Apache-2.0
//! What became of a mutant.

use serde::Serialize;
use vremount_claims::verdict::Verdict;
use vremount_machine::image::Fs;
use vremount_runner::results::Record;

use crate::explore::SequenceResult;
use crate::mutants::Mutant;

/// What can be said of a mutant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum MutantStatus {
    Killed,
    /// Nothing kills it, and it says why that is so.
    Argued,
    /// Nothing kills it.
    Survived,
    /// It says that nothing can kill it, and something did.
    ArguedInVain,
    /// It was not built, or did not run.
    CannotTell,
}

/// What tells a mutant from the right series.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Killer {
    /// A claim, or a sequence of an exploration.
    pub name: String,
    pub fs: Fs,
    pub because: String,
}

#[derive(Debug, Clone, Default, Serialize)]
pub struct MutantResult {
    pub name: String,
    pub what: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub argument: Option<String>,
    pub killed_by: Vec<Killer>,
    /// Why it was not built, or of the first claim that nobody can tell.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cannot_tell: Option<String>,
    /// How many proofs hold on it: claims, each on a filesystem.
    pub hold: usize,
}

impl MutantResult {
    pub fn of(mutant: &Mutant) -> Self {
        let Mutant { name, what, argument, .. } = mutant.clone();
        MutantResult { name, what, argument, ..MutantResult::default() }
    }

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
            Verdict::Holds => self.hold += 1,
            Verdict::Skipped => {}
        }
    }

    /// A claim that was broken, and was not when it was proved again.
    pub fn add_doubted(&mut self, record: &Record) {
        let because = record.because.as_deref().unwrap_or_default();
        let why = || format!("{} on {} broke once, and not again: {because}", record.claim, record.fs.name());
        self.cannot_tell.get_or_insert_with(why);
    }

    pub fn add_sequence(&mut self, found: &SequenceResult) {
        let because = found.judgement.because.clone().unwrap_or_default();
        let name = format!("sequence {}", found.number);
        match found.judgement.verdict {
            Verdict::Broken => self.killed_by.push(Killer { name, fs: Fs::Ext4, because }),
            Verdict::CannotTell => {
                self.cannot_tell.get_or_insert_with(|| format!("{name}: {because}"));
            }
            Verdict::Holds | Verdict::Skipped => {}
        }
    }

    /// What kills it, each once, on whatever filesystems.
    #[must_use]
    pub fn killers(&self) -> Vec<&str> {
        let mut names: Vec<_> = self.killed_by.iter().map(|killer| killer.name.as_str()).collect();
        names.dedup();
        names
    }

    /// A mutant that is killed somewhere is killed, whatever cannot be told elsewhere: it may well hang there.
    #[must_use]
    pub fn ruling(&self) -> MutantStatus {
        match (self.killed_by.is_empty(), &self.argument, &self.cannot_tell) {
            (false, None, _) => MutantStatus::Killed,
            (false, Some(_), _) => MutantStatus::ArguedInVain,
            (true, _, Some(_)) => MutantStatus::CannotTell,
            (true, Some(_), None) if self.hold > 0 => MutantStatus::Argued,
            (true, None, None) if self.hold > 0 => MutantStatus::Survived,
            // Nothing was proved of it.
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

    pub fn fate(
        name: &str,
        killers: &[&str],
        argument: Option<&str>,
        cannot_tell: Option<&str>,
        hold: usize,
    ) -> MutantResult {
        let killer = |name: &&str| Killer { name: (*name).to_string(), fs: Fs::Ext4, because: "so".to_string() };
        MutantResult {
            name: name.to_string(),
            what: format!("{name} is wrong."),
            argument: argument.map(str::to_string),
            killed_by: killers.iter().map(killer).collect(),
            cannot_tell: cannot_tell.map(str::to_string),
            hold,
        }
    }

    /// What breaks once is no killer, and its mutant has not survived.
    #[test]
    fn who_is_doubted_kills_nobody() {
        let mut fate = fate("m", &[], None, None, 3);
        fate.add_doubted(&record("races", Fs::Ext4, VerdictDetail::kernel_complained("so".to_string())));
        assert_eq!((fate.ruling(), fate.killed_by.len()), (MutantStatus::CannotTell, 0));
        assert!(fate.cannot_tell.is_some_and(|why| why.starts_with("races on ext4 broke once, and not again")));
    }

    #[rstest]
    #[case::killed(&["a"], None, None, 3, MutantStatus::Killed)]
    #[case::killed_where_it_runs(&["a"], None, Some("it hangs"), 3, MutantStatus::Killed)]
    #[case::survived(&[], None, None, 3, MutantStatus::Survived)]
    #[case::hangs(&[], None, Some("it hangs"), 3, MutantStatus::CannotTell)]
    #[case::not_built_is_not_argued(&[], Some("same"), Some("no"), 0, MutantStatus::CannotTell)]
    #[case::argued(&[], Some("same"), None, 3, MutantStatus::Argued)]
    #[case::argued_in_vain(&["a"], Some("same"), None, 3, MutantStatus::ArguedInVain)]
    #[case::nothing_was_proved(&[], Some("same"), None, 0, MutantStatus::CannotTell)]
    fn ruling(
        #[case] killers: &[&str],
        #[case] argument: Option<&str>,
        #[case] cannot_tell: Option<&str>,
        #[case] hold: usize,
        #[case] expected: MutantStatus,
    ) {
        assert_eq!(fate("m", killers, argument, cannot_tell, hold).ruling(), expected);
    }
}

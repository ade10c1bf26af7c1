// SPDX-License-Identifier: MIT OR Apache-2.0
//! Merges runs: joins the shards of a run, refuses duplicates, and reports missing runs and shards.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use vremount_claims as claims;
use vremount_claims::shard::Shard;
use vremount_util::append_log::first_differing_field;

use crate::error::Error;
use crate::results::run_error::RunError;
use crate::results::run_outcome::RunOutcome;
use crate::results::run_plan::{PlannedCase, RunPlan};
use crate::results::run_results::Results;

/// Runs on different bases and executors.
#[derive(Debug, Default)]
pub struct MergedResults {
    /// Runs with results, shards joined, in the order of their directories.
    pub runs: Vec<Results>,
    /// Runs that failed to start, and missing runs and shards.
    pub run_errors: Vec<RunError>,
}

/// A run that a merged report must contain, as `vremount matrix --list` prints it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Expected {
    /// Name of the base.
    pub base: String,
    /// Name of the executor.
    pub executor: String,
}

/// Base, level, configuration and executor: runs with equal keys are shards of one run.
type RunKey = (String, u8, Option<String>, String);

impl MergedResults {
    /// Merges the content of run directories.
    ///
    /// # Errors
    /// [`Error::Usage`] if two runs contain the same case, or shards differ in kernel, harness or
    /// options.
    pub fn merge(outcomes: Vec<(PathBuf, RunOutcome)>) -> Result<Self, Error> {
        let mut merged = MergedResults::default();
        let mut groups: BTreeMap<RunKey, Vec<(PathBuf, Results)>> = BTreeMap::new();
        let mut keys = Vec::new();
        for (folder, outcome) in outcomes {
            match outcome {
                RunOutcome::NotRun(run_error) => merged.run_errors.push(run_error),
                RunOutcome::Ran(results) => {
                    let RunPlan { base, level, config, executor, .. } = &results.plan;
                    let key = (base.clone(), *level, config.clone(), executor.clone());
                    if !groups.contains_key(&key) {
                        keys.push(key.clone());
                    }
                    groups.entry(key).or_default().push((folder, results));
                }
            }
        }
        for key in keys {
            let shards = groups.remove(&key).unwrap_or_default();
            merged.run_errors.extend(missing_shards(&shards));
            merged.runs.extend(join_shards(shards)?);
        }
        Ok(merged)
    }

    /// Whether there is neither a run nor an error.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.runs.is_empty() && self.run_errors.is_empty()
    }

    /// Adds an error for each expected run that is neither among the runs nor among the errors.
    pub fn expect(&mut self, expected: &[Expected]) {
        let ran = self.runs.iter().map(|run| (run.plan.base.clone(), run.plan.executor.clone()));
        let failed = self.run_errors.iter().map(|error| (error.base.clone(), error.executor.clone()));
        let known: BTreeSet<_> = ran.chain(failed).collect();
        for Expected { base, executor } in expected {
            if !known.contains(&(base.clone(), executor.clone())) {
                self.run_errors.push(RunError {
                    base: base.clone(),
                    series: "?".to_string(),
                    level: vremount_kernel::base::Level::FULL.number(),
                    executor: executor.clone(),
                    cannot_tell: "its job left no results".to_string(),
                });
            }
        }
    }
}

/// Joins the shards of one run.
fn join_shards(shards: Vec<(PathBuf, Results)>) -> Result<Option<Results>, Error> {
    let mut seen: BTreeMap<(String, String), PathBuf> = BTreeMap::new();
    let mut joined: Option<(PathBuf, Results)> = None;
    for (folder, shard) in shards {
        for PlannedCase { claim, fs } in &shard.plan.cases {
            let other = seen.insert((claim.clone(), fs.name().to_string()), folder.clone());
            if let Some(other) = other {
                let (fs, other, folder) = (fs.name(), other.display(), folder.display());
                let why = format!("{claim} on {fs} is in {other} and in {folder}; name only one of them");
                return Err(Error::Usage(format!("failed to merge {}: {why}", shard.plan.title())));
            }
        }
        match &mut joined {
            None => joined = Some((folder, shard)),
            Some((first, joined)) => {
                let without_cases = |plan: &RunPlan| RunPlan { shard: None, cases: Vec::new(), ..plan.clone() };
                if let Some(what) = first_differing_field(&without_cases(&joined.plan), &without_cases(&shard.plan)) {
                    let (first, folder) = (first.display(), folder.display());
                    let why = format!("{first} and {folder} are not shards of one run, their {what:?} differs");
                    return Err(Error::Usage(format!("failed to merge {}: {why}", joined.plan.title())));
                }
                joined.plan.cases.extend(shard.plan.cases);
                joined.records.extend(shard.records);
                joined.invocations.extend(shard.invocations);
            }
        }
    }
    Ok(joined.map(|(_, mut joined)| {
        joined.plan.shard = None;
        sort_cases(&mut joined.plan.cases);
        joined
    }))
}

/// Sorts cases by the order in which the harness lists claims. Claims that this harness does not
/// know come last.
fn sort_cases(cases: &mut [PlannedCase]) {
    let claims: BTreeMap<_, _> = claims::all().iter().enumerate().map(|(index, claim)| (claim.name, index)).collect();
    cases.sort_by_key(|case| {
        (claims.get(case.claim.as_str()).copied().unwrap_or(usize::MAX), case.claim.clone(), case.fs)
    });
}

fn missing_shards(shards: &[(PathBuf, Results)]) -> Vec<RunError> {
    let present: BTreeSet<Shard> = shards.iter().filter_map(|(_, results)| results.plan.shard).collect();
    let Some((_, any)) = shards.first() else { return Vec::new() };
    let counts: BTreeSet<u32> = present.iter().map(|shard| shard.total()).collect();
    let missing = counts.into_iter().flat_map(Shard::all).filter(|shard| !present.contains(shard));
    let run_error = |shard: Shard| RunError {
        base: any.plan.base.clone(),
        series: any.plan.series.clone(),
        level: any.plan.level,
        executor: any.plan.executor.clone(),
        cannot_tell: format!("shard {shard} is missing: its job left no results"),
    };
    missing.map(run_error).collect()
}

#[cfg(test)]
mod tests {
    use vremount_claims::verdict::VerdictDetail;
    use vremount_machine::image::Fs;

    use super::super::testing::{one_of_each, planned, record};
    use super::*;

    /// The shards of a run, all cases skipped.
    fn shards(of: u32, claims: &[&str]) -> Vec<(PathBuf, RunOutcome)> {
        let cases: Vec<_> = claims.iter().flat_map(|claim| Fs::ALL.map(|fs| (*claim, fs))).collect();
        let outcome = |shard: Shard| {
            let own: Vec<_> = cases.iter().copied().filter(|(claim, fs)| shard.contains(claim, *fs)).collect();
            let mut results = planned(&own);
            results.plan.shard = Some(shard);
            for (claim, fs) in own {
                results.add(record(claim, fs, VerdictDetail::skipped("reason"))).unwrap();
            }
            (PathBuf::from(format!("job-{shard}")), RunOutcome::Ran(results))
        };
        Shard::all(of).map(outcome).collect()
    }

    #[test]
    fn shards_are_joined_in_order_of_claims() {
        let mut all = shards(5, &["power-cut", "reuse", "unheard-of"]);
        all.reverse();
        let merged = MergedResults::merge(all).unwrap();
        assert_eq!(merged.run_errors, []);
        let [run] = merged.runs.as_slice() else { panic!("{:?}", merged.runs) };
        assert_eq!(run.plan.shard, None);
        let cases: Vec<_> =
            run.cases().map(|(case, record)| (case.claim.as_str(), case.fs, record.is_some())).collect();
        let claims = ["reuse", "power-cut", "unheard-of"];
        let expected: Vec<_> = claims.iter().flat_map(|claim| Fs::ALL.map(|fs| (*claim, fs, true))).collect();
        assert_eq!(cases, expected);
    }

    #[test]
    fn missing_shard_is_an_error() {
        let mut all = shards(3, &["reuse"]);
        all.remove(1);
        let merged = MergedResults::merge(all).unwrap();
        let reasons: Vec<_> = merged.run_errors.iter().map(|error| error.cannot_tell.as_str()).collect();
        assert_eq!(reasons, ["shard 2/3 is missing: its job left no results"]);
    }

    #[test]
    fn duplicate_case_is_refused() {
        let again = || (PathBuf::from("again"), RunOutcome::Ran(one_of_each()));
        let Err(Error::Usage(message)) =
            MergedResults::merge(vec![(PathBuf::from("a"), RunOutcome::Ran(one_of_each())), again()])
        else {
            panic!("it was merged")
        };
        assert!(message.contains("first on ext4 is in a and in again; name only one of them"), "{message}");
    }

    #[test]
    fn shards_of_different_kernels_are_refused() {
        let mut all = shards(2, &["reuse"]);
        if let RunOutcome::Ran(results) = &mut all[1].1 {
            results.plan.build_id += "0";
        }
        let Err(Error::Usage(message)) = MergedResults::merge(all) else { panic!("it was merged") };
        assert!(
            message.contains("job-1/2 and job-2/2 are not shards of one run, their \"build_id\" differs"),
            "{message}"
        );
    }

    #[test]
    fn expected_run_without_results_is_an_error() {
        let mut merged = MergedResults::merge(vec![(PathBuf::from("a"), RunOutcome::Ran(one_of_each()))]).unwrap();
        let expected = |base: &str, executor: &str| Expected { base: base.to_string(), executor: executor.to_string() };
        merged.expect(&[expected("5.10.13", "qemu"), expected("5.10.13", "uml"), expected("6.1.4", "qemu")]);
        let missing: Vec<_> =
            merged.run_errors.iter().map(|error| (error.base.as_str(), error.executor.as_str())).collect();
        assert_eq!(missing, [("5.10.13", "uml"), ("6.1.4", "qemu")]);
    }
}

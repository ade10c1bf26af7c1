// SPDX-License-Identifier: MIT OR Apache-2.0
//! Many runs as one: shards of a run are joined, what is there twice is refused, what is not there is told.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use vremount_claims as claims;
use vremount_claims::shard::Shard;
use vremount_util::append_log::first_difference;

use crate::error::Error;
use crate::results::{PlannedCase, Results, RunError, RunOutcome, RunPlan};

/// Runs on different bases and executors.
#[derive(Debug, Default)]
pub struct MergedResults {
    pub runs: Vec<Results>,
    pub not_run: Vec<RunError>,
}

/// A run that there has to be.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Expected {
    pub base: String,
    pub executor: String,
}

/// What makes a column: shards of the same are one.
type Key = (String, u8, Option<String>, String);

impl MergedResults {
    /// Joins what was read from these folders.
    ///
    /// # Errors
    /// If a case was proved twice, or shards are of different kernels.
    pub fn of(outcomes: Vec<(PathBuf, RunOutcome)>) -> Result<Self, Error> {
        let mut merged = MergedResults::default();
        let mut groups: BTreeMap<Key, Vec<(PathBuf, Results)>> = BTreeMap::new();
        let mut run_spec = Vec::new();
        for (folder, outcome) in outcomes {
            match outcome {
                RunOutcome::NotRun(word) => merged.not_run.push(word),
                RunOutcome::Ran(results) => {
                    let RunPlan { base, level, config, executor, .. } = &results.plan;
                    let key = (base.clone(), *level, config.clone(), executor.clone());
                    if !groups.contains_key(&key) {
                        run_spec.push(key.clone());
                    }
                    groups.entry(key).or_default().push((folder, results));
                }
            }
        }
        for key in run_spec {
            let parts = groups.remove(&key).unwrap_or_default();
            merged.not_run.extend(missing_shards(&parts));
            merged.runs.extend(joined(parts)?);
        }
        Ok(merged)
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.runs.is_empty() && self.not_run.is_empty()
    }

    /// Adds word of those that left nothing at all.
    pub fn expect(&mut self, expected: &[Expected]) {
        let ran = self.runs.iter().map(|run| (run.plan.base.clone(), run.plan.executor.clone()));
        let told = self.not_run.iter().map(|word| (word.base.clone(), word.executor.clone()));
        let known: BTreeSet<_> = ran.chain(told).collect();
        for Expected { base, executor } in expected {
            if !known.contains(&(base.clone(), executor.clone())) {
                self.not_run.push(RunError {
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

/// The parts of one run as that run.
fn joined(parts: Vec<(PathBuf, Results)>) -> Result<Option<Results>, Error> {
    let mut seen: BTreeMap<(String, String), PathBuf> = BTreeMap::new();
    let mut whole: Option<(PathBuf, Results)> = None;
    for (folder, part) in parts {
        for PlannedCase { claim, fs } in &part.plan.cases {
            let before = seen.insert((claim.clone(), fs.name().to_string()), folder.clone());
            if let Some(before) = before {
                let (fs, before, folder) = (fs.name(), before.display(), folder.display());
                let what = format!("{claim} on {fs} is in {before} and in {folder}, leave one out");
                return Err(Error::Usage(format!("failed to merge {}: {what}", part.plan.title())));
            }
        }
        match &mut whole {
            None => whole = Some((folder, part)),
            Some((first, whole)) => {
                let alike = |plan: &RunPlan| RunPlan { shard: None, cases: Vec::new(), ..plan.clone() };
                if let Some(what) = first_difference(&alike(&whole.plan), &alike(&part.plan)) {
                    let (first, folder) = (first.display(), folder.display());
                    let why = format!("{first} and {folder} are no parts of one run, their {what:?} differs");
                    return Err(Error::Usage(format!("failed to merge {}: {why}", whole.plan.title())));
                }
                whole.plan.cases.extend(part.plan.cases);
                whole.records.extend(part.records);
                whole.starts.extend(part.starts);
            }
        }
    }
    Ok(whole.map(|(_, mut whole)| {
        whole.plan.shard = None;
        in_order(&mut whole.plan.cases);
        whole
    }))
}

/// The order in which claims are told; those that this harness does not know come last.
fn in_order(cases: &mut [PlannedCase]) {
    let claims: BTreeMap<_, _> = claims::all().iter().enumerate().map(|(place, claim)| (claim.name, place)).collect();
    cases.sort_by_key(|case| {
        (claims.get(case.claim.as_str()).copied().unwrap_or(usize::MAX), case.claim.clone(), case.fs)
    });
}

fn missing_shards(parts: &[(PathBuf, Results)]) -> Vec<RunError> {
    let there: BTreeSet<Shard> = parts.iter().filter_map(|(_, part)| part.plan.shard).collect();
    let Some((_, any)) = parts.first() else { return Vec::new() };
    let counts: BTreeSet<u32> = there.iter().map(|shard| shard.of()).collect();
    let missing = counts.into_iter().flat_map(Shard::all).filter(|shard| !there.contains(shard));
    let word = |shard: Shard| RunError {
        base: any.plan.base.clone(),
        series: any.plan.series.clone(),
        level: any.plan.level,
        executor: any.plan.executor.clone(),
        cannot_tell: format!("shard {shard} is missing: its job left no results"),
    };
    missing.map(word).collect()
}

#[cfg(test)]
mod tests {
    use vremount_claims::verdict::VerdictDetail;
    use vremount_machine::image::Fs;

    use super::super::testing::{one_of_each, planned, record};
    use super::*;

    /// The same run in parts, all cases skipped.
    fn parts(of: u32, claims: &[&str]) -> Vec<(PathBuf, RunOutcome)> {
        let cases: Vec<_> = claims.iter().flat_map(|claim| Fs::ALL.map(|fs| (*claim, fs))).collect();
        let part = |shard: Shard| {
            let own: Vec<_> = cases.iter().copied().filter(|(claim, fs)| shard.contains(claim, *fs)).collect();
            let mut results = planned(&own);
            results.plan.shard = Some(shard);
            for (claim, fs) in own {
                results.add(record(claim, fs, VerdictDetail::skipped("so"))).unwrap();
            }
            (PathBuf::from(format!("job-{shard}")), RunOutcome::Ran(results))
        };
        Shard::all(of).map(part).collect()
    }

    #[test]
    fn parts_make_the_whole_in_the_order_of_claims() {
        let mut all = parts(5, &["power-cut", "reuse", "unheard-of"]);
        all.reverse();
        let merged = MergedResults::of(all).unwrap();
        assert_eq!(merged.not_run, []);
        let [run] = merged.runs.as_slice() else { panic!("{:?}", merged.runs) };
        assert_eq!(run.plan.shard, None);
        let told: Vec<_> = run.cases().map(|(case, record)| (case.claim.as_str(), case.fs, record.is_some())).collect();
        let claims = ["reuse", "power-cut", "unheard-of"];
        let expected: Vec<_> = claims.iter().flat_map(|claim| Fs::ALL.map(|fs| (*claim, fs, true))).collect();
        assert_eq!(told, expected);
    }

    #[test]
    fn a_part_that_is_missing_is_a_hole() {
        let mut all = parts(3, &["reuse"]);
        all.remove(1);
        let merged = MergedResults::of(all).unwrap();
        let told: Vec<_> = merged.not_run.iter().map(|word| word.cannot_tell.as_str()).collect();
        assert_eq!(told, ["shard 2/3 is missing: its job left no results"]);
    }

    #[test]
    fn what_is_there_twice_is_refused() {
        let again = || (PathBuf::from("again"), RunOutcome::Ran(one_of_each()));
        let Err(Error::Usage(why)) =
            MergedResults::of(vec![(PathBuf::from("a"), RunOutcome::Ran(one_of_each())), again()])
        else {
            panic!("it was merged")
        };
        assert!(why.contains("first on ext4 is in a and in again, leave one out"), "{why}");
    }

    #[test]
    fn parts_of_different_kernels_are_no_parts() {
        let mut all = parts(2, &["reuse"]);
        if let RunOutcome::Ran(results) = &mut all[1].1 {
            results.plan.build_id += "0";
        }
        let Err(Error::Usage(why)) = MergedResults::of(all) else { panic!("it was merged") };
        assert!(why.contains("job-1/2 and job-2/2 are no parts of one run, their \"build_id\" differs"), "{why}");
    }

    #[test]
    fn a_job_that_left_nothing_is_told() {
        let mut merged = MergedResults::of(vec![(PathBuf::from("a"), RunOutcome::Ran(one_of_each()))]).unwrap();
        let expected = |base: &str, executor: &str| Expected { base: base.to_string(), executor: executor.to_string() };
        merged.expect(&[expected("5.10.13", "qemu"), expected("5.10.13", "uml"), expected("6.1.4", "qemu")]);
        let told: Vec<_> = merged.not_run.iter().map(|word| (word.base.as_str(), word.executor.as_str())).collect();
        assert_eq!(told, [("5.10.13", "uml"), ("6.1.4", "qemu")]);
    }
}

// SPDX-License-Identifier: MIT OR Apache-2.0
//! Many claims: side by side, reported in order.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::thread;

use vremount_claims::Case;
use vremount_machine::image::Fs;
use vremount_util::parallel::parallel_map;

use crate::batch;
use crate::case_runner::{CaseResult, CaseRunner};

/// How many claims share a machine where booting is dear: enough to make little of the boot, few enough that all cores have
/// something to do and that the first results come soon.
const TOGETHER: usize = 8;

/// Proves cases on up to `jobs` machines at a time. `at_once` sees each proof when it is there, `in_order` in the order of
/// the cases, as soon as those before it are there.
pub fn run_cases(
    case_runner: &CaseRunner<'_>,
    cases: &[Case<'_>],
    jobs: usize,
    mut at_once: impl FnMut(&CaseResult),
    mut in_order: impl FnMut(&CaseResult),
) -> Vec<CaseResult> {
    let batches = batches(case_runner, cases);
    let mut early = BTreeMap::new();
    let mut case_results = Vec::with_capacity(cases.len());
    parallel_map(
        jobs,
        &batches,
        |batch| run_batch(case_runner, batch),
        |batch| {
            for (place, case_result) in batch {
                at_once(&case_result);
                early.insert(place, case_result);
            }
            while let Some(case_result) = early.remove(&case_results.len()) {
                in_order(&case_result);
                case_results.push(case_result);
            }
        },
    );
    case_results
}

/// Cases that are proved one after the other, with their places among all.
type Batch<'a> = Vec<(usize, Case<'a>)>;

/// What each machine gets to prove. A claim that needs the host, or sleeps, or must be repeated, has its machines to itself;
/// those that sleep come first, so that the others have the time.
fn batches<'a>(case_runner: &CaseRunner<'_>, cases: &[Case<'a>]) -> Vec<Batch<'a>> {
    let alone = |case: &Case<'_>| {
        let anyway = case_runner.fresh || case_runner.twice || case_runner.executor.boots_fast();
        anyway
            || case.claim.needs_host()
            || !case.claim.sleeps().is_zero()
            || case.claim.skip_reason_on(case.fs).is_some()
    };
    let (single, shared): (Batch<'_>, Batch<'_>) = cases.iter().copied().enumerate().partition(|(_, case)| alone(case));
    let mut batches: Vec<Batch<'_>> = single.into_iter().map(|case| vec![case]).collect();
    let mut by_fs: BTreeMap<Fs, Batch<'_>> = BTreeMap::new();
    for (place, case) in shared {
        by_fs.entry(case.fs).or_default().push((place, case));
    }
    batches.extend(by_fs.values().flat_map(|cases| cases.chunks(TOGETHER).map(<[_]>::to_vec)));
    batches.sort_by_key(|batch| batch.first().map(|(place, case)| (Reverse(case.claim.sleeps()), *place)));
    batches
}

fn run_batch(case_runner: &CaseRunner<'_>, batch: &Batch<'_>) -> Vec<(usize, CaseResult)> {
    let (places, cases): (Vec<usize>, Vec<Case<'_>>) = batch.iter().copied().unzip();
    let case_results = match cases.as_slice() {
        [case] => vec![case_runner.run_case(case)],
        cases => batch::run_cases(case_runner, cases),
    };
    places.into_iter().zip(case_results).collect()
}

/// As many machines as are asked for, or as there are cores; never more than the memory that is free now can hold.
#[must_use]
pub fn jobs(asked: Option<u16>, machine_mib: u32) -> usize {
    let wanted = asked.map_or_else(|| thread::available_parallelism().map_or(1, usize::from), usize::from);
    let fit = free_mib().map_or(wanted, |free| usize::try_from(free / u64::from(machine_mib).max(1)).unwrap_or(wanted));
    wanted.min(fit).max(1)
}

fn free_mib() -> Option<u64> {
    let meminfo = std::fs::read_to_string("/proc/meminfo").ok()?;
    let line = meminfo.lines().find(|line| line.starts_with("MemAvailable:"))?;
    line.split_whitespace().nth(1)?.parse::<u64>().ok().map(|kib| kib / 1024)
}

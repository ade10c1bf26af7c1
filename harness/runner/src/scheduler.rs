// SPDX-License-Identifier: MIT OR Apache-2.0
//! Runs many cases in parallel and reports them in order.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::thread;

use vremount_claims::Case;
use vremount_machine::image::Fs;
use vremount_util::parallel::parallel_map;

use crate::batch;
use crate::case_runner::{CaseResult, CaseRunner};

/// Number of cases that share a machine if booting is slow: enough to amortize the boot, and few
/// enough to keep all cores busy and to get the first results early.
const BATCH_SIZE: usize = 8;

/// Runs cases on up to `jobs` machines in parallel and returns the results in the order of `cases`.
///
/// `at_once` gets each result as soon as it exists. `in_order` gets the results in the order of
/// `cases`, each as soon as all earlier ones exist.
pub fn run_cases(
    case_runner: &CaseRunner<'_>,
    cases: &[Case<'_>],
    jobs: usize,
    mut at_once: impl FnMut(&CaseResult),
    mut in_order: impl FnMut(&CaseResult),
) -> Vec<CaseResult> {
    let batches = batches(case_runner, cases);
    let mut waiting = BTreeMap::new();
    let mut case_results = Vec::with_capacity(cases.len());
    parallel_map(
        jobs,
        &batches,
        |batch| run_batch(case_runner, batch),
        |batch| {
            for (index, case_result) in batch {
                at_once(&case_result);
                waiting.insert(index, case_result);
            }
            while let Some(case_result) = waiting.remove(&case_results.len()) {
                in_order(&case_result);
                case_results.push(case_result);
            }
        },
    );
    case_results
}

/// Cases that run one after the other, each with its index among all cases.
type Batch<'a> = Vec<(usize, Case<'a>)>;

/// Assigns cases to batches. A case runs alone if its claim has host steps or sleeps, if it is
/// skipped or must run twice, or if booting is fast. Claims that sleep longest start first, so that
/// others run meanwhile.
fn batches<'a>(case_runner: &CaseRunner<'_>, cases: &[Case<'a>]) -> Vec<Batch<'a>> {
    let is_alone = |case: &Case<'_>| {
        let all_alone = case_runner.fresh || case_runner.twice || case_runner.executor.boots_fast();
        all_alone
            || case.claim.has_host_steps()
            || !case.claim.sleep_time().is_zero()
            || case.claim.skip_reason_on(case.fs).is_some()
    };
    let (single, shared): (Batch<'_>, Batch<'_>) =
        cases.iter().copied().enumerate().partition(|(_, case)| is_alone(case));
    let mut batches: Vec<Batch<'_>> = single.into_iter().map(|case| vec![case]).collect();
    let mut by_fs: BTreeMap<Fs, Batch<'_>> = BTreeMap::new();
    for (index, case) in shared {
        by_fs.entry(case.fs).or_default().push((index, case));
    }
    batches.extend(by_fs.values().flat_map(|cases| cases.chunks(BATCH_SIZE).map(<[_]>::to_vec)));
    batches.sort_by_key(|batch| batch.first().map(|(index, case)| (Reverse(case.claim.sleep_time()), *index)));
    batches
}

fn run_batch(case_runner: &CaseRunner<'_>, batch: &Batch<'_>) -> Vec<(usize, CaseResult)> {
    let (indices, cases): (Vec<usize>, Vec<Case<'_>>) = batch.iter().copied().unzip();
    let case_results = match cases.as_slice() {
        [case] => vec![case_runner.run_case(case)],
        cases => batch::run_cases(case_runner, cases),
    };
    indices.into_iter().zip(case_results).collect()
}

/// Number of machines to run in parallel: `asked`, or the number of cores, limited to what fits
/// into the memory that is available now. At least 1. `machine_mib` is the memory of one machine,
/// MiB.
#[must_use]
pub fn job_count(asked: Option<u16>, machine_mib: u32) -> usize {
    let wanted = asked.map_or_else(|| thread::available_parallelism().map_or(1, usize::from), usize::from);
    let fitting = available_mib()
        .map_or(wanted, |available| usize::try_from(available / u64::from(machine_mib).max(1)).unwrap_or(wanted));
    wanted.min(fitting).max(1)
}

fn available_mib() -> Option<u64> {
    let meminfo = std::fs::read_to_string("/proc/meminfo").ok()?;
    let line = meminfo.lines().find(|line| line.starts_with("MemAvailable:"))?;
    line.split_whitespace().nth(1)?.parse::<u64>().ok().map(|kib| kib / 1024)
}

// SPDX-License-Identifier: MIT OR Apache-2.0
//! Many claims: side by side, reported in order.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::thread;

use vremount_claims::Case;
use vremount_machine::image::Fs;
use vremount_util::parallel::parallel_map;

use crate::batch;
use crate::case_runner::{Proof, Prover};

/// How many claims share a machine where booting is dear: enough to make little of the boot, few enough that all cores have
/// something to do and that the first results come soon.
const TOGETHER: usize = 8;

/// Proves cases on up to `jobs` machines at a time. `at_once` sees each proof when it is there, `in_order` in the order of
/// the cases, as soon as those before it are there.
pub fn verify(
    prover: &Prover<'_>,
    cases: &[Case<'_>],
    jobs: usize,
    mut at_once: impl FnMut(&Proof),
    mut in_order: impl FnMut(&Proof),
) -> Vec<Proof> {
    let batches = batches(prover, cases);
    let mut early = BTreeMap::new();
    let mut proofs = Vec::with_capacity(cases.len());
    parallel_map(
        jobs,
        &batches,
        |batch| prove(prover, batch),
        |batch| {
            for (place, proof) in batch {
                at_once(&proof);
                early.insert(place, proof);
            }
            while let Some(proof) = early.remove(&proofs.len()) {
                in_order(&proof);
                proofs.push(proof);
            }
        },
    );
    proofs
}

/// Cases that are proved one after the other, with their places among all.
type Batch<'a> = Vec<(usize, Case<'a>)>;

/// What each machine gets to prove. A claim that needs the host, or sleeps, or must be repeated, has its machines to itself;
/// those that sleep come first, so that the others have the time.
fn batches<'a>(prover: &Prover<'_>, cases: &[Case<'a>]) -> Vec<Batch<'a>> {
    let alone = |case: &Case<'_>| {
        let anyway = prover.fresh || prover.twice || prover.executor.boots_fast();
        anyway || case.claim.needs_host() || !case.claim.sleeps().is_zero() || case.claim.skipped_on(case.fs).is_some()
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

fn prove(prover: &Prover<'_>, batch: &Batch<'_>) -> Vec<(usize, Proof)> {
    let (places, cases): (Vec<usize>, Vec<Case<'_>>) = batch.iter().copied().unzip();
    let proofs = match cases.as_slice() {
        [case] => vec![prover.prove(case)],
        cases => batch::prove(prover, cases),
    };
    places.into_iter().zip(proofs).collect()
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

// SPDX-License-Identifier: MIT OR Apache-2.0
//! Many claims: side by side, reported in order.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::thread;

use crate::claims::Claim;
use crate::prove::{Proof, Prover};

/// Proves claims on up to `jobs` machines at a time. `on_proof` sees each proof in the order of the claims, as soon as
/// those before it are there.
pub fn verify(prover: &Prover<'_>, claims: &[Claim], jobs: usize, mut on_proof: impl FnMut(&Proof)) -> Vec<Proof> {
    let next = AtomicUsize::new(0);
    let (sender, receiver) = mpsc::channel();
    thread::scope(|scope| {
        for _ in 0..jobs.clamp(1, claims.len().max(1)) {
            let (sender, next) = (sender.clone(), &next);
            scope.spawn(move || {
                while let Some((place, claim)) = take(claims, next) {
                    // The receiver outlives the workers.
                    let _ = sender.send((place, prover.prove(claim)));
                }
            });
        }
        drop(sender);
        let mut early = BTreeMap::new();
        let mut proofs = Vec::with_capacity(claims.len());
        for (place, proof) in receiver {
            early.insert(place, proof);
            while let Some(proof) = early.remove(&proofs.len()) {
                on_proof(&proof);
                proofs.push(proof);
            }
        }
        proofs
    })
}

fn take<'a>(claims: &'a [Claim], next: &AtomicUsize) -> Option<(usize, &'a Claim)> {
    let place = next.fetch_add(1, Ordering::Relaxed);
    claims.get(place).map(|claim| (place, claim))
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

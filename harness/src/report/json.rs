// SPDX-License-Identifier: MIT OR Apache-2.0
//! The report of a run for programs. Fields are added, never changed; `schema` counts what is.

use std::path::PathBuf;

use serde::Serialize;

use crate::build::Kernel;
use crate::image::Fs;
use crate::machine::Accel;
use crate::prove::Proof;
use crate::verdict::{Seen, Verdict};

const SCHEMA: u32 = 1;

#[derive(Debug, Serialize)]
pub struct Report {
    schema: u32,
    base: String,
    series: String,
    level: u8,
    executor: &'static str,
    /// None where the kernel is a program of the host itself.
    accel: Option<Accel>,
    /// Median time from exec to a guest that is ready, milliseconds; none if no machine got there.
    boot_ms: Option<u64>,
    verdicts: Vec<Entry>,
}

#[derive(Debug, Serialize)]
struct Entry {
    claim: &'static str,
    fs: Fs,
    verdict: Verdict,
    expected: Option<Seen>,
    observed: Option<Seen>,
    because: Option<String>,
    ms: u64,
    log: PathBuf,
}

impl Report {
    #[must_use]
    pub fn new(kernel: &Kernel, executor: &'static str, accel: Option<Accel>, proofs: &[Proof]) -> Self {
        let mut boots: Vec<u64> = proofs.iter().flat_map(|proof| proof.boot_ms.iter().copied()).collect();
        boots.sort_unstable();
        Report {
            schema: SCHEMA,
            base: kernel.base.clone(),
            series: kernel.series.clone(),
            level: kernel.level.number(),
            executor,
            accel,
            boot_ms: boots.get(boots.len() / 2).copied(),
            verdicts: proofs.iter().map(Entry::new).collect(),
        }
    }

    /// The text of the file.
    #[must_use]
    pub fn to_json(&self) -> String {
        // Strings and numbers in structures always have a JSON form.
        serde_json::to_string_pretty(self).unwrap_or_default() + "\n"
    }
}

impl Entry {
    fn new(proof: &Proof) -> Self {
        let judgement = proof.judgement.clone();
        Entry {
            claim: proof.claim,
            fs: proof.fs,
            verdict: judgement.verdict,
            expected: judgement.expected,
            observed: judgement.observed,
            because: judgement.because,
            ms: proof.ms,
            log: proof.log.clone(),
        }
    }
}

// SPDX-License-Identifier: MIT OR Apache-2.0
//! The report of a run for programs. Fields are added, never changed; `schema` counts what is.

use std::path::PathBuf;
use std::time::Duration;

use serde::Serialize;

use crate::build::Kernel;
use crate::image::Fs;
use crate::machine::{Accel, Times};
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
    phases_us: Phases,
    log: PathBuf,
}

/// Where the time of a claim went, microseconds, all its machines together. What is missing to the whole is the
/// harness's own: images, judgement, transcript.
#[derive(Debug, Serialize)]
struct Phases {
    /// From exec to the first thing on the console.
    exec: u64,
    /// From there to PID 1.
    boot: u64,
    /// The overlay module.
    module: u64,
    /// Loop and device-mapper devices, images unpacked.
    devices: u64,
    /// Upper filesystems mounted.
    filesystem: u64,
    /// All other steps.
    steps: u64,
    /// From the guest's last word to the end of the process.
    stop: u64,
}

impl Phases {
    fn of(machines: &[Times]) -> Self {
        let sum = |of: fn(&Times) -> Duration| micros(machines.iter().map(of));
        Phases {
            exec: sum(|times| times.exec),
            boot: sum(|times| times.ready.unwrap_or_default().saturating_sub(times.exec + times.module)),
            module: sum(|times| times.module),
            devices: sum(|times| times.devices),
            filesystem: sum(|times| times.filesystem),
            steps: sum(|times| times.steps.saturating_sub(times.devices + times.filesystem)),
            stop: sum(|times| times.stop),
        }
    }
}

fn micros(times: impl Iterator<Item = Duration>) -> u64 {
    u64::try_from(times.sum::<Duration>().as_micros()).unwrap_or(u64::MAX)
}

impl Report {
    #[must_use]
    pub fn new(kernel: &Kernel, executor: &'static str, accel: Option<Accel>, proofs: &[Proof]) -> Self {
        let machines = proofs.iter().flat_map(|proof| &proof.machines);
        let mut boots: Vec<u64> =
            machines.filter_map(|times| Some(micros([times.ready?].into_iter()) / 1000)).collect();
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
            ms: micros([proof.time].into_iter()) / 1000,
            phases_us: Phases::of(&proof.machines),
            log: proof.log.clone(),
        }
    }
}

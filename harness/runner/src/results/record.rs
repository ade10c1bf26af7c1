// SPDX-License-Identifier: MIT OR Apache-2.0
//! A finished case, as log and reports keep it.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use vremount_claims::verdict::{ObservedOutcome, Verdict};
use vremount_machine::Timings;
use vremount_machine::image::Fs;

use crate::case_runner::CaseResult;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    pub claim: String,
    pub fs: Fs,
    pub verdict: Verdict,
    pub expected: Option<ObservedOutcome>,
    pub observed: Option<ObservedOutcome>,
    pub because: Option<String>,
    /// The kernel crashed in a step that only prepares what is claimed.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub early_crash: bool,
    pub ms: u64,
    /// From exec to a guest that is ready, of each machine that got there.
    pub boots_ms: Vec<u64>,
    pub phases_us: PhaseTimes,
    /// The transcript.
    pub log: PathBuf,
}

/// Where the time of a claim went, microseconds, all its machines together. What is missing to the whole is the
/// harness's own: images, judgement, transcript.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PhaseTimes {
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

impl Record {
    #[must_use]
    pub fn new(case_result: &CaseResult) -> Self {
        let judgement = case_result.judgement.clone();
        Record {
            claim: case_result.claim.to_string(),
            fs: case_result.fs,
            verdict: judgement.verdict,
            expected: judgement.expected,
            observed: judgement.observed,
            because: judgement.because,
            early_crash: case_result.early_crash,
            ms: micros(case_result.time) / 1000,
            boots_ms: case_result.machines.iter().filter_map(|times| Some(micros(times.ready?) / 1000)).collect(),
            phases_us: PhaseTimes::of(&case_result.machines),
            log: case_result.log.clone(),
        }
    }

    /// Its folder is there now.
    pub fn is_now_in(&mut self, folder: &Path) {
        if let Some(name) = self.log.file_name() {
            self.log = folder.join(name);
        }
    }
}

impl PhaseTimes {
    fn of(machines: &[Timings]) -> Self {
        let sum = |of: fn(&Timings) -> Duration| micros(machines.iter().map(of).sum());
        PhaseTimes {
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

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

// SPDX-License-Identifier: MIT OR Apache-2.0
//! The record of a finished case in the log and in reports.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use vremount_claims::verdict::{ObservedOutcome, Verdict};
use vremount_machine::Timings;
use vremount_machine::image::Fs;

use crate::case_runner::CaseResult;

/// A finished case. The fields have the names of the JSON keys.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// Name of the claim.
    pub claim: String,
    /// The upper filesystem.
    pub fs: Fs,
    /// The verdict.
    pub verdict: Verdict,
    /// The expected outcome of the step that decided the verdict; none if no step did.
    pub expected: Option<ObservedOutcome>,
    /// The observed outcome of that step.
    pub observed: Option<ObservedOutcome>,
    /// Why the verdict is not `holds`, for people.
    pub because: Option<String>,
    /// Whether the kernel crashed before the first assertion of the claim.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub early_crash: bool,
    /// Wall-clock time, milliseconds.
    pub ms: u64,
    /// Time from exec until the guest is ready, milliseconds, for each machine that became ready.
    pub boots_ms: Vec<u64>,
    /// Durations of the phases.
    pub phases_us: PhaseTimes,
    /// File with the transcript.
    pub log: PathBuf,
}

/// Durations of the phases of a case, microseconds, summed over its machines. The rest of the
/// wall-clock time is spent in the harness: it writes images and transcripts and judges the
/// reports.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PhaseTimes {
    /// From exec to the first console output.
    exec: u64,
    /// From there to the start of the guest.
    boot: u64,
    /// Loading the overlay module.
    module: u64,
    /// Creating loop and device-mapper devices, with unpacking of images.
    devices: u64,
    /// Mounting upper filesystems.
    filesystem: u64,
    /// All other steps.
    steps: u64,
    /// From the last end record to the end of the process.
    stop: u64,
}

impl Record {
    /// The record of a result.
    #[must_use]
    pub fn new(case_result: &CaseResult) -> Self {
        let detail = case_result.verdict_detail.clone();
        Record {
            claim: case_result.claim.to_string(),
            fs: case_result.fs,
            verdict: detail.verdict,
            expected: detail.expected,
            observed: detail.observed,
            because: detail.because,
            early_crash: case_result.early_crash,
            ms: micros(case_result.duration) / 1000,
            boots_ms: case_result
                .machine_timings
                .iter()
                .filter_map(|times| Some(micros(times.ready?) / 1000))
                .collect(),
            phases_us: PhaseTimes::from_machines(&case_result.machine_timings),
            log: case_result.transcript.clone(),
        }
    }

    /// Changes the directory of the transcript to `folder`.
    pub fn set_directory(&mut self, folder: &Path) {
        if let Some(name) = self.log.file_name() {
            self.log = folder.join(name);
        }
    }
}

impl PhaseTimes {
    fn from_machines(machines: &[Timings]) -> Self {
        let sum = |phase: fn(&Timings) -> Duration| micros(machines.iter().map(phase).sum());
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

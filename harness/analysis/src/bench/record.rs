// SPDX-License-Identifier: MIT OR Apache-2.0
//! The record of a benchmark: every sample, and what is needed to judge or to repeat the measurement. Ratios and
//! thresholds are derived from it, see [`BenchResults`](super::BenchResults).

use std::fs;

use serde::{Deserialize, Serialize};
use vremount_machine::image::Fs;
use vremount_protocol::{BackgroundSample, IoCounts, RestartCycle, RestartStrategy};
use vremount_runner::host_info::Host;
use vremount_util::stats::Summary;

use crate::bench::axis::Axis;
use crate::bench::ratio::Ratio;
use crate::error::Error;

/// The version of the JSON form. It changes when a field changes its meaning; new fields do not change it.
pub const SCHEMA: u32 = 1;

/// Everything that a benchmark measured.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Record {
    /// The version of the JSON form, see [`SCHEMA`].
    pub schema: u32,
    /// The command line.
    pub command: Vec<String>,
    /// Whether fewer samples were taken.
    pub quick: bool,
    /// How often each strategy was measured where all are compared.
    pub rounds: usize,
    /// The host.
    pub host: HostLoad,
    /// The kernel and its modules.
    pub kernel: Kernel,
    /// The executor.
    pub executor: Executor,
    /// The disk.
    pub disk: Disk,
    /// The filesystem on which everything was measured.
    pub fs: Fs,
    /// The filesystems on which the smaller set of workloads is measured, including those that were not measured yet.
    pub other_filesystems: Vec<Fs>,
    /// The workloads.
    #[serde(rename = "scenes")]
    pub workloads: Vec<WorkloadResult>,
    /// The neighbour.
    #[serde(rename = "neighbour")]
    pub background: Vec<BackgroundRuns>,
    /// The traced mount. `None` if the kernel has no tracer or it was not measured yet.
    #[serde(rename = "check")]
    pub check_cost: Option<CheckCost>,
    /// Warnings and crashes on the consoles of the machines.
    pub warnings: Vec<String>,
}

/// The host and its load.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct HostLoad {
    /// The host.
    #[serde(flatten)]
    pub host: Host,
    /// The load averages over one minute at the start and at the end; 0 if /proc/loadavg cannot be read.
    pub load: [f64; 2],
}

/// The kernel that was measured.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kernel {
    /// The base.
    pub base: String,
    /// The series.
    pub series: String,
    /// The level.
    pub level: u8,
    /// The configuration fragment, if any.
    pub config: Option<String>,
    /// The release, as in `uname -r`. Empty until a machine has booted.
    pub release: String,
    /// The build id.
    pub build_id: String,
    /// SHA-256 of the overlay module at this level.
    pub patched_module_sha256: String,
    /// SHA-256 of the overlay module at the last level that does not change its code.
    pub unpatched_module_sha256: String,
}

/// The executor of the machines.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Executor {
    /// The name, with the accelerator.
    pub name: String,
    /// The version that the program prints.
    pub version: String,
    /// The reason for this executor and accelerator.
    pub why: String,
    /// The memory of a machine, MiB.
    pub memory_mib: u32,
    /// The clock source of the guest. Empty until a machine has booted.
    pub clock: String,
}

/// The disk below the upper filesystem.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Disk {
    /// The configured throughput, MB/s.
    pub mb_per_s: u64,
    /// The size, MiB.
    pub mib: u64,
    /// Mount options of the filesystems that have any, as `ext4: commit=300`.
    #[serde(default)]
    pub options: Vec<String>,
}

/// A workload and its samples.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct WorkloadResult {
    /// The upper filesystem.
    pub fs: Fs,
    /// What the workload varies.
    pub axis: Axis,
    /// The value on the axis.
    pub value: u64,
    /// Files in the upper.
    pub files: u32,
    /// Bytes that the container itself had dirty.
    pub own_dirty: u64,
    /// Bytes that a neighbour had dirty.
    pub neighbour_dirty: u64,
    /// Mounted overlays on the filesystem.
    pub overlays: u32,
    /// The samples of each strategy.
    #[serde(rename = "ways")]
    pub strategies: Vec<Samples>,
    /// The I/O from the first cycle until half a second after the last. `Some` only on [`Axis::Quiet`].
    pub io: Option<IoCounts>,
    /// The I/O that cycles left to the next sync. `Some` only on [`Axis::Quiet`].
    #[serde(rename = "left", default)]
    pub residual: Option<ResidualIo>,
}

/// The I/O of a sync after a number of cycles, with nothing else dirty.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ResidualIo {
    /// After cycles of reuse.
    pub reuse: IoCounts,
    /// After as many mounts without the series, each after the marker was removed without any check.
    #[serde(rename = "blind")]
    pub marker_removed: IoCounts,
}

impl WorkloadResult {
    /// The samples of a strategy. `None` if it was not measured.
    #[must_use]
    pub fn samples(&self, strategy: RestartStrategy) -> Option<&Samples> {
        self.strategies.iter().find(|samples| samples.strategy == strategy)
    }

    /// The ratio of the durations of one strategy to those of another. `None` if one was not measured.
    #[must_use]
    pub fn ratio(&self, strategy: RestartStrategy, reference: RestartStrategy) -> Option<Ratio> {
        self.samples(strategy)?.ratio(self.samples(reference)?)
    }
}

/// The samples of a strategy in a workload.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "RawSamples")]
pub struct Samples {
    /// The strategy.
    #[serde(rename = "way")]
    pub strategy: RestartStrategy,
    /// A summary of the durations of the cycles, milliseconds. Always derived from `cycles`.
    pub ms: Summary,
    /// The cycles in the order in which they were measured.
    #[serde(rename = "turns")]
    pub cycles: Vec<RestartCycle>,
}

/// [`Samples`] as they are read: the summary in the file is ignored.
#[derive(Deserialize)]
struct RawSamples {
    way: RestartStrategy,
    turns: Vec<RestartCycle>,
}

impl TryFrom<RawSamples> for Samples {
    type Error = String;

    fn try_from(RawSamples { way, turns }: RawSamples) -> Result<Self, String> {
        Samples::new(way, turns).ok_or_else(|| format!("strategy {way:?} has no samples"))
    }
}

impl Samples {
    /// The samples of these cycles. `None` if there are no cycles.
    #[must_use]
    pub fn new(strategy: RestartStrategy, cycles: Vec<RestartCycle>) -> Option<Self> {
        Some(Samples { strategy, ms: Summary::from_values(cycles.iter().map(milliseconds))?, cycles })
    }

    /// The ratio of these durations to those of `reference`.
    #[must_use]
    pub fn ratio(&self, reference: &Samples) -> Option<Ratio> {
        let ms = |samples: &Samples| samples.cycles.iter().map(milliseconds).collect::<Vec<_>>();
        Ratio::from_values(&ms(self), &ms(reference))
    }

    /// The I/O of all cycles together.
    #[must_use]
    pub fn total_io(&self) -> IoCounts {
        total(self.cycles.iter().map(|cycle| cycle.io))
    }
}

/// The sum of all writes, bytes and flushes.
fn total(all: impl Iterator<Item = IoCounts>) -> IoCounts {
    let zero = IoCounts { writes: 0, bytes: 0, flushes: 0 };
    all.fold(zero, |sum, io| IoCounts {
        writes: sum.writes + io.writes,
        bytes: sum.bytes + io.bytes,
        flushes: sum.flushes + io.flushes,
    })
}

/// The duration of a cycle, milliseconds.
#[allow(clippy::cast_precision_loss)]
pub(super) fn milliseconds(cycle: &RestartCycle) -> f64 {
    cycle.total_ns() as f64 / 1e6
}

/// The samples of a neighbour while the container is restarted once a second, or keeps running.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BackgroundRuns {
    /// How the container is restarted. `None` if it keeps running.
    #[serde(rename = "way")]
    pub strategy: Option<RestartStrategy>,
    /// Whether the kernel wrote dirty pages back on its own. Default: false.
    #[serde(rename = "by_itself", default)]
    pub kernel_writeback: bool,
    /// The duration of each sample.
    pub seconds: u32,
    /// The samples.
    #[serde(rename = "looks")]
    pub samples: Vec<BackgroundSample>,
}

impl BackgroundRuns {
    /// The I/O of all samples together.
    #[must_use]
    pub fn total_io(&self) -> IoCounts {
        total(self.samples.iter().map(|sample| sample.io))
    }

    /// Bytes written and flushes for each round of the neighbour. NaN without any round.
    #[must_use]
    #[allow(clippy::cast_precision_loss)]
    pub fn io_per_round(&self) -> [f64; 2] {
        let IoCounts { bytes, flushes, .. } = self.total_io();
        [bytes, flushes].map(|count| count as f64 / self.rounds() as f64)
    }

    /// Rounds of the neighbour in a second. Each has one fsync(2).
    #[must_use]
    #[allow(clippy::cast_precision_loss)]
    pub fn rounds_per_second(&self) -> f64 {
        self.rounds() as f64 / (f64::from(self.seconds) * self.samples.len() as f64)
    }

    fn rounds(&self) -> usize {
        self.samples.iter().map(|sample| sample.fsync.len()).sum()
    }
}

/// Durations of mounts in `ovl_fill_super`, by the function graph tracer, nanoseconds.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckCost {
    /// First mounts, unpatched module.
    pub unpatched_first: Vec<u64>,
    /// Further mounts of the same directories after the marker was removed, unpatched module.
    #[serde(default)]
    pub unpatched_again: Vec<u64>,
    /// First mounts, patched module.
    pub patched_first: Vec<u64>,
    /// Reuse, patched module.
    pub patched_reuse: Vec<u64>,
}

impl CheckCost {
    /// Each kind of mount with a summary of its durations, microseconds. Kinds that were not measured are left out.
    #[allow(clippy::cast_precision_loss)]
    pub fn microseconds(&self) -> impl Iterator<Item = (&'static str, Summary)> {
        let mounts = [
            ("first mount, unpatched module", &self.unpatched_first),
            ("first mount, patched module", &self.patched_first),
            ("marker removed, unpatched module", &self.unpatched_again),
            ("reuse, patched module", &self.patched_reuse),
        ];
        let us = |calls: &Vec<u64>| Summary::from_values(calls.iter().map(|ns| *ns as f64 / 1000.0));
        mounts.into_iter().filter_map(move |(name, calls)| Some((name, us(calls)?)))
    }
}

impl Record {
    /// The workload of an axis on the first filesystem; the first one where the axis has several values.
    #[must_use]
    pub fn workload(&self, axis: Axis) -> Option<&WorkloadResult> {
        self.workloads_along(self.fs, axis).next()
    }

    /// The workloads of an axis on a filesystem, in the order of their values.
    pub fn workloads_along(&self, fs: Fs, axis: Axis) -> impl Iterator<Item = &WorkloadResult> {
        self.workloads.iter().filter(move |workload| workload.fs == fs && workload.axis == axis)
    }

    /// The neighbour during restarts with a strategy (`None`: while the container keeps running), without the kernel's own
    /// writeback.
    #[must_use]
    pub fn neighbour(&self, strategy: Option<RestartStrategy>) -> Option<&BackgroundRuns> {
        self.background.iter().find(|runs| runs.strategy == strategy && !runs.kernel_writeback)
    }
}

impl HostLoad {
    /// The host, with its current load as both values.
    ///
    /// # Errors
    /// The error of [`Host::current`] if the host cannot be described.
    pub fn current() -> Result<Self, Error> {
        Ok(HostLoad { host: Host::current()?, load: [load(), load()] })
    }

    /// Stores the current load as that at the end.
    pub fn update_end(&mut self) {
        self.load[1] = load();
    }
}

fn load() -> f64 {
    let text = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split(' ').next().and_then(|load| load.parse().ok()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn missing_writeback_field_is_false() {
        let runs = BackgroundRuns { strategy: None, kernel_writeback: false, seconds: 1, samples: Vec::new() };
        let text = serde_json::to_string(&runs).unwrap().replace("\"by_itself\":false,", "");
        assert!(!text.contains("by_itself"));
        assert_eq!(serde_json::from_str::<BackgroundRuns>(&text).unwrap(), runs);
    }

    #[test]
    fn samples_without_cycles_are_an_error() {
        let error = serde_json::from_str::<Samples>(r#"{"way":"reuse","turns":[]}"#).unwrap_err();
        assert!(error.to_string().contains("no samples"), "{error}");
    }
}

// SPDX-License-Identifier: MIT OR Apache-2.0
//! A bench as it is kept: every sample, and all that one must know to judge or repeat it. Reports are made from this alone.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use serde::{Deserialize, Serialize};
use vremount_claims::exit::Exit;
use vremount_machine::image::Fs;
use vremount_protocol::{BackgroundSample, Io, RestartCycle, RestartStrategy};
use vremount_runner::host_info::Host;
use vremount_util::io_error;
use vremount_util::stats::Summary;

use crate::bench::ratios::Ratio;
use crate::bench::thresholds::Threshold;
use crate::bench::workload::Axis;
use crate::bench::{ratios, thresholds};
use crate::error::Error;

/// Fields are added, never changed; this counts what is.
pub const SCHEMA: u32 = 1;

/// Its name in the folder of a run.
pub const FILE: &str = "bench.json";

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Record {
    pub schema: u32,
    /// The command line.
    pub command: Vec<String>,
    pub quick: bool,
    pub rounds: usize,
    pub host: HostLoad,
    pub kernel: Kernel,
    pub executor: Executor,
    pub disk: Disk,
    /// What everything below is of, unless it says otherwise.
    pub fs: Fs,
    /// Those that are compared with it, measured yet or not.
    pub other_filesystems: Vec<Fs>,
    pub scenes: Vec<WorkloadResult>,
    pub neighbour: Vec<BackgroundRuns>,
    /// None where the kernel has no tracer.
    pub check: Option<CheckCost>,
    /// By name.
    pub ratios: BTreeMap<String, Ratio>,
    pub goals: Vec<Threshold>,
    /// What the kernel complained of meanwhile.
    pub warnings: Vec<String>,
}

/// The machine that everything ran on, and what else it had to do.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct HostLoad {
    #[serde(flatten)]
    pub host: Host,
    /// Load average over a minute, when it began and when it ended: what else kept the processors busy.
    pub load: [f64; 2],
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kernel {
    pub base: String,
    pub series: String,
    pub level: u8,
    pub config: Option<String>,
    /// `uname -r`.
    pub release: String,
    pub build_id: String,
    pub patched_module_sha256: String,
    /// Of the level before the series changes overlayfs.
    pub unpatched_module_sha256: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Executor {
    pub name: String,
    pub version: String,
    /// Why this one.
    pub why: String,
    pub memory_mib: u32,
    /// What the guest tells time by.
    pub clock: String,
}

/// The disk below the upper filesystem.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Disk {
    pub mb_per_s: u64,
    pub mib: u64,
    /// What filesystems are mounted with that have options, as `ext4: commit=300`.
    #[serde(default)]
    pub options: Vec<String>,
    /// What it did in fact, when it was synced: another figure than the stated one says that the machine could not keep up.
    pub measured_mb_per_s: Option<Summary>,
}

/// A scene and what came of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct WorkloadResult {
    pub fs: Fs,
    pub axis: Axis,
    pub value: u64,
    pub files: u32,
    pub own_dirty: u64,
    pub neighbour_dirty: u64,
    pub overlays: u32,
    pub ways: Vec<Samples>,
    /// What the disk was asked to do from the first turn until long after the last; where it is only about reuse.
    pub io: Option<Io>,
    /// What as many turns left to whoever syncs next; in the same place.
    #[serde(default)]
    pub left: Option<ResidualIo>,
}

/// What the next sync wrote after turns with nothing dirty.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ResidualIo {
    pub reuse: Io,
    /// Of who removes the marker, whatever it says, without the series.
    pub blind: Io,
}

impl WorkloadResult {
    #[must_use]
    pub fn of(&self, way: RestartStrategy) -> Option<&Samples> {
        self.ways.iter().find(|samples| samples.way == way)
    }
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Samples {
    pub way: RestartStrategy,
    /// Milliseconds of whole turns.
    pub ms: Summary,
    /// In the order in which they were measured. Nanoseconds.
    pub turns: Vec<RestartCycle>,
}

impl Samples {
    /// None of nothing.
    #[must_use]
    pub fn new(way: RestartStrategy, turns: Vec<RestartCycle>) -> Option<Self> {
        Some(Samples { way, ms: spread(&turns)?, turns })
    }
}

fn spread(turns: &[RestartCycle]) -> Option<Summary> {
    Summary::of(turns.iter().map(milliseconds))
}

#[allow(clippy::cast_precision_loss)]
pub fn milliseconds(turn: &RestartCycle) -> f64 {
    turn.nanoseconds() as f64 / 1e6
}

/// The neighbour while the container is stopped and started this way once a second, or not at all.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BackgroundRuns {
    pub way: Option<RestartStrategy>,
    /// Whether the kernel wrote back by itself meanwhile; elsewhere it does not.
    #[serde(default)]
    pub by_itself: bool,
    /// How long each look took.
    pub seconds: u32,
    /// Of each look at it.
    pub looks: Vec<BackgroundSample>,
}

impl BackgroundRuns {
    /// What a round of it cost the disk, bytes and flushes.
    #[must_use]
    #[allow(clippy::cast_precision_loss)]
    pub fn of_a_round(&self) -> [f64; 2] {
        let rounds: usize = self.looks.iter().map(|look| look.fsync.len()).sum();
        let sum = |of: fn(&Io) -> u64| self.looks.iter().map(|look| of(&look.io)).sum::<u64>() as f64 / rounds as f64;
        [sum(|io| io.bytes), sum(|io| io.flushes)]
    }

    /// What it got done.
    #[must_use]
    #[allow(clippy::cast_precision_loss)]
    pub fn fsyncs_per_second(&self) -> f64 {
        let count: usize = self.looks.iter().map(|look| look.fsync.len()).sum();
        count as f64 / (f64::from(self.seconds) * self.looks.len() as f64)
    }
}

/// Nanoseconds of each mount in `ovl_fill_super`, by the kernel's own tracer.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckCost {
    pub unpatched_first: Vec<u64>,
    /// Of directories that were mounted before, without their marker.
    #[serde(default)]
    pub unpatched_again: Vec<u64>,
    pub patched_first: Vec<u64>,
    pub patched_reuse: Vec<u64>,
}

impl CheckCost {
    /// Each mount and what it took, if it was measured.
    #[allow(clippy::cast_precision_loss)]
    pub fn microseconds(&self) -> impl Iterator<Item = (&'static str, Summary)> {
        let mounts = [
            ("first volatile, unpatched module", &self.unpatched_first),
            ("first volatile, with the series", &self.patched_first),
            ("again, marker removed, unpatched", &self.unpatched_again),
            ("reuse, with the series", &self.patched_reuse),
        ];
        let us = |calls: &Vec<u64>| Summary::of(calls.iter().map(|ns| *ns as f64 / 1000.0));
        mounts.into_iter().filter_map(move |(name, calls)| Some((name, us(calls)?)))
    }
}

impl Record {
    /// # Errors
    /// If it cannot be read or is none.
    pub fn read(path: &Path) -> Result<Self, Error> {
        let text = fs::read_to_string(path).map_err(io_error("read", path))?;
        let record: Record = serde_json::from_str(&text)
            .map_err(|cause| Error::Usage(format!("failed to understand {} as a bench: {cause}", path.display())))?;
        match record.schema {
            SCHEMA => Ok(record.with_derived()),
            other => Err(Error::Usage(format!(
                "failed to understand {} as a bench: its schema is {other}, and {SCHEMA} is what is known here",
                path.display()
            ))),
        }
    }

    /// With what its samples come to.
    #[must_use]
    pub fn with_derived(mut self) -> Self {
        for samples in self.scenes.iter_mut().flat_map(|scene| &mut scene.ways) {
            samples.ms = spread(&samples.turns).unwrap_or(samples.ms);
        }
        self.disk.measured_mb_per_s = ratios::disk_speed(&self);
        self.ratios = ratios::ratios(&self);
        self.goals = thresholds::of(&self);
        self
    }

    /// The text of the file.
    #[must_use]
    pub fn json(&self) -> String {
        // Strings and numbers in structures always have a JSON form.
        serde_json::to_string(self).unwrap_or_default() + "\n"
    }

    /// What it means for the command as a whole.
    #[must_use]
    pub fn exit(&self) -> Exit {
        let met = self.goals.iter().all(|goal| goal.met) && self.warnings.is_empty();
        if met { Exit::Success } else { Exit::Broken }
    }

    /// A scene of the filesystem that all was measured on.
    #[must_use]
    pub fn scene(&self, axis: Axis) -> Option<&WorkloadResult> {
        self.along(self.fs, axis).next()
    }

    pub fn along(&self, fs: Fs, axis: Axis) -> impl Iterator<Item = &WorkloadResult> {
        self.scenes.iter().filter(move |scene| scene.fs == fs && scene.axis == axis)
    }

    /// The neighbour beside a way, or beside nobody, without the kernel's own writeback.
    #[must_use]
    pub fn beside(&self, way: Option<RestartStrategy>) -> Option<&BackgroundRuns> {
        self.neighbour.iter().find(|beside| beside.way == way && !beside.by_itself)
    }
}

impl HostLoad {
    /// # Errors
    /// If this is no Linux.
    pub fn here() -> Result<Self, Error> {
        Ok(HostLoad { host: Host::current()?, load: [load(), load()] })
    }

    pub fn ended(&mut self) {
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
    fn what_was_written_can_be_read_again() {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), crate::bench::testing::record().json()).unwrap();
        assert_eq!(Record::read(file.path()).unwrap(), crate::bench::testing::record());
        fs::write(file.path(), "{}").unwrap();
        assert!(Record::read(file.path()).is_err());
        fs::write(file.path(), Record { schema: SCHEMA + 1, ..crate::bench::testing::record() }.json()).unwrap();
        assert!(Record::read(file.path()).unwrap_err().to_string().contains("its schema is 2"));
    }

    /// Samples count, whatever a file says that they come to.
    #[test]
    fn what_samples_come_to_is_worked_out_from_them() {
        let mut record = crate::bench::testing::record();
        record.scenes[0].ways[0].ms.median = 0.5;
        assert_eq!(record.with_derived(), crate::bench::testing::record());
    }

    #[test]
    fn what_the_kernel_complains_of_is_no_success() {
        let mut record = crate::bench::testing::record();
        record.goals.retain(|goal| goal.met);
        assert_eq!(record.exit(), Exit::Success);
        record.warnings.push("WARNING: CPU: 0".to_string());
        assert_eq!(record.exit(), Exit::Broken);
    }

    /// Records of before have no such field.
    #[test]
    fn who_says_nothing_of_writeback_had_none() {
        let beside = BackgroundRuns { way: None, by_itself: false, seconds: 1, looks: Vec::new() };
        let text = serde_json::to_string(&beside).unwrap().replace("\"by_itself\":false,", "");
        assert!(!text.contains("by_itself"));
        assert_eq!(serde_json::from_str::<BackgroundRuns>(&text).unwrap(), beside);
    }
}

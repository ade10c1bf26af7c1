// SPDX-License-Identifier: MIT OR Apache-2.0
//! The thresholds that the series is to meet, and the values that a record has for them.

use serde::Serialize;
use vremount_machine::image::Fs;
use vremount_protocol::{IoCounts, RestartStrategy};

use crate::bench::axis::Axis;
use crate::bench::ratio::Ratio;
use crate::bench::ratios::Ratios;
use crate::bench::record::{BackgroundRuns, Record, WorkloadResult};
use crate::bench::scaling::Scaling;

const P99: &str = "p99 fsync latency of a neighbour, reuse over no restart";
const ROUNDS: &str = "rounds of a neighbour, reuse over no restart";

/// A threshold and the measured value.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Threshold {
    /// What is measured.
    pub name: String,
    /// The limit.
    pub limit: Limit,
    /// The value. `None` if it was not measured.
    pub value: Option<f64>,
    /// The value with its quartiles, if it is a ratio.
    pub ratio: Option<Ratio>,
    /// If the value is a growth: that of a first mount between the same two workloads. A first mount checks nothing in the
    /// upper.
    pub first_mount: Option<Ratio>,
    /// Whether the value was measured and is within the limit.
    pub met: bool,
}

/// The limit of a threshold.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Limit {
    /// The value must not be above this.
    AtMost(f64),
    /// The value must not be below this.
    AtLeast(f64),
}

impl Limit {
    fn holds(self, value: f64) -> bool {
        match self {
            Limit::AtMost(limit) => value <= limit,
            Limit::AtLeast(limit) => value >= limit,
        }
    }
}

/// The value of a threshold.
enum Value<'a> {
    Ratio(Option<Ratio>),
    Growth(Option<Scaling<'a>>),
    Number(Option<f64>),
}

/// All thresholds with the values of a record. Two of them check the measurement itself: that the disk had as much to
/// write as the workloads say, and how much a reuse leaves to the next sync.
#[must_use]
pub fn evaluate(record: &Record, ratios: &Ratios) -> Vec<Threshold> {
    use Limit::{AtLeast, AtMost};
    let reuse = RestartStrategy::Reuse;
    let ratio = |name: &str, limit, ratio: &str| Threshold::new(name, limit, Value::Ratio(ratios.get(ratio).copied()));
    let number = |name: &str, limit, value| Threshold::new(name, limit, Value::Number(value));
    let growth = |name: String, growth| Threshold::new(&name, AtMost(1.1), Value::Growth(growth));
    let mut thresholds = vec![
        ratio("reuse over a first volatile mount", AtMost(1.05), "reuse_over_floor"),
        ratio("reuse over a mount without volatile, unpatched module", AtMost(1.05), "reuse_over_plain"),
    ];
    let axes = Axis::SWEPT.into_iter();
    thresholds.extend(axes.map(|axis| growth(growth_along(axis), Scaling::new(record, record.fs, axis, reuse))));
    let others = record.other_filesystems.iter();
    thresholds.extend(others.map(|fs| growth(largest_growth_on(*fs), Scaling::largest(record, *fs, reuse))));
    let (bytes, flushes) = io_of_reuse(record).unzip();
    thresholds.extend([
        ratio("syncfs over reuse, a neighbour has 512 MiB of dirty data", AtLeast(100.0), "syncfs_over_reuse"),
        ratio(P99, AtMost(1.05), "neighbour_p99_over_idle"),
        ratio(ROUNDS, AtLeast(0.95), "neighbour_rounds_over_idle"),
        number("bytes written during reuse and the next half second", AtMost(0.0), bytes),
        number("flushes during reuse and the next half second", AtMost(0.0), flushes),
        number(
            "bytes left to the next sync, reuse over removing the marker",
            AtMost(1.0),
            residual_over_marker_removed(record),
        ),
        number(
            "bytes written by a cycle that syncs over bytes that were dirty, minimum",
            AtLeast(1.0),
            written_over_dirty(record),
        ),
    ]);
    thresholds
}

fn growth_along(axis: Axis) -> String {
    format!("growth of reuse with {axis}")
}

fn largest_growth_on(fs: Fs) -> String {
    format!("largest growth of reuse on {}", fs.name())
}

/// Bytes and flushes of all reuse cycles in all workloads, and of the half second after those of [`Axis::Quiet`].
#[allow(clippy::cast_precision_loss)]
fn io_of_reuse(record: &Record) -> Option<(f64, f64)> {
    let cycles = record.workloads.iter().filter_map(|workload| workload.samples(RestartStrategy::Reuse));
    let all: Vec<IoCounts> = cycles
        .map(|samples| samples.total_io())
        .chain(record.workloads.iter().filter_map(|workload| workload.io))
        .collect();
    let sum = |count: fn(&IoCounts) -> u64| all.iter().map(count).sum::<u64>() as f64;
    (!all.is_empty()).then(|| (sum(|io| io.bytes), sum(|io| io.flushes)))
}

/// The highest ratio, of all filesystems, of what reuse leaves to the next sync to what mounts after removing the marker
/// leave.
#[allow(clippy::cast_precision_loss)]
fn residual_over_marker_removed(record: &Record) -> Option<f64> {
    let residual = record.workloads.iter().filter_map(|workload| workload.residual);
    // If removing the marker leaves nothing, any byte that reuse leaves is above the limit.
    let ratios = residual.map(|io| io.reuse.bytes as f64 / io.marker_removed.bytes.max(1) as f64);
    ratios.max_by(f64::total_cmp)
}

/// The lowest ratio, of all cycles that sync dirty data, of the bytes written to the bytes that the workload made dirty.
/// Below 1 something had written them before, and the cycle measured too little.
#[allow(clippy::cast_precision_loss)]
fn written_over_dirty(record: &Record) -> Option<f64> {
    let lowest = |workload: &WorkloadResult| {
        let dirty = workload.own_dirty + workload.neighbour_dirty;
        let syncing = [RestartStrategy::Sync, RestartStrategy::Durable];
        let samples = syncing.into_iter().filter_map(|strategy| workload.samples(strategy));
        let cycles = samples.flat_map(|samples| &samples.cycles).filter(|_| dirty > 0);
        cycles.map(|cycle| cycle.io.bytes as f64 / dirty as f64).min_by(f64::total_cmp)
    };
    record.workloads.iter().filter_map(lowest).min_by(f64::total_cmp)
}

impl Threshold {
    fn new(name: &str, limit: Limit, value: Value<'_>) -> Self {
        let (value, ratio, first_mount) = match value {
            Value::Ratio(ratio) => (ratio.map(|ratio| ratio.value), ratio, None),
            Value::Growth(scaling) => {
                let ratio = scaling.as_ref().and_then(Scaling::ratio);
                let first_mount = scaling.and_then(|scaling| scaling.ratio_of(RestartStrategy::First));
                (ratio.map(|ratio| ratio.value), ratio, first_mount)
            }
            Value::Number(value) => (value, None, None),
        };
        let met = value.is_some_and(|value| limit.holds(value));
        Threshold { name: name.to_string(), limit, value, ratio, first_mount, met }
    }

    /// `met` or `MISSED`.
    #[must_use]
    pub fn status(&self) -> &'static str {
        if self.met { "met" } else { "MISSED" }
    }

    /// The threshold in one line: name, value, quartiles and limit, and the context of a value that is not clearly within
    /// the limit.
    #[must_use]
    pub fn describe(&self, record: &Record) -> String {
        let (limit, bound) = match self.limit {
            Limit::AtMost(limit) => (limit, "at most"),
            Limit::AtLeast(limit) => (limit, "at least"),
        };
        let value = self.value.map_or("not measured".to_string(), |value| format!("{value:.3}"));
        let quartiles = self.ratio.map_or(String::new(), |ratio| format!(" ({:.2} to {:.2})", ratio.low, ratio.high));
        let context = self.context(record).map_or(String::new(), |context| format!("; {context}"));
        format!("{}: {value}{quartiles}, {bound} {limit}{context}", self.name)
    }

    fn context(&self, record: &Record) -> Option<String> {
        let ratio = self.ratio?;
        let within = [ratio.low, ratio.high].map(|quartile| self.limit.holds(quartile));
        if self.met {
            return (within != [true; 2]).then(|| "a quartile is beyond the limit".to_string());
        }
        Some(if self.first_mount.is_some_and(|first| first.value >= ratio.value) {
            "a first mount on an empty upper grows at least as much".to_string()
        } else if within.contains(&true) {
            "at least a quarter of all pairs of samples is within the limit".to_string()
        } else if [P99, ROUNDS].contains(&self.name.as_str()) {
            disk_use_of_neighbour(record)
        } else {
            "less than a quarter of all pairs of samples is within the limit".to_string()
        })
    }
}

/// What the neighbour and the container share besides the filesystem.
fn disk_use_of_neighbour(record: &Record) -> String {
    let per_round = |strategy| record.neighbour(strategy).map_or([f64::NAN; 2], BackgroundRuns::io_per_round);
    let [reuse, idle] = [Some(RestartStrategy::Reuse), None].map(per_round);
    format!(
        "a round of the neighbour cost the disk {:.0} bytes and {:.2} flushes during reuse, {:.0} and {:.2} while the \
         container kept running; the containers also share the processors",
        reuse[0], reuse[1], idle[0], idle[1]
    )
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use vremount_protocol::{BackgroundSample, RestartCycle};

    use super::super::ratios;
    use super::super::record::{ResidualIo, Samples};
    use super::super::testing::record;
    use super::*;

    fn all(record: &Record) -> Vec<Threshold> {
        evaluate(record, &ratios::derive(record))
    }

    fn find(record: &Record, name: &str) -> Threshold {
        all(record).into_iter().find(|threshold| threshold.name.starts_with(name)).unwrap()
    }

    fn value(record: &Record, name: &str) -> (Option<f64>, bool) {
        let threshold = find(record, name);
        (threshold.value, threshold.met)
    }

    fn workload_mut(record: &mut Record, axis: Axis, number: usize) -> &mut WorkloadResult {
        record.workloads.iter_mut().filter(|workload| workload.axis == axis).nth(number).unwrap()
    }

    /// Replaces the samples of a strategy by cycles of this duration.
    fn set_duration(workload: &mut WorkloadResult, strategy: RestartStrategy, ms: u64) {
        let samples = workload.strategies.iter_mut().find(|samples| samples.strategy == strategy).unwrap();
        let cycles = vec![RestartCycle { unmount: ms * 1_000_000, ..samples.cycles[0] }; 3];
        *samples = Samples::new(strategy, cycles).unwrap();
    }

    #[rstest]
    #[case::below(Limit::AtMost(1.05), 1.04, true)]
    #[case::above(Limit::AtMost(1.05), 1.06, false)]
    #[case::zero(Limit::AtMost(0.0), 0.0, true)]
    #[case::equal(Limit::AtLeast(100.0), 100.0, true)]
    #[case::too_low(Limit::AtLeast(100.0), 99.0, false)]
    #[case::not_a_number(Limit::AtMost(1.05), f64::NAN, false)]
    fn limit_is_inclusive(#[case] limit: Limit, #[case] value: f64, #[case] holds: bool) {
        assert_eq!(limit.holds(value), holds);
    }

    #[test]
    fn threshold_without_value_is_missed() {
        let record = record();
        let ratios = ratios::derive(&record);
        assert_eq!(ratios["reuse_over_floor"], Ratio { value: 1.0, low: 1.0, high: 1.0 });
        assert_eq!(ratios["syncfs_over_reuse"].value, 200.0);
        assert_eq!(ratios["syncfs_growth_own_dirty"].value, 3.0);
        let missed: Vec<_> = all(&record).into_iter().filter(|threshold| !threshold.met).collect();
        let names: Vec<_> = missed.iter().map(|threshold| threshold.name.as_str()).collect();
        assert_eq!(names.len(), 4, "{names:?}");
        let expected = [P99, ROUNDS, "bytes left to the next sync", "bytes written by a cycle that syncs"];
        assert!(names.iter().zip(expected).all(|(name, start)| name.starts_with(start)), "{names:?}");
        assert!(missed.iter().all(|threshold| threshold.value.is_none()));
    }

    #[test]
    fn bytes_of_a_single_cycle_count() {
        let mut record = record();
        record.workloads[3].strategies[0].cycles[1].io.bytes = 512;
        assert_eq!(value(&record, "bytes written during reuse"), (Some(512.0), false));
    }

    #[test]
    fn sync_that_writes_less_than_was_dirty_is_missed() {
        let mut record = record();
        let busy = workload_mut(&mut record, Axis::Busy, 0);
        busy.neighbour_dirty = 1000;
        for samples in &mut busy.strategies {
            let bytes = if samples.strategy == RestartStrategy::Reuse { 0 } else { 1001 };
            samples.cycles.iter_mut().for_each(|cycle| cycle.io.bytes = bytes);
        }
        assert_eq!(value(&record, "bytes written by a cycle that syncs"), (Some(1.001), true));
        record.workloads[1].strategies[4].cycles[2].io.bytes = 10;
        assert_eq!(value(&record, "bytes written by a cycle that syncs"), (Some(0.01), false));
    }

    #[test]
    fn filesystem_with_most_residual_io_counts() {
        let io = |bytes| IoCounts { writes: 1, bytes, flushes: 0 };
        let mut record = record();
        record.workloads[0].residual = Some(ResidualIo { reuse: io(48), marker_removed: io(96) });
        assert_eq!(value(&record, "bytes left"), (Some(0.5), true));
        record.workloads[1].residual = Some(ResidualIo { reuse: io(10), marker_removed: io(0) });
        assert_eq!(value(&record, "bytes left"), (Some(10.0), false));
    }

    #[test]
    fn other_filesystems_have_a_threshold_each() {
        let mut record = record();
        let others: Vec<_> =
            record.workloads.iter().map(|workload| WorkloadResult { fs: Fs::Xfs, ..workload.clone() }).collect();
        record.workloads.extend(others);
        record.other_filesystems = vec![Fs::Xfs, Fs::F2fs];
        // F2fs was not measured yet.
        assert_eq!(value(&record, "largest growth of reuse on f2fs"), (None, false));
        assert_eq!(value(&record, "largest growth of reuse on xfs"), (Some(1.0), true));
        // The second value on xfs; the first three are those of ext4.
        set_duration(workload_mut(&mut record, Axis::Files, 4), RestartStrategy::Reuse, 5);
        assert_eq!(value(&record, "largest growth of reuse on xfs"), (Some(5.0), false));
        assert_eq!(value(&record, "growth of reuse with files"), (Some(1.0), true));
        let describe = |record: &Record| find(record, &largest_growth_on(Fs::Xfs)).describe(record);
        assert!(describe(&record).contains("less than a quarter"), "{}", describe(&record));
        set_duration(workload_mut(&mut record, Axis::Files, 4), RestartStrategy::First, 5);
        assert!(describe(&record).contains("a first mount on an empty upper grows"), "{}", describe(&record));
    }

    #[rstest]
    #[case::at_the_same_value(2, "a first mount on an empty upper grows")]
    #[case::at_another_value(1, "less than a quarter")]
    fn first_mount_is_compared_at_the_same_values(#[case] number: usize, #[case] expected: &str) {
        let mut record = record();
        set_duration(workload_mut(&mut record, Axis::Overlays, 2), RestartStrategy::Reuse, 2);
        set_duration(workload_mut(&mut record, Axis::Overlays, number), RestartStrategy::First, 3);
        let text = find(&record, &growth_along(Axis::Overlays)).describe(&record);
        assert!(text.contains(expected), "{text}");
    }

    #[test]
    fn slower_neighbour_is_described_with_its_disk_use() {
        let runs = |strategy, bytes| {
            let io = IoCounts { writes: 1, bytes, flushes: 3 };
            let sample = BackgroundSample { fsync: vec![1, 1], write: vec![1, 1], restarts: Vec::new(), io };
            BackgroundRuns { strategy, kernel_writeback: false, seconds: 1, samples: vec![sample] }
        };
        let background = vec![runs(None, 800), runs(Some(RestartStrategy::Reuse), 1000)];
        let record = Record { background, ..record() };
        let ratio = Ratio { value: 1.2, low: 1.2, high: 1.2 };
        let threshold = Threshold::new(P99, Limit::AtMost(1.05), Value::Ratio(Some(ratio)));
        let text = threshold.describe(&record);
        assert!(text.starts_with(&format!("{P99}: 1.200 (1.20 to 1.20), at most 1.05; a round")), "{text}");
        assert!(text.contains("500 bytes and 1.50 flushes during reuse, 400 and 1.50 while"), "{text}");
        assert_eq!(threshold.status(), "MISSED");
    }
}

// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a record comes to: ratios, each of things that were measured in one guest.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use vremount_machine::image::Fs;
use vremount_protocol::{BackgroundSample, RestartCycle, RestartStrategy};
use vremount_util::stats::{Summary, percentile};

use crate::bench::record::{Record, Samples, WorkloadResult, milliseconds};
use crate::bench::scaling::Scaling;
use crate::bench::workload::Axis;

/// One thing over another.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Ratio {
    /// Of the medians.
    pub value: f64,
    /// Quartiles of the ratios of each measurement to each other.
    pub low: f64,
    pub high: f64,
}

#[must_use]
#[allow(clippy::cast_precision_loss)]
pub fn ratios(record: &Record) -> BTreeMap<String, Ratio> {
    let mut ratios = BTreeMap::new();
    let mut add = |name: String, ratio: Option<Ratio>| {
        ratios.extend(ratio.map(|ratio| (name, ratio)));
    };
    let idle = record.scene(Axis::Idle);
    add(
        "reuse_over_floor".to_string(),
        idle.and_then(|idle| of_ways(idle, RestartStrategy::Reuse, RestartStrategy::First)),
    );
    add(
        "reuse_over_plain".to_string(),
        idle.and_then(|idle| of_ways(idle, RestartStrategy::Reuse, RestartStrategy::Plain)),
    );
    for (name, way) in [
        ("syncfs", RestartStrategy::Sync),
        ("durable", RestartStrategy::Durable),
        ("rebuild", RestartStrategy::Rebuild),
    ] {
        let busy = record.scene(Axis::Busy);
        add(format!("{name}_over_reuse"), busy.and_then(|busy| of_ways(busy, way, RestartStrategy::Reuse)));
        add(format!("{name}_over_reuse_idle"), idle.and_then(|idle| of_ways(idle, way, RestartStrategy::Reuse)));
    }
    let growth = |fs, axis, way| Scaling::of(record, fs, axis, way)?.ratio();
    for axis in Axis::SWEPT {
        let name = axis_name(axis);
        add(format!("reuse_growth_{name}"), growth(record.fs, axis, RestartStrategy::Reuse));
        add(format!("syncfs_growth_{name}"), growth(record.fs, axis, RestartStrategy::Sync));
        add(format!("durable_growth_{name}"), growth(record.fs, axis, RestartStrategy::Durable));
        add(format!("rebuild_growth_{name}"), growth(record.fs, axis, RestartStrategy::Rebuild));
        add(format!("floor_growth_{name}"), growth(record.fs, axis, RestartStrategy::First));
        for fs in record.other_filesystems.iter().copied() {
            add(growth_on(axis, fs), growth(fs, axis, RestartStrategy::Reuse));
        }
    }
    for (name, way) in [
        ("neighbour", RestartStrategy::Reuse),
        ("neighbour_syncfs", RestartStrategy::Sync),
        ("neighbour_rebuild", RestartStrategy::Rebuild),
        ("neighbour_durable", RestartStrategy::Durable),
    ] {
        add(format!("{name}_p99_over_idle"), latency_beside(record, way, 99));
        add(format!("{name}_p50_over_idle"), latency_beside(record, way, 50));
        add(format!("{name}_worst_over_idle"), looks_beside(record, way, |look| latency([&look.fsync], 100)));
        add(format!("{name}_rounds_over_idle"), looks_beside(record, way, |look| Some(look.fsync.len() as f64)));
    }
    if let Some(check) = &record.check {
        add("check_first_over_unpatched".to_string(), of_calls(&check.patched_first, &check.unpatched_first));
        add("check_reuse_over_unpatched".to_string(), of_calls(&check.patched_reuse, &check.unpatched_again));
    }
    ratios
}

/// The ratio of reuse along an axis on another filesystem.
#[must_use]
pub fn growth_on(axis: Axis, fs: Fs) -> String {
    format!("reuse_growth_{}_{}", axis_name(axis), fs.name().replace('-', "_"))
}

#[must_use]
pub fn axis_name(axis: Axis) -> &'static str {
    match axis {
        Axis::Idle => "idle",
        Axis::Busy => "busy",
        Axis::Quiet => "quiet",
        Axis::OwnDirty => "own_dirty",
        Axis::NeighbourDirty => "neighbour_dirty",
        Axis::Files => "files",
        Axis::Overlays => "overlays",
    }
}

#[must_use]
pub fn axis_in_words(axis: Axis) -> &'static str {
    match axis {
        Axis::Idle => "nothing dirty",
        Axis::Quiet => "reuse alone, dirty bytes of a neighbour",
        Axis::OwnDirty => "dirty bytes of its own",
        Axis::Busy | Axis::NeighbourDirty => "dirty bytes of a neighbour",
        Axis::Files => "files in the upper",
        Axis::Overlays => "overlays on the filesystem",
    }
}

/// What the disk moved in a second while one way waited for all that was dirty. MB/s.
#[allow(clippy::cast_precision_loss)]
pub fn disk_speed(record: &Record) -> Option<Summary> {
    let busy = record.scene(Axis::Busy)?;
    let speed = |turn: &RestartCycle| turn.io.bytes as f64 / 1000.0 / milliseconds(turn);
    Summary::of(busy.of(RestartStrategy::Sync)?.turns.iter().map(speed))
}

#[must_use]
pub fn of_ways(scene: &WorkloadResult, way: RestartStrategy, over: RestartStrategy) -> Option<Ratio> {
    of_samples(scene.of(way)?, scene.of(over)?)
}

pub(super) fn of_samples(samples: &Samples, over: &Samples) -> Option<Ratio> {
    let ms = |samples: &Samples| samples.turns.iter().map(milliseconds).collect::<Vec<_>>();
    of_values(&ms(samples), &ms(over))
}

#[allow(clippy::cast_precision_loss)]
fn of_calls(calls: &[u64], over: &[u64]) -> Option<Ratio> {
    let floats = |calls: &[u64]| calls.iter().map(|call| *call as f64).collect::<Vec<_>>();
    of_values(&floats(calls), &floats(over))
}

fn of_values(values: &[f64], over: &[f64]) -> Option<Ratio> {
    let median = |values: &[f64]| Some(Summary::of(values.iter().copied())?.median);
    let pairs = Summary::of(values.iter().flat_map(|value| over.iter().map(move |over| value / over)))?;
    Some(Ratio { value: median(values)? / median(over)?, low: pairs.q1, high: pairs.q3 })
}

/// Of the latencies of the neighbour's fsync(2) beside a way, over those beside nobody; the spread is of each look's own.
fn latency_beside(record: &Record, way: RestartStrategy, percent: usize) -> Option<Ratio> {
    let of_all = |way| latency(record.beside(way)?.looks.iter().map(|look| &look.fsync), percent);
    let value = of_all(Some(way))? / of_all(None)?;
    Some(Ratio { value, ..looks_beside(record, way, |look| latency([&look.fsync], percent))? })
}

/// Of what each look comes to, beside a way over beside nobody.
fn looks_beside(record: &Record, way: RestartStrategy, of: impl Fn(&BackgroundSample) -> Option<f64>) -> Option<Ratio> {
    let of_each = |way| Some(record.beside(way)?.looks.iter().filter_map(&of).collect::<Vec<_>>());
    of_values(&of_each(Some(way))?, &of_each(None)?)
}

/// A percentile of latencies, milliseconds.
#[must_use]
pub fn latency<'a>(looks: impl IntoIterator<Item = &'a Vec<u32>>, percent: usize) -> Option<f64> {
    let mut all: Vec<u32> = looks.into_iter().flatten().copied().collect();
    all.sort_unstable();
    percentile(&all, percent).map(|us| f64::from(us) / 1000.0)
}

#[cfg(test)]
mod tests {
    use super::super::record::BackgroundRuns;
    use super::*;

    #[test]
    fn a_ratio_is_of_medians_and_its_spread_of_neighbours() {
        let ratio = of_values(&[10.0, 20.0, 90.0], &[10.0, 10.0, 30.0]).unwrap();
        assert_eq!(ratio, Ratio { value: 2.0, low: 1.0, high: 3.0 });
        assert_eq!(of_values(&[], &[]), None);
    }

    #[test]
    fn what_a_neighbour_feels_of_the_kernels_own_writeback_is_told_apart() {
        let io = vremount_protocol::Io { writes: 0, bytes: 0, flushes: 0 };
        let beside = |way, by_itself, us| {
            let look = vremount_protocol::BackgroundSample { fsync: vec![us], write: vec![us], turns: Vec::new(), io };
            BackgroundRuns { way, by_itself, seconds: 1, looks: vec![look] }
        };
        let reuse = Some(RestartStrategy::Reuse);
        let neighbour = vec![
            beside(None, true, 1000),
            beside(reuse, true, 9000),
            beside(None, false, 1000),
            beside(reuse, false, 2000),
        ];
        let record = Record { neighbour, ..crate::bench::testing::record() }.with_derived();
        assert_eq!(record.ratios["neighbour_p99_over_idle"].value, 2.0);
        assert_eq!(record.ratios["neighbour_p50_over_idle"].value, 2.0);
    }

    /// One stall in a hundred and more rounds is in no p99.
    #[test]
    fn what_happens_once_a_second_is_in_the_worst_and_in_the_rounds() {
        let io = vremount_protocol::Io { writes: 0, bytes: 0, flushes: 0 };
        let beside = |way, rounds: usize, worst| {
            let fsync = [vec![1000; rounds - 1], vec![worst]].concat();
            let look = BackgroundSample { fsync, write: Vec::new(), turns: Vec::new(), io };
            BackgroundRuns { way, by_itself: false, seconds: 1, looks: vec![look; 3] }
        };
        let neighbour = vec![beside(None, 300, 1000), beside(Some(RestartStrategy::Sync), 210, 280_000)];
        let ratios = Record { neighbour, ..crate::bench::testing::record() }.with_derived().ratios;
        let value = |name: &str| ratios[&format!("neighbour_syncfs_{name}_over_idle")].value;
        assert_eq!(["p99", "worst", "rounds"].map(value), [1.0, 280.0, 0.7]);
    }

    #[test]
    fn latencies_are_of_all_looks_together() {
        assert_eq!(latency([&vec![3000, 1000], &vec![2000]], 50), Some(2.0));
        assert_eq!(latency([&Vec::new()], 50), None);
    }
}

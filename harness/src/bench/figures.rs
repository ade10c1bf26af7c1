// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a record comes to: ratios, each of things that were measured in one guest.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use vremount_wire::{Turn, Way};

use super::record::{Beside, Comparison, Record, Samples, milliseconds};
use super::scene::Axis;
use crate::spread::{Spread, percentile};

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
pub fn ratios(record: &Record) -> BTreeMap<String, Ratio> {
    let mut ratios = BTreeMap::new();
    let mut add = |name: String, ratio: Option<Ratio>| {
        ratios.extend(ratio.map(|ratio| (name, ratio)));
    };
    let idle = record.scene(Axis::Idle);
    add("reuse_over_floor".to_string(), idle.and_then(|idle| of_ways(idle, Way::Reuse, Way::First)));
    add("reuse_over_plain".to_string(), idle.and_then(|idle| of_ways(idle, Way::Reuse, Way::Plain)));
    for (name, way) in [("syncfs", Way::Sync), ("durable", Way::Durable), ("rebuild", Way::Rebuild)] {
        let busy = record.scene(Axis::Busy);
        add(format!("{name}_over_reuse"), busy.and_then(|busy| of_ways(busy, way, Way::Reuse)));
        add(format!("{name}_over_reuse_idle"), idle.and_then(|idle| of_ways(idle, way, Way::Reuse)));
    }
    for axis in Axis::SWEPT {
        let name = axis_name(axis);
        add(format!("reuse_growth_{name}"), growth(record, axis, Way::Reuse));
        add(format!("syncfs_growth_{name}"), growth(record, axis, Way::Sync));
        add(format!("durable_growth_{name}"), growth(record, axis, Way::Durable));
        add(format!("rebuild_growth_{name}"), growth(record, axis, Way::Rebuild));
        add(format!("floor_growth_{name}"), growth(record, axis, Way::First));
    }
    for (name, way) in [
        ("neighbour", Way::Reuse),
        ("neighbour_syncfs", Way::Sync),
        ("neighbour_rebuild", Way::Rebuild),
        ("neighbour_durable", Way::Durable),
    ] {
        add(format!("{name}_p99_over_idle"), neighbour(record, way, 99));
        add(format!("{name}_p50_over_idle"), neighbour(record, way, 50));
    }
    if let Some(check) = &record.check {
        add("check_first_over_unpatched".to_string(), of_calls(&check.patched_first, &check.unpatched_first));
        add("check_reuse_over_unpatched".to_string(), of_calls(&check.patched_reuse, &check.unpatched_first));
    }
    ratios
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
pub fn disk_speed(record: &Record) -> Option<Spread> {
    let busy = record.scene(Axis::Busy)?;
    let speed = |turn: &Turn| turn.io.bytes as f64 / 1000.0 / milliseconds(turn);
    Spread::of(busy.of(Way::Sync)?.turns.iter().map(speed))
}

#[must_use]
pub fn of_ways(scene: &Comparison, way: Way, over: Way) -> Option<Ratio> {
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
    let median = |values: &[f64]| Some(Spread::of(values.iter().copied())?.median);
    let pairs = Spread::of(values.iter().flat_map(|value| over.iter().map(move |over| value / over)))?;
    Some(Ratio { value: median(values)? / median(over)?, low: pairs.q1, high: pairs.q3 })
}

/// The place of an axis where a way takes longest; its start is none.
pub(super) fn dearest(record: &Record, axis: Axis, way: Way) -> Option<&Comparison> {
    let median = |scene: &&Comparison| scene.of(way).map_or(f64::NAN, |samples| samples.ms.median);
    let others = record.along(axis).filter(|scene| scene.of(way).is_some()).skip(1);
    others.max_by(|one, other| median(one).total_cmp(&median(other)))
}

/// The dearest place of an axis over its start: nothing dirty, one file.
fn growth(record: &Record, axis: Axis, way: Way) -> Option<Ratio> {
    of_samples(dearest(record, axis, way)?.of(way)?, record.scene(axis)?.of(way)?)
}

/// Of the latencies of the neighbour's fsync(2) beside a way, over those beside nobody.
fn neighbour(record: &Record, way: Way, percent: usize) -> Option<Ratio> {
    let of = |way: Option<Way>| record.neighbour.iter().find(|beside| beside.way == way && !beside.by_itself);
    let (beside, idle) = (of(Some(way))?, of(None)?);
    let of_each = |beside: &Beside| -> Vec<f64> {
        beside.looks.iter().filter_map(|look| latency([&look.fsync], percent)).collect()
    };
    let of_all = |beside: &Beside| latency(beside.looks.iter().map(|look| &look.fsync), percent);
    Some(Ratio { value: of_all(beside)? / of_all(idle)?, ..of_values(&of_each(beside), &of_each(idle))? })
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
    use super::*;

    #[test]
    fn a_ratio_is_of_medians_and_its_spread_of_neighbours() {
        let ratio = of_values(&[10.0, 20.0, 90.0], &[10.0, 10.0, 30.0]).unwrap();
        assert_eq!(ratio, Ratio { value: 2.0, low: 1.0, high: 3.0 });
        assert_eq!(of_values(&[], &[]), None);
    }

    #[test]
    fn a_cost_that_grows_and_shrinks_again_grew() {
        let mut record = Record::toy();
        let middle = record.scenes.iter_mut().filter(|scene| scene.axis == Axis::Files).nth(1).unwrap();
        let turns = vec![Turn { unmount: 4_000_000, ..middle.ways[0].turns[0] }; 3];
        middle.ways[0] = Samples::new(Way::Reuse, turns).unwrap();
        let ratios = ratios(&record);
        assert_eq!(ratios["reuse_growth_files"].value, 4.0);
        assert_eq!(ratios["syncfs_growth_files"].value, 3.0);
        assert_eq!(ratios["reuse_growth_overlays"].value, 1.0);
    }

    #[test]
    fn what_a_neighbour_feels_of_the_kernels_own_writeback_is_told_apart() {
        let io = vremount_wire::Io { writes: 0, bytes: 0, flushes: 0 };
        let beside = |way, by_itself, us| {
            let look = vremount_wire::Neighbour { fsync: vec![us], write: vec![us], turns: Vec::new(), io };
            Beside { way, by_itself, seconds: 1, looks: vec![look] }
        };
        let reuse = Some(Way::Reuse);
        let neighbour = vec![
            beside(None, true, 1000),
            beside(reuse, true, 9000),
            beside(None, false, 1000),
            beside(reuse, false, 2000),
        ];
        let record = Record { neighbour, ..Record::toy() }.worked_out();
        assert_eq!(record.ratios["neighbour_p99_over_idle"].value, 2.0);
        assert_eq!(record.ratios["neighbour_p50_over_idle"].value, 2.0);
    }

    #[test]
    fn latencies_are_of_all_looks_together() {
        assert_eq!(latency([&vec![3000, 1000], &vec![2000]], 50), Some(2.0));
        assert_eq!(latency([&Vec::new()], 50), None);
    }
}

// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a record comes to: ratios, each of things that were measured in one guest, and the goals.

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

/// What the series is to reach.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Goal {
    pub name: String,
    pub limit: Limit,
    /// None where it was not measured.
    pub value: Option<f64>,
    /// With its spread, where it is a ratio.
    pub ratio: Option<Ratio>,
    pub met: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Limit {
    AtMost(f64),
    AtLeast(f64),
}

impl Limit {
    pub(super) fn holds(self, value: f64) -> bool {
        match self {
            Limit::AtMost(limit) => value <= limit,
            Limit::AtLeast(limit) => value >= limit,
        }
    }
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
        add(format!("reuse_span_{name}"), span(record, axis, Way::Reuse));
        add(format!("syncfs_growth_{name}"), growth(record, axis, Way::Sync));
        add(format!("durable_growth_{name}"), growth(record, axis, Way::Durable));
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

/// What the issue of the series asks for.
#[must_use]
pub fn goals(record: &Record) -> Vec<Goal> {
    let (bytes, flushes) = reached_the_disk(record).unzip();
    let mut goals = Vec::new();
    let mut goal = |name: &str, limit: Limit, value: Option<f64>, ratio: Option<Ratio>| {
        let met = value.is_some_and(|value| limit.holds(value));
        goals.push(Goal { name: name.to_string(), limit, value, ratio, met });
    };
    let mut of_ratio = |name: &str, limit: Limit, ratio: &str| {
        let ratio = record.ratios.get(ratio).copied();
        goal(name, limit, ratio.map(|ratio| ratio.value), ratio);
    };
    of_ratio("reuse over a first volatile mount", Limit::AtMost(1.05), "reuse_over_floor");
    of_ratio("reuse over a mount without volatile, unpatched", Limit::AtMost(1.05), "reuse_over_plain");
    for axis in Axis::SWEPT {
        let growth = format!("reuse_growth_{}", axis_name(axis));
        of_ratio(&growth_of(axis), Limit::AtMost(1.1), &growth);
    }
    of_ratio("syncfs over reuse, 512 MiB of a neighbour dirty", Limit::AtLeast(100.0), "syncfs_over_reuse");
    of_ratio("p99 of the neighbour beside reuse over idle", Limit::AtMost(1.05), "neighbour_p99_over_idle");
    goal("bytes written because of reuse", Limit::AtMost(0.0), bytes, None);
    goal("flushes because of reuse", Limit::AtMost(0.0), flushes, None);
    goals
}

/// The name of the goal along an axis.
#[must_use]
pub fn growth_of(axis: Axis) -> String {
    format!("growth of reuse with {}", axis_in_words(axis))
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
        Axis::Busy => "a busy disk",
        Axis::Quiet => "nobody else",
        Axis::OwnDirty => "dirty bytes of its own",
        Axis::NeighbourDirty => "dirty bytes of a neighbour",
        Axis::Files => "files in the upper",
        Axis::Overlays => "overlays on the filesystem",
    }
}

/// Bytes and flushes of every turn of reuse in every scene, and of all that came long after them.
#[allow(clippy::cast_precision_loss)]
fn reached_the_disk(record: &Record) -> Option<(f64, f64)> {
    let turns = record.scenes.iter().filter_map(|scene| scene.of(Way::Reuse)).flat_map(|samples| &samples.turns);
    let late = record.scenes.iter().filter_map(|scene| scene.io);
    let all: Vec<_> = turns.map(|turn| turn.io).chain(late).collect();
    let sum = |of: fn(&vremount_wire::Io) -> u64| all.iter().map(of).sum::<u64>() as f64;
    (!all.is_empty()).then(|| (sum(|io| io.bytes), sum(|io| io.flushes)))
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

fn of_samples(samples: &Samples, over: &Samples) -> Option<Ratio> {
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

/// The far end of an axis over its start: 0 to 1 GiB, 1 to 100,000 files.
fn growth(record: &Record, axis: Axis, way: Way) -> Option<Ratio> {
    let mut samples = record.along(axis).filter_map(|scene| scene.of(way));
    let start = samples.next()?;
    of_samples(samples.last()?, start)
}

/// The dearest place of an axis over the cheapest. It is above 1 for what does not grow too, the more the noisier the machine.
fn span(record: &Record, axis: Axis, way: Way) -> Option<Ratio> {
    let samples: Vec<_> = record.along(axis).filter_map(|scene| scene.of(way)).collect();
    let by_median = |a: &&&Samples, b: &&&Samples| a.ms.median.total_cmp(&b.ms.median);
    of_samples(samples.iter().max_by(by_median)?, samples.iter().min_by(by_median)?)
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
    use rstest::rstest;

    #[test]
    fn a_ratio_is_of_medians_and_its_spread_of_neighbours() {
        let ratio = of_values(&[10.0, 20.0, 90.0], &[10.0, 10.0, 30.0]).unwrap();
        assert_eq!(ratio, Ratio { value: 2.0, low: 1.0, high: 3.0 });
        assert_eq!(of_values(&[], &[]), None);
    }

    #[rstest]
    #[case::below(Limit::AtMost(1.05), 1.04, true)]
    #[case::above(Limit::AtMost(1.05), 1.06, false)]
    #[case::exactly_nothing(Limit::AtMost(0.0), 0.0, true)]
    #[case::enough(Limit::AtLeast(100.0), 100.0, true)]
    #[case::too_little(Limit::AtLeast(100.0), 99.0, false)]
    #[case::no_number(Limit::AtMost(1.05), f64::NAN, false)]
    fn limits_hold_or_not(#[case] limit: Limit, #[case] value: f64, #[case] holds: bool) {
        assert_eq!(limit.holds(value), holds);
    }

    /// Only what is met and was measured is.
    #[test]
    fn goals_are_met_missed_or_not_measured() {
        let record = Record::toy();
        assert_eq!(record.ratios["reuse_over_floor"], Ratio { value: 1.0, low: 1.0, high: 1.0 });
        assert_eq!(record.ratios["syncfs_over_reuse"].value, 200.0);
        assert_eq!(record.ratios["syncfs_growth_own_dirty"].value, 3.0);
        let missed: Vec<_> = record.goals.iter().filter(|goal| !goal.met).map(|goal| goal.name.as_str()).collect();
        assert_eq!(missed, ["p99 of the neighbour beside reuse over idle"]);
        assert_eq!(record.goals.iter().find(|goal| !goal.met).unwrap().value, None);
    }

    /// A byte in one turn of one scene is told.
    #[test]
    fn nothing_that_reached_the_disk_is_lost_in_a_median() {
        let mut record = Record::toy();
        record.scenes[3].ways[0].turns[1].io.bytes = 512;
        let goals = goals(&record);
        let bytes = goals.iter().find(|goal| goal.name.starts_with("bytes")).unwrap();
        assert_eq!((bytes.value, bytes.met), (Some(512.0), false));
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

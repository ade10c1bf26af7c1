// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the series is to reach, whether it does, and what is to be thought of it if not.

use serde::{Deserialize, Serialize};
use vremount_machine::image::Fs;
use vremount_protocol::RestartStrategy;

use crate::bench::ratios::{Ratio, axis_in_words};
use crate::bench::record::{BackgroundRuns, Record, WorkloadResult};
use crate::bench::scaling::Scaling;
use crate::bench::workload::Axis;

const P99: &str = "p99 of the neighbour beside reuse over idle";
const ROUNDS: &str = "rounds of the neighbour beside reuse over idle";

/// What the series is to reach.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Threshold {
    pub name: String,
    pub limit: Limit,
    /// None where it was not measured.
    pub value: Option<f64>,
    /// With its spread, where it is a ratio.
    pub ratio: Option<Ratio>,
    /// Of a first mount, which looks at nothing of the upper, between the same places; where it is of growth.
    pub first_mount: Option<Ratio>,
    pub met: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Limit {
    AtMost(f64),
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

/// What the issue of the series asks for, and what shows that it was measured.
#[must_use]
pub fn of(record: &Record) -> Vec<Threshold> {
    use Limit::{AtLeast, AtMost};
    let ratio = |name: &str, limit, ratio: &str| goal(name, limit, Measured::Ratio(record.ratios.get(ratio).copied()));
    let value = |name: &str, limit, value| goal(name, limit, Measured::Value(value));
    let growth = |name: String, growth| goal(&name, AtMost(1.1), Measured::Growth(growth));
    let mut goals = vec![
        ratio("reuse over a first volatile mount", AtMost(1.05), "reuse_over_floor"),
        ratio("reuse over a mount without volatile, unpatched", AtMost(1.05), "reuse_over_plain"),
    ];
    goals.extend(
        Axis::SWEPT
            .into_iter()
            .map(|axis| growth(growth_of(axis), Scaling::of(record, record.fs, axis, RestartStrategy::Reuse))),
    );
    goals.extend(
        record
            .other_filesystems
            .iter()
            .map(|fs| growth(steepest_on(*fs), Scaling::steepest(record, *fs, RestartStrategy::Reuse))),
    );
    let (bytes, flushes) = reached_the_disk(record).unzip();
    goals.extend([
        ratio("syncfs over reuse, 512 MiB of a neighbour dirty", AtLeast(100.0), "syncfs_over_reuse"),
        ratio(P99, AtMost(1.05), "neighbour_p99_over_idle"),
        ratio(ROUNDS, AtLeast(0.95), "neighbour_rounds_over_idle"),
        value("bytes written by reuse, or within half a second of it", AtMost(0.0), bytes),
        value("flushes by reuse, or within half a second of it", AtMost(0.0), flushes),
        value("bytes left to the next sync by reuse over removing the marker", AtMost(1.0), left(record)),
        value("bytes written by who syncs over what was to be dirty, at the least", AtLeast(1.0), was_dirty(record)),
    ]);
    goals
}

enum Measured<'a> {
    Ratio(Option<Ratio>),
    Growth(Option<Scaling<'a>>),
    Value(Option<f64>),
}

fn goal(name: &str, limit: Limit, measured: Measured<'_>) -> Threshold {
    let (value, ratio, first_mount) = match measured {
        Measured::Ratio(ratio) => (ratio.map(|ratio| ratio.value), ratio, None),
        Measured::Growth(growth) => {
            let ratio = growth.as_ref().and_then(Scaling::ratio);
            (ratio.map(|ratio| ratio.value), ratio, growth.and_then(|growth| growth.ratio_of(RestartStrategy::First)))
        }
        Measured::Value(value) => (value, None, None),
    };
    let met = value.is_some_and(|value| limit.holds(value));
    Threshold { name: name.to_string(), limit, value, ratio, first_mount, met }
}

/// The name of the goal along an axis.
fn growth_of(axis: Axis) -> String {
    format!("growth of reuse with {}", axis_in_words(axis))
}

/// The same of another filesystem, along the axis where it grows most.
fn steepest_on(fs: Fs) -> String {
    format!("growth of reuse on {}, at the most", fs.name())
}

/// Bytes and flushes of every turn of reuse in every scene, and of all that came long after them.
#[allow(clippy::cast_precision_loss)]
fn reached_the_disk(record: &Record) -> Option<(f64, f64)> {
    let turns =
        record.scenes.iter().filter_map(|scene| scene.of(RestartStrategy::Reuse)).flat_map(|samples| &samples.turns);
    let late = record.scenes.iter().filter_map(|scene| scene.io);
    let all: Vec<_> = turns.map(|turn| turn.io).chain(late).collect();
    let sum = |of: fn(&vremount_protocol::Io) -> u64| all.iter().map(of).sum::<u64>() as f64;
    (!all.is_empty()).then(|| (sum(|io| io.bytes), sum(|io| io.flushes)))
}

/// On the filesystem where reuse leaves most, beside who removes markers.
#[allow(clippy::cast_precision_loss)]
fn left(record: &Record) -> Option<f64> {
    let left = record.scenes.iter().filter_map(|scene| scene.left);
    // Who leaves nothing leaves no more than anybody.
    let over = left.map(|left| left.reuse.bytes as f64 / left.blind.bytes.max(1) as f64);
    over.max_by(f64::total_cmp)
}

/// What waits for the disk finds what the scene says that there is, or it was written before and nothing was compared.
#[allow(clippy::cast_precision_loss)]
fn was_dirty(record: &Record) -> Option<f64> {
    let over = |scene: &WorkloadResult| {
        let dirty = scene.own_dirty + scene.neighbour_dirty;
        let turns = [RestartStrategy::Sync, RestartStrategy::Durable]
            .into_iter()
            .filter_map(|way| scene.of(way))
            .flat_map(|way| &way.turns);
        turns.filter(|_| dirty > 0).map(|turn| turn.io.bytes as f64 / dirty as f64).min_by(f64::total_cmp)
    };
    record.scenes.iter().filter_map(over).min_by(f64::total_cmp)
}

/// With its spread, and why it is not clearly met if it is not.
#[must_use]
pub fn in_words(goal: &Threshold, record: &Record) -> String {
    let (limit, what) = match goal.limit {
        Limit::AtMost(limit) => (limit, "at most"),
        Limit::AtLeast(limit) => (limit, "at least"),
    };
    let met = if goal.met { "met   " } else { "MISSED" };
    let value = goal.value.map_or("not measured".to_string(), |value| format!("{value:.3}"));
    let spread = goal.ratio.map_or(String::new(), |ratio| format!(" ({:.2} to {:.2})", ratio.low, ratio.high));
    format!("{met} {}: {value}, {what} {limit}{spread}{}", goal.name, reason(goal, record))
}

fn reason(goal: &Threshold, record: &Record) -> String {
    let holds = |ratio: Ratio| [ratio.low, ratio.high].map(|value| goal.limit.holds(value));
    match goal.ratio {
        Some(ratio) if goal.met => if holds(ratio) == [true; 2] { "" } else { ", within its spread" }.to_string(),
        Some(ratio) if goal.first_mount.is_some_and(|first| first.value >= ratio.value) => {
            ". So does a first mount on an empty upper, by the same module".to_string()
        }
        Some(ratio) if holds(ratio).contains(&true) => {
            ". Within its spread: at least a quarter of all pairs meets it".to_string()
        }
        Some(_) if [P99, ROUNDS].contains(&goal.name.as_str()) => format!(". {}", of_the_disk(record)),
        Some(_) => ". Less than a quarter of all pairs meets it".to_string(),
        None => String::new(),
    }
}

/// What a neighbour that is slower shares with the first container.
fn of_the_disk(record: &Record) -> String {
    let of_a_round = |way| record.beside(way).map_or([f64::NAN; 2], BackgroundRuns::of_a_round);
    let [reuse, alone] = [Some(RestartStrategy::Reuse), None].map(of_a_round);
    format!(
        "A round of the neighbour cost the disk {:.0} bytes and {:.2} flushes beside reuse, {:.0} and {:.2} alone; it shares the \
         processors, too",
        reuse[0], reuse[1], alone[0], alone[1]
    )
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use vremount_protocol::RestartCycle;

    use super::super::record::{ResidualIo, Samples};
    use super::*;

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
        let record = crate::bench::testing::record();
        assert_eq!(record.ratios["reuse_over_floor"], Ratio { value: 1.0, low: 1.0, high: 1.0 });
        assert_eq!(record.ratios["syncfs_over_reuse"].value, 200.0);
        assert_eq!(record.ratios["syncfs_growth_own_dirty"].value, 3.0);
        let missed: Vec<_> = record.goals.iter().filter(|goal| !goal.met).map(|goal| goal.name.as_str()).collect();
        let [left, dirty] = ["bytes left to the next sync by reuse over", "bytes written by who syncs over"];
        assert_eq!(missed.len(), 4, "{missed:?}");
        assert!(missed.iter().zip([P99, ROUNDS, left, dirty]).all(|(name, start)| name.starts_with(start)));
        assert!(record.goals.iter().all(|goal| goal.met || goal.value.is_none()));
    }

    /// A byte in one turn of one scene is told.
    #[test]
    fn nothing_that_reached_the_disk_is_lost_in_a_median() {
        let mut record = crate::bench::testing::record();
        record.scenes[3].ways[0].turns[1].io.bytes = 512;
        let goals = of(&record);
        let bytes = goals.iter().find(|goal| goal.name.starts_with("bytes")).unwrap();
        assert_eq!((bytes.value, bytes.met), (Some(512.0), false));
    }

    fn met(record: &Record, name: &str) -> (Option<f64>, bool) {
        let goals = of(record);
        let goal = goals.iter().find(|goal| goal.name.starts_with(name)).unwrap();
        (goal.value, goal.met)
    }

    /// Nothing is compared with what was not there.
    #[test]
    fn what_was_written_before_is_told() {
        let mut record = crate::bench::testing::record();
        let busy = record.scenes.iter_mut().find(|scene| scene.axis == Axis::Busy).unwrap();
        busy.neighbour_dirty = 1000;
        for way in &mut busy.ways {
            way.turns
                .iter_mut()
                .for_each(|turn| turn.io.bytes = if way.way == RestartStrategy::Reuse { 0 } else { 1001 });
        }
        assert_eq!(met(&record, "bytes written by who syncs"), (Some(1.001), true));
        record.scenes[1].ways[4].turns[2].io.bytes = 10;
        assert_eq!(met(&record, "bytes written by who syncs"), (Some(0.01), false));
    }

    #[test]
    fn the_filesystem_where_most_is_left_counts() {
        let io = |bytes| vremount_protocol::Io { writes: 1, bytes, flushes: 0 };
        let mut record = crate::bench::testing::record();
        record.scenes[0].left = Some(ResidualIo { reuse: io(48), blind: io(96) });
        assert_eq!(met(&record, "bytes left"), (Some(0.5), true));
        record.scenes[1].left = Some(ResidualIo { reuse: io(10), blind: io(0) });
        assert_eq!(met(&record, "bytes left"), (Some(10.0), false));
    }

    /// Each filesystem has a goal, for the axis where it does worst.
    #[test]
    fn other_filesystems_are_not_to_grow_either() {
        let mut record = crate::bench::testing::record();
        let others: Vec<_> =
            record.scenes.iter().map(|scene| WorkloadResult { fs: Fs::Xfs, ..scene.clone() }).collect();
        record.scenes.extend(others);
        assert!(record.other_filesystems.is_empty());
        record.other_filesystems = vec![Fs::Xfs, Fs::F2fs];
        // As long as a machine did not come to its end, nothing is met on it.
        assert_eq!(met(&record, "growth of reuse on f2fs"), (None, false));
        assert_eq!(met(&record, "growth of reuse on xfs"), (Some(1.0), true));
        let scene = record.scenes.iter_mut().filter(|scene| scene.axis == Axis::Files).nth(4).unwrap();
        let turns = vec![RestartCycle { unmount: 5_000_000, ..scene.ways[0].turns[0] }; 3];
        scene.ways[0] = Samples::new(RestartStrategy::Reuse, turns.clone()).unwrap();
        assert_eq!(met(&record, "growth of reuse on xfs"), (Some(5.0), false));
        assert_eq!(met(&record, "growth of reuse with files"), (Some(1.0), true));
        let why = |record: &Record| {
            let goal = of(record).into_iter().find(|goal| goal.name == steepest_on(Fs::Xfs)).unwrap();
            reason(&goal, record)
        };
        assert!(why(&record).contains("Less than a quarter"));
        let scene = record.scenes.iter_mut().filter(|scene| scene.axis == Axis::Files).nth(4).unwrap();
        scene.ways[1] = Samples::new(RestartStrategy::First, turns).unwrap();
        assert!(why(&record).contains("So does a first mount"));
    }

    #[rstest]
    #[case::there(2, "So does a first mount")]
    #[case::elsewhere(1, "Less than a quarter")]
    fn what_any_mount_takes_there_is_not_the_checks(#[case] place: usize, #[case] why: &str) {
        let mut record = crate::bench::testing::record();
        let dearer = |record: &mut Record, place: usize, number: usize, ms: u64| {
            let scene = record.scenes.iter_mut().filter(|scene| scene.axis == Axis::Overlays).nth(place).unwrap();
            let turns = vec![RestartCycle { unmount: ms * 1_000_000, ..scene.ways[number].turns[0] }; 3];
            scene.ways[number] = Samples::new(scene.ways[number].way, turns).unwrap();
        };
        dearer(&mut record, 2, 0, 2);
        dearer(&mut record, place, 1, 3);
        let record = record.with_derived();
        let goal = record.goals.iter().find(|goal| goal.name == growth_of(Axis::Overlays)).unwrap();
        assert!(reason(goal, &record).contains(why), "{}", reason(goal, &record));
    }

    #[test]
    fn a_slower_neighbour_is_told_with_what_the_disk_saw() {
        let beside = |way, bytes| {
            let io = vremount_protocol::Io { writes: 1, bytes, flushes: 3 };
            let look =
                vremount_protocol::BackgroundSample { fsync: vec![1, 1], write: vec![1, 1], turns: Vec::new(), io };
            BackgroundRuns { way, by_itself: false, seconds: 1, looks: vec![look] }
        };
        let record = Record {
            neighbour: vec![beside(None, 800), beside(Some(RestartStrategy::Reuse), 1000)],
            ..crate::bench::testing::record()
        };
        let words = in_words(&missed(P99, 1.2), &record);
        assert!(words.contains("500 bytes and 1.50 flushes beside reuse, 400 and 1.50 alone"), "{words}");
        assert!(
            words.starts_with(
                "MISSED p99 of the neighbour beside reuse over idle: 1.200, at most 1.05 (1.20 to 1.20). A"
            )
        );
    }

    fn missed(name: &str, value: f64) -> Threshold {
        let ratio = Some(Ratio { value, low: value, high: value });
        Threshold {
            name: name.to_string(),
            limit: Limit::AtMost(1.05),
            value: Some(value),
            ratio,
            first_mount: None,
            met: false,
        }
    }
}

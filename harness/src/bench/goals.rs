// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the series is to reach, whether it does, and what is to be thought of it if not.

use serde::{Deserialize, Serialize};
use vremount_wire::Way;

use super::figures::{self, Ratio, axis_in_words, axis_name};
use super::record::{Beside, Record};
use super::scene::Axis;

const P99: &str = "p99 of the neighbour beside reuse over idle";

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
    fn holds(self, value: f64) -> bool {
        match self {
            Limit::AtMost(limit) => value <= limit,
            Limit::AtLeast(limit) => value >= limit,
        }
    }
}

/// What the issue of the series asks for.
#[must_use]
pub fn of(record: &Record) -> Vec<Goal> {
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
    of_ratio(P99, Limit::AtMost(1.05), "neighbour_p99_over_idle");
    goal("bytes written by reuse, or within half a second of it", Limit::AtMost(0.0), bytes, None);
    goal("flushes by reuse, or within half a second of it", Limit::AtMost(0.0), flushes, None);
    goals
}

/// The name of the goal along an axis.
#[must_use]
pub fn growth_of(axis: Axis) -> String {
    format!("growth of reuse with {}", axis_in_words(axis))
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

/// With its spread, and why it is not clearly met if it is not.
#[must_use]
pub fn in_words(goal: &Goal, record: &Record) -> String {
    let (limit, what) = match goal.limit {
        Limit::AtMost(limit) => (limit, "at most"),
        Limit::AtLeast(limit) => (limit, "at least"),
    };
    let met = if goal.met { "met   " } else { "MISSED" };
    let value = goal.value.map_or("not measured".to_string(), |value| format!("{value:.3}"));
    let spread = goal.ratio.map_or(String::new(), |ratio| format!(" ({:.2} to {:.2})", ratio.low, ratio.high));
    format!("{met} {}: {value}, {what} {limit}{spread}{}", goal.name, reason(goal, record))
}

fn reason(goal: &Goal, record: &Record) -> String {
    let holds = |ratio: Ratio| [ratio.low, ratio.high].map(|value| goal.limit.holds(value));
    match goal.ratio {
        Some(ratio) if goal.met => if holds(ratio) == [true; 2] { "" } else { ", within its spread" }.to_string(),
        Some(ratio) if holds(ratio).contains(&true) => {
            ". Within its spread: at least a quarter of all pairs meets it".to_string()
        }
        Some(ratio) if grows_as_any_mount(goal, ratio, record) => {
            ". So does a first mount on an empty upper, which checks nothing".to_string()
        }
        Some(_) if goal.name == P99 => format!(". {}", of_the_disk(record)),
        Some(_) => ". Less than a quarter of all pairs meets it".to_string(),
        None => String::new(),
    }
}

/// What a neighbour that is slower shares with the first container.
fn of_the_disk(record: &Record) -> String {
    let of = |way| record.neighbour.iter().find(|beside| beside.way == way && !beside.by_itself);
    let [reuse, alone] =
        [of(Some(Way::Reuse)), of(None)].map(|beside| beside.map_or([f64::NAN; 2], Beside::of_a_round));
    format!(
        "A round of the neighbour cost the disk {:.0} bytes and {:.2} flushes beside reuse, {:.0} and {:.2} alone; it shares the \
         processors, too",
        reuse[0], reuse[1], alone[0], alone[1]
    )
}

/// Whether what does not look at the upper at all grows as much, at the same place of its axis.
fn grows_as_any_mount(goal: &Goal, reuse: Ratio, record: &Record) -> bool {
    let Some(axis) = Axis::SWEPT.into_iter().find(|axis| goal.name == growth_of(*axis)) else { return false };
    let dearest = figures::dearest(record, axis, Way::Reuse);
    let floor =
        dearest.and_then(|scene| figures::of_samples(scene.of(Way::First)?, record.scene(axis)?.of(Way::First)?));
    floor.is_some_and(|floor| floor.value >= reuse.value)
}

#[cfg(test)]
mod tests {
    use super::super::record::Samples;
    use super::*;
    use rstest::rstest;
    use vremount_wire::Turn;

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
        let goals = of(&record);
        let bytes = goals.iter().find(|goal| goal.name.starts_with("bytes")).unwrap();
        assert_eq!((bytes.value, bytes.met), (Some(512.0), false));
    }

    #[rstest]
    #[case::there(2, "So does a first mount")]
    #[case::elsewhere(1, "Less than a quarter")]
    fn what_any_mount_takes_there_is_not_the_checks(#[case] place: usize, #[case] why: &str) {
        let mut record = Record::toy();
        let dearer = |record: &mut Record, place: usize, number: usize, ms: u64| {
            let scene = record.scenes.iter_mut().filter(|scene| scene.axis == Axis::Overlays).nth(place).unwrap();
            let turns = vec![Turn { unmount: ms * 1_000_000, ..scene.ways[number].turns[0] }; 3];
            scene.ways[number] = Samples::new(scene.ways[number].way, turns).unwrap();
        };
        dearer(&mut record, 2, 0, 2);
        dearer(&mut record, place, 1, 3);
        let record = record.worked_out();
        let goal = record.goals.iter().find(|goal| goal.name == growth_of(Axis::Overlays)).unwrap();
        assert!(reason(goal, &record).contains(why), "{}", reason(goal, &record));
    }

    #[test]
    fn a_slower_neighbour_is_told_with_what_the_disk_saw() {
        let beside = |way, bytes| {
            let io = vremount_wire::Io { writes: 1, bytes, flushes: 3 };
            let look = vremount_wire::Neighbour { fsync: vec![1, 1], write: vec![1, 1], turns: Vec::new(), io };
            Beside { way, by_itself: false, seconds: 1, looks: vec![look] }
        };
        let record = Record { neighbour: vec![beside(None, 800), beside(Some(Way::Reuse), 1000)], ..Record::toy() };
        let words = in_words(&missed(P99, 1.2), &record);
        assert!(words.contains("500 bytes and 1.50 flushes beside reuse, 400 and 1.50 alone"), "{words}");
        assert!(
            words.starts_with(
                "MISSED p99 of the neighbour beside reuse over idle: 1.200, at most 1.05 (1.20 to 1.20). A"
            )
        );
    }

    fn missed(name: &str, value: f64) -> Goal {
        let ratio = Some(Ratio { value, low: value, high: value });
        Goal { name: name.to_string(), limit: Limit::AtMost(1.05), value: Some(value), ratio, met: false }
    }
}

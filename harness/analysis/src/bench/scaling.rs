// SPDX-License-Identifier: MIT OR Apache-2.0
//! How the cost of a way grows along an axis: from its start, nothing dirty or one file, to the place where it is dearest.

use vremount_machine::image::Fs;
use vremount_protocol::RestartStrategy;

use crate::bench::ratios::{Ratio, of_samples};
use crate::bench::record::{Record, WorkloadResult};
use crate::bench::workload::Axis;

pub struct Scaling<'a> {
    way: RestartStrategy,
    start: &'a WorkloadResult,
    dearest: &'a WorkloadResult,
}

impl<'a> Scaling<'a> {
    /// None where the way was not measured, or in one place only.
    pub fn of(record: &'a Record, fs: Fs, axis: Axis, way: RestartStrategy) -> Option<Self> {
        let median = |scene: &&WorkloadResult| scene.of(way).map_or(f64::NAN, |samples| samples.ms.median);
        let mut places = record.along(fs, axis).filter(|scene| scene.of(way).is_some());
        let start = places.next()?;
        let dearest = places.max_by(|one, other| median(one).total_cmp(&median(other)))?;
        Some(Scaling { way, start, dearest })
    }

    /// Along the axis where it grows most.
    pub fn steepest(record: &'a Record, fs: Fs, way: RestartStrategy) -> Option<Self> {
        let value = |growth: &Scaling<'_>| growth.ratio().map_or(f64::NAN, |ratio| ratio.value);
        let all = Axis::SWEPT.into_iter().filter_map(|axis| Scaling::of(record, fs, axis, way));
        all.max_by(|one, other| value(one).total_cmp(&value(other)))
    }

    pub fn ratio(&self) -> Option<Ratio> {
        self.ratio_of(self.way)
    }

    /// Of another way, between the same two places.
    pub fn ratio_of(&self, way: RestartStrategy) -> Option<Ratio> {
        of_samples(self.dearest.of(way)?, self.start.of(way)?)
    }
}

#[cfg(test)]
mod tests {
    use vremount_protocol::RestartCycle;

    use super::super::record::Samples;
    use super::*;

    fn with(axis: Axis, place: usize, ms: u64) -> Record {
        let mut record = crate::bench::testing::record();
        let scene = record.scenes.iter_mut().filter(|scene| scene.axis == axis).nth(place).unwrap();
        let turns = vec![RestartCycle { unmount: ms * 1_000_000, ..scene.ways[0].turns[0] }; 3];
        scene.ways[0] = Samples::new(RestartStrategy::Reuse, turns).unwrap();
        record
    }

    #[test]
    fn a_cost_that_grows_and_shrinks_again_grew() {
        let record = with(Axis::Files, 1, 4);
        let growth = |axis, way| Scaling::of(&record, Fs::Ext4, axis, way).unwrap().ratio().unwrap().value;
        assert_eq!(growth(Axis::Files, RestartStrategy::Reuse), 4.0);
        assert_eq!(growth(Axis::Files, RestartStrategy::Sync), 3.0);
        assert_eq!(growth(Axis::Overlays, RestartStrategy::Reuse), 1.0);
        let steepest = Scaling::steepest(&record, Fs::Ext4, RestartStrategy::Reuse).unwrap();
        assert_eq!(
            (steepest.ratio().unwrap().value, steepest.ratio_of(RestartStrategy::Sync).unwrap().value),
            (4.0, 2.0)
        );
    }

    #[test]
    fn where_it_was_not_measured_nothing_grows() {
        let mut record = crate::bench::testing::record();
        assert!(Scaling::of(&record, Fs::Xfs, Axis::Files, RestartStrategy::Reuse).is_none());
        assert!(Scaling::of(&record, Fs::Ext4, Axis::Files, RestartStrategy::Rebuild).is_none());
        record.scenes.retain(|scene| scene.axis != Axis::Files || scene.value == 0);
        assert!(Scaling::of(&record, Fs::Ext4, Axis::Files, RestartStrategy::Reuse).is_none());
    }
}

// SPDX-License-Identifier: MIT OR Apache-2.0
//! How the cost of a strategy grows along an axis: from the first value to the value with the highest cost.

use vremount_machine::image::Fs;
use vremount_protocol::RestartStrategy;

use crate::bench::axis::Axis;
use crate::bench::ratio::Ratio;
use crate::bench::record::{Record, WorkloadResult};

/// The growth of the cost of a strategy along an axis.
pub struct Scaling<'a> {
    strategy: RestartStrategy,
    first: &'a WorkloadResult,
    costliest: &'a WorkloadResult,
}

impl<'a> Scaling<'a> {
    /// The growth along an axis. `None` if the strategy was measured at fewer than two values.
    pub fn new(record: &'a Record, fs: Fs, axis: Axis, strategy: RestartStrategy) -> Option<Self> {
        let median =
            |workload: &&WorkloadResult| workload.samples(strategy).map_or(f64::NAN, |samples| samples.ms.median);
        let mut measured = record.workloads_along(fs, axis).filter(|workload| workload.samples(strategy).is_some());
        let first = measured.next()?;
        let costliest = measured.max_by(|one, other| median(one).total_cmp(&median(other)))?;
        Some(Scaling { strategy, first, costliest })
    }

    /// The growth along the axis on which it is largest.
    pub fn largest(record: &'a Record, fs: Fs, strategy: RestartStrategy) -> Option<Self> {
        let value = |scaling: &Scaling<'_>| scaling.ratio().map_or(f64::NAN, |ratio| ratio.value);
        let all = Axis::SWEPT.into_iter().filter_map(|axis| Scaling::new(record, fs, axis, strategy));
        all.max_by(|one, other| value(one).total_cmp(&value(other)))
    }

    /// The highest cost over the first.
    pub fn ratio(&self) -> Option<Ratio> {
        self.ratio_of(self.strategy)
    }

    /// The ratio of the costs of another strategy at the same two values.
    pub fn ratio_of(&self, strategy: RestartStrategy) -> Option<Ratio> {
        self.costliest.samples(strategy)?.ratio(self.first.samples(strategy)?)
    }
}

#[cfg(test)]
mod tests {
    use vremount_protocol::RestartCycle;

    use super::super::record::Samples;
    use super::*;

    /// A record in which reuse takes this long at one value of an axis.
    fn record_with(axis: Axis, position: usize, ms: u64) -> Record {
        let mut record = crate::bench::testing::record();
        let workload = record.workloads.iter_mut().filter(|workload| workload.axis == axis).nth(position).unwrap();
        let cycles = vec![RestartCycle { unmount: ms * 1_000_000, ..workload.strategies[0].cycles[0] }; 3];
        workload.strategies[0] = Samples::new(RestartStrategy::Reuse, cycles).unwrap();
        record
    }

    #[test]
    fn growth_is_measured_at_the_highest_cost() {
        let record = record_with(Axis::Files, 1, 4);
        let growth = |axis, strategy| Scaling::new(&record, Fs::Ext4, axis, strategy).unwrap().ratio().unwrap().value;
        assert_eq!(growth(Axis::Files, RestartStrategy::Reuse), 4.0);
        assert_eq!(growth(Axis::Files, RestartStrategy::Sync), 3.0);
        assert_eq!(growth(Axis::Overlays, RestartStrategy::Reuse), 1.0);
        let largest = Scaling::largest(&record, Fs::Ext4, RestartStrategy::Reuse).unwrap();
        assert_eq!(largest.ratio().unwrap().value, 4.0);
        assert_eq!(largest.ratio_of(RestartStrategy::Sync).unwrap().value, 2.0);
    }

    #[test]
    fn growth_needs_two_measured_values() {
        let mut record = crate::bench::testing::record();
        assert!(Scaling::new(&record, Fs::Xfs, Axis::Files, RestartStrategy::Reuse).is_none());
        assert!(Scaling::new(&record, Fs::Ext4, Axis::Files, RestartStrategy::Rebuild).is_none());
        record.workloads.retain(|workload| workload.axis != Axis::Files || workload.value == 0);
        assert!(Scaling::new(&record, Fs::Ext4, Axis::Files, RestartStrategy::Reuse).is_none());
    }
}

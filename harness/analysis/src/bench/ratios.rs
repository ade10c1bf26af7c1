// SPDX-License-Identifier: MIT OR Apache-2.0
//! The named ratios that are derived from a record. Both sides of a ratio were measured in the same guest.

use std::collections::BTreeMap;

use vremount_machine::image::Fs;
use vremount_protocol::{BackgroundSample, RestartCycle, RestartStrategy};
use vremount_util::stats::{Summary, percentile};

use crate::bench::axis::Axis;
use crate::bench::ratio::Ratio;
use crate::bench::record::{Record, milliseconds};
use crate::bench::scaling::Scaling;

/// Ratios by their names.
pub type Ratios = BTreeMap<String, Ratio>;

/// All ratios of a record. Ratios of what was not measured are left out.
#[must_use]
pub fn derive(record: &Record) -> Ratios {
    let strategies = compare_strategies(record);
    let all = strategies.into_iter().chain(compare_values(record)).chain(compare_neighbours(record));
    all.chain(compare_traced_mounts(record)).filter_map(|(name, ratio)| Some((name, ratio?))).collect()
}

type Named = Vec<(String, Option<Ratio>)>;

fn compare_strategies(record: &Record) -> Named {
    use RestartStrategy::{Durable, First, Plain, Rebuild, Reuse, Sync};
    let ratio = |axis, strategy, reference| record.workload(axis)?.ratio(strategy, reference);
    let mut ratios = vec![
        ("reuse_over_floor".to_string(), ratio(Axis::Idle, Reuse, First)),
        ("reuse_over_plain".to_string(), ratio(Axis::Idle, Reuse, Plain)),
    ];
    for (name, strategy) in [("syncfs", Sync), ("durable", Durable), ("rebuild", Rebuild)] {
        ratios.push((format!("{name}_over_reuse"), ratio(Axis::Busy, strategy, Reuse)));
        ratios.push((format!("{name}_over_reuse_idle"), ratio(Axis::Idle, strategy, Reuse)));
    }
    ratios
}

fn compare_values(record: &Record) -> Named {
    use RestartStrategy::{Durable, First, Rebuild, Reuse, Sync};
    let growth = |fs, axis, strategy| Scaling::new(record, fs, axis, strategy)?.ratio();
    let mut ratios = Vec::new();
    for axis in Axis::SWEPT {
        let strategies =
            [("reuse", Reuse), ("syncfs", Sync), ("durable", Durable), ("rebuild", Rebuild), ("floor", First)];
        for (name, strategy) in strategies {
            ratios.push((format!("{name}_growth_{}", axis.key()), growth(record.fs, axis, strategy)));
        }
        for fs in record.other_filesystems.iter().copied() {
            ratios.push((growth_name(axis, fs), growth(fs, axis, Reuse)));
        }
    }
    ratios
}

#[allow(clippy::cast_precision_loss)]
fn compare_neighbours(record: &Record) -> Named {
    let mut ratios = Vec::new();
    for (name, strategy) in [
        ("neighbour", RestartStrategy::Reuse),
        ("neighbour_syncfs", RestartStrategy::Sync),
        ("neighbour_rebuild", RestartStrategy::Rebuild),
        ("neighbour_durable", RestartStrategy::Durable),
    ] {
        let worst = |sample: &BackgroundSample| latency([&sample.fsync], 100);
        let rounds = |sample: &BackgroundSample| Some(sample.fsync.len() as f64);
        ratios.extend([
            (format!("{name}_p99_over_idle"), latency_over_idle(record, strategy, 99)),
            (format!("{name}_p50_over_idle"), latency_over_idle(record, strategy, 50)),
            (format!("{name}_worst_over_idle"), samples_over_idle(record, strategy, worst)),
            (format!("{name}_rounds_over_idle"), samples_over_idle(record, strategy, rounds)),
        ]);
    }
    ratios
}

#[allow(clippy::cast_precision_loss)]
fn compare_traced_mounts(record: &Record) -> Named {
    let floats = |calls: &[u64]| calls.iter().map(|call| *call as f64).collect::<Vec<_>>();
    let ratio = |calls: &[u64], reference: &[u64]| Ratio::from_values(&floats(calls), &floats(reference));
    let Some(cost) = &record.check_cost else { return Vec::new() };
    vec![
        ("check_first_over_unpatched".to_string(), ratio(&cost.patched_first, &cost.unpatched_first)),
        ("check_reuse_over_unpatched".to_string(), ratio(&cost.patched_reuse, &cost.unpatched_again)),
    ]
}

/// The name of the ratio for the growth of reuse along an axis on another filesystem.
#[must_use]
pub fn growth_name(axis: Axis, fs: Fs) -> String {
    format!("reuse_growth_{}_{}", axis.key(), fs.name().replace('-', "_"))
}

/// The throughput of the disk while the syncfs strategy waited for dirty data, MB/s. If it differs from the configured one,
/// the host could not emulate the disk fast enough.
#[must_use]
#[allow(clippy::cast_precision_loss)]
pub fn disk_throughput(record: &Record) -> Option<Summary> {
    let busy = record.workload(Axis::Busy)?;
    let throughput = |cycle: &RestartCycle| cycle.io.bytes as f64 / 1000.0 / milliseconds(cycle);
    Summary::from_values(busy.samples(RestartStrategy::Sync)?.cycles.iter().map(throughput))
}

/// A percentile of the neighbour's fsync(2) latencies during restarts, over that while the container keeps running. The
/// quartiles compare the percentiles of single samples.
fn latency_over_idle(record: &Record, strategy: RestartStrategy, percent: usize) -> Option<Ratio> {
    let of_all = |strategy| latency(record.neighbour(strategy)?.samples.iter().map(|sample| &sample.fsync), percent);
    let value = of_all(Some(strategy))? / of_all(None)?;
    Some(Ratio { value, ..samples_over_idle(record, strategy, |sample| latency([&sample.fsync], percent))? })
}

/// The ratio of a figure of each sample during restarts to that of each sample while the container keeps running.
fn samples_over_idle(
    record: &Record,
    strategy: RestartStrategy,
    figure: impl Fn(&BackgroundSample) -> Option<f64>,
) -> Option<Ratio> {
    let of_each = |strategy| Some(record.neighbour(strategy)?.samples.iter().filter_map(&figure).collect::<Vec<_>>());
    Ratio::from_values(&of_each(Some(strategy))?, &of_each(None)?)
}

/// A percentile of all these latencies (microseconds) together, milliseconds. `None` if there are none.
#[must_use]
pub fn latency<'a>(latencies: impl IntoIterator<Item = &'a Vec<u32>>, percent: usize) -> Option<f64> {
    let mut all: Vec<u32> = latencies.into_iter().flatten().copied().collect();
    all.sort_unstable();
    percentile(&all, percent).map(|us| f64::from(us) / 1000.0)
}

#[cfg(test)]
mod tests {
    use super::super::record::BackgroundRuns;
    use super::*;

    const NO_IO: vremount_protocol::IoCounts = vremount_protocol::IoCounts { writes: 0, bytes: 0, flushes: 0 };

    #[test]
    fn samples_with_kernel_writeback_are_in_no_ratio() {
        let runs = |strategy, kernel_writeback, us| {
            let sample = BackgroundSample { fsync: vec![us], write: vec![us], restarts: Vec::new(), io: NO_IO };
            BackgroundRuns { strategy, kernel_writeback, seconds: 1, samples: vec![sample] }
        };
        let reuse = Some(RestartStrategy::Reuse);
        let background =
            vec![runs(None, true, 1000), runs(reuse, true, 9000), runs(None, false, 1000), runs(reuse, false, 2000)];
        let ratios = derive(&Record { background, ..crate::bench::testing::record() });
        assert_eq!(ratios["neighbour_p99_over_idle"].value, 2.0);
        assert_eq!(ratios["neighbour_p50_over_idle"].value, 2.0);
    }

    /// One delay in more than a hundred rounds does not change the 99th percentile.
    #[test]
    fn rare_delay_shows_in_worst_latency_and_in_rounds() {
        let runs = |strategy, rounds: usize, worst| {
            let fsync = [vec![1000; rounds - 1], vec![worst]].concat();
            let sample = BackgroundSample { fsync, write: Vec::new(), restarts: Vec::new(), io: NO_IO };
            BackgroundRuns { strategy, kernel_writeback: false, seconds: 1, samples: vec![sample; 3] }
        };
        let background = vec![runs(None, 300, 1000), runs(Some(RestartStrategy::Sync), 210, 280_000)];
        let ratios = derive(&Record { background, ..crate::bench::testing::record() });
        let value = |name: &str| ratios[&format!("neighbour_syncfs_{name}_over_idle")].value;
        assert_eq!(["p99", "worst", "rounds"].map(value), [1.0, 280.0, 0.7]);
    }

    #[test]
    fn percentile_is_taken_over_all_samples() {
        assert_eq!(latency([&vec![3000, 1000], &vec![2000]], 50), Some(2.0));
        assert_eq!(latency([&Vec::new()], 50), None);
    }
}

// SPDX-License-Identifier: MIT OR Apache-2.0
//! The workloads of a benchmark: all of them on the first filesystem, a smaller set on each of the others.

use vremount_protocol::RestartStrategy;

use crate::bench::axis::Axis;
use crate::bench::size::BenchSize;
use crate::bench::workload::Workload;

const MIB: u64 = 1 << 20;
/// Dirty bytes of a neighbour where strategies are compared on the first filesystem.
const BUSY_BYTES: u64 = 512 * MIB;
/// Dirty bytes of a neighbour where filesystems are compared.
const BUSY_BYTES_OF_OTHERS: u64 = 128 * MIB;

/// The values that are measured on an axis. Two of them show whether a cost grows, more of them how it grows.
fn values(axis: Axis, few: bool) -> &'static [u64] {
    match (axis, few) {
        (Axis::Files, true) => &[1, 1000],
        (Axis::Files, false) => &[1, 100, 1000, 10_000, 100_000],
        (Axis::Overlays, true) => &[1, 20],
        (Axis::Overlays, false) => &[1, 10, 50, 200],
        (_, true) => &[0, 128 * MIB],
        (_, false) => &[0, 64 * MIB, 256 * MIB, 1024 * MIB],
    }
}

/// In how many parts the cycles of a workload are measured: with many parts a slow phase of the host affects many
/// workloads and not a single one. There are fewer on the axis of files, because each visit creates the files again.
fn visits(axis: Axis, size: BenchSize) -> usize {
    match axis {
        _ if size.quick => 1,
        Axis::Files => 5,
        _ => 15,
    }
}

fn each(cycles: usize, strategies: &[RestartStrategy]) -> Vec<(RestartStrategy, usize)> {
    strategies.iter().map(|strategy| (*strategy, cycles)).collect()
}

/// The workloads of the first filesystem.
pub fn for_first_filesystem(size: BenchSize) -> Vec<Workload> {
    use RestartStrategy::{Durable, First, Plain, Rebuild, Reuse, Sync};
    let (rounds, slow) = (size.rounds, size.slow_rounds());
    let mut workloads = vec![
        Workload::new(Axis::Idle, 0, &each(rounds, &[Reuse, First, Plain, Rebuild, Sync, Durable])),
        Workload::new(
            Axis::Busy,
            BUSY_BYTES,
            &[each(rounds, &[Reuse, First]), each(slow, &[Rebuild, Sync, Durable])].concat(),
        ),
        Workload::new(Axis::Quiet, BUSY_BYTES_OF_OTHERS, &each(rounds, &[Reuse])),
    ];
    for axis in Axis::SWEPT {
        workloads.extend(values(axis, size.quick).iter().map(|value| {
            // The cost of a rebuild grows with the files. 100,000 of them would take long and show nothing new.
            let is_rebuilt = axis == Axis::Files && *value <= 10_000;
            let waiting: &[RestartStrategy] = if is_rebuilt { &[Sync, Durable, Rebuild] } else { &[Sync, Durable] };
            // A cycle of half a millisecond varies widely: many are needed to detect a growth of a tenth.
            let strategies = [each(size.scaled_rounds(10), &[Reuse, First]), each(slow, waiting)].concat();
            Workload { visits: visits(axis, size), ..Workload::new(axis, *value, &strategies) }
        }));
    }
    workloads
}

/// The workloads of each further filesystem.
pub fn for_other_filesystem(size: BenchSize) -> Vec<Workload> {
    use RestartStrategy::{Durable, First, Plain, Rebuild, Reuse, Sync};
    let (rounds, slow) = (size.rounds, size.slow_rounds());
    let mut workloads = vec![
        Workload::new(Axis::Idle, 0, &[each(rounds, &[Reuse, First]), each(slow, &[Plain, Rebuild])].concat()),
        Workload::new(
            Axis::Busy,
            BUSY_BYTES_OF_OTHERS,
            &[each(rounds, &[Reuse, First]), each(slow, &[Sync, Durable])].concat(),
        ),
        Workload::new(Axis::Quiet, BUSY_BYTES_OF_OTHERS, &each(rounds, &[Reuse])),
    ];
    for axis in Axis::SWEPT {
        workloads.extend(values(axis, true).iter().map(|value| {
            let visits = visits(axis, size);
            // One sync in each visit shows that there was dirty data to write.
            let strategies = [each(size.scaled_rounds(5), &[Reuse, First]), each(visits, &[Sync])].concat();
            Workload { visits, ..Workload::new(axis, *value, &strategies) }
        }));
    }
    workloads
}

// SPDX-License-Identifier: MIT OR Apache-2.0
//! What is compared: everything on the first filesystem, and on the others what shows that it is so there, too.

use vremount_protocol::RestartStrategy;

use crate::bench::plan::BenchSize;
use crate::bench::workload::{Axis, Workload};

const MIB: u64 = 1 << 20;
/// What a neighbour has dirty where ways are compared.
const BUSY_BYTES: u64 = 512 * MIB;
/// The same where filesystems are.
const BUSY_BYTES_OF_OTHERS: u64 = 128 * MIB;

/// Where along an axis: few places show whether a cost grows, more of them how.
fn places(axis: Axis, few: bool) -> &'static [u64] {
    match (axis, few) {
        (Axis::Files, true) => &[1, 1000],
        (Axis::Files, false) => &[1, 100, 1000, 10_000, 100_000],
        (Axis::Overlays, true) => &[1, 20],
        (Axis::Overlays, false) => &[1, 10, 50, 200],
        (_, true) => &[0, 128 * MIB],
        (_, false) => &[0, 64 * MIB, 256 * MIB, 1024 * MIB],
    }
}

/// How often a place is come back to: a host that is slow for a while is so in many places then, and not in one. Files must be
/// made for each visit, which takes longer than all else.
fn visits(axis: Axis, effort: BenchSize) -> usize {
    match axis {
        _ if effort.quick => 1,
        Axis::Files => 5,
        _ => 15,
    }
}

fn all(rounds: usize, ways: &[RestartStrategy]) -> Vec<(RestartStrategy, usize)> {
    ways.iter().map(|way| (*way, rounds)).collect()
}

pub fn of_first(effort: BenchSize) -> Vec<Workload> {
    use RestartStrategy::{Durable, First, Plain, Rebuild, Reuse, Sync};
    let (often, slow) = (effort.rounds, effort.slow());
    let mut scenes = vec![
        Workload::at(Axis::Idle, 0, &all(often, &[Reuse, First, Plain, Rebuild, Sync, Durable])),
        Workload::at(
            Axis::Busy,
            BUSY_BYTES,
            &[all(often, &[Reuse, First]), all(slow, &[Rebuild, Sync, Durable])].concat(),
        ),
        Workload::at(Axis::Quiet, BUSY_BYTES_OF_OTHERS, &all(often, &[Reuse])),
    ];
    for axis in Axis::SWEPT {
        scenes.extend(places(axis, effort.quick).iter().map(|value| {
            // Making the files of an upper again is what grows with them; the last step would only take long.
            let rebuilt = axis == Axis::Files && *value <= 10_000;
            let waiting: &[RestartStrategy] = if rebuilt { &[Sync, Durable, Rebuild] } else { &[Sync, Durable] };
            // Half a millisecond is spread wide by any machine, and is to be told from a tenth more.
            let ways = [all(effort.times(10), &[Reuse, First]), all(slow, waiting)].concat();
            Workload { visits: visits(axis, effort), ..Workload::at(axis, *value, &ways) }
        }));
    }
    scenes
}

pub fn of_others(effort: BenchSize) -> Vec<Workload> {
    use RestartStrategy::{Durable, First, Plain, Rebuild, Reuse, Sync};
    let (often, slow) = (effort.rounds, effort.slow());
    let mut scenes = vec![
        Workload::at(Axis::Idle, 0, &[all(often, &[Reuse, First]), all(slow, &[Plain, Rebuild])].concat()),
        Workload::at(
            Axis::Busy,
            BUSY_BYTES_OF_OTHERS,
            &[all(often, &[Reuse, First]), all(slow, &[Sync, Durable])].concat(),
        ),
        Workload::at(Axis::Quiet, BUSY_BYTES_OF_OTHERS, &all(often, &[Reuse])),
    ];
    for axis in Axis::SWEPT {
        scenes.extend(places(axis, true).iter().map(|value| {
            let visits = visits(axis, effort);
            // Each visit has one who waits for the disk, and so shows what there was to wait for.
            let ways = [all(effort.times(5), &[Reuse, First]), all(visits, &[Sync])].concat();
            Workload { visits, ..Workload::at(axis, *value, &ways) }
        }));
    }
    scenes
}

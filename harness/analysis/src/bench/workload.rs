// SPDX-License-Identifier: MIT OR Apache-2.0
//! A workload: a fixed state of the upper filesystem in which restart strategies are compared, and the operations that
//! measure it.

use vremount_protocol::{BenchOp, Mode, Op, Prng, RestartStrategy, Writer};

use crate::bench::axis::Axis;
use crate::bench::script::{DISK, SampleId, Script, mount, remove_marker, swap, sync, unmount};

/// How long after the last cycle I/O is still counted as caused by it, milliseconds.
const SETTLE_MS: u64 = 500;

/// Files in the upper, unless the workload varies them.
pub const DEFAULT_FILES: u32 = 100;

/// A state of the upper filesystem, and how often each strategy is measured in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Workload {
    /// What differs from the default workload.
    pub axis: Axis,
    /// The value on the axis.
    pub value: u64,
    /// Files in the upper.
    pub files: u32,
    /// Bytes that the container itself has dirty.
    pub own_dirty: u64,
    /// Bytes that a neighbour on the same filesystem has dirty.
    pub neighbour_dirty: u64,
    /// Mounted overlays on the filesystem, including that of the container.
    pub overlays: u32,
    /// The strategies that are compared, each with its number of cycles.
    pub strategies: Vec<(RestartStrategy, usize)>,
    /// In how many parts the cycles are measured. The other values of the axis are measured between the parts, so that a
    /// host that becomes slower does not look like a cost that grows along the axis.
    pub visits: usize,
}

impl Workload {
    /// The default workload with this value on this axis: 100 files, nothing dirty, one overlay, one visit.
    #[must_use]
    pub fn new(axis: Axis, value: u64, strategies: &[(RestartStrategy, usize)]) -> Self {
        let default = Workload {
            axis,
            value,
            files: DEFAULT_FILES,
            own_dirty: 0,
            neighbour_dirty: 0,
            overlays: 1,
            strategies: strategies.to_vec(),
            visits: 1,
        };
        let count = || u32::try_from(value).unwrap_or(u32::MAX);
        match axis {
            Axis::Idle => default,
            Axis::Busy | Axis::Quiet | Axis::NeighbourDirty => Workload { neighbour_dirty: value, ..default },
            Axis::OwnDirty => Workload { own_dirty: value, ..default },
            Axis::Files => Workload { files: count(), ..default },
            Axis::Overlays => Workload { overlays: count(), ..default },
        }
    }

    /// The operations of one visit. The upper filesystem and the overlay of the container are mounted before and after.
    /// `modules` are the paths of the patched and of the unpatched module in the initramfs.
    pub(super) fn visit(&self, workload: usize, visit: usize, modules: [&str; 2]) -> Script {
        let mut script = Script::default();
        script.op(unmount()).op(Op::RecreateUpper { disk: DISK });
        script.bench(BenchOp::Fill { disk: DISK, files: self.files }).op(mount(Mode::Volatile));
        if self.overlays > 1 {
            script.bench(BenchOp::MountOthers { disk: DISK, count: self.overlays - 1 });
        }
        script.op(sync());
        let mut is_dirty = false;
        if self.axis == Axis::Quiet {
            self.make_dirty(&mut script, &mut is_dirty);
            script.op(Op::StartIoCount { disk: DISK });
        }
        for (round, strategies) in self.rounds(visit).into_iter().enumerate() {
            for strategy in shuffled(strategies, &[workload, visit, round]) {
                if strategy != RestartStrategy::Plain {
                    self.make_dirty(&mut script, &mut is_dirty);
                }
                self.measure_cycle(&mut script, strategy, SampleId::Cycle { workload, strategy }, modules);
                is_dirty &= !syncs(strategy);
            }
        }
        if self.axis == Axis::Quiet {
            script.op(Op::Sleep { ms: SETTLE_MS }).sample(Op::ReadIoCount { disk: DISK }, SampleId::Quiet);
            self.measure_residual_io(&mut script, modules);
        }
        if self.overlays > 1 {
            script.bench(BenchOp::UnmountOthers { disk: DISK });
        }
        script.op(sync());
        script
    }

    /// The strategies of each round of a visit. Those with fewer cycles than rounds are spread evenly over the rounds.
    fn rounds(&self, visit: usize) -> Vec<Vec<RestartStrategy>> {
        let part = |cycles: usize| cycles * (visit + 1) / self.visits - cycles * visit / self.visits;
        let rounds = self.strategies.iter().map(|(_, cycles)| part(*cycles)).max().unwrap_or_default();
        let is_due = |round: usize, cycles: usize| {
            let done_before = |round: usize| round * part(cycles) / rounds;
            done_before(round + 1) > done_before(round)
        };
        let due = |round| {
            let strategies = self.strategies.iter().filter(|(_, cycles)| is_due(round, *cycles));
            strategies.map(|(strategy, _)| *strategy).collect()
        };
        (0..rounds).map(due).collect()
    }

    /// Syncs before a strategy that syncs, in workloads where nothing is to be dirty: otherwise it would write what
    /// earlier cycles of other strategies left.
    fn sync_if_idle(&self, script: &mut Script) {
        if self.own_dirty + self.neighbour_dirty == 0 {
            script.op(sync());
        }
    }

    fn make_dirty(&self, script: &mut Script, is_dirty: &mut bool) {
        if *is_dirty {
            return;
        }
        for (whose, bytes) in [(Writer::Other, self.neighbour_dirty), (Writer::Own, self.own_dirty)] {
            if bytes > 0 {
                script.bench(BenchOp::Dirty { disk: DISK, writer: whose, bytes });
            }
        }
        *is_dirty = true;
    }

    /// Measures what reuse cycles leave to the next sync, and what as many mounts leave that remove the marker on the
    /// unpatched module. Nothing else is dirty.
    fn measure_residual_io(&self, script: &mut Script, [patched, unpatched]: [&str; 2]) {
        let cycles = self.strategies.iter().map(|(_, cycles)| *cycles).max().unwrap_or_default();
        for marker_removed in [false, true] {
            if marker_removed {
                script.change_module(unpatched);
            }
            script.op(sync()).op(Op::StartIoCount { disk: DISK });
            for _ in 0..cycles {
                script.remount_volatile(marker_removed);
            }
            script.op(sync()).sample(Op::ReadIoCount { disk: DISK }, SampleId::Residual { marker_removed });
        }
        script.change_module(patched);
    }

    /// One restart cycle, with the operations before it that the strategy needs, and those after it that restore the
    /// volatile overlay of the container.
    fn measure_cycle(
        &self,
        script: &mut Script,
        strategy: RestartStrategy,
        id: SampleId,
        [patched, unpatched]: [&str; 2],
    ) {
        let cycle = Op::Bench(BenchOp::Restart { disk: DISK, strategy, files: self.files });
        match strategy {
            RestartStrategy::Plain => {
                // Its unmount syncs. It must not write what other strategies left.
                script.op(sync()).op(unmount()).bench(swap(unpatched)).sample(cycle, id);
                script.bench(swap(patched)).op(remove_marker()).op(mount(Mode::Volatile));
            }
            RestartStrategy::Durable => {
                self.sync_if_idle(script);
                script.op(unmount()).op(remove_marker()).op(mount(Mode::Durable)).sample(cycle, id);
                script.op(unmount()).op(mount(Mode::Volatile));
            }
            RestartStrategy::Reuse | RestartStrategy::Sync | RestartStrategy::Rebuild | RestartStrategy::First => {
                if strategy == RestartStrategy::Sync {
                    self.sync_if_idle(script);
                }
                script.bench(BenchOp::WarmUp { disk: DISK }).sample(cycle, id);
                if strategy == RestartStrategy::Rebuild {
                    // The next strategy must not write the files that this one made.
                    script.op(sync());
                }
            }
        }
    }
}

/// Whether nothing is dirty after a cycle.
fn syncs(strategy: RestartStrategy) -> bool {
    use RestartStrategy::{Durable, Plain, Rebuild, Sync};
    matches!(strategy, Sync | Durable | Plain | Rebuild)
}

/// Shuffles the strategies of a round with the seed of that round. The order is the same in each run of the benchmark, and
/// no strategy always comes first or always follows the same other one.
pub(super) fn shuffled<T>(strategies: Vec<T>, seed: &[usize]) -> Vec<T> {
    let seed = seed.iter().fold(0, |seed: u64, part| seed.wrapping_mul(1009).wrapping_add(*part as u64));
    let mut random = Prng::new(seed);
    let mut keyed: Vec<_> = strategies.into_iter().map(|strategy| (random.next_u64(), strategy)).collect();
    keyed.sort_by_key(|(key, _)| *key);
    keyed.into_iter().map(|(_, strategy)| strategy).collect()
}

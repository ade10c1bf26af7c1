// SPDX-License-Identifier: MIT OR Apache-2.0
//! One comparison: a world that stays the same, the ways that are compared in it, and the operations that do so.

use serde::{Deserialize, Serialize};
use vremount_protocol::{AccessPath, BenchOp, Disk, LayerSet, Mode, Op, Prng, RestartStrategy, Writer};

use crate::bench::plan::{SampleId, Script};

/// Where the upper is.
pub(super) const DISK: Disk = Disk::A;
/// How long after the last turn something may still reach the disk because of it.
const SETTLES_MS: u64 = 500;

/// What is different from scene to scene.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Axis {
    /// Nothing is dirty: what the ways cost themselves.
    Idle,
    /// A neighbour has dirty data; the value is its bytes.
    Busy,
    /// Only reuse, and what reaches the disk until long after it.
    Quiet,
    /// Dirty bytes of the container itself.
    OwnDirty,
    /// Dirty bytes of a neighbour on the same filesystem.
    NeighbourDirty,
    /// Files in the upper.
    Files,
    /// Overlays on the filesystem.
    Overlays,
}

impl Axis {
    /// Along which a cost may grow.
    pub const SWEPT: [Axis; 4] = [Axis::OwnDirty, Axis::NeighbourDirty, Axis::Files, Axis::Overlays];
}

/// A world, and how often each way is measured in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Workload {
    pub axis: Axis,
    pub value: u64,
    pub files: u32,
    pub own_dirty: u64,
    pub neighbour_dirty: u64,
    /// The container's own among them.
    pub overlays: u32,
    pub ways: Vec<(RestartStrategy, usize)>,
    /// How often it is come back to, to measure a part of all: in between the other places of its axis are measured, so that
    /// a host that gets slower does not look like a cost that grows.
    pub visits: usize,
}

/// A container that is there, with a hundred files.
pub const USUAL_FILES: u32 = 100;

impl Workload {
    /// The usual world, but for what the axis says.
    #[must_use]
    pub fn at(axis: Axis, value: u64, ways: &[(RestartStrategy, usize)]) -> Self {
        let usual = Workload {
            axis,
            value,
            files: USUAL_FILES,
            own_dirty: 0,
            neighbour_dirty: 0,
            overlays: 1,
            ways: ways.to_vec(),
            visits: 1,
        };
        let count = || u32::try_from(value).unwrap_or(u32::MAX);
        match axis {
            Axis::Idle => usual,
            Axis::Busy | Axis::Quiet | Axis::NeighbourDirty => Workload { neighbour_dirty: value, ..usual },
            Axis::OwnDirty => Workload { own_dirty: value, ..usual },
            Axis::Files => Workload { files: count(), ..usual },
            Axis::Overlays => Workload { overlays: count(), ..usual },
        }
    }

    /// Everything that a visit takes, on an upper filesystem that is mounted, with the container's overlay mounted before and after.
    pub(super) fn visit(&self, number: usize, visit: usize, modules: [&str; 2]) -> Script {
        let mut script = Script::default();
        script.op(unmount()).op(Op::FreshUpper { disk: DISK });
        script.bench(BenchOp::Fill { disk: DISK, files: self.files }).op(mount(Mode::Volatile));
        if self.overlays > 1 {
            script.bench(BenchOp::MountOthers { disk: DISK, count: self.overlays - 1 });
        }
        script.op(sync());
        let mut dirty = false;
        if self.axis == Axis::Quiet {
            self.make_dirty(&mut script, &mut dirty);
            script.op(Op::CountIo { disk: DISK });
        }
        let part = |rounds: usize| rounds * (visit + 1) / self.visits - rounds * visit / self.visits;
        let rounds = self.ways.iter().map(|(_, rounds)| part(*rounds)).max().unwrap_or_default();
        for round in 0..rounds {
            // What is measured less often comes as far apart as it can.
            let until = |round: usize, times: usize| round * part(times) / rounds;
            let is_due = |(_, times): &&(RestartStrategy, usize)| until(round + 1, *times) > until(round, *times);
            let ways = self.ways.iter().filter(is_due).map(|(way, _)| *way).collect();
            for way in shuffled(ways, &[number, visit, round]) {
                if way != RestartStrategy::Plain {
                    self.make_dirty(&mut script, &mut dirty);
                }
                self.turn(&mut script, way, SampleId::Turn { scene: number, way }, modules);
                dirty &= !matches!(
                    way,
                    RestartStrategy::Sync
                        | RestartStrategy::Durable
                        | RestartStrategy::Plain
                        | RestartStrategy::Rebuild
                );
            }
        }
        if self.axis == Axis::Quiet {
            script.op(Op::Sleep { ms: SETTLES_MS }).labelled(Op::CountedIo { disk: DISK }, SampleId::Quiet);
            self.leave(&mut script, modules);
        }
        if self.overlays > 1 {
            script.bench(BenchOp::UnmountOthers { disk: DISK });
        }
        script.op(sync());
        script
    }

    /// Where nothing is to be dirty, directories of others are neither.
    fn settle(&self, script: &mut Script) {
        if self.own_dirty + self.neighbour_dirty == 0 {
            script.op(sync());
        }
    }

    fn make_dirty(&self, script: &mut Script, dirty: &mut bool) {
        if *dirty {
            return;
        }
        for (whose, bytes) in [(Writer::Neighbour, self.neighbour_dirty), (Writer::Own, self.own_dirty)] {
            if bytes > 0 {
                script.bench(BenchOp::Dirty { disk: DISK, whose, bytes });
            }
        }
        *dirty = true;
    }

    /// As many turns of reuse with nothing dirty, and then as many of who removes the marker, whatever it says, on the module as it
    /// is without the series: what each leaves to whoever syncs next.
    fn leave(&self, script: &mut Script, [patched, unpatched]: [&str; 2]) {
        let rounds = self.ways.iter().map(|(_, rounds)| *rounds).max().unwrap_or_default();
        for blind in [false, true] {
            if blind {
                script.op(unmount()).bench(swap(unpatched)).op(sync_and_drop_caches()).op(mount(Mode::Volatile));
            }
            script.op(sync()).op(Op::CountIo { disk: DISK });
            (0..rounds).for_each(|_| repeat_cycle(script, blind));
            script.op(sync()).labelled(Op::CountedIo { disk: DISK }, SampleId::Left { blind });
        }
        script.op(unmount()).bench(swap(patched)).op(sync_and_drop_caches()).op(mount(Mode::Volatile));
    }

    /// One turn, and around it what makes the way possible and takes it back.
    fn turn(&self, script: &mut Script, way: RestartStrategy, label: SampleId, [patched, unpatched]: [&str; 2]) {
        let turn = Op::Bench(BenchOp::Turn { disk: DISK, way, files: self.files });
        match way {
            RestartStrategy::Plain => {
                // Its unmount syncs, and is to find nothing of the others'.
                script.op(sync()).op(unmount()).bench(swap(unpatched)).labelled(turn, label);
                script.bench(swap(patched)).op(sync_and_drop_caches()).op(mount(Mode::Volatile));
            }
            RestartStrategy::Durable => {
                self.settle(script);
                script.op(unmount()).op(sync_and_drop_caches()).op(mount(Mode::Durable)).labelled(turn, label);
                script.op(unmount()).op(mount(Mode::Volatile));
            }
            RestartStrategy::Reuse | RestartStrategy::Sync | RestartStrategy::Rebuild | RestartStrategy::First => {
                if way == RestartStrategy::Sync {
                    self.settle(script);
                }
                script.bench(BenchOp::WarmUp { disk: DISK }).labelled(turn, label);
                if way == RestartStrategy::Rebuild {
                    // The files it made are nobody else's to write.
                    script.op(sync());
                }
            }
        }
    }
}

/// In an order of its own, the same in every bench, after which nobody always comes first or after the same other.
pub(super) fn shuffled<T>(ways: Vec<T>, round: &[usize]) -> Vec<T> {
    let seed = round.iter().fold(0, |seed: u64, part| seed.wrapping_mul(1009).wrapping_add(*part as u64));
    let mut drawn = Prng::of(seed);
    let mut keyed: Vec<_> = ways.into_iter().map(|way| (drawn.word(), way)).collect();
    keyed.sort_by_key(|(key, _)| *key);
    keyed.into_iter().map(|(_, way)| way).collect()
}

pub(super) fn mount(mode: Mode) -> Op {
    Op::MountOverlay { disk: DISK, layers: LayerSet::First, mode, via: AccessPath::Mount, options: String::new() }
}

pub(super) fn unmount() -> Op {
    Op::UnmountOverlay { disk: DISK, layers: LayerSet::First, lazy: false }
}

/// A marker that another module left, or that a durable mount would refuse.
pub(super) fn sync_and_drop_caches() -> Op {
    Op::RemoveMarker { disk: DISK }
}

/// The module in the place of another.
pub(super) fn swap(module: &str) -> BenchOp {
    BenchOp::SwapOverlay { module: module.to_string() }
}

/// The same directories once more; blind: without the marker, whatever it says.
pub(super) fn repeat_cycle(script: &mut Script, blind: bool) {
    script.op(unmount());
    if blind {
        script.op(sync_and_drop_caches());
    }
    script.op(mount(Mode::Volatile));
}

pub(super) fn sync() -> Op {
    Op::SyncUpperAfresh { disk: DISK }
}

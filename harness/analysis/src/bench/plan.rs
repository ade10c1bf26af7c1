// SPDX-License-Identifier: MIT OR Apache-2.0
//! What is measured on a machine: scenes, then the neighbour, then the check itself, as one list of operations; and
//! what the answer to each stands for.

use vremount_machine::image::Fs;
use vremount_protocol::{BenchOp, DeviceStack, Mode, Op, RestartStrategy};

use crate::bench::workload::{
    DISK, USUAL_FILES, Workload, mount, repeat_cycle, shuffled, swap, sync, sync_and_drop_caches, unmount,
};
use crate::bench::workloads::{of_first, of_others};

/// What the container writes before each stop beside the neighbour.
const BESIDE_BYTES: u64 = 64 << 20;
/// Turns of which the last is looked at: the first after a load of a module runs code that nobody has run yet.
pub const TRACED_TURNS: usize = 3;
/// The function that mounts an overlay, in every base.
pub const TRACED: &str = "ovl_fill_super";

/// How much is measured.
#[derive(Debug, Clone, Copy)]
pub struct BenchSize {
    /// How often each way is measured side by side.
    pub rounds: usize,
    pub quick: bool,
}

impl BenchSize {
    /// How often those are measured that wait for the disk.
    pub(super) fn slow(self) -> usize {
        if self.quick { (self.rounds / 10).max(3) } else { self.rounds }
    }

    /// How often the check is, which takes a module that is loaded anew.
    fn traced(self) -> usize {
        if self.quick { (self.rounds / 3).max(3) } else { self.rounds }
    }

    /// So many times as often, if there is time.
    pub(super) fn times(self, more: usize) -> usize {
        if self.quick { self.rounds } else { more * self.rounds }
    }

    /// How the neighbour is looked at.
    fn looks(self) -> Vec<SampleCounts> {
        use RestartStrategy::{Durable, Rebuild, Reuse, Sync};
        let looks = |ways: &[RestartStrategy], times, seconds, by_itself| {
            let ways = [None].into_iter().chain(ways.iter().copied().map(Some)).collect();
            SampleCounts { ways, times, seconds, by_itself }
        };
        let each = &[Reuse, Sync, Rebuild, Durable];
        match self.quick {
            true => vec![looks(each, 1, 3, false)],
            // Data is written back when it is 30 s old.
            false => vec![looks(each, 12, 6, false), looks(&[Reuse, Sync], 2, 40, true)],
        }
    }
}

/// Looks at a neighbour, in turn.
struct SampleCounts {
    /// None: nobody is stopped.
    ways: Vec<Option<RestartStrategy>>,
    /// How often each.
    times: usize,
    seconds: u32,
    /// Whether the kernel writes back by itself.
    by_itself: bool,
}

/// What the answer to an operation is kept as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SampleId {
    Turn {
        scene: usize,
        way: RestartStrategy,
    },
    /// Reuse and what came of it long after.
    Quiet,
    /// What was left to the next sync: by reuse, or by who removes markers blindly.
    Left {
        blind: bool,
    },
    Neighbour {
        way: Option<RestartStrategy>,
        seconds: u32,
        by_itself: bool,
    },
    /// Calls of [`TRACED`], by the first mount of directories or by one that follows.
    Calls {
        patched: bool,
        reuse: bool,
    },
    Clock,
}

/// Operations, each with what its answer stands for.
#[derive(Debug, Default)]
pub struct Script(pub Vec<(Op, Option<SampleId>)>);

impl Script {
    pub(super) fn op(&mut self, op: Op) -> &mut Self {
        self.0.push((op, None));
        self
    }

    pub(super) fn bench(&mut self, op: BenchOp) -> &mut Self {
        self.op(Op::Bench(op))
    }

    pub(super) fn labelled(&mut self, op: Op, label: SampleId) -> &mut Self {
        self.0.push((op, Some(label)));
        self
    }
}

/// A machine and what it measures.
#[derive(Debug)]
pub struct Plan {
    pub fs: Fs,
    pub scenes: Vec<Workload>,
    /// Whether the neighbour is measured, which takes a processor of its own.
    pub neighbour: bool,
    /// Whether the check itself is, which takes a kernel with a tracer.
    pub check: bool,
    effort: BenchSize,
}

impl Plan {
    /// All that is measured on these filesystems: everything on the first, what shows their difference on the others.
    #[must_use]
    pub fn all(filesystems: &[Fs], effort: BenchSize, tracer: bool) -> Vec<Plan> {
        let plan = |fs, scenes| Plan { fs, scenes, neighbour: false, check: false, effort };
        let mut plans: Vec<_> = filesystems.iter().skip(1).map(|fs| plan(*fs, of_others(effort))).collect();
        if let Some(first) = filesystems.first() {
            plans.insert(0, Plan { check: tracer, ..plan(*first, of_first(effort)) });
            plans.insert(1, Plan { neighbour: true, ..plan(*first, Vec::new()) });
        }
        plans
    }

    /// `modules` are where the initramfs has the patched one and the unpatched.
    #[must_use]
    pub fn script(&self, modules: [&str; 2]) -> Script {
        let mut script = Script::default();
        script.labelled(Op::Bench(BenchOp::Clock), SampleId::Clock).bench(BenchOp::Writeback { by_itself: false });
        script.op(Op::Attach { disk: DISK, on: DeviceStack::Device });
        script.op(Op::MountUpper { disk: DISK, options: String::new() }).op(mount(Mode::Volatile));
        let numbered: Vec<_> = self.scenes.iter().enumerate().collect();
        for along in numbered.chunk_by(|(_, one), (_, next)| one.axis == next.axis) {
            for visit in 0..along.iter().map(|(_, scene)| scene.visits).max().unwrap_or_default() {
                // There and back: who comes last does not always.
                let mut along = along.to_vec();
                if visit % 2 == 1 {
                    along.reverse();
                }
                for (number, scene) in &along {
                    script.0.append(&mut scene.visit(*number, visit, modules).0);
                }
            }
        }
        if self.neighbour {
            self.beside(&mut script);
        }
        if self.check {
            self.trace(&mut script, modules);
        }
        script
    }

    /// Processors of the machine.
    pub(super) fn processors(&self) -> u8 {
        if self.neighbour { 2 } else { 1 }
    }

    /// In turn: nobody is stopped, and each way.
    fn beside(&self, script: &mut Script) {
        let look = |way, seconds| {
            let (disk, dirty, files) = (DISK, BESIDE_BYTES, USUAL_FILES);
            Op::Bench(BenchOp::Neighbour { disk, way, seconds, dirty, files })
        };
        script
            .op(unmount())
            .bench(BenchOp::Fill { disk: DISK, files: USUAL_FILES })
            .op(mount(Mode::Volatile))
            .op(sync());
        for SampleCounts { ways, times, seconds, by_itself } in self.effort.looks() {
            script.bench(BenchOp::Writeback { by_itself });
            // The first time runs code that nobody has run yet, and is not counted.
            for time in 0..=times {
                for way in shuffled(ways.clone(), &[time]) {
                    if way == Some(RestartStrategy::Durable) {
                        script.op(unmount()).op(sync_and_drop_caches()).op(mount(Mode::Durable));
                    }
                    match time {
                        0 => script.op(look(way, 1)),
                        _ => script.labelled(look(way, seconds), SampleId::Neighbour { way, seconds, by_itself }),
                    };
                    script.op(sync());
                    if way == Some(RestartStrategy::Durable) {
                        script.op(unmount()).op(mount(Mode::Volatile));
                    }
                }
            }
        }
    }

    /// With each module a first mount, and then one of the same directories: reuse, or, where there is none, without the marker.
    /// Which module comes first changes.
    fn trace(&self, script: &mut Script, [patched, unpatched]: [&str; 2]) {
        let traced = |script: &mut Script, is_patched: bool, reuse: bool| {
            script.bench(BenchOp::Trace { function: TRACED.to_string() });
            for _ in 0..TRACED_TURNS {
                if reuse {
                    repeat_cycle(script, !is_patched);
                } else {
                    script.bench(BenchOp::Turn { disk: DISK, way: RestartStrategy::First, files: 0 });
                }
            }
            script.labelled(Op::Bench(BenchOp::Traced), SampleId::Calls { patched: is_patched, reuse });
        };
        for round in 0..self.effort.traced() {
            let mut modules = [false, true];
            modules.rotate_left(round % 2);
            for is_patched in modules {
                script.op(unmount()).bench(swap(if is_patched { patched } else { unpatched }));
                traced(script, is_patched, false);
                script.op(sync_and_drop_caches()).op(mount(Mode::Volatile));
                traced(script, is_patched, true);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::super::workload::Axis;
    use super::*;

    const MODULES: [&str; 2] = ["/patched.ko", "/unpatched.ko"];

    fn effort(quick: bool) -> BenchSize {
        BenchSize { rounds: 30, quick }
    }

    fn visits(scene: &Workload) -> Vec<(Op, Option<SampleId>)> {
        (0..scene.visits).flat_map(|visit| scene.visit(0, visit, MODULES).0).collect()
    }

    fn turns_of(scene: &Workload) -> Vec<RestartStrategy> {
        let way = |label| match label {
            Some(SampleId::Turn { way, .. }) => Some(way),
            _ => None,
        };
        visits(scene).into_iter().filter_map(|(_, label)| way(label)).collect()
    }

    fn turns(script: &Script, number: usize, of: RestartStrategy) -> usize {
        let is = |label: &Option<SampleId>| matches!(label, Some(SampleId::Turn { scene, way }) if *scene == number && *way == of);
        script.0.iter().filter(|(_, label)| is(label)).count()
    }

    #[rstest]
    #[case::whole(false)]
    #[case::quick(true)]
    fn every_way_is_measured_as_often_as_its_scene_says(#[case] quick: bool) {
        for plan in Plan::all(&[Fs::Ext4, Fs::Xfs], effort(quick), true) {
            let script = plan.script(MODULES);
            for (number, scene) in plan.scenes.iter().enumerate() {
                for (way, rounds) in &scene.ways {
                    assert_eq!(turns(&script, number, *way), *rounds, "{way:?} in {scene:?}");
                }
            }
        }
    }

    #[test]
    fn quick_measures_the_same_kinds_of_things() {
        let kinds = |quick| {
            let plans = Plan::all(&[Fs::Ext4], effort(quick), true);
            let axes: std::collections::BTreeSet<_> =
                plans.iter().flat_map(|plan| &plan.scenes).map(|scene| scene.axis).collect();
            (axes, plans.iter().any(|plan| plan.neighbour), plans.iter().any(|plan| plan.check))
        };
        assert_eq!(kinds(true), kinds(false));
    }

    /// A way that syncs leaves nothing for the next.
    #[test]
    fn whoever_waits_for_the_disk_finds_as_much_dirty_as_the_scene_says() {
        let plans = Plan::all(&[Fs::Ext4], effort(false), false);
        for scene in plans.iter().flat_map(|plan| &plan.scenes).filter(|scene| scene.neighbour_dirty > 0) {
            let mut dirty = false;
            for (op, label) in visits(scene) {
                match (&op, label) {
                    (Op::Bench(BenchOp::Dirty { .. }), _) => dirty = true,
                    (_, Some(SampleId::Turn { way, .. })) => {
                        assert!(dirty, "{way:?} in {scene:?}");
                        dirty = !matches!(way, RestartStrategy::Sync | RestartStrategy::Durable);
                    }
                    (Op::SyncUpperAfresh { .. }, _) => dirty = false,
                    _ => {}
                }
            }
        }
    }

    #[test]
    fn everybody_comes_after_everybody_else() {
        let ways = [
            RestartStrategy::Reuse,
            RestartStrategy::First,
            RestartStrategy::Plain,
            RestartStrategy::Rebuild,
            RestartStrategy::Sync,
            RestartStrategy::Durable,
        ];
        let run_spec: Vec<_> = turns_of(&Workload::at(Axis::Idle, 0, &ways.map(|way| (way, 30))));
        for (one, other) in
            ways.iter().flat_map(|one| ways.map(|other| (*one, other))).filter(|(one, other)| one != other)
        {
            let times = run_spec.windows(2).filter(|pair| **pair == [one, other]).count();
            assert!((1..15).contains(&times), "{other:?} came {times} times after {one:?}");
        }
    }

    #[test]
    fn what_is_measured_less_often_comes_far_apart() {
        let run_spec =
            turns_of(&Workload::at(Axis::Idle, 0, &[(RestartStrategy::Reuse, 12), (RestartStrategy::Sync, 3)]));
        let places: Vec<_> =
            (0..).zip(&run_spec).filter(|(_, way)| **way == RestartStrategy::Sync).map(|(place, _)| place).collect();
        assert!(places.windows(2).all(|pair| (4..=6).contains(&(pair[1] - pair[0]))), "{run_spec:?}");
    }

    /// What others left is not for those to write who write what is dirty.
    #[test]
    fn where_nothing_is_dirty_nothing_is() {
        let scene = Workload::at(
            Axis::Overlays,
            1,
            &[
                (RestartStrategy::Reuse, 30),
                (RestartStrategy::First, 30),
                (RestartStrategy::Sync, 5),
                (RestartStrategy::Durable, 5),
            ],
        );
        let mut clean = false;
        for (op, label) in visits(&scene) {
            match (&op, label) {
                (Op::SyncUpperAfresh { .. }, _) => clean = true,
                (_, Some(SampleId::Turn { way: RestartStrategy::Sync | RestartStrategy::Durable, .. })) => {
                    assert!(clean)
                }
                (_, Some(SampleId::Turn { .. })) => clean = false,
                _ => {}
            }
        }
    }
}

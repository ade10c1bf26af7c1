// SPDX-License-Identifier: MIT OR Apache-2.0
//! The machines of a benchmark, and the script of each: workloads, then the neighbour, then the traced mount.

use vremount_machine::image::Fs;
use vremount_protocol::{BenchOp, DeviceStack, Mode, Op, RestartStrategy};

use crate::bench::script::{DISK, SampleId, Script, mount, remove_marker, swap, sync, unmount};
use crate::bench::size::BenchSize;
use crate::bench::workload::{DEFAULT_FILES, Workload, shuffled};
use crate::bench::workloads::{for_first_filesystem, for_other_filesystem};

/// Bytes that the container writes before each stop while a neighbour is measured.
const BACKGROUND_DIRTY_BYTES: u64 = 64 << 20;
/// Mounts of which the last is timed. The first ones after a load of the module run code that is not in caches yet.
pub const TRACED_CYCLES: usize = 3;
/// The function that is traced. It mounts an overlay in every base.
pub const TRACED: &str = "ovl_fill_super";

/// The samples of a neighbour that are taken in one mode of writeback.
struct BackgroundSchedule {
    /// How the container is restarted meanwhile; `None`: it keeps running.
    strategies: Vec<Option<RestartStrategy>>,
    /// Samples of each strategy.
    samples: usize,
    /// The duration of a sample.
    seconds: u32,
    /// Whether the kernel writes dirty pages back on its own.
    kernel_writeback: bool,
}

fn background_schedules(size: BenchSize) -> Vec<BackgroundSchedule> {
    use RestartStrategy::{Durable, Rebuild, Reuse, Sync};
    let schedule = |strategies: &[RestartStrategy], samples, seconds, kernel_writeback| {
        let strategies = [None].into_iter().chain(strategies.iter().copied().map(Some)).collect();
        BackgroundSchedule { strategies, samples, seconds, kernel_writeback }
    };
    let all = &[Reuse, Sync, Rebuild, Durable];
    match size.quick {
        true => vec![schedule(all, 1, 3, false)],
        // The kernel writes data back when it is 30 s old.
        false => vec![schedule(all, 12, 6, false), schedule(&[Reuse, Sync], 2, 40, true)],
    }
}

/// What one machine measures.
#[derive(Debug)]
pub struct Plan {
    /// The upper filesystem.
    pub fs: Fs,
    /// The workloads, in the order of their axes.
    pub workloads: Vec<Workload>,
    /// Whether a neighbour is measured. The machine has a second processor for it.
    pub measures_neighbour: bool,
    /// Whether the mount is traced. The kernel must have the function graph tracer.
    pub traces_mount: bool,
    size: BenchSize,
}

impl Plan {
    /// The machines of a benchmark: two for the first filesystem (all workloads; the neighbour), one with the smaller set
    /// of workloads for each of the others. `tracer`: the kernel has the function graph tracer.
    #[must_use]
    pub fn all(filesystems: &[Fs], size: BenchSize, tracer: bool) -> Vec<Plan> {
        let plan = |fs, workloads| Plan { fs, workloads, measures_neighbour: false, traces_mount: false, size };
        let mut plans: Vec<_> = filesystems.iter().skip(1).map(|fs| plan(*fs, for_other_filesystem(size))).collect();
        if let Some(first) = filesystems.first() {
            plans.insert(0, Plan { traces_mount: tracer, ..plan(*first, for_first_filesystem(size)) });
            plans.insert(1, Plan { measures_neighbour: true, ..plan(*first, Vec::new()) });
        }
        plans
    }

    /// The operations that the guest executes. `modules` are the paths of the patched and of the unpatched module in the
    /// initramfs.
    #[must_use]
    pub fn script(&self, modules: [&str; 2]) -> Script {
        let mut script = Script::default();
        script.sample(Op::Bench(BenchOp::Clock), SampleId::Clock).bench(BenchOp::Writeback { enabled: false });
        script.op(Op::Attach { disk: DISK, stack: DeviceStack::Direct });
        script.op(Op::MountUpper { disk: DISK, options: String::new() }).op(mount(Mode::Volatile));
        let numbered: Vec<_> = self.workloads.iter().enumerate().collect();
        for of_axis in numbered.chunk_by(|(_, one), (_, next)| one.axis == next.axis) {
            for visit in 0..of_axis.iter().map(|(_, workload)| workload.visits).max().unwrap_or_default() {
                // Every second visit takes the values in reverse order, so that no value always comes last.
                let mut of_axis = of_axis.to_vec();
                if visit % 2 == 1 {
                    of_axis.reverse();
                }
                for (number, workload) in &of_axis {
                    script.0.append(&mut workload.visit(*number, visit, modules).0);
                }
            }
        }
        if self.measures_neighbour {
            self.measure_neighbour(&mut script);
        }
        if self.traces_mount {
            self.trace_mount(&mut script, modules);
        }
        script
    }

    /// The number of processors of the machine.
    pub(super) fn processors(&self) -> u8 {
        if self.measures_neighbour { 2 } else { 1 }
    }

    /// Samples the neighbour while the container keeps running and while it is restarted with each strategy, interleaved.
    fn measure_neighbour(&self, script: &mut Script) {
        let sample = |way, seconds| {
            let (disk, dirty, files) = (DISK, BACKGROUND_DIRTY_BYTES, DEFAULT_FILES);
            Op::Bench(BenchOp::BackgroundLoad { disk, strategy: way, seconds, dirty_bytes: dirty, files })
        };
        script
            .op(unmount())
            .bench(BenchOp::Fill { disk: DISK, files: DEFAULT_FILES })
            .op(mount(Mode::Volatile))
            .op(sync());
        for BackgroundSchedule { strategies, samples, seconds, kernel_writeback } in background_schedules(self.size) {
            script.bench(BenchOp::Writeback { enabled: kernel_writeback });
            // Round 0 warms caches up and is not counted.
            for round in 0..=samples {
                for strategy in shuffled(strategies.clone(), &[round]) {
                    if strategy == Some(RestartStrategy::Durable) {
                        script.op(unmount()).op(remove_marker()).op(mount(Mode::Durable));
                    }
                    match round {
                        0 => script.op(sample(strategy, 1)),
                        _ => script.sample(
                            sample(strategy, seconds),
                            SampleId::Background { strategy, seconds, kernel_writeback },
                        ),
                    };
                    script.op(sync());
                    if strategy == Some(RestartStrategy::Durable) {
                        script.op(unmount()).op(mount(Mode::Volatile));
                    }
                }
            }
        }
    }

    /// Traces, with each module, a first mount and a mount of the same directories: with the series by reuse, without it
    /// after the marker was removed. The modules alternate in which comes first.
    fn trace_mount(&self, script: &mut Script, [patched, unpatched]: [&str; 2]) {
        let trace = |script: &mut Script, is_patched: bool, reuse: bool| {
            script.bench(BenchOp::Trace { function: TRACED.to_string() });
            for _ in 0..TRACED_CYCLES {
                if reuse {
                    script.remount_volatile(!is_patched);
                } else {
                    script.bench(BenchOp::Restart { disk: DISK, strategy: RestartStrategy::First, files: 0 });
                }
            }
            script.sample(Op::Bench(BenchOp::Traced), SampleId::Calls { patched: is_patched, reuse });
        };
        for round in 0..self.size.traced_rounds() {
            let mut modules = [false, true];
            modules.rotate_left(round % 2);
            for is_patched in modules {
                script.op(unmount()).bench(swap(if is_patched { patched } else { unpatched }));
                trace(script, is_patched, false);
                script.op(remove_marker()).op(mount(Mode::Volatile));
                trace(script, is_patched, true);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::super::axis::Axis;
    use super::*;

    const MODULES: [&str; 2] = ["/patched.ko", "/unpatched.ko"];

    fn size(quick: bool) -> BenchSize {
        BenchSize { rounds: 30, quick }
    }

    fn all_visits(workload: &Workload) -> Vec<(Op, Option<SampleId>)> {
        (0..workload.visits).flat_map(|visit| workload.visit(0, visit, MODULES).0).collect()
    }

    /// The strategies of a workload in the order of its cycles.
    fn cycles(workload: &Workload) -> Vec<RestartStrategy> {
        let strategy = |id| match id {
            Some(SampleId::Cycle { strategy, .. }) => Some(strategy),
            _ => None,
        };
        all_visits(workload).into_iter().filter_map(|(_, id)| strategy(id)).collect()
    }

    fn count_cycles(script: &Script, workload: usize, strategy: RestartStrategy) -> usize {
        script.0.iter().filter(|(_, id)| *id == Some(SampleId::Cycle { workload, strategy })).count()
    }

    #[rstest]
    #[case::full(false)]
    #[case::quick(true)]
    fn script_has_as_many_cycles_as_workload_asks_for(#[case] quick: bool) {
        for plan in Plan::all(&[Fs::Ext4, Fs::Xfs], size(quick), true) {
            let script = plan.script(MODULES);
            for (number, workload) in plan.workloads.iter().enumerate() {
                for (strategy, expected) in &workload.strategies {
                    assert_eq!(count_cycles(&script, number, *strategy), *expected, "{strategy:?} in {workload:?}");
                }
            }
        }
    }

    #[test]
    fn quick_run_covers_the_same_axes() {
        let kinds = |quick| {
            let plans = Plan::all(&[Fs::Ext4], size(quick), true);
            let axes: std::collections::BTreeSet<_> =
                plans.iter().flat_map(|plan| &plan.workloads).map(|workload| workload.axis).collect();
            (axes, plans.iter().any(|plan| plan.measures_neighbour), plans.iter().any(|plan| plan.traces_mount))
        };
        assert_eq!(kinds(true), kinds(false));
    }

    #[test]
    fn data_is_dirty_before_each_cycle_of_a_dirty_workload() {
        let plans = Plan::all(&[Fs::Ext4], size(false), false);
        let workloads = plans.iter().flat_map(|plan| &plan.workloads);
        for workload in workloads.filter(|workload| workload.neighbour_dirty > 0) {
            let mut is_dirty = false;
            for (op, id) in all_visits(workload) {
                match (&op, id) {
                    (Op::Bench(BenchOp::Dirty { .. }), _) => is_dirty = true,
                    (_, Some(SampleId::Cycle { strategy, .. })) => {
                        assert!(is_dirty, "{strategy:?} in {workload:?}");
                        is_dirty = !matches!(strategy, RestartStrategy::Sync | RestartStrategy::Durable);
                    }
                    (Op::SyncUpperNewDescriptor { .. }, _) => is_dirty = false,
                    _ => {}
                }
            }
        }
    }

    #[test]
    fn each_strategy_follows_each_other_strategy() {
        let strategies = [
            RestartStrategy::Reuse,
            RestartStrategy::First,
            RestartStrategy::Plain,
            RestartStrategy::Rebuild,
            RestartStrategy::Sync,
            RestartStrategy::Durable,
        ];
        let order = cycles(&Workload::new(Axis::Idle, 0, &strategies.map(|strategy| (strategy, 30))));
        let pairs = strategies.iter().flat_map(|one| strategies.map(|other| (*one, other)));
        for (one, other) in pairs.filter(|(one, other)| one != other) {
            let times = order.windows(2).filter(|pair| **pair == [one, other]).count();
            assert!((1..15).contains(&times), "{other:?} came {times} times after {one:?}");
        }
    }

    #[test]
    fn strategy_with_fewer_cycles_is_spread_over_the_rounds() {
        let strategies = [(RestartStrategy::Reuse, 12), (RestartStrategy::Sync, 3)];
        let order = cycles(&Workload::new(Axis::Idle, 0, &strategies));
        let is_sync = |(_, strategy): &(i32, &RestartStrategy)| **strategy == RestartStrategy::Sync;
        let positions: Vec<_> = (0..).zip(&order).filter(is_sync).map(|(position, _)| position).collect();
        assert!(positions.windows(2).all(|pair| (4..=6).contains(&(pair[1] - pair[0]))), "{order:?}");
    }

    #[test]
    fn syncing_strategy_in_clean_workload_starts_after_sync() {
        let strategies = [
            (RestartStrategy::Reuse, 30),
            (RestartStrategy::First, 30),
            (RestartStrategy::Sync, 5),
            (RestartStrategy::Durable, 5),
        ];
        let mut is_clean = false;
        for (op, id) in all_visits(&Workload::new(Axis::Overlays, 1, &strategies)) {
            match (&op, id) {
                (Op::SyncUpperNewDescriptor { .. }, _) => is_clean = true,
                (_, Some(SampleId::Cycle { strategy: RestartStrategy::Sync | RestartStrategy::Durable, .. })) => {
                    assert!(is_clean);
                }
                (_, Some(SampleId::Cycle { .. })) => is_clean = false,
                _ => {}
            }
        }
    }
}

// SPDX-License-Identifier: MIT OR Apache-2.0
//! A plan becomes machines, and what their guests answer becomes a record. An answer that is not as it must be ends the
//! bench: figures of something else are worth nothing.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use vremount_claims::refusal_reason::Reason;
use vremount_claims::{describe, describe_outcome};
use vremount_kernel::build::{self, KernelSpec};
use vremount_kernel::workspace::Workspace;
use vremount_machine::image::{CpioEntry, Fs, Initramfs, MODULE_PATH, PackedDisk};
use vremount_machine::{Executor as _, ExitReason, MachineConfig, MachineOutput, Qemu, Timeouts, image};
use vremount_protocol::{
    Disk as Id, Event, GuestTask, Measurement, Op, Outcome, Program, RestartCycle, RestartStrategy, StepReport,
};
use vremount_runner::host_info;
use vremount_runner::testbed::TestBed;
use vremount_util::{command, io_error, progress};

use crate::bench::plan::{BenchSize, Plan, SampleId, Script, TRACED_TURNS};
use crate::bench::record::{
    self, BackgroundRuns, CheckCost, Disk, Executor, HostLoad, Record, ResidualIo, Samples, WorkloadResult,
};
use crate::error::Error;

const UNPATCHED_PATH: &str = "/vremount/overlay-unpatched.ko";
/// Room for all that is dirty at a time, twice.
const MEMORY_MIB: u32 = 3072;
const DISK_MIB: u64 = 6144;
/// A disk that is fast for a busy one, and slow enough for emulation to keep up with.
const DISK_MB_PER_S: u64 = 200;
const MB: u64 = 1_000_000;
/// The tracer, as the configuration of a kernel spells it.
const TRACER: &str = "CONFIG_FUNCTION_GRAPH_TRACER=y";
/// One operation takes a minute on a machine that has something else to do, everything an hour.
const LIMITS: Timeouts = Timeouts { silence: Duration::from_secs(900), total: Duration::from_secs(6 * 3600) };

/// What is to be measured, on what.
pub struct Bench<'a> {
    pub workspace: &'a Workspace,
    pub testbed: &'a TestBed,
    /// The same kernel with the module that the series has not changed yet.
    pub unpatched: KernelSpec<'a>,
    pub filesystems: &'a [Fs],
    pub effort: BenchSize,
}

/// Gives what there is to `keep` after each machine: so much of it is not lost with the next.
///
/// # Errors
/// If a machine cannot be made or does not come to its end, or something in it is not as it must be; or it cannot be kept.
pub fn measure(bench: &Bench<'_>, keep: impl Fn(&Record) -> Result<(), Error>) -> Result<Record, Error> {
    let Bench { workspace, testbed, filesystems, effort, .. } = bench;
    let kernel = &testbed.kernel;
    let unpatched = build::kernel(workspace, &bench.unpatched, testbed.executor.arch())?;
    if unpatched.build_id != kernel.build_id {
        return Err(Error::Usage("failed to compare modules: they are not of one kernel".to_string()));
    }
    let config = std::fs::read_to_string(&kernel.config).map_err(io_error("read", &kernel.config))?;
    let Some(accel) = testbed.accel else {
        return Err(Error::Usage("failed to measure: only QEMU has a clock to measure by".to_string()));
    };
    let program = Path::new(vremount_runner::testbed::QEMU);
    let qemu = Qemu::new(program, accel).to_measure(DISK_MB_PER_S * MB);
    let entry = CpioEntry::file(
        UNPATCHED_PATH,
        std::fs::read(&unpatched.module.path).map_err(io_error("read", &unpatched.module.path))?,
    );
    let machines =
        Machines { bench, qemu, initramfs: Initramfs::new(&testbed.guest, &kernel.module.path, None, vec![entry])? };
    let Some((&fs, others)) = filesystems.split_first() else {
        return Err(Error::Usage("failed to measure on no filesystem".to_string()));
    };
    let mut record = Record {
        schema: record::SCHEMA,
        command: host_info::command_line(),
        quick: effort.quick,
        rounds: effort.rounds,
        host: HostLoad::here()?,
        kernel: record::Kernel {
            base: kernel.base.clone(),
            series: kernel.series.clone(),
            level: kernel.level.number(),
            config: kernel.fragment.clone(),
            release: String::new(),
            build_id: kernel.build_id.clone(),
            patched_module_sha256: kernel.module.sha256.clone(),
            unpatched_module_sha256: unpatched.module.sha256.clone(),
        },
        executor: Executor {
            name: testbed.title(),
            version: Qemu::version(program)?,
            why: testbed.why.clone(),
            memory_mib: MEMORY_MIB,
            clock: String::new(),
        },
        disk: Disk {
            mb_per_s: DISK_MB_PER_S,
            mib: DISK_MIB,
            options: filesystems.iter().filter_map(|fs| options(*fs)).collect(),
            measured_mb_per_s: None,
        },
        fs,
        other_filesystems: others.to_vec(),
        scenes: Vec::new(),
        neighbour: Vec::new(),
        check: None,
        ratios: BTreeMap::new(),
        goals: Vec::new(),
        warnings: Vec::new(),
    };
    for plan in Plan::all(filesystems, *effort, config.lines().any(|line| line == TRACER)) {
        machines.measure(&plan, &mut record)?;
        record.host.ended();
        record = record.with_derived();
        keep(&record)?;
    }
    Ok(record)
}

/// What it is mounted with, if anything.
fn options(fs: Fs) -> Option<String> {
    let options = fs.filesystem().options;
    (!options.is_empty()).then(|| format!("{}: {options}", fs.name()))
}

struct Machines<'a> {
    bench: &'a Bench<'a>,
    qemu: Qemu,
    initramfs: Initramfs,
}

impl Machines<'_> {
    /// Runs the machine of a plan, and adds what it measured.
    fn measure(&self, plan: &Plan, record: &mut Record) -> Result<(), Error> {
        let script = plan.script([MODULE_PATH, UNPATCHED_PATH]);
        let beside = if plan.neighbour { ", a neighbour" } else { "" };
        let what = format!("measuring on {}{beside}: {} steps", plan.fs.name(), script.0.len());
        let run = {
            let _progress = progress::start(what);
            self.run(plan, &script)?
        };
        let failed = |why: String| Error::Bench { fs: plan.fs.name(), why };
        if run.end != ExitReason::Finished {
            return Err(failed(format!("{}{}", run.end, run.last_lines())));
        }
        for event in &run.events {
            if let Event::Ready { release, build_id, .. } = event {
                if *build_id != record.kernel.build_id {
                    return Err(failed("another kernel was booted than the one that was built".to_string()));
                }
                record.kernel.release.clone_from(release);
            }
        }
        record.warnings.extend(run.splats.iter().cloned());
        let reports = run.events.iter().filter_map(|event| match event {
            Event::Step(report) => Some(report),
            _ => None,
        });
        Answers::sort(&script, reports).map_err(failed)?.into_record(plan, record);
        Ok(())
    }

    fn run(&self, plan: &Plan, script: &Script) -> Result<MachineOutput, Error> {
        let Bench { workspace, testbed, .. } = self.bench;
        let name = format!("{}{}", plan.fs.name(), if plan.neighbour { "-neighbour" } else { "" });
        let file = |extension: &str| testbed.logs.join(format!("bench-{name}.{extension}"));
        command::ensure_free_space("make a disk to measure with", &testbed.logs, DISK_MIB)?;
        let no_disk = || Error::Usage(format!("failed to measure on {}: it is on no disk", plan.fs.name()));
        let upper = PackedDisk::of_size(plan.fs, DISK_MIB, &workspace.cache)?.ok_or_else(no_disk)?;
        let (disk, initramfs) = (file("disk"), file("initramfs"));
        image::unpack(&upper, &disk)?;
        let program = Program {
            work: GuestTask::Steps(script.0.iter().map(|(op, _)| op.clone()).collect()),
            module: MODULE_PATH.to_string(),
            disks: BTreeMap::from([(Id::A, self.qemu.backing(&disk))]),
            fs: plan.fs.filesystem(),
            channel: self.qemu.channel_device().to_string(),
            shutdown: self.qemu.shutdown(),
        };
        self.initramfs.write(&program, &initramfs)?;
        let run = self.qemu.run(&MachineConfig {
            disk: Some(&disk),
            memory_mib: MEMORY_MIB,
            processors: plan.processors(),
            ..MachineConfig::new(&testbed.kernel, &initramfs, &file("console"), LIMITS)
        });
        for path in [&disk, &initramfs] {
            std::fs::remove_file(path).map_err(io_error("remove", path))?;
        }
        Ok(run)
    }
}

/// What the guest answered, by what it stands for.
#[derive(Default)]
struct Answers {
    turns: BTreeMap<(usize, RestartStrategy), Vec<RestartCycle>>,
    quiet: Option<vremount_protocol::Io>,
    /// By whether markers were removed blindly.
    left: BTreeMap<bool, vremount_protocol::Io>,
    neighbours: Vec<BackgroundRuns>,
    check: CheckCost,
    clock: String,
}

impl Answers {
    /// The error is the first operation that did not lead to what it must.
    fn sort<'a>(script: &Script, reports: impl Iterator<Item = &'a StepReport>) -> Result<Self, String> {
        let mut answers = Answers::default();
        let mut reports = reports;
        for (op, label) in &script.0 {
            let Some(report) = reports.next() else {
                return Err(format!("the guest did not get to: {}", describe(op)));
            };
            answers.take(*label, op, report).ok_or_else(|| {
                let reason = Reason::stated(&report.log).map(|reason| format!(" ({reason})"));
                let outcome = describe_outcome(&report.outcome);
                format!("{}: {outcome}{}", describe(op), reason.unwrap_or_default())
            })?;
        }
        Ok(answers)
    }

    /// None if it is no answer.
    fn take(&mut self, label: Option<SampleId>, op: &Op, report: &StepReport) -> Option<()> {
        match (label, &report.outcome) {
            (None, Outcome::Done) => {}
            (None, Outcome::Mounted { volatile, read_only: false }) if *volatile == op.asks_volatile() => {}
            (Some(SampleId::Turn { scene, way }), Outcome::Measured(Measurement::Turn(turn))) => {
                self.turns.entry((scene, way)).or_default().push(*turn);
            }
            // The one makes a call happen that is traced, the other warms the machine.
            (None, Outcome::Measured(Measurement::Turn(_) | Measurement::Neighbour(_))) => {}
            (Some(SampleId::Quiet), Outcome::Counted(io)) => self.quiet = Some(*io),
            (Some(SampleId::Left { blind }), Outcome::Counted(io)) => drop(self.left.insert(blind, *io)),
            (
                Some(SampleId::Neighbour { way, seconds, by_itself }),
                Outcome::Measured(Measurement::Neighbour(seen)),
            ) => match self.neighbours.iter_mut().find(|beside| beside.way == way && beside.by_itself == by_itself) {
                Some(beside) => beside.looks.push(seen.clone()),
                None => self.neighbours.push(BackgroundRuns { way, by_itself, seconds, looks: vec![seen.clone()] }),
            },
            (Some(SampleId::Calls { patched, reuse }), Outcome::Measured(Measurement::Calls(calls))) => {
                // One mount is one call; more or fewer is a tracer that saw something else.
                let [.., call] = calls.as_slice() else { return None };
                if calls.len() != TRACED_TURNS {
                    return None;
                }
                let calls = match (patched, reuse) {
                    (false, false) => &mut self.check.unpatched_first,
                    (false, true) => &mut self.check.unpatched_again,
                    (true, false) => &mut self.check.patched_first,
                    (true, true) => &mut self.check.patched_reuse,
                };
                calls.push(*call);
            }
            (Some(SampleId::Clock), Outcome::Measured(Measurement::Clock(clock))) => {
                // It would tick every few milliseconds.
                if clock.contains("jiffies") {
                    return None;
                }
                self.clock.clone_from(clock);
            }
            _ => return None,
        }
        Some(())
    }

    fn into_record(self, plan: &Plan, record: &mut Record) {
        let Answers { mut turns, quiet, left, neighbours, check, clock } = self;
        let left =
            left.get(&false).zip(left.get(&true)).map(|(reuse, blind)| ResidualIo { reuse: *reuse, blind: *blind });
        record.executor.clock = clock;
        for (number, scene) in plan.scenes.iter().enumerate() {
            let ways = scene.ways.iter();
            let samples = ways.filter_map(|(way, _)| Samples::new(*way, turns.remove(&(number, *way))?));
            record.scenes.push(WorkloadResult {
                fs: plan.fs,
                axis: scene.axis,
                value: scene.value,
                files: scene.files,
                own_dirty: scene.own_dirty,
                neighbour_dirty: scene.neighbour_dirty,
                overlays: scene.overlays,
                ways: samples.collect(),
                io: quiet.filter(|_| scene.axis == super::Axis::Quiet),
                left: left.filter(|_| scene.axis == super::Axis::Quiet),
            });
        }
        record.neighbour.extend(neighbours);
        if plan.check {
            record.check = Some(check);
        }
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use vremount_protocol::{BenchOp, Io};

    use super::*;

    const TURN: RestartCycle =
        RestartCycle { unmount: 1, between: 2, mount: 3, io: Io { writes: 0, bytes: 0, flushes: 0 } };

    fn sort(op: Op, label: Option<SampleId>, outcome: Outcome) -> Result<(), String> {
        let report = StepReport { index: 0, outcome, log: Vec::new(), us: 1 };
        Answers::sort(&Script(vec![(op, label)]), [report].iter()).map(drop)
    }

    fn traced(calls: &[u64]) -> Result<(), String> {
        let label = SampleId::Calls { patched: true, reuse: true };
        sort(Op::Bench(BenchOp::Traced), Some(label), Outcome::Measured(Measurement::Calls(calls.to_vec())))
    }

    #[test]
    fn a_call_is_one_call() {
        assert!(traced(&[5; TRACED_TURNS]).is_ok());
        assert!(traced(&[]).is_err() && traced(&[5; TRACED_TURNS + 1]).is_err());
    }

    #[rstest]
    #[case::failed(Outcome::Failed { errno: libc::EINVAL, what: "failed to mount an overlay".to_string() })]
    #[case::refused(Outcome::Refused { errno: libc::EINVAL })]
    #[case::read_only(Outcome::Mounted { volatile: true, read_only: true })]
    #[case::durable(Outcome::Mounted { volatile: false, read_only: false })]
    #[case::another_answer(Outcome::Counted(Io { writes: 0, bytes: 0, flushes: 0 }))]
    fn what_went_wrong_is_no_figure(#[case] outcome: Outcome) {
        let mount = super::super::workload::mount(vremount_protocol::Mode::Volatile);
        assert!(sort(mount, None, outcome.clone()).is_err());
        let turn = Op::Bench(BenchOp::Turn { disk: Id::A, way: RestartStrategy::Reuse, files: 0 });
        assert!(sort(turn, Some(SampleId::Turn { scene: 0, way: RestartStrategy::Reuse }), outcome).is_err());
    }

    /// What a machine answers that does as it is told.
    fn answer(op: &Op, label: Option<SampleId>) -> Outcome {
        let nothing = Io { writes: 0, bytes: 0, flushes: 0 };
        match (label, op) {
            (Some(SampleId::Turn { .. }), _) => Outcome::Measured(Measurement::Turn(TURN)),
            (Some(SampleId::Quiet | SampleId::Left { .. }), _) => Outcome::Counted(nothing),
            (_, Op::Bench(BenchOp::Neighbour { .. })) => {
                Outcome::Measured(Measurement::Neighbour(vremount_protocol::BackgroundSample {
                    fsync: vec![1],
                    write: vec![1],
                    turns: Vec::new(),
                    io: nothing,
                }))
            }
            (Some(SampleId::Calls { .. }), _) => Outcome::Measured(Measurement::Calls(vec![1; TRACED_TURNS])),
            (Some(SampleId::Clock), _) => Outcome::Measured(Measurement::Clock("tsc".to_string())),
            (_, Op::MountOverlay { .. }) => Outcome::Mounted { volatile: op.asks_volatile(), read_only: false },
            _ => Outcome::Done,
        }
    }

    #[test]
    fn a_quick_run_comes_to_the_same_ratios_as_a_whole_one() {
        let names = |quick| {
            let mut record = Record { scenes: Vec::new(), ..crate::bench::testing::record() };
            for plan in Plan::all(&[Fs::Ext4, Fs::Xfs], BenchSize { rounds: 30, quick }, true) {
                let script = plan.script([MODULE_PATH, UNPATCHED_PATH]);
                let report = |(op, label): &(Op, _)| StepReport {
                    index: 0,
                    outcome: answer(op, *label),
                    log: Vec::new(),
                    us: 1,
                };
                let reports: Vec<_> = script.0.iter().map(report).collect();
                Answers::sort(&script, reports.iter()).unwrap().into_record(&plan, &mut record);
            }
            let record = record.with_derived();
            assert!(record.goals.iter().all(|goal| goal.value.is_some()), "{:?}", record.goals);
            record.ratios.into_keys().collect::<Vec<_>>()
        };
        assert_eq!(names(true), names(false));
        assert!(names(true).contains(&"neighbour_p99_over_idle".to_string()));
    }

    #[test]
    fn a_machine_that_ended_early_has_measured_nothing() {
        let turn = Op::Bench(BenchOp::Turn { disk: Id::A, way: RestartStrategy::Reuse, files: 0 });
        let script = Script(vec![(turn, Some(SampleId::Turn { scene: 0, way: RestartStrategy::Reuse }))]);
        assert!(Answers::sort(&script, [].iter()).is_err());
        let outcome = Outcome::Measured(Measurement::Turn(TURN));
        let report = StepReport { index: 0, outcome, log: Vec::new(), us: 1 };
        let answers = Answers::sort(&script, [report].iter()).unwrap();
        assert_eq!(answers.turns[&(0, RestartStrategy::Reuse)], [TURN]);
    }

    #[rstest]
    #[case::coarse("refined-jiffies", false)]
    #[case::fine("tsc", true)]
    fn a_clock_that_ticks_is_none(#[case] clock: &str, #[case] good: bool) {
        let outcome = Outcome::Measured(Measurement::Clock(clock.to_string()));
        assert_eq!(sort(Op::Bench(BenchOp::Clock), Some(SampleId::Clock), outcome).is_ok(), good);
    }
}

// SPDX-License-Identifier: MIT OR Apache-2.0
//! Sorts the reports of a guest into samples. A report that is not the expected answer ends the benchmark.

use std::collections::BTreeMap;

use vremount_claims::refusal_reason::Reason;
use vremount_claims::{describe, describe_outcome};
use vremount_protocol::{IoCounts, Measurement, Op, Outcome, RestartCycle, RestartStrategy, StepReport};

use crate::bench::axis::Axis;
use crate::bench::plan::{Plan, TRACED_CYCLES};
use crate::bench::record::{BackgroundRuns, CheckCost, Record, ResidualIo, Samples, WorkloadResult};
use crate::bench::script::{SampleId, Script};

/// The samples of one machine.
#[derive(Default)]
pub struct Answers {
    /// By the index of the workload in its plan, and the strategy.
    cycles: BTreeMap<(usize, RestartStrategy), Vec<RestartCycle>>,
    quiet: Option<IoCounts>,
    /// By whether the marker was removed.
    residual: BTreeMap<bool, IoCounts>,
    background: Vec<BackgroundRuns>,
    check_cost: CheckCost,
    clock: String,
}

impl Answers {
    /// Sorts the reports, which are in the order of the script.
    ///
    /// # Errors
    /// The first operation that has no report, or whose outcome is not the expected one.
    pub fn from_reports<'a>(
        script: &Script,
        mut reports: impl Iterator<Item = &'a StepReport>,
    ) -> Result<Self, String> {
        let mut answers = Answers::default();
        for (op, id) in &script.0 {
            let Some(report) = reports.next() else {
                return Err(format!("the guest ended before: {}", describe(op)));
            };
            answers.add(*id, op, report).ok_or_else(|| {
                let reason = Reason::single_in(&report.log).map(|reason| format!(" ({reason})"));
                let outcome = describe_outcome(&report.outcome);
                format!("{}: unexpected outcome: {outcome}{}", describe(op), reason.unwrap_or_default())
            })?;
        }
        Ok(answers)
    }

    /// Adds the sample of one report. `None` if the outcome is not the expected one.
    fn add(&mut self, id: Option<SampleId>, op: &Op, report: &StepReport) -> Option<()> {
        match (id, &report.outcome) {
            (None, Outcome::Done) => {}
            (None, Outcome::Mounted { volatile, read_only: false }) if *volatile == op.requests_volatile() => {}
            // Cycles and neighbours without an id are traced mounts and warm-up rounds.
            (None, Outcome::Measured(Measurement::Restart(_) | Measurement::BackgroundLoad(_))) => {}
            (Some(SampleId::Cycle { workload, strategy }), Outcome::Measured(Measurement::Restart(cycle))) => {
                self.cycles.entry((workload, strategy)).or_default().push(*cycle);
            }
            (Some(SampleId::Quiet), Outcome::Counted(io)) => self.quiet = Some(*io),
            (Some(SampleId::Residual { marker_removed }), Outcome::Counted(io)) => {
                self.residual.insert(marker_removed, *io);
            }
            (
                Some(SampleId::Background { strategy, seconds, kernel_writeback }),
                Outcome::Measured(Measurement::BackgroundLoad(sample)),
            ) => {
                let is_same =
                    |runs: &&mut BackgroundRuns| (runs.strategy, runs.kernel_writeback) == (strategy, kernel_writeback);
                match self.background.iter_mut().find(is_same) {
                    Some(runs) => runs.samples.push(sample.clone()),
                    None => {
                        let samples = vec![sample.clone()];
                        self.background.push(BackgroundRuns { strategy, kernel_writeback, seconds, samples });
                    }
                }
            }
            (Some(SampleId::Calls { patched, reuse }), Outcome::Measured(Measurement::Calls(calls))) => {
                // Each mount is one call. With more or fewer calls the trace is of something else.
                let [.., last] = calls.as_slice() else { return None };
                if calls.len() != TRACED_CYCLES {
                    return None;
                }
                let durations = match (patched, reuse) {
                    (false, false) => &mut self.check_cost.unpatched_first,
                    (false, true) => &mut self.check_cost.unpatched_again,
                    (true, false) => &mut self.check_cost.patched_first,
                    (true, true) => &mut self.check_cost.patched_reuse,
                };
                durations.push(*last);
            }
            (Some(SampleId::Clock), Outcome::Measured(Measurement::Clock(clock))) => {
                // That clock source has a resolution of several milliseconds.
                if clock.contains("jiffies") {
                    return None;
                }
                self.clock.clone_from(clock);
            }
            _ => return None,
        }
        Some(())
    }

    /// Adds the samples to a record.
    pub fn add_to(self, plan: &Plan, record: &mut Record) {
        let Answers { mut cycles, quiet, residual, background, check_cost, clock } = self;
        let residual = residual
            .get(&false)
            .zip(residual.get(&true))
            .map(|(reuse, marker_removed)| ResidualIo { reuse: *reuse, marker_removed: *marker_removed });
        record.executor.clock = clock;
        for (number, workload) in plan.workloads.iter().enumerate() {
            let is_quiet = workload.axis == Axis::Quiet;
            let strategies = workload.strategies.iter();
            let samples =
                strategies.filter_map(|(strategy, _)| Samples::new(*strategy, cycles.remove(&(number, *strategy))?));
            record.workloads.push(WorkloadResult {
                fs: plan.fs,
                axis: workload.axis,
                value: workload.value,
                files: workload.files,
                own_dirty: workload.own_dirty,
                neighbour_dirty: workload.neighbour_dirty,
                overlays: workload.overlays,
                strategies: samples.collect(),
                io: quiet.filter(|_| is_quiet),
                residual: residual.filter(|_| is_quiet),
            });
        }
        record.background.extend(background);
        if plan.traces_mount {
            record.check_cost = Some(check_cost);
        }
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use vremount_machine::image::Fs;
    use vremount_protocol::{BackgroundSample, BenchOp, Disk, Mode};

    use super::super::script::mount;
    use super::super::{BenchResults, BenchSize};
    use super::*;

    const NO_IO: IoCounts = IoCounts { writes: 0, bytes: 0, flushes: 0 };
    const CYCLE: RestartCycle = RestartCycle { unmount: 1, make_safe: 2, mount: 3, io: NO_IO };
    const REUSE_ID: SampleId = SampleId::Cycle { workload: 0, strategy: RestartStrategy::Reuse };

    fn reuse() -> Op {
        Op::Bench(BenchOp::Restart { disk: Disk::A, strategy: RestartStrategy::Reuse, files: 0 })
    }

    fn report(outcome: Outcome) -> StepReport {
        StepReport { index: 0, outcome, log: Vec::new(), us: 1 }
    }

    fn is_accepted(op: Op, id: Option<SampleId>, outcome: Outcome) -> bool {
        Answers::from_reports(&Script(vec![(op, id)]), [report(outcome)].iter()).is_ok()
    }

    #[rstest]
    #[case::as_many_as_mounts(TRACED_CYCLES, true)]
    #[case::none(0, false)]
    #[case::more_than_mounts(TRACED_CYCLES + 1, false)]
    fn traced_calls_must_be_as_many_as_mounts(#[case] calls: usize, #[case] accepted: bool) {
        let id = SampleId::Calls { patched: true, reuse: true };
        let outcome = Outcome::Measured(Measurement::Calls(vec![5; calls]));
        assert_eq!(is_accepted(Op::Bench(BenchOp::Traced), Some(id), outcome), accepted);
    }

    #[rstest]
    #[case::failed(Outcome::Failed { errno: libc::EINVAL, message: "failed to mount an overlay".to_string() })]
    #[case::refused(Outcome::Refused { errno: libc::EINVAL })]
    #[case::read_only(Outcome::Mounted { volatile: true, read_only: true })]
    #[case::durable(Outcome::Mounted { volatile: false, read_only: false })]
    #[case::other_answer(Outcome::Counted(NO_IO))]
    fn unexpected_outcome_is_an_error(#[case] outcome: Outcome) {
        assert!(!is_accepted(mount(Mode::Volatile), None, outcome.clone()));
        assert!(!is_accepted(reuse(), Some(REUSE_ID), outcome));
    }

    /// The outcome of an operation on a machine that works.
    fn expected_outcome(op: &Op, id: Option<SampleId>) -> Outcome {
        match (id, op) {
            (Some(SampleId::Cycle { .. }), _) => Outcome::Measured(Measurement::Restart(CYCLE)),
            (Some(SampleId::Quiet | SampleId::Residual { .. }), _) => Outcome::Counted(NO_IO),
            (_, Op::Bench(BenchOp::BackgroundLoad { .. })) => {
                let sample = BackgroundSample { fsync: vec![1], write: vec![1], restarts: Vec::new(), io: NO_IO };
                Outcome::Measured(Measurement::BackgroundLoad(sample))
            }
            (Some(SampleId::Calls { .. }), _) => Outcome::Measured(Measurement::Calls(vec![1; TRACED_CYCLES])),
            (Some(SampleId::Clock), _) => Outcome::Measured(Measurement::Clock("tsc".to_string())),
            (_, Op::MountOverlay { .. }) => Outcome::Mounted { volatile: op.requests_volatile(), read_only: false },
            _ => Outcome::Done,
        }
    }

    #[test]
    fn quick_run_has_the_same_ratios_as_full_run() {
        let names = |quick| {
            let mut record = Record { workloads: Vec::new(), ..super::super::testing::record() };
            for plan in Plan::all(&[Fs::Ext4, Fs::Xfs], BenchSize { rounds: 30, quick }, true) {
                let script = plan.script(["/patched.ko", "/unpatched.ko"]);
                let reports: Vec<_> = script.0.iter().map(|(op, id)| report(expected_outcome(op, *id))).collect();
                Answers::from_reports(&script, reports.iter()).unwrap().add_to(&plan, &mut record);
            }
            let results = BenchResults::from(record);
            assert!(results.thresholds.iter().all(|one| one.value.is_some()), "{:?}", results.thresholds);
            results.ratios.into_keys().collect::<Vec<_>>()
        };
        assert_eq!(names(true), names(false));
        assert!(names(true).contains(&"neighbour_p99_over_idle".to_string()));
    }

    #[test]
    fn missing_report_is_an_error() {
        let script = Script(vec![(reuse(), Some(REUSE_ID))]);
        assert!(Answers::from_reports(&script, [].iter()).is_err());
        let answers =
            Answers::from_reports(&script, [report(Outcome::Measured(Measurement::Restart(CYCLE)))].iter()).unwrap();
        assert_eq!(answers.cycles[&(0, RestartStrategy::Reuse)], [CYCLE]);
    }

    #[rstest]
    #[case::coarse("refined-jiffies", false)]
    #[case::fine("tsc", true)]
    fn coarse_clock_source_is_an_error(#[case] clock: &str, #[case] accepted: bool) {
        let outcome = Outcome::Measured(Measurement::Clock(clock.to_string()));
        assert_eq!(is_accepted(Op::Bench(BenchOp::Clock), Some(SampleId::Clock), outcome), accepted);
    }
}

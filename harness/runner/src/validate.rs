// SPDX-License-Identifier: MIT OR Apache-2.0
//! Validates a machine run: it is complete, of the expected kernel build, and without a kernel
//! failure.

use vremount_claims::{HostStep, Step};
use vremount_kernel::build::Kernel;
use vremount_machine::{ExitReason, MachineOutput};
use vremount_protocol::{Event, StepReport};

use crate::boot_segment::BootSegment;

/// The step reports among `events`, in order.
pub fn step_reports(events: &[Event]) -> Vec<StepReport> {
    let reports = events.iter().filter_map(|event| match event {
        Event::Step(report) => Some(report.clone()),
        _ => None,
    });
    reports.collect()
}

/// Checks that a machine ended as planned and that each of its boots is complete and of the
/// expected build. The error is the reason why its reports cannot be judged.
pub(crate) fn check(kernel: &Kernel, segments: &[BootSegment], output: &MachineOutput) -> Result<(), String> {
    let planned_power_cut = BootSegment::last_host_step(segments) == Some(HostStep::PowerCut);
    let ended_as_planned = match output.exit_reason {
        ExitReason::Finished => !planned_power_cut,
        ExitReason::PowerCut => planned_power_cut,
        _ => false,
    };
    if !ended_as_planned {
        return Err(format!("{}{}", output.exit_reason, output.last_lines()));
    }
    let boots: Vec<_> = output.per_kernel_events().collect();
    if boots.len() != segments.len() {
        return Err(format!("the machine booted {} kernels instead of {}", boots.len(), segments.len()));
    }
    segments.iter().zip(boots).try_for_each(|(segment, events)| check_boot(kernel, segment, events))
}

fn check_boot(kernel: &Kernel, segment: &BootSegment, events: &[Event]) -> Result<(), String> {
    match events {
        [Event::Booted, Event::Ready { build_id, .. }, ..] if *build_id != kernel.build_id => {
            Err(format!("the machine runs kernel build {build_id} instead of {}", kernel.build_id))
        }
        [Event::Booted, Event::Ready { module_sha256: module, .. }, ..] if *module != kernel.module.sha256 => {
            Err(format!("the machine loaded overlay module {module} instead of {}", kernel.module.sha256))
        }
        [Event::Booted, Event::Ready { .. }, steps @ .., Event::End { steps: count }] => {
            let is_complete = *count == segment.ops.len() && steps.len() == *count;
            let is_in_order = |(index, event): (usize, &Event)| matches!(event, Event::Step(r) if r.index == index);
            match is_complete && steps.iter().enumerate().all(is_in_order) {
                true => Ok(()),
                false => Err("reports of the guest are missing or out of order".to_string()),
            }
        }
        _ => Err("the events of the guest do not start with its identification or end with its end record".to_string()),
    }
}

/// A kernel warning or crash in one of the runs, which breaks any claim. A crash before the guest
/// is ready does not count: the claim had not begun.
pub fn kernel_failure(runs: &[MachineOutput]) -> Option<String> {
    runs.iter().find_map(|output| match (&output.exit_reason, output.kernel_warnings.first()) {
        (_, Some(warning)) => Some(format!("the kernel warned: {warning}")),
        (ExitReason::Oops(why) | ExitReason::Panic(why), None) if output.timings.ready.is_some() => {
            Some(format!("the kernel crashed: {why}{}", output.last_lines()))
        }
        _ => None,
    })
}

/// Whether a kernel crashed before it reached the first assertion. The claim is broken all the
/// same, but a bisection of the claim must skip this kernel.
pub(crate) fn crashed_in_setup(steps: &[Step], runs: &[MachineOutput]) -> bool {
    let crashed = runs.iter().any(|output| matches!(output.exit_reason, ExitReason::Oops(_) | ExitReason::Panic(_)));
    let completed: usize = runs.iter().map(|output| step_reports(&output.events).len()).sum();
    // The completed operations and the one during which the kernel crashed.
    let mut started = steps.iter().filter(|step| step.op().is_some()).take(completed + 1);
    crashed && !started.any(|step| matches!(step, Step::Assertion(..)))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use rstest::rstest;
    use vremount_machine::Timings;
    use vremount_protocol::{Op, Outcome};

    use super::*;

    fn ready(build_id: &str, module: &str) -> Event {
        let (build_id, module_sha256) = (build_id.to_string(), module.to_string());
        Event::Ready { release: String::new(), build_id, module_sha256, uptime_ms: 1 }
    }

    fn step(index: usize) -> Event {
        Event::Step(StepReport { index, outcome: Outcome::Done, log: Vec::new(), us: 1 })
    }

    fn end(steps: usize) -> Event {
        Event::End { steps }
    }

    #[rstest]
    #[case::complete(vec![ready("k", "m"), step(0), step(1), end(2)], ExitReason::Finished, true)]
    #[case::other_kernel(vec![ready("x", "m"), step(0), step(1), end(2)], ExitReason::Finished, false)]
    #[case::other_module(vec![ready("k", "x"), step(0), step(1), end(2)], ExitReason::Finished, false)]
    #[case::no_identification(vec![step(0), step(1), end(2)], ExitReason::Finished, false)]
    #[case::report_missing(vec![ready("k", "m"), step(1), end(2)], ExitReason::Finished, false)]
    #[case::report_repeated(vec![ready("k", "m"), step(0), step(0), end(2)], ExitReason::Finished, false)]
    #[case::other_order(vec![ready("k", "m"), step(1), step(0), end(2)], ExitReason::Finished, false)]
    #[case::extra_report(vec![ready("k", "m"), step(0), step(1), step(2), end(3)], ExitReason::Finished, false)]
    #[case::wrong_count(vec![ready("k", "m"), step(0), step(1), end(3)], ExitReason::Finished, false)]
    #[case::two_identifications(vec![ready("k", "m"), ready("k", "m"), step(0), step(1), end(2)], ExitReason::Finished, false)]
    #[case::no_end_record(vec![ready("k", "m"), step(0), step(1)], ExitReason::Finished, false)]
    #[case::crash(vec![ready("k", "m"), step(0), step(1), end(2)], ExitReason::Panic(String::new()), false)]
    #[case::power_cut(vec![ready("k", "m"), step(0), step(1), end(2)], ExitReason::PowerCut, false)]
    fn only_complete_run_of_expected_kernel_is_valid(
        #[case] events: Vec<Event>,
        #[case] ended: ExitReason,
        #[case] expected: bool,
    ) {
        let segment = BootSegment { ops: vec![Op::WriteBack, Op::WriteBack], host_step: None };
        let events = [vec![Event::Booted], events].concat();
        let output = MachineOutput { exit_reason: ended, events, ..MachineOutput::not_started(String::new()) };
        assert_eq!(check(&vremount_kernel::testing::kernel(), &[segment], &output).is_ok(), expected);
    }

    #[rstest]
    #[case::before_the_first_step(ExitReason::Panic(String::new()), 0, true)]
    #[case::in_precondition(ExitReason::Oops(String::new()), 1, true)]
    #[case::in_assertion(ExitReason::Panic(String::new()), 2, false)]
    #[case::after_assertion(ExitReason::Panic(String::new()), 3, false)]
    #[case::hang(ExitReason::Hung(String::new()), 0, false)]
    #[case::finished(ExitReason::Finished, 4, false)]
    fn crash_before_first_assertion_is_in_setup(#[case] end: ExitReason, #[case] done: usize, #[case] expected: bool) {
        use vremount_claims::Expectation;
        let precondition = || Step::Precondition(Op::WriteBack, Expectation::Done);
        let steps = [precondition(), precondition(), Step::Assertion(Op::WriteBack, Expectation::Done), precondition()];
        let output = MachineOutput {
            exit_reason: end,
            events: (0..done).map(step).collect(),
            ..MachineOutput::not_started(String::new())
        };
        assert_eq!(crashed_in_setup(&steps, &[output]), expected);
    }

    #[rstest]
    #[case::no_failure(ExitReason::Finished, &[], true, None)]
    #[case::warning(ExitReason::Finished, &["WARNING: x"], true, Some("the kernel warned: WARNING: x"))]
    #[case::warning_and_hang(ExitReason::Hung("h".into()), &["WARNING: x"], true, Some("the kernel warned: WARNING: x"))]
    #[case::oops_after_ready(ExitReason::Oops("BUG: KASAN: y".into()), &[], true, Some("the kernel crashed: BUG: KASAN: y"))]
    #[case::panic_after_ready(ExitReason::Panic("p".into()), &[], true, Some("the kernel crashed: p"))]
    #[case::oops_before_ready(ExitReason::Oops("BUG: KASAN: y".into()), &[], false, None)]
    #[case::hang(ExitReason::Hung("h".into()), &[], true, None)]
    #[case::out_of_memory(ExitReason::OutOfMemory("o".into()), &[], true, None)]
    fn kernel_warning_or_crash_is_a_failure(
        #[case] end: ExitReason,
        #[case] warnings: &[&str],
        #[case] ready: bool,
        #[case] expected: Option<&str>,
    ) {
        let times = Timings { ready: ready.then_some(Duration::from_secs(1)), ..Timings::default() };
        let splats = warnings.iter().map(ToString::to_string).collect();
        let output = MachineOutput {
            exit_reason: end,
            kernel_warnings: splats,
            timings: times,
            ..MachineOutput::not_started(String::new())
        };
        assert_eq!(kernel_failure(&[output]).as_deref(), expected);
    }

    #[rstest]
    #[case::power_cut(ExitReason::PowerCut, true)]
    #[case::finished(ExitReason::Finished, false)]
    fn planned_power_cut_is_required(#[case] ended: ExitReason, #[case] expected: bool) {
        let segment = BootSegment { ops: vec![Op::WriteBack], host_step: Some(HostStep::PowerCut) };
        let events = vec![Event::Booted, ready("k", "m"), step(0), end(1)];
        let output = MachineOutput { exit_reason: ended, events, ..MachineOutput::not_started(String::new()) };
        assert_eq!(check(&vremount_kernel::testing::kernel(), &[segment], &output).is_ok(), expected);
    }
}

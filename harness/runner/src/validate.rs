// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the runs of machines are worth: whole, of the right kernel, and without a complaint of it.

use vremount_claims::{HostStep, Step};
use vremount_kernel::build::Kernel;
use vremount_machine::{ExitReason, MachineOutput};
use vremount_protocol::{Event, StepReport};

use crate::boot_segment::BootSegment;
use crate::case_runner::ends_in;

/// What guests reported, in the order of their programs.
pub fn reports(events: &[Event]) -> Vec<StepReport> {
    let reports = events.iter().filter_map(|event| match event {
        Event::Step(report) => Some(report.clone()),
        _ => None,
    });
    reports.collect()
}

/// Whether a machine ran the right kernel to the right end, once for each part. The error is why nothing can be told.
pub(crate) fn check(kernel: &Kernel, parts: &[BootSegment], run: &MachineOutput) -> Result<(), String> {
    let ended_well = match run.end {
        ExitReason::Finished => ends_in(parts) != Some(HostStep::PowerCut),
        ExitReason::PowerCut => ends_in(parts) == Some(HostStep::PowerCut),
        _ => false,
    };
    if !ended_well {
        return Err(format!("{}{}", run.end, run.last_lines()));
    }
    let lives: Vec<_> = run.per_kernel_events().collect();
    if lives.len() != parts.len() {
        return Err(format!("the machine had {} kernels one after the other, not {}", lives.len(), parts.len()));
    }
    parts.iter().zip(lives).try_for_each(|(part, events)| check_boot(kernel, part, events))
}

fn check_boot(kernel: &Kernel, part: &BootSegment, events: &[Event]) -> Result<(), String> {
    match events {
        [Event::Booted, Event::Ready { build_id, .. }, ..] if *build_id != kernel.build_id => {
            Err(format!("the machine runs kernel build {build_id}, not {}", kernel.build_id))
        }
        [Event::Booted, Event::Ready { module_sha256: module, .. }, ..] if *module != kernel.module.sha256 => {
            Err(format!("the machine loaded overlay module {module}, not {}", kernel.module.sha256))
        }
        [Event::Booted, Event::Ready { .. }, steps @ .., Event::End { steps: count }] => {
            let in_order = |(place, event): (usize, &Event)| matches!(event, Event::Step(r) if r.index == place);
            let complete = *count == part.ops.len() && steps.len() == *count;
            let told = complete && steps.iter().enumerate().all(in_order);
            told.then_some(()).ok_or_else(|| "reports of the guest are missing or out of order".to_string())
        }
        _ => Err("the guest did not say who it is and when it was done".to_string()),
    }
}

/// What the kernel had to complain of, if it did. It breaks any claim: whatever the mounts said, or were yet to say, this is
/// not how it should be. A kernel that crashes before the claim begins says nothing about it.
pub fn kernel_failure(runs: &[MachineOutput]) -> Option<String> {
    runs.iter().find_map(|run| match (&run.end, run.splats.first()) {
        (_, Some(splat)) => Some(format!("the kernel warned: {splat}")),
        (ExitReason::Oops(why) | ExitReason::Panic(why), None) if run.times.ready.is_some() => {
            Some(format!("the kernel crashed: {why}{}", run.last_lines()))
        }
        _ => None,
    })
}

/// Whether a kernel crashed before it got to what is claimed. That breaks the claim all the same; but who looks for what broke
/// it looks for something else.
pub(crate) fn crashed_in_setup(steps: &[Step], runs: &[MachineOutput]) -> bool {
    let crashed = runs.iter().any(|run| matches!(run.end, ExitReason::Oops(_) | ExitReason::Panic(_)));
    let reached = runs.iter().map(|run| reports(&run.events).len()).sum();
    let ahead = steps.iter().filter(|step| step.op().is_some()).nth(reached);
    let claimed = steps.iter().filter(|step| step.op().is_some()).take(reached);
    let claimed = claimed.chain(ahead).any(|step| matches!(step, Step::Assertion(..)));
    crashed && !claimed
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
    #[case::all_there(vec![ready("k", "m"), step(0), step(1), end(2)], ExitReason::Finished, true)]
    #[case::other_kernel(vec![ready("x", "m"), step(0), step(1), end(2)], ExitReason::Finished, false)]
    #[case::other_module(vec![ready("k", "x"), step(0), step(1), end(2)], ExitReason::Finished, false)]
    #[case::nobody(vec![step(0), step(1), end(2)], ExitReason::Finished, false)]
    #[case::one_missing(vec![ready("k", "m"), step(1), end(2)], ExitReason::Finished, false)]
    #[case::one_twice(vec![ready("k", "m"), step(0), step(0), end(2)], ExitReason::Finished, false)]
    #[case::other_order(vec![ready("k", "m"), step(1), step(0), end(2)], ExitReason::Finished, false)]
    #[case::one_too_many(vec![ready("k", "m"), step(0), step(1), step(2), end(3)], ExitReason::Finished, false)]
    #[case::other_count(vec![ready("k", "m"), step(0), step(1), end(3)], ExitReason::Finished, false)]
    #[case::two_guests(vec![ready("k", "m"), ready("k", "m"), step(0), step(1), end(2)], ExitReason::Finished, false)]
    #[case::no_end(vec![ready("k", "m"), step(0), step(1)], ExitReason::Finished, false)]
    #[case::crash(vec![ready("k", "m"), step(0), step(1), end(2)], ExitReason::Panic(String::new()), false)]
    #[case::power_cut(vec![ready("k", "m"), step(0), step(1), end(2)], ExitReason::PowerCut, false)]
    fn only_a_complete_run_of_the_right_kernel_counts(
        #[case] events: Vec<Event>,
        #[case] ended: ExitReason,
        #[case] expected: bool,
    ) {
        let part = BootSegment { ops: vec![Op::WriteBack, Op::WriteBack], ends_in: None };
        let events = [vec![Event::Booted], events].concat();
        let run = MachineOutput { end: ended, events, ..MachineOutput::not_started(String::new()) };
        assert_eq!(check(&vremount_kernel::testing::kernel(), &[part], &run).is_ok(), expected);
    }

    #[rstest]
    #[case::before_the_first_step(ExitReason::Panic(String::new()), 0, true)]
    #[case::in_one_that_prepares(ExitReason::Oops(String::new()), 1, true)]
    #[case::in_one_that_is_claimed(ExitReason::Panic(String::new()), 2, false)]
    #[case::after_it(ExitReason::Panic(String::new()), 3, false)]
    #[case::hang(ExitReason::Hung(String::new()), 0, false)]
    #[case::well(ExitReason::Finished, 4, false)]
    fn a_crash_is_early_until_something_is_claimed(
        #[case] end: ExitReason,
        #[case] done: usize,
        #[case] expected: bool,
    ) {
        use vremount_claims::Expectation;
        let given = || Step::Precondition(Op::WriteBack, Expectation::Done);
        let steps = [given(), given(), Step::Assertion(Op::WriteBack, Expectation::Done), given()];
        let run =
            MachineOutput { end, events: (0..done).map(step).collect(), ..MachineOutput::not_started(String::new()) };
        assert_eq!(crashed_in_setup(&steps, &[run]), expected);
    }

    #[rstest]
    #[case::quiet(ExitReason::Finished, &[], true, None)]
    #[case::warning(ExitReason::Finished, &["WARNING: x"], true, Some("the kernel warned: WARNING: x"))]
    #[case::warning_and_hang(ExitReason::Hung("h".into()), &["WARNING: x"], true, Some("the kernel warned: WARNING: x"))]
    #[case::crash_in_the_claim(ExitReason::Oops("BUG: KASAN: y".into()), &[], true, Some("the kernel crashed: BUG: KASAN: y"))]
    #[case::panic_in_the_claim(ExitReason::Panic("p".into()), &[], true, Some("the kernel crashed: p"))]
    #[case::crash_before_it(ExitReason::Oops("BUG: KASAN: y".into()), &[], false, None)]
    #[case::hang(ExitReason::Hung("h".into()), &[], true, None)]
    #[case::short_of_memory(ExitReason::OutOfMemory("o".into()), &[], true, None)]
    fn what_the_kernel_complains_of_breaks_a_claim(
        #[case] end: ExitReason,
        #[case] splats: &[&str],
        #[case] ready: bool,
        #[case] expected: Option<&str>,
    ) {
        let times = Timings { ready: ready.then_some(Duration::from_secs(1)), ..Timings::default() };
        let splats = splats.iter().map(ToString::to_string).collect();
        let run = MachineOutput { end, splats, times, ..MachineOutput::not_started(String::new()) };
        assert_eq!(kernel_failure(&[run]).as_deref(), expected);
    }

    #[rstest]
    #[case::cut(ExitReason::PowerCut, true)]
    #[case::not_cut(ExitReason::Finished, false)]
    fn a_power_cut_is_an_end_where_it_is_asked_for(#[case] ended: ExitReason, #[case] expected: bool) {
        let part = BootSegment { ops: vec![Op::WriteBack], ends_in: Some(HostStep::PowerCut) };
        let events = vec![Event::Booted, ready("k", "m"), step(0), end(1)];
        let run = MachineOutput { end: ended, events, ..MachineOutput::not_started(String::new()) };
        assert_eq!(check(&vremount_kernel::testing::kernel(), &[part], &run).is_ok(), expected);
    }
}

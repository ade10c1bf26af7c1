// SPDX-License-Identifier: MIT OR Apache-2.0
//! Several claims on one machine, where booting is dear. Between two of them the guest takes everything down and checks that
//! the machine is as it was. What cannot be told that way is told by a machine of its own.

use std::time::Duration;

use vremount_claims::verdict::{Verdict, VerdictDetail, judge};
use vremount_claims::{Case, Expectation, Step, describe, describe_outcome};
use vremount_kernel::build::Kernel;
use vremount_machine::image::Fs;
use vremount_machine::{MachineOutput, Timings};
use vremount_protocol::{Op, Outcome, StepReport, classify};

use crate::boot_segment::BootSegment;
use crate::case_runner::{CaseResult, CaseRunner};
use crate::transcript;
use crate::validate::{check, kernel_failure, reports};

/// Proves claims on one filesystem, one after the other; none may need the host in between.
#[must_use]
pub fn run_cases(case_runner: &CaseRunner<'_>, cases: &[Case<'_>]) -> Vec<CaseResult> {
    let scripts: Vec<Vec<Step>> = cases.iter().map(|case| case_runner.steps(case.claim)).collect();
    let Some(first) = cases.first() else { return Vec::new() };
    let name = format!("{}-and-{}-more", first.name(), cases.len() - 1);
    let BatchResult { script_results: told, timings: times, failure: amiss } =
        run(case_runner, &name, first.fs, &scripts);
    let mut told = told.into_iter();
    let mut case_results = Vec::new();
    for (place, (case, steps)) in cases.iter().zip(&scripts).enumerate() {
        case_results.push(match told.next() {
            Some((own, judgement)) if judgement.verdict == Verdict::Holds => {
                // The first of them has waited for the machine; what it is made of is told with none.
                let ready = times.ready.filter(|_| place == 0);
                let steps_time = own.iter().map(|report| Duration::from_micros(report.us)).sum();
                let machine = Timings { ready, steps: steps_time, ..Timings::default() };
                let time = ready.unwrap_or_default() + steps_time;
                case_runner.case_result(case, steps, &[&own], judgement, time, vec![machine])
            }
            Some((_, VerdictDetail { verdict: Verdict::Broken, because, .. })) => {
                recheck_alone(case_runner, case, case_runner.run_isolated(case), &because.unwrap_or_default())
            }
            _ => case_runner.run_isolated(case),
        });
    }
    if let Some(amiss) = amiss {
        let doubt = |place: usize, case_result, why: &str| recheck_alone(case_runner, &cases[place], case_result, why);
        amiss.attribute_failure(&mut case_results, |case_result| &case_result.judgement, doubt);
    }
    case_results
}

/// A claim that holds, when the kernel did something else after other claims: proved once more, and that all can be taken down.
fn recheck_alone(case_runner: &CaseRunner<'_>, case: &Case<'_>, case_result: CaseResult, seen: &str) -> CaseResult {
    if case_result.judgement.verdict != Verdict::Holds {
        return case_result;
    }
    let steps = [case_runner.steps(case.claim), vec![Step::Assertion(Op::Reset, Expectation::Done)]].concat();
    let again = case_runner.run_case_steps(case, &steps);
    if again.judgement.verdict != Verdict::Holds {
        return again;
    }
    let judgement =
        VerdictDetail::cannot_tell(format!("it holds by itself, but not after others on one machine: {seen}"));
    // Undecided it is either way; the transcript only says so too.
    let _ = transcript::revise(&again.log, &judgement);
    CaseResult { judgement, ..again }
}

/// What came of scripts on one machine.
#[derive(Default)]
pub struct BatchResult {
    /// Of each; nothing, if the machine did not end well.
    pub script_results: Vec<ScriptResult>,
    pub timings: Timings,
    pub failure: Option<BatchFailure>,
}

/// What is wrong with the kernel, though it may do no script by itself any harm.
pub struct BatchFailure {
    /// The script at which it showed, or the last before it did.
    pub index: usize,
    pub reason: String,
}

impl BatchFailure {
    /// Has the one doubted at which it showed. One that shows it by itself is to blame, and no other.
    pub fn attribute_failure<T>(
        &self,
        found: &mut Vec<T>,
        judgement: impl Fn(&T) -> &VerdictDetail,
        doubt: impl FnOnce(usize, T, &str) -> T,
    ) {
        if self.index < found.len() && !found.iter().any(|one| judgement(one).is_complaint()) {
            let doubted = doubt(self.index, found.remove(self.index), &self.reason);
            found.insert(self.index, doubted);
        }
    }
}

/// Reports of a script with what can be said of them.
pub(crate) type ScriptResult = (Vec<StepReport>, VerdictDetail);

/// Runs scripts on one machine. After each all is taken down, so that what it left behind shows.
pub fn run(case_runner: &CaseRunner<'_>, name: &str, fs: Fs, scripts: &[Vec<Step>]) -> BatchResult {
    let with_reset =
        |steps: &Vec<Step>| steps.iter().filter_map(Step::op).cloned().chain([Op::Reset]).collect::<Vec<_>>();
    let parts = [BootSegment { ops: scripts.iter().flat_map(with_reset).collect(), ends_in: None }];
    // Where there is no machine each has to do without company, and tells why.
    let run = case_runner.run_machine(name, fs, 0, &parts, None);
    run.map_or_else(|_| BatchResult::default(), |run| evaluate_batch(scripts, case_runner.kernel, &parts, run))
}

fn evaluate_batch(scripts: &[Vec<Step>], kernel: &Kernel, parts: &[BootSegment], run: MachineOutput) -> BatchResult {
    let reports = reports(&run.events);
    let amiss = |why| BatchResult {
        failure: Some(BatchFailure { index: failing_script_index(scripts, &reports), reason: why }),
        ..BatchResult::default()
    };
    if let Some(why) = kernel_failure(std::slice::from_ref(&run)) {
        return amiss(why);
    }
    match check(kernel, parts, &run) {
        Ok(()) => BatchResult { timings: run.times, ..judge_scripts(scripts, &reports) },
        // It did not get to the first script: none has to do with it.
        Err(_) if run.times.ready.is_none() => BatchResult::default(),
        Err(why) => amiss(why),
    }
}

/// The script in which the kernel said in its log that it was not well, or else how far it got.
fn failing_script_index(scripts: &[Vec<Step>], reports: &[StepReport]) -> usize {
    let said = reports.iter().position(|report| report.log.iter().any(|line| classify(line).is_some()));
    let step = said.unwrap_or(reports.len());
    let ends = scripts.iter().scan(0, |end, steps| {
        *end += steps.len() + 1;
        Some(*end)
    });
    ends.take_while(|end| *end <= step).count().min(scripts.len().saturating_sub(1))
}

fn judge_scripts(scripts: &[Vec<Step>], reports: &[StepReport]) -> BatchResult {
    let mut company = BatchResult::default();
    let mut rest = reports;
    let mut clean = true;
    for (place, steps) in scripts.iter().enumerate() {
        let (own, behind) = rest.split_at(rest.len().min(steps.len()));
        let (reset, behind) = behind.split_at(behind.len().min(1));
        rest = behind;
        let judgement = match clean {
            true => judge(steps, own),
            false => VerdictDetail::cannot_tell("the machine was not as clean as a new one"),
        };
        company.script_results.push((own.to_vec(), judgement));
        let Some(outcome) = reset.first().map(|report| &report.outcome).filter(|_| clean) else { continue };
        clean = *outcome == Outcome::Done;
        // With no errno it is the guest that could not, whatever the kernel is like.
        if !clean && !matches!(outcome, Outcome::Failed { errno: 0, .. }) {
            company.failure = Some(BatchFailure {
                index: place,
                reason: format!("{}: {}", describe(&Op::Reset), describe_outcome(outcome)),
            });
        }
    }
    company
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use vremount_claims::verdict::ObservedOutcome;
    use vremount_machine::ExitReason;

    use super::*;

    fn scripts() -> Vec<Vec<Step>> {
        let step = || Step::Assertion(Op::WriteBack, Expectation::Done);
        vec![vec![step()], vec![step(), step()], vec![step()]]
    }

    fn failed(errno: i32) -> Outcome {
        Outcome::Failed { errno, what: "failed to unload overlay".to_string() }
    }

    /// Reports of all scripts, with the reset after the second as given.
    fn told(second: Outcome) -> BatchResult {
        let outcomes = [vec![Outcome::Done; 4], vec![second], vec![Outcome::Done; 2]].concat();
        let report = |(index, outcome)| StepReport { index, outcome, log: Vec::new(), us: 1 };
        judge_scripts(&scripts(), &outcomes.into_iter().enumerate().map(report).collect::<Vec<_>>())
    }

    /// What is wrong with a machine is told, whatever it is, and not what is wrong with the host.
    #[rstest]
    #[case::hung(ExitReason::Hung("h".into()), true, Some("h"))]
    #[case::out_of_memory(ExitReason::OutOfMemory("o".into()), true, Some("o"))]
    #[case::lost(ExitReason::Lost("l".into()), true, Some("l"))]
    #[case::crashed(ExitReason::Oops("x".into()), true, Some("the kernel crashed: x"))]
    #[case::not_started(ExitReason::NotStarted("n".into()), false, None)]
    #[case::lost_while_booting(ExitReason::Lost("l".into()), false, None)]
    fn a_machine_that_ends_otherwise_is_amiss(
        #[case] end: ExitReason,
        #[case] ready: bool,
        #[case] expected: Option<&str>,
    ) {
        let times = Timings { ready: ready.then_some(Duration::from_secs(1)), ..Timings::default() };
        let run = MachineOutput { end, times, ..MachineOutput::not_started(String::new()) };
        let company = evaluate_batch(&scripts(), &vremount_kernel::testing::kernel(), &[], run);
        assert!(company.script_results.is_empty());
        let why = company.failure.map(|amiss| amiss.reason);
        assert_eq!(why.is_some(), expected.is_some(), "{why:?}");
        assert!(why.is_none_or(|why| why.contains(expected.unwrap())));
    }

    #[rstest]
    #[case::clean(Outcome::Done, true, None)]
    #[case::module_in_use(failed(libc::EAGAIN), false, Some(1))]
    #[case::guest_could_not(failed(0), false, None)]
    fn what_a_script_leaves_behind_is_told(
        #[case] reset: Outcome,
        #[case] next_holds: bool,
        #[case] amiss: Option<usize>,
    ) {
        let company = told(reset);
        let holds: Vec<_> =
            company.script_results.iter().map(|(_, judgement)| judgement.verdict == Verdict::Holds).collect();
        assert_eq!(holds, [true, true, next_holds]);
        assert_eq!(company.failure.map(|amiss| amiss.index), amiss);
    }

    #[rstest]
    #[case::all_hold(1, &[None, None, None], Some(1))]
    #[case::another_broke(1, &[Some("expected"), None, None], Some(1))]
    #[case::another_complained(1, &[None, None, Some("the kernel warned")], None)]
    #[case::enough_were_looked_at(3, &[None, None, None], None)]
    fn who_does_not_show_it_alone_is_doubted(
        #[case] place: usize,
        #[case] broken: &[Option<&str>],
        #[case] expected: Option<usize>,
    ) {
        let holds = || VerdictDetail { verdict: Verdict::Holds, ..VerdictDetail::kernel_complained(String::new()) };
        let broke = |why: &str| match why {
            "expected" => VerdictDetail {
                expected: Some(ObservedOutcome::wanted(Expectation::Done)),
                ..VerdictDetail::kernel_complained(String::new())
            },
            _ => VerdictDetail::kernel_complained(why.to_string()),
        };
        let mut found: Vec<_> = broken.iter().map(|why| why.map_or_else(holds, broke)).collect();
        let mut doubted = None;
        let amiss = BatchFailure { index: place, reason: "it hung".to_string() };
        amiss.attribute_failure(
            &mut found,
            |one| one,
            |place, one, why| {
                doubted = Some(place);
                VerdictDetail { because: Some(why.to_string()), ..one }
            },
        );
        assert_eq!((doubted, found.len()), (expected, 3));
        assert_eq!(found.iter().position(|one| one.because.as_deref() == Some("it hung")), expected);
    }

    #[rstest]
    #[case::in_the_first(1, 0)]
    #[case::in_the_second(2, 1)]
    #[case::while_that_is_taken_down(4, 1)]
    #[case::in_the_third(5, 2)]
    #[case::after_all(7, 2)]
    fn a_crash_is_of_the_script_that_was_reached(#[case] done: usize, #[case] place: usize) {
        let report = |index| StepReport { index, outcome: Outcome::Done, log: Vec::new(), us: 1 };
        let mut reports: Vec<_> = (0..done).map(report).collect();
        assert_eq!(failing_script_index(&scripts(), &reports), place);
        // A warning that ends nothing is where it was said.
        reports[0].log = vec!["WARNING: CPU: 0 PID: 1 at fs/super.c:1".to_string()];
        assert_eq!(failing_script_index(&scripts(), &reports), 0);
    }
}

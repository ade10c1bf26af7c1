// SPDX-License-Identifier: MIT OR Apache-2.0
//! Runs several scripts on one machine, which saves boots where booting is slow.
//!
//! A script is a list of steps, for example those of a claim. After each script, the guest resets
//! the machine and checks that nothing is left. A script whose result in the batch is not
//! conclusive runs again on its own machine.

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
use crate::validate::{check, kernel_failure, step_reports};

/// Results of the scripts of a batch.
#[derive(Default)]
pub struct BatchResult {
    /// One for each script; empty if the machine did not finish.
    script_results: Vec<ScriptResult>,
    failure: Option<BatchFailure>,
}

/// Result of a script in a batch.
pub struct ScriptResult {
    /// Its step reports.
    pub reports: Vec<StepReport>,
    /// The verdict on them and what decided it.
    pub verdict_detail: VerdictDetail,
    /// From exec to a guest that is ready, for the first script of the machine.
    pub ready: Option<Duration>,
}

/// A kernel failure in a batch that no single script may reproduce.
struct BatchFailure {
    /// Index of the script at which it was seen, or that ran last.
    index: usize,
    reason: String,
}

/// How the scripts of a batch get their final results.
pub trait BatchResolver {
    /// Final result of a script.
    type Output;

    /// Whether the remaining scripts need no results. Default: no.
    fn is_done(&self) -> bool {
        false
    }

    /// The result of a script that holds in the batch.
    fn accept(&self, index: usize, result: ScriptResult) -> Self::Output;

    /// Runs a script on its own machine.
    fn run_isolated(&self, index: usize) -> Self::Output;

    /// Examines a script that holds, although it was broken in the batch, or the kernel failed, for
    /// `reason`. `result` is its result so far.
    fn recheck(&self, index: usize, result: Self::Output, reason: &str) -> Self::Output;

    /// The verdict of a result.
    fn verdict_detail(result: &Self::Output) -> &VerdictDetail;
}

/// Runs cases on one filesystem, none of which has a host step, on one machine.
#[must_use]
pub fn run_cases(case_runner: &CaseRunner<'_>, cases: &[Case<'_>]) -> Vec<CaseResult> {
    let Some(first) = cases.first() else { return Vec::new() };
    let scripts: Vec<Vec<Step>> = cases.iter().map(|case| case_runner.steps(case.claim)).collect();
    let name = format!("{}-and-{}-more", first.name(), cases.len() - 1);
    let batch = run_scripts(case_runner, &name, first.fs, &scripts);
    batch.resolve(scripts.len(), &CaseResolver { case_runner, cases, scripts: &scripts })
}

struct CaseResolver<'a> {
    case_runner: &'a CaseRunner<'a>,
    cases: &'a [Case<'a>],
    scripts: &'a [Vec<Step>],
}

impl BatchResolver for CaseResolver<'_> {
    type Output = CaseResult;

    fn accept(&self, index: usize, result: ScriptResult) -> CaseResult {
        let ScriptResult { reports, verdict_detail, ready } = result;
        let steps = reports.iter().map(|report| Duration::from_micros(report.us)).sum();
        let machine = Timings { ready, steps, ..Timings::default() };
        let time = ready.unwrap_or_default() + steps;
        self.case_runner.case_result(
            &self.cases[index],
            &self.scripts[index],
            &[&reports],
            verdict_detail,
            time,
            vec![machine],
        )
    }

    fn run_isolated(&self, index: usize) -> CaseResult {
        self.case_runner.run_isolated(&self.cases[index])
    }

    /// Runs the case alone, followed by a reset of the machine.
    fn recheck(&self, index: usize, _result: CaseResult, reason: &str) -> CaseResult {
        let reset = Step::Assertion(Op::Reset, Expectation::Done);
        let steps = [self.scripts[index].as_slice(), &[reset]].concat();
        let result = self.case_runner.run_case_steps(&self.cases[index], &steps);
        if result.verdict_detail.verdict != Verdict::Holds {
            return result;
        }
        let verdict_detail =
            VerdictDetail::cannot_tell(format!("it holds alone, but not after other claims on one machine: {reason}"));
        // If the transcript cannot be changed, it shows that the claim holds alone; the record has
        // this verdict.
        let _ = transcript::replace_verdict(&result.transcript, &verdict_detail);
        CaseResult { verdict_detail, ..result }
    }

    fn verdict_detail(result: &CaseResult) -> &VerdictDetail {
        &result.verdict_detail
    }
}

impl BatchResult {
    /// Whether the kernel failed in the batch.
    #[must_use]
    pub fn has_failed(&self) -> bool {
        self.failure.is_some()
    }

    /// Final results of the `count` scripts of the batch, or of the first ones until the resolver
    /// is done.
    ///
    /// A script that holds in the batch is accepted. Any other runs alone, and is rechecked if it
    /// holds alone but was broken in the batch. If the kernel failed in the batch and no script
    /// shows a kernel failure alone, the script at which it was seen is rechecked.
    pub fn resolve<R: BatchResolver>(self, count: usize, resolver: &R) -> Vec<R::Output> {
        let BatchResult { script_results, failure } = self;
        let mut script_results = script_results.into_iter();
        let mut outputs = Vec::new();
        for index in (0..count).take_while(|_| !resolver.is_done()) {
            outputs.push(match script_results.next() {
                Some(result) if result.verdict_detail.verdict == Verdict::Holds => resolver.accept(index, result),
                Some(ScriptResult {
                    verdict_detail: VerdictDetail { verdict: Verdict::Broken, because, .. }, ..
                }) => {
                    let output = resolver.run_isolated(index);
                    recheck_if_holding(resolver, index, output, &because.unwrap_or_default())
                }
                _ => resolver.run_isolated(index),
            });
        }
        if let Some(BatchFailure { index, reason }) = failure
            && index < outputs.len()
            && !outputs.iter().any(|output| R::verdict_detail(output).is_kernel_failure())
        {
            let output = outputs.remove(index);
            outputs.insert(index, recheck_if_holding(resolver, index, output, &reason));
        }
        outputs
    }
}

fn recheck_if_holding<R: BatchResolver>(resolver: &R, index: usize, output: R::Output, reason: &str) -> R::Output {
    match R::verdict_detail(&output).verdict {
        Verdict::Holds => resolver.recheck(index, output, reason),
        _ => output,
    }
}

/// Runs scripts one after the other on one machine, with a reset after each. The names of all files
/// start with `name`. If the machine cannot run, the result has no script results and no failure:
/// each script then runs alone and reports the reason.
pub fn run_scripts(case_runner: &CaseRunner<'_>, name: &str, fs: Fs, scripts: &[Vec<Step>]) -> BatchResult {
    let ops_with_reset =
        |steps: &Vec<Step>| steps.iter().filter_map(Step::op).cloned().chain([Op::Reset]).collect::<Vec<_>>();
    let segments = [BootSegment { ops: scripts.iter().flat_map(ops_with_reset).collect(), host_step: None }];
    case_runner.run_machine(name, fs, 0, &segments, None).map_or_else(
        |_| BatchResult::default(),
        |output| evaluate_batch(scripts, case_runner.kernel, &segments, output),
    )
}

fn evaluate_batch(
    scripts: &[Vec<Step>],
    kernel: &Kernel,
    segments: &[BootSegment],
    output: MachineOutput,
) -> BatchResult {
    let reports = step_reports(&output.events);
    let failed = |reason| BatchResult {
        failure: Some(BatchFailure { index: failing_script_index(scripts, &reports), reason }),
        ..BatchResult::default()
    };
    if let Some(reason) = kernel_failure(std::slice::from_ref(&output)) {
        return failed(reason);
    }
    match check(kernel, segments, &output) {
        Ok(()) => judge_scripts(scripts, &reports, output.timings.ready),
        // The machine failed before the first script, so no script is the cause.
        Err(_) if output.timings.ready.is_none() => BatchResult::default(),
        Err(reason) => failed(reason),
    }
}

/// Index of the script during which the kernel logged a failure, or else of the script that ran
/// last.
fn failing_script_index(scripts: &[Vec<Step>], reports: &[StepReport]) -> usize {
    let logged = reports.iter().position(|report| report.log.iter().any(|line| classify(line).is_some()));
    let step = logged.unwrap_or(reports.len());
    let script_ends = scripts.iter().scan(0, |end, steps| {
        *end += steps.len() + 1;
        Some(*end)
    });
    script_ends.take_while(|end| *end <= step).count().min(scripts.len().saturating_sub(1))
}

fn judge_scripts(scripts: &[Vec<Step>], reports: &[StepReport], ready: Option<Duration>) -> BatchResult {
    let mut batch = BatchResult::default();
    let mut rest = reports;
    let mut is_clean = true;
    for (index, steps) in scripts.iter().enumerate() {
        let (script, after) = rest.split_at(rest.len().min(steps.len()));
        let (reset, after) = after.split_at(after.len().min(1));
        rest = after;
        let verdict_detail = match is_clean {
            true => judge(steps, script),
            false => VerdictDetail::cannot_tell("an earlier script left the machine in a changed state"),
        };
        let ready = ready.filter(|_| index == 0);
        batch.script_results.push(ScriptResult { reports: script.to_vec(), verdict_detail, ready });
        let Some(outcome) = reset.first().map(|report| &report.outcome).filter(|_| is_clean) else { continue };
        is_clean = *outcome == Outcome::Done;
        // Without an errno, the guest failed and not the kernel.
        if !is_clean && !matches!(outcome, Outcome::Failed { errno: 0, .. }) {
            let reason = format!("{}: {}", describe(&Op::Reset), describe_outcome(outcome));
            batch.failure = Some(BatchFailure { index, reason });
        }
    }
    batch
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use rstest::rstest;
    use vremount_claims::verdict::ObservedOutcome;
    use vremount_machine::ExitReason;

    use super::*;

    fn scripts() -> Vec<Vec<Step>> {
        let step = || Step::Assertion(Op::WriteBack, Expectation::Done);
        vec![vec![step()], vec![step(), step()], vec![step()]]
    }

    fn failed(errno: i32) -> Outcome {
        Outcome::Failed { errno, message: "failed to unload overlay".to_string() }
    }

    /// A batch of which all operations succeed, except the reset after the second script.
    fn judge_with_second_reset(outcome: Outcome) -> BatchResult {
        let outcomes = [vec![Outcome::Done; 4], vec![outcome], vec![Outcome::Done; 2]].concat();
        let report = |(index, outcome)| StepReport { index, outcome, log: Vec::new(), us: 1 };
        judge_scripts(&scripts(), &outcomes.into_iter().enumerate().map(report).collect::<Vec<_>>(), None)
    }

    #[rstest]
    #[case::hung(ExitReason::Hung("h".into()), true, Some("h"))]
    #[case::out_of_memory(ExitReason::OutOfMemory("o".into()), true, Some("o"))]
    #[case::lost(ExitReason::EndedEarly("l".into()), true, Some("l"))]
    #[case::crashed(ExitReason::Oops("x".into()), true, Some("the kernel crashed: x"))]
    #[case::not_started(ExitReason::NotStarted("n".into()), false, None)]
    #[case::lost_while_booting(ExitReason::EndedEarly("l".into()), false, None)]
    fn machine_that_ends_early_after_boot_is_a_batch_failure(
        #[case] end: ExitReason,
        #[case] ready: bool,
        #[case] expected: Option<&str>,
    ) {
        let times = Timings { ready: ready.then_some(Duration::from_secs(1)), ..Timings::default() };
        let output = MachineOutput { exit_reason: end, timings: times, ..MachineOutput::not_started(String::new()) };
        let batch = evaluate_batch(&scripts(), &vremount_kernel::testing::kernel(), &[], output);
        assert!(batch.script_results.is_empty());
        let reason = batch.failure.map(|failure| failure.reason);
        assert_eq!(reason.is_some(), expected.is_some(), "{reason:?}");
        assert!(reason.is_none_or(|reason| reason.contains(expected.unwrap())));
    }

    #[rstest]
    #[case::done(Outcome::Done, true, None)]
    #[case::module_in_use(failed(libc::EAGAIN), false, Some(1))]
    #[case::guest_failed(failed(0), false, None)]
    fn failed_reset_is_a_batch_failure_of_its_script(
        #[case] reset: Outcome,
        #[case] next_holds: bool,
        #[case] failing_index: Option<usize>,
    ) {
        let batch = judge_with_second_reset(reset);
        let holds: Vec<_> =
            batch.script_results.iter().map(|result| result.verdict_detail.verdict == Verdict::Holds).collect();
        assert_eq!(holds, [true, true, next_holds]);
        assert_eq!(batch.failure.map(|failure| failure.index), failing_index);
    }

    /// Isolated results, each the reason why the script is broken, and which script was rechecked.
    struct TestResolver<'a> {
        isolated: &'a [Option<&'a str>],
        rechecked: Cell<Option<usize>>,
    }

    fn holds() -> VerdictDetail {
        VerdictDetail { verdict: Verdict::Holds, because: None, ..VerdictDetail::kernel_failure(String::new()) }
    }

    impl BatchResolver for TestResolver<'_> {
        type Output = VerdictDetail;

        fn accept(&self, _index: usize, result: ScriptResult) -> VerdictDetail {
            result.verdict_detail
        }

        fn run_isolated(&self, index: usize) -> VerdictDetail {
            match self.isolated[index] {
                None => holds(),
                Some("unexpected outcome") => VerdictDetail {
                    expected: Some(ObservedOutcome::from_expectation(Expectation::Done)),
                    ..VerdictDetail::kernel_failure(String::new())
                },
                Some(reason) => VerdictDetail::kernel_failure(reason.to_string()),
            }
        }

        fn recheck(&self, index: usize, result: VerdictDetail, reason: &str) -> VerdictDetail {
            self.rechecked.set(Some(index));
            VerdictDetail { because: Some(reason.to_string()), ..result }
        }

        fn verdict_detail(result: &VerdictDetail) -> &VerdictDetail {
            result
        }
    }

    #[rstest]
    #[case::all_hold(1, &[None, None, None], Some(1))]
    #[case::other_script_is_broken(1, &[Some("unexpected outcome"), None, None], Some(1))]
    #[case::other_script_fails_kernel(1, &[None, None, Some("the kernel warned")], None)]
    #[case::failing_script_is_broken(1, &[None, Some("unexpected outcome"), None], None)]
    #[case::failing_script_has_no_result(3, &[None, None, None], None)]
    fn passing_script_is_rechecked_after_batch_failure(
        #[case] index: usize,
        #[case] isolated: &[Option<&str>],
        #[case] expected: Option<usize>,
    ) {
        let failure = Some(BatchFailure { index, reason: "it hung".to_string() });
        let resolver = TestResolver { isolated, rechecked: Cell::new(None) };
        let results = BatchResult { failure, ..BatchResult::default() }.resolve(3, &resolver);
        assert_eq!((resolver.rechecked.get(), results.len()), (expected, 3));
        assert_eq!(results.iter().position(|result| result.because.as_deref() == Some("it hung")), expected);
    }

    #[rstest]
    #[case::holds_alone(None, Some(0))]
    #[case::broken_alone(Some("the kernel warned"), None)]
    fn script_that_is_broken_only_in_batch_is_rechecked(
        #[case] isolated: Option<&str>,
        #[case] expected: Option<usize>,
    ) {
        let verdict_detail = VerdictDetail::kernel_failure("expected done".to_string());
        let script_results = vec![ScriptResult { reports: Vec::new(), verdict_detail, ready: None }];
        let resolver = TestResolver { isolated: &[isolated], rechecked: Cell::new(None) };
        let results = BatchResult { script_results, ..BatchResult::default() }.resolve(1, &resolver);
        assert_eq!(resolver.rechecked.get(), expected);
        assert_eq!(results[0].because.as_deref(), isolated.or(Some("expected done")));
    }

    #[rstest]
    #[case::in_first(1, 0)]
    #[case::in_second(2, 1)]
    #[case::in_reset_of_second(4, 1)]
    #[case::in_third(5, 2)]
    #[case::after_all(7, 2)]
    fn failure_belongs_to_script_that_ran_last_or_logged_it(#[case] completed: usize, #[case] index: usize) {
        let report = |index| StepReport { index, outcome: Outcome::Done, log: Vec::new(), us: 1 };
        let mut reports: Vec<_> = (0..completed).map(report).collect();
        assert_eq!(failing_script_index(&scripts(), &reports), index);
        reports[0].log = vec!["WARNING: CPU: 0 PID: 1 at fs/super.c:1".to_string()];
        assert_eq!(failing_script_index(&scripts(), &reports), 0);
    }
}

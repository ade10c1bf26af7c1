// SPDX-License-Identifier: MIT OR Apache-2.0
//! Sequences that share a machine. One that does not agree is worked off again by itself, and if it agrees then, with all
//! that came before it.

use std::ops::Range;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};

use vremount_claims::verdict::{Verdict, VerdictDetail};
use vremount_claims::{Action, Step};
use vremount_machine::MachineOutput;
use vremount_protocol::{Op, StepReport};
use vremount_runner::batch::{BatchResolver, ScriptResult, run_scripts};
use vremount_runner::case_runner::CaseRunner;
use vremount_runner::transcript::{self, Title};
use vremount_runner::validate::reports;

use crate::explore::{ExplorePlan, FailureArtifacts, SequenceResult, foretell};
use crate::reproduce;

/// Differences after which no more are looked for: the kernel is another than the model speaks of.
const ENOUGH: u64 = 8;

/// What an exploration has at hand.
pub(super) struct BatchExplorer<'a> {
    pub case_runner: &'a CaseRunner<'a>,
    pub plan: &'a ExplorePlan,
    pub differences: AtomicU64,
}

impl BatchExplorer<'_> {
    /// Works off sequences of the plan; those in which something happens to the machine have one of their own.
    pub fn run(&self, numbers: Range<u64>) -> Vec<SequenceResult> {
        let start = numbers.start;
        let mut found = Vec::new();
        let mut company = Vec::new();
        for number in numbers.take_while(|_| !self.has_enough()) {
            let acts = self.plan.acts(number);
            match foretell(self.plan.fs, &acts) {
                Ok(steps) if acts.iter().any(|act| matches!(act, Action::HostAction(_))) => {
                    found.push(self.look_into(number, steps));
                }
                Ok(steps) => company.push((number, steps)),
                Err(beyond) => found.push(undecided(number, Vec::new(), &beyond.to_string())),
            }
        }
        if company.is_empty() {
            return found;
        }
        let (numbers, scripts): (Vec<u64>, Vec<Vec<Step>>) = company.into_iter().unzip();
        let name = format!("explore-{start}-and-more");
        let batch = run_scripts(self.case_runner, &name, self.plan.fs, &scripts);
        if !batch.has_failed() {
            // What is looked into has consoles of its own.
            let _ = std::fs::remove_file(self.case_runner.logs.join(format!("{name}.0.console")));
        }
        found.extend(batch.resolve(scripts.len(), &Resolver { explorer: self, numbers: &numbers, scripts: &scripts }));
        found
    }

    fn has_enough(&self) -> bool {
        self.differences.load(Ordering::Relaxed) >= ENOUGH
    }

    /// By itself, and smaller if it does not agree.
    fn look_into(&self, number: u64, steps: Vec<Step>) -> SequenceResult {
        let found = alone(self.case_runner, self.plan, number, steps);
        if found.judgement.verdict != Verdict::Broken {
            return found;
        }
        self.differences.fetch_add(1, Ordering::Relaxed);
        self.shrink(found)
    }

    /// The last of these scripts agrees by itself, and did not after the others: they are what it takes, or some of them.
    fn after_others(&self, by_itself: SequenceResult, scripts: &[Vec<Step>], seen: &str) -> SequenceResult {
        let number = by_itself.number;
        let mut needed: Vec<&[Step]> = scripts.iter().map(Vec::as_slice).collect();
        let found = self.one_after_the_other(number, &needed);
        match found.judgement.verdict {
            Verdict::Holds => return undecided(number, found.steps, &format!("{ONCE}: {seen}")),
            Verdict::Broken => self.differences.fetch_add(1, Ordering::Relaxed),
            _ => return found,
        };
        for place in (0..scripts.len() - 1).rev() {
            let fewer = [&needed[..place], &needed[place + 1..]].concat();
            if self.one_after_the_other(number, &fewer).judgement.verdict == Verdict::Broken {
                needed = fewer;
            }
        }
        confirmed(self.one_after_the_other(number, &needed), &found)
    }

    /// On one machine, and all is taken down after each.
    fn one_after_the_other(&self, number: u64, scripts: &[&[Step]]) -> SequenceResult {
        let acts = scripts.iter().flat_map(|steps| steps.iter().map(Step::action).chain([Action::Guest(Op::Reset)]));
        match foretell(self.plan.fs, &acts.collect::<Vec<_>>()) {
            Ok(steps) => alone(self.case_runner, self.plan, number, steps),
            Err(beyond) => undecided(number, Vec::new(), &beyond.to_string()),
        }
    }
}

/// The sequences of a batch.
struct Resolver<'a> {
    explorer: &'a BatchExplorer<'a>,
    numbers: &'a [u64],
    scripts: &'a [Vec<Step>],
}

impl BatchResolver for Resolver<'_> {
    type Output = SequenceResult;

    fn is_done(&self) -> bool {
        self.explorer.has_enough()
    }

    fn accept(&self, index: usize, result: ScriptResult) -> SequenceResult {
        agreed(self.numbers[index], self.scripts[index].clone(), result.verdict_detail)
    }

    fn run_isolated(&self, index: usize) -> SequenceResult {
        self.explorer.look_into(self.numbers[index], self.scripts[index].clone())
    }

    fn recheck(&self, index: usize, result: SequenceResult, reason: &str) -> SequenceResult {
        self.explorer.after_others(result, &self.scripts[..=index], reason)
    }

    fn verdict_detail(result: &SequenceResult) -> &VerdictDetail {
        &result.judgement
    }
}

/// What is said of what nobody can show again.
const ONCE: &str = "it differed once, and not again";

/// What was found once more, of something that did not agree before.
pub(super) fn confirmed(again: SequenceResult, before: &SequenceResult) -> SequenceResult {
    match again.judgement.verdict {
        Verdict::Holds => {
            let because = before.judgement.because.as_deref().unwrap_or_default();
            undecided(again.number, again.steps, &format!("{ONCE}: {because}"))
        }
        _ => again,
    }
}

/// On machines of its own. A transcript is kept of what does not agree.
pub(super) fn alone(case_runner: &CaseRunner<'_>, plan: &ExplorePlan, number: u64, steps: Vec<Step>) -> SequenceResult {
    named(case_runner, plan, &format!("explore-{number}"), number, steps)
}

/// The same, under another name: what was found keeps its own.
pub fn named(
    case_runner: &CaseRunner<'_>,
    plan: &ExplorePlan,
    name: &str,
    number: u64,
    steps: Vec<Step>,
) -> SequenceResult {
    let fs = plan.fs;
    let (judgement, runs) = case_runner.run_steps(name, fs, &steps);
    if judgement.verdict == Verdict::Holds {
        return agreed(number, steps, judgement);
    }
    let parts: Vec<Vec<StepReport>> = runs.iter().flat_map(MachineOutput::per_kernel_events).map(reports).collect();
    let parts: Vec<&[StepReport]> = parts.iter().map(Vec::as_slice).collect();
    let title = Title { claim: name, title: "kernel and model agree", sentence: "", fs };
    let path = case_runner.logs.join(format!("{name}.jsonl"));
    match transcript::write(&path, case_runner.kernel, title, &steps, &parts, &judgement) {
        Ok(()) => {
            let again = plan.on.as_ref().map(|on| format!("vremount explore {on} --replay {}", path.display()));
            let kept = Some(keep_script(path, again, title, &steps));
            SequenceResult { number, steps, judgement, kept }
        }
        Err(cause) => {
            let because = judgement.because.unwrap_or_default();
            let because = Some(format!("{because} (failed to write {}: {cause})", path.display()));
            SequenceResult { number, steps, judgement: VerdictDetail { because, ..judgement }, kept: None }
        }
    }
}

/// A script beside the transcript, where a shell can do what was done.
fn keep_script(transcript: PathBuf, again: Option<String>, title: Title<'_>, steps: &[Step]) -> FailureArtifacts {
    let path = transcript.with_extension("sh");
    let written = reproduce::script(title, steps, again.as_deref().unwrap_or("vremount mutants"))
        .map_err(str::to_string)
        .and_then(|script| {
            std::fs::write(&path, script).map_err(|cause| format!("failed to write {}: {cause}", path.display()))
        });
    match written {
        Ok(()) => FailureArtifacts { transcript, again, script: Some(path), no_script: None },
        Err(why) => FailureArtifacts { transcript, again, script: None, no_script: Some(why) },
    }
}

fn agreed(number: u64, steps: Vec<Step>, judgement: VerdictDetail) -> SequenceResult {
    SequenceResult { number, steps, judgement, kept: None }
}

fn undecided(number: u64, steps: Vec<Step>, because: &str) -> SequenceResult {
    SequenceResult { number, steps, judgement: VerdictDetail::cannot_tell(because), kept: None }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn found(verdict: Verdict) -> SequenceResult {
        let because = Some("this".to_string());
        let judgement = VerdictDetail { verdict, expected: None, observed: None, because };
        SequenceResult { number: 7, steps: Vec::new(), judgement, kept: None }
    }

    #[rstest]
    #[case::again(Verdict::Broken, Verdict::Broken, "this")]
    #[case::not_again(Verdict::Holds, Verdict::CannotTell, "it differed once, and not again: this")]
    #[case::hung(Verdict::CannotTell, Verdict::CannotTell, "this")]
    fn what_is_seen_once_is_not_told_as_a_difference(
        #[case] again: Verdict,
        #[case] expected: Verdict,
        #[case] because: &str,
    ) {
        let told = confirmed(found(again), &found(Verdict::Broken)).judgement;
        assert_eq!((told.verdict, told.because.as_deref()), (expected, Some(because)));
    }
}

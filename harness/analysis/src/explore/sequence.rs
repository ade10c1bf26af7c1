// SPDX-License-Identifier: MIT OR Apache-2.0
//! Runs one sequence on machines of its own, and keeps a transcript and a script if kernel and
//! model differ.

use std::fs;
use std::path::PathBuf;

use serde::Serialize;
use vremount_claims::Step;
use vremount_claims::verdict::{Verdict, VerdictDetail};
use vremount_machine::MachineOutput;
use vremount_protocol::StepReport;
use vremount_runner::case_runner::CaseRunner;
use vremount_runner::transcript::{self, Title};
use vremount_runner::validate::step_reports;

use crate::command_line::quote_path;
use crate::explore::generator::ExplorePlan;
use crate::reproduce;

/// Reason of a verdict if a difference did not occur again.
const NOT_REPEATED: &str = "it differed once, and not again";

/// Result of a sequence.
pub struct SequenceResult {
    /// Number of the sequence in its plan.
    pub number: u64,
    /// The steps, with predicted outcomes; empty if the model does not cover the sequence.
    pub steps: Vec<Step>,
    /// Whether kernel and model agree.
    pub verdict_detail: VerdictDetail,
    /// The files that were kept; none if kernel and model agree.
    pub artifacts: Option<FailureArtifacts>,
}

/// Files that are kept of a sequence on which kernel and model differ or that is undecided.
#[derive(Debug, Clone, Serialize)]
pub struct FailureArtifacts {
    /// Path of the transcript.
    pub transcript: PathBuf,
    /// Command line that repeats the sequence, quoted for a shell; none in a run on a mutant, which
    /// no command line names.
    #[serde(rename = "again")]
    pub replay_command: Option<String>,
    /// Path of a shell script with the same steps; none if a shell cannot perform them.
    pub script: Option<PathBuf>,
    /// Why there is no script; none if there is one.
    #[serde(rename = "no_script")]
    pub no_script_reason: Option<String>,
}

impl SequenceResult {
    pub(super) fn agreed(number: u64, steps: Vec<Step>, judgement: VerdictDetail) -> Self {
        SequenceResult { number, steps, verdict_detail: judgement, artifacts: None }
    }

    pub(super) fn undecided(number: u64, steps: Vec<Step>, reason: &str) -> Self {
        SequenceResult { number, steps, verdict_detail: VerdictDetail::cannot_tell(reason), artifacts: None }
    }

    /// The sequence is undecided because the difference with this reason did not occur again.
    pub(super) fn not_repeated(number: u64, steps: Vec<Step>, reason: &str) -> Self {
        SequenceResult::undecided(number, steps, &format!("{NOT_REPEATED}: {reason}"))
    }

    /// This result of a repetition, or undecided if the difference `before` did not occur again.
    pub(super) fn confirm(self, before: &SequenceResult) -> Self {
        match self.verdict_detail.verdict {
            Verdict::Holds => {
                let reason = before.verdict_detail.because.as_deref().unwrap_or_default();
                SequenceResult::not_repeated(self.number, self.steps, reason)
            }
            _ => self,
        }
    }
}

/// Runs steps on machines of their own, under the name of the sequence.
pub(super) fn run_alone(runner: &CaseRunner<'_>, plan: &ExplorePlan, number: u64, steps: Vec<Step>) -> SequenceResult {
    run_named(runner, plan, &format!("explore-{number}"), number, steps)
}

/// Runs steps on machines of their own. Unless kernel and model agree, a transcript and, if a shell
/// can perform the steps, a script are written to the run directory under `name`.
pub(super) fn run_named(
    runner: &CaseRunner<'_>,
    plan: &ExplorePlan,
    name: &str,
    number: u64,
    steps: Vec<Step>,
) -> SequenceResult {
    let fs = plan.fs;
    let (judgement, runs) = runner.run_steps(name, fs, &steps);
    if judgement.verdict == Verdict::Holds {
        return SequenceResult::agreed(number, steps, judgement);
    }
    let parts: Vec<Vec<StepReport>> =
        runs.iter().flat_map(MachineOutput::per_kernel_events).map(step_reports).collect();
    let parts: Vec<&[StepReport]> = parts.iter().map(Vec::as_slice).collect();
    let title = Title { claim: name, title: "kernel and model agree", sentence: "", fs };
    let path = runner.log_dir.join(format!("{name}.jsonl"));
    match transcript::write(&path, runner.kernel, title, &steps, &parts, &judgement) {
        Ok(()) => {
            let replay =
                plan.kernel_options.as_ref().map(|on| format!("vremount explore {on} --replay {}", quote_path(&path)));
            let kept = Some(write_script(path, replay, title, &steps));
            SequenceResult { number, steps, verdict_detail: judgement, artifacts: kept }
        }
        Err(cause) => {
            let because = judgement.because.unwrap_or_default();
            let because = Some(format!("{because} (failed to write {}: {cause})", path.display()));
            SequenceResult { number, steps, verdict_detail: VerdictDetail { because, ..judgement }, artifacts: None }
        }
    }
}

/// Writes a script next to the transcript, if a shell can perform the steps.
fn write_script(transcript: PathBuf, again: Option<String>, title: Title<'_>, steps: &[Step]) -> FailureArtifacts {
    let path = transcript.with_extension("sh");
    let written = reproduce::script(title, steps, again.as_deref().unwrap_or("vremount mutants"))
        .map_err(str::to_string)
        .and_then(|script| {
            fs::write(&path, script).map_err(|cause| format!("failed to write {}: {cause}", path.display()))
        });
    match written {
        Ok(()) => FailureArtifacts { transcript, replay_command: again, script: Some(path), no_script_reason: None },
        Err(why) => FailureArtifacts { transcript, replay_command: again, script: None, no_script_reason: Some(why) },
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn result(verdict: Verdict) -> SequenceResult {
        let because = Some("reason".to_string());
        let judgement = VerdictDetail { verdict, expected: None, observed: None, because };
        SequenceResult { number: 7, steps: Vec::new(), verdict_detail: judgement, artifacts: None }
    }

    #[rstest]
    #[case::repeated(Verdict::Broken, Verdict::Broken, "reason")]
    #[case::not_repeated(Verdict::Holds, Verdict::CannotTell, "it differed once, and not again: reason")]
    #[case::hung(Verdict::CannotTell, Verdict::CannotTell, "reason")]
    fn difference_that_occurs_once_is_undecided(
        #[case] again: Verdict,
        #[case] expected: Verdict,
        #[case] because: &str,
    ) {
        let judgement = result(again).confirm(&result(Verdict::Broken)).verdict_detail;
        assert_eq!((judgement.verdict, judgement.because.as_deref()), (expected, Some(because)));
    }
}

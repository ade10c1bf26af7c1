// SPDX-License-Identifier: MIT OR Apache-2.0
//! Shortens a sequence on which kernel and model differ.

use std::sync::atomic::Ordering;

use proptest::strategy::ValueTree;
use vremount_claims::Step;
use vremount_claims::verdict::Verdict;
use vremount_runner::case_runner::CaseRunner;

use crate::explore::generator::ExplorePlan;
use crate::explore::prediction::predict_steps;
use crate::explore::sequence::{SequenceResult, run_alone};

/// Maximum number of machine runs to shorten one sequence.
const MAX_RUNS: u32 = 100;

/// Returns the smallest sequence found on which kernel and model still differ, or the same one. The
/// result was observed at least twice; if the difference does not occur again, it is undecided.
pub(super) fn shrink(runner: &CaseRunner<'_>, plan: &ExplorePlan, found: SequenceResult) -> SequenceResult {
    let smallest = smallest_steps(runner, plan, &found);
    // The last run was not necessarily of the smallest sequence. Running that again writes its
    // transcript.
    let again = run_alone(runner, plan, found.number, smallest.unwrap_or_else(|| found.steps.clone()));
    if again.verdict_detail.verdict == Verdict::Broken || again.steps == found.steps {
        return again.confirm(&found);
    }
    run_alone(runner, plan, found.number, found.steps.clone()).confirm(&found)
}

/// None if nothing can be left out. Short sequences cannot be shortened: all shorter ones were
/// tried before them.
fn smallest_steps(runner: &CaseRunner<'_>, plan: &ExplorePlan, found: &SequenceResult) -> Option<Vec<Step>> {
    let mut tree = plan.random(found.number)?;
    let (_, groups, seen) = tree.current();
    if let Some(count) = seen {
        count.store(groups.len(), Ordering::SeqCst);
    }
    let mut smallest = None;
    let mut has_next = tree.simplify();
    for _ in 0..MAX_RUNS {
        if !has_next {
            break;
        }
        let steps = predict_steps(plan.fs, &plan.to_actions(&tree.current())).unwrap_or_default();
        // After a step back the sequence is one that is known to differ.
        let differs = steps == *smallest.as_ref().unwrap_or(&found.steps)
            || run_alone(runner, plan, found.number, steps.clone()).verdict_detail.verdict == Verdict::Broken;
        has_next = if differs { tree.simplify() } else { tree.complicate() };
        if differs {
            smallest = Some(steps);
        }
    }
    smallest
}

// SPDX-License-Identifier: MIT OR Apache-2.0
//! Runs sequences that share a machine. A sequence on which kernel and model differ is run again
//! alone; if they agree then, it is run again after the sequences that came before it.

use std::fs;
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};

use vremount_claims::verdict::{Verdict, VerdictDetail};
use vremount_claims::{Action, Step};
use vremount_protocol::Op;
use vremount_runner::batch::{BatchResolver, ScriptResult, run_scripts};
use vremount_runner::case_runner::CaseRunner;

use crate::explore::generator::ExplorePlan;
use crate::explore::prediction::predict_steps;
use crate::explore::sequence::{SequenceResult, run_alone};
use crate::explore::shrink::shrink;

/// The exploration stops after this many differences. So many mean that the kernel is not the one
/// that the model describes.
const MAX_DIFFERENCES: u64 = 8;

/// Explores parts of a plan; shared by all threads.
pub(super) struct BatchExplorer<'a> {
    pub runner: &'a CaseRunner<'a>,
    pub plan: &'a ExplorePlan,
    /// Number of differences so far.
    pub differences: AtomicU64,
}

impl BatchExplorer<'_> {
    /// Runs the sequences with these numbers. A sequence with an action of the host has machines of
    /// its own.
    pub fn run(&self, numbers: Range<u64>) -> Vec<SequenceResult> {
        let start = numbers.start;
        let mut results = Vec::new();
        let mut shared = Vec::new();
        for number in numbers.take_while(|_| !self.is_finished()) {
            let actions = self.plan.actions(number);
            match predict_steps(self.plan.fs, &actions) {
                Ok(steps) if actions.iter().any(|action| matches!(action, Action::Host(_))) => {
                    results.push(self.investigate(number, steps));
                }
                Ok(steps) => shared.push((number, steps)),
                Err(reason) => results.push(SequenceResult::undecided(number, Vec::new(), &reason.to_string())),
            }
        }
        if !shared.is_empty() {
            results.extend(self.run_shared(&format!("explore-{start}-and-more"), shared));
        }
        results
    }

    /// Runs sequences on one machine.
    fn run_shared(&self, name: &str, sequences: Vec<(u64, Vec<Step>)>) -> Vec<SequenceResult> {
        let (numbers, scripts): (Vec<u64>, Vec<Vec<Step>>) = sequences.into_iter().unzip();
        let batch = run_scripts(self.runner, name, self.plan.fs, &scripts);
        if !batch.has_failed() {
            // A sequence that is investigated has console logs of its own.
            let _ = fs::remove_file(self.runner.log_dir.join(format!("{name}.0.console")));
        }
        batch.resolve(scripts.len(), &SequenceResolver { explorer: self, numbers: &numbers, scripts: &scripts })
    }

    fn is_finished(&self) -> bool {
        self.differences.load(Ordering::Relaxed) >= MAX_DIFFERENCES
    }

    /// Runs a sequence alone, and shortens it if kernel and model differ.
    fn investigate(&self, number: u64, steps: Vec<Step>) -> SequenceResult {
        let result = run_alone(self.runner, self.plan, number, steps);
        if result.verdict_detail.verdict != Verdict::Broken {
            return result;
        }
        self.differences.fetch_add(1, Ordering::Relaxed);
        shrink(self.runner, self.plan, result)
    }

    /// Runs scripts on one machine, one after the other. The last script agreed with the model when it
    /// ran alone, and differed in the batch (`reason`). Scripts that the difference does not need are
    /// left out.
    fn run_after_others(&self, number: u64, scripts: &[Vec<Step>], reason: &str) -> SequenceResult {
        let mut needed: Vec<&[Step]> = scripts.iter().map(Vec::as_slice).collect();
        let result = self.run_in_turn(number, &needed);
        match result.verdict_detail.verdict {
            Verdict::Holds => return SequenceResult::not_repeated(number, result.steps, reason),
            Verdict::Broken => self.differences.fetch_add(1, Ordering::Relaxed),
            _ => return result,
        };
        for index in (0..scripts.len() - 1).rev() {
            let fewer = [&needed[..index], &needed[index + 1..]].concat();
            if self.run_in_turn(number, &fewer).verdict_detail.verdict == Verdict::Broken {
                needed = fewer;
            }
        }
        self.run_in_turn(number, &needed).confirm(&result)
    }

    /// Runs scripts one after the other on one machine, and takes everything down after each.
    fn run_in_turn(&self, number: u64, scripts: &[&[Step]]) -> SequenceResult {
        let actions = scripts.iter().flat_map(|steps| steps.iter().map(Step::action).chain([Action::Guest(Op::Reset)]));
        match predict_steps(self.plan.fs, &actions.collect::<Vec<_>>()) {
            Ok(steps) => run_alone(self.runner, self.plan, number, steps),
            Err(reason) => SequenceResult::undecided(number, Vec::new(), &reason.to_string()),
        }
    }
}

/// The sequences of a batch.
struct SequenceResolver<'a> {
    explorer: &'a BatchExplorer<'a>,
    numbers: &'a [u64],
    scripts: &'a [Vec<Step>],
}

impl BatchResolver for SequenceResolver<'_> {
    type Output = SequenceResult;

    fn is_done(&self) -> bool {
        self.explorer.is_finished()
    }

    fn accept(&self, index: usize, result: ScriptResult) -> SequenceResult {
        SequenceResult::agreed(self.numbers[index], self.scripts[index].clone(), result.verdict_detail)
    }

    fn run_isolated(&self, index: usize) -> SequenceResult {
        self.explorer.investigate(self.numbers[index], self.scripts[index].clone())
    }

    fn recheck(&self, index: usize, _result: SequenceResult, reason: &str) -> SequenceResult {
        self.explorer.run_after_others(self.numbers[index], &self.scripts[..=index], reason)
    }

    fn verdict_detail(result: &SequenceResult) -> &VerdictDetail {
        &result.verdict_detail
    }
}

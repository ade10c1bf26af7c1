// SPDX-License-Identifier: MIT OR Apache-2.0
//! Generates sequences of operations, predicts their outcomes with the model, and compares them
//! with a kernel.
//!
//! A sequence is run like the script of a claim. If kernel and model differ, one of them is wrong.
//! Such a sequence is shortened and kept as a transcript and a script.

mod batch;
mod generator;
mod operations;
mod prediction;
mod report;
mod sequence;
mod shrink;

use std::sync::atomic::AtomicU64;

use batch::BatchExplorer;
pub use generator::{DEFAULT_EXHAUSTIVE_LENGTH, ExplorePlan};
pub use prediction::predict_steps;
pub use report::{Difference, Report, Tally};
pub use sequence::{FailureArtifacts, SequenceResult};
use vremount_claims::Step;
use vremount_runner::case_runner::CaseRunner;
use vremount_util::parallel::parallel_map;

/// Number of sequences that share a machine: many, so that booting takes a small part of the time,
/// but few enough to find the sequence that caused a failure.
const BATCH_SIZE: u64 = 32;

/// Runs the sequences of a plan on up to `jobs` machines at a time. `each` is called with the
/// results of each batch. Stops after eight differences.
pub fn run_plan(case_runner: &CaseRunner<'_>, plan: &ExplorePlan, jobs: usize, each: impl FnMut(Vec<SequenceResult>)) {
    let starts: Vec<u64> = (0..plan.sequences).step_by(BATCH_SIZE as usize).collect();
    let range = |start: &u64| *start..plan.sequences.min(start + BATCH_SIZE);
    let explorer = BatchExplorer { runner: case_runner, plan, differences: AtomicU64::new(0) };
    parallel_map(jobs, &starts, |start| explorer.run(range(start)), each);
}

/// Runs steps on machines of their own. Transcript and script are kept under `name`, unless kernel
/// and model agree.
#[must_use]
pub fn run_sequence(
    case_runner: &CaseRunner<'_>,
    plan: &ExplorePlan,
    name: &str,
    number: u64,
    steps: Vec<Step>,
) -> SequenceResult {
    sequence::run_named(case_runner, plan, name, number, steps)
}

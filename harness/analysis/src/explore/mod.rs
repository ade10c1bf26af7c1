// SPDX-License-Identifier: MIT OR Apache-2.0
//! Exploration: sequences of operations that nobody thought of, with what the model says they must lead to. A sequence
//! becomes a script like that of a claim and goes through the same pipeline; where kernel and model differ, one of them is
//! wrong.

mod batch;
mod generator;
mod operations;
mod report;
mod shrink;

use std::path::PathBuf;
use std::sync::atomic::AtomicU64;

use batch::BatchExplorer;
pub use generator::{EVERY, ExplorePlan};
pub use report::{Difference, Report, Tally};
use serde::Serialize;
use vremount_claims::model::{ModelState, OutOfModel};
use vremount_claims::verdict::VerdictDetail;
use vremount_claims::{Action, Step};
use vremount_kernel::base::Level;
use vremount_machine::image::Fs;
use vremount_runner::case_runner::CaseRunner;
use vremount_util::parallel::parallel_map;

/// How many sequences share a machine: enough to make little of the boot, few enough to find the one that did it.
const COMPANY: u64 = 32;

/// What became of a sequence.
pub struct SequenceResult {
    pub number: u64,
    /// Each with what was foretold.
    pub steps: Vec<Step>,
    pub judgement: VerdictDetail,
    /// Of what did not agree.
    pub kept: Option<FailureArtifacts>,
}

/// What there is of a sequence that does not agree.
#[derive(Debug, Clone, Serialize)]
pub struct FailureArtifacts {
    pub transcript: PathBuf,
    /// The command that does again what that says, where there is one.
    pub again: Option<String>,
    /// The same for a shell.
    pub script: Option<PathBuf>,
    /// Why there is none.
    pub no_script: Option<String>,
}

/// What the model says of acts on a pristine machine.
///
/// # Errors
/// If it says nothing of one of them.
pub fn foretell(fs: Fs, acts: &[Action]) -> Result<Vec<Step>, OutOfModel> {
    let mut world = ModelState::new(Level::FULL, fs);
    let mut steps = Vec::with_capacity(acts.len());
    for act in acts {
        match act {
            Action::Guest(op) => {
                let (next, want) = world.op(op)?;
                world = next;
                steps.push(Step::Assertion(op.clone(), want));
            }
            Action::HostAction(host) => {
                world = world.host(*host)?;
                steps.push(Step::Host(*host));
            }
        }
    }
    Ok(steps)
}

/// Works off the sequences of a plan on up to `jobs` machines at a time, and sees to what does not agree, until that is
/// enough.
pub fn explore(case_runner: &CaseRunner<'_>, plan: &ExplorePlan, jobs: usize, each: impl FnMut(Vec<SequenceResult>)) {
    let starts: Vec<u64> = (0..plan.sequences).step_by(COMPANY as usize).collect();
    let range = |start: &u64| *start..plan.sequences.min(start + COMPANY);
    let explorer = BatchExplorer { case_runner, plan, differences: AtomicU64::new(0) };
    parallel_map(jobs, &starts, |start| explorer.run(range(start)), each);
}

/// Works off one sequence of a plan, or other acts, on machines of their own. What comes of it is kept under that name.
#[must_use]
pub fn rerun(
    case_runner: &CaseRunner<'_>,
    plan: &ExplorePlan,
    name: &str,
    number: u64,
    steps: Vec<Step>,
) -> SequenceResult {
    batch::named(case_runner, plan, name, number, steps)
}

// SPDX-License-Identifier: MIT OR Apache-2.0
//! Results of an exploration, as text and as JSON.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use serde::Serialize;
use vremount_claims::Step;
use vremount_claims::exit::Exit;
use vremount_claims::verdict::Verdict;
use vremount_runner::testbed::TestBed;

use crate::command_line::quote_path;
use crate::explore::generator::ExplorePlan;
use crate::explore::sequence::{FailureArtifacts, SequenceResult};

/// Counts over the sequences so far.
#[derive(Debug, Default, Serialize)]
pub struct Tally {
    /// Sequences on which kernel and model agree.
    pub agree: u64,
    /// Sequences on which they differ.
    pub differ: u64,
    /// Undecided sequences.
    pub cannot_tell: u64,
    /// Number of steps of the sequences that agree.
    pub steps: u64,
    /// How often each outcome was predicted for a mount, in the sequences that agree.
    pub mounts: BTreeMap<String, u64>,
    /// The sequences that differ or are undecided, shortest first.
    pub differences: Vec<Difference>,
}

/// A sequence on which kernel and model differ, or that is undecided.
#[derive(Debug, Serialize)]
pub struct Difference {
    /// Number of the sequence in its plan.
    pub number: u64,
    /// [`Verdict::Broken`] if kernel and model differ.
    pub verdict: Verdict,
    /// The reason of the verdict.
    pub because: String,
    /// Descriptions of the steps.
    pub steps: Vec<String>,
    /// The files that were kept; none if there are none.
    #[serde(flatten)]
    pub artifacts: Option<FailureArtifacts>,
}

/// JSON report of an exploration.
#[derive(Serialize)]
pub struct Report<'a> {
    /// Version of this structure, 1. Fields are added without a change of the version.
    pub schema: u32,
    /// Name of the base.
    pub base: &'a str,
    /// Folder name of the series.
    pub series: &'a str,
    /// Number of applied patches.
    pub level: u8,
    /// Name of the executor.
    pub executor: &'a str,
    /// Name of the upper filesystem.
    pub fs: &'a str,
    /// The seed, as a string: it may exceed the integers of JSON readers.
    pub seed: String,
    /// Number of sequences of the plan.
    pub sequences: u64,
    /// How many of them are the short ones.
    pub every: u64,
    /// Maximum length of a random sequence.
    pub most_steps: usize,
    /// Duration in milliseconds.
    pub ms: u64,
    /// The results.
    #[serde(flatten)]
    pub tally: &'a Tally,
}

impl<'a> Report<'a> {
    /// The report of an exploration that took this time.
    #[must_use]
    pub fn new(testbed: &'a TestBed, plan: &ExplorePlan, time: Duration, tally: &'a Tally) -> Self {
        Report {
            schema: 1,
            base: &testbed.kernel.base,
            series: &testbed.kernel.series,
            level: testbed.kernel.level.number(),
            executor: testbed.executor.name(),
            fs: plan.fs.name(),
            seed: plan.seed.to_string(),
            sequences: plan.sequences,
            every: plan.exhaustive_count(),
            most_steps: plan.max_steps,
            ms: u64::try_from(time.as_millis()).unwrap_or(u64::MAX),
            tally,
        }
    }
}

impl Tally {
    /// Adds the result of a sequence.
    pub fn add(&mut self, found: &SequenceResult) {
        match found.verdict_detail.verdict {
            Verdict::Holds => {
                self.agree += 1;
                self.steps += found.steps.len() as u64;
                for step in &found.steps {
                    if let Step::Assertion(vremount_protocol::Op::MountOverlay { .. }, expectation) = step {
                        *self.mounts.entry(expectation.to_string()).or_default() += 1;
                    }
                }
                return;
            }
            Verdict::Broken => self.differ += 1,
            _ => self.cannot_tell += 1,
        }
        self.differences.push(Difference::new(found));
        self.differences.sort_by_key(|difference| (difference.steps.len(), difference.number));
    }

    /// [`Exit::Broken`] if a sequence differs, [`Exit::CannotTell`] if one is undecided or none was
    /// run, else [`Exit::Success`].
    #[must_use]
    pub fn exit(&self) -> Exit {
        match self {
            Tally { differ: 1.., .. } => Exit::Broken,
            Tally { cannot_tell: 1.., .. } | Tally { agree: 0, .. } => Exit::CannotTell,
            _ => Exit::Success,
        }
    }
}

impl Difference {
    /// The result of a sequence that does not agree.
    #[must_use]
    pub fn new(found: &SequenceResult) -> Self {
        let SequenceResult { number, steps, verdict_detail: judgement, artifacts: kept } = found;
        Difference {
            number: *number,
            verdict: judgement.verdict,
            because: judgement.because.clone().unwrap_or_default(),
            steps: steps.iter().map(ToString::to_string).collect(),
            artifacts: kept.clone(),
        }
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = if self.verdict == Verdict::Broken { "differs" } else { "cannot tell" };
        writeln!(f, "sequence {}: {word}: {}", self.number, self.because)?;
        self.steps.iter().try_for_each(|step| writeln!(f, "    {step}"))?;
        let Some(FailureArtifacts { replay_command: again, script, no_script_reason: no_script, .. }) = &self.artifacts
        else {
            return Ok(());
        };
        again.iter().try_for_each(|again| writeln!(f, "  repeat it: {again}"))?;
        match (script, no_script) {
            (Some(path), _) => write!(f, "  repeat it without vremount, as root: sh {}", quote_path(path)),
            (None, Some(why)) => write!(f, "  no script: {why}"),
            (None, None) => Ok(()),
        }
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Tally { agree, differ, cannot_tell, steps, mounts, .. } = self;
        writeln!(f, "mounts with the predicted outcome:")?;
        mounts.iter().try_for_each(|(outcome, count)| writeln!(f, "  {count:>8}  {outcome}"))?;
        write!(f, "\n{agree} sequences with {steps} steps agree, {differ} differ, {cannot_tell} cannot tell")
    }
}

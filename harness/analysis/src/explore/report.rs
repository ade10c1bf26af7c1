// SPDX-License-Identifier: MIT OR Apache-2.0
//! What an exploration came to, for people and programs.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use serde::Serialize;
use vremount_claims::Step;
use vremount_claims::exit::Exit;
use vremount_claims::verdict::Verdict;
use vremount_runner::testbed::TestBed;

use crate::explore::{ExplorePlan, FailureArtifacts, SequenceResult};

/// What became of all sequences so far.
#[derive(Debug, Default, Serialize)]
pub struct Tally {
    pub agree: u64,
    pub differ: u64,
    pub cannot_tell: u64,
    /// Steps of sequences that agree.
    pub steps: u64,
    /// How often a mount of those led to what, in words.
    pub mounts: BTreeMap<String, u64>,
    /// What does not agree, smallest first.
    pub differences: Vec<Difference>,
}

/// A sequence that does not agree, or of which nobody can tell.
#[derive(Debug, Serialize)]
pub struct Difference {
    pub number: u64,
    pub verdict: Verdict,
    pub because: String,
    /// In words.
    pub steps: Vec<String>,
    #[serde(flatten)]
    pub kept: Option<FailureArtifacts>,
}

/// For programs.
#[derive(Serialize)]
pub struct Report<'a> {
    pub schema: u32,
    pub base: &'a str,
    pub series: &'a str,
    pub level: u8,
    pub executor: &'a str,
    pub fs: &'a str,
    pub seed: String,
    pub sequences: u64,
    /// Of those, all short ones that there are.
    pub every: u64,
    pub most_steps: usize,
    pub ms: u64,
    #[serde(flatten)]
    pub tally: &'a Tally,
}

impl<'a> Report<'a> {
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
            every: plan.every(),
            most_steps: plan.steps,
            ms: u64::try_from(time.as_millis()).unwrap_or(u64::MAX),
            tally,
        }
    }
}

impl Tally {
    pub fn add(&mut self, found: &SequenceResult) {
        match found.judgement.verdict {
            Verdict::Holds => {
                self.agree += 1;
                self.steps += found.steps.len() as u64;
                for step in &found.steps {
                    if let Step::Assertion(vremount_protocol::Op::MountOverlay { .. }, want) = step {
                        *self.mounts.entry(want.to_string()).or_default() += 1;
                    }
                }
                return;
            }
            Verdict::Broken => self.differ += 1,
            _ => self.cannot_tell += 1,
        }
        self.differences.push(Difference::of(found));
        self.differences.sort_by_key(|difference| (difference.steps.len(), difference.number));
    }

    /// Kernel and model differ, and that is all there is to say; otherwise nobody can tell, or they agree.
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
    #[must_use]
    pub fn of(found: &SequenceResult) -> Self {
        let SequenceResult { number, steps, judgement, kept } = found;
        Difference {
            number: *number,
            verdict: judgement.verdict,
            because: judgement.because.clone().unwrap_or_default(),
            steps: steps.iter().map(ToString::to_string).collect(),
            kept: kept.clone(),
        }
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = if self.verdict == Verdict::Broken { "differs" } else { "cannot tell" };
        writeln!(f, "sequence {}: {word}: {}", self.number, self.because)?;
        self.steps.iter().try_for_each(|step| writeln!(f, "    {step}"))?;
        let Some(FailureArtifacts { again, script, no_script, .. }) = &self.kept else { return Ok(()) };
        again.iter().try_for_each(|again| writeln!(f, "  again: {again}"))?;
        match (script, no_script) {
            (Some(path), _) => write!(f, "  without vremount, as root: sh {}", path.display()),
            (None, Some(why)) => write!(f, "  no script: {why}"),
            (None, None) => Ok(()),
        }
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Tally { agree, differ, cannot_tell, steps, mounts, .. } = self;
        writeln!(f, "mounts that came out as foretold:")?;
        mounts.iter().try_for_each(|(outcome, count)| writeln!(f, "  {count:>8}  {outcome}"))?;
        write!(f, "\n{agree} sequences of {steps} steps agree, {differ} differ, {cannot_tell} cannot tell")
    }
}

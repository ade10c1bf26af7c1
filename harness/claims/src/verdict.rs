// SPDX-License-Identifier: MIT OR Apache-2.0
//! Verdicts: compares the outcomes that a claim expects with the outcomes that a guest reports.

mod satisfies;

#[cfg(test)]
mod tests;

use std::fmt;

use serde::{Deserialize, Serialize};
use vremount_protocol::{MESSAGES_LOST, Op, Outcome, StepReport};

use crate::refusal_reason::Reason;
use crate::{Expectation, Step, describe, describe_outcome, errno_name};

/// Verdict on a case (one claim on one filesystem).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// Every precondition and every assertion had the expected outcome.
    Holds,
    /// An assertion had another outcome, or the kernel failed.
    Broken,
    /// The evidence is incomplete: a precondition failed, or reports or kernel log lines are
    /// missing.
    CannotTell,
    /// The claim does not apply to the filesystem or the architecture.
    Skipped,
}

/// Outcome of a step as reports write it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ObservedOutcome {
    /// Kind of outcome: `done`, `mounted`, `mounted-read-only`, `refused`, `failed`, `differs`,
    /// `one-wins`, `raced` or `starved`.
    pub outcome: String,
    /// Name of the errno (`EINVAL`); none if the outcome has no errno.
    pub errno: Option<String>,
    /// Refusal reason that the kernel logged; none if it logged no reason or different reasons.
    pub reason: Option<Reason>,
}

/// Verdict with the outcomes of the step that decided it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct VerdictDetail {
    /// The verdict.
    pub verdict: Verdict,
    /// Expected outcome of the deciding step, or of the reported assertion if the claim holds; none
    /// if no step decided.
    pub expected: Option<ObservedOutcome>,
    /// Observed outcome of the same step.
    pub observed: Option<ObservedOutcome>,
    /// Explanation for people; none if the claim holds.
    pub because: Option<String>,
}

impl VerdictDetail {
    /// [`Verdict::CannotTell`], for a cause outside the claim.
    #[must_use]
    pub fn cannot_tell(because: impl Into<String>) -> Self {
        VerdictDetail { verdict: Verdict::CannotTell, expected: None, observed: None, because: Some(because.into()) }
    }

    /// [`Verdict::Broken`], because the kernel warned, oopsed or panicked. The outcomes of the
    /// steps do not matter.
    #[must_use]
    pub fn kernel_failure(because: String) -> Self {
        VerdictDetail { verdict: Verdict::Broken, expected: None, observed: None, because: Some(because) }
    }

    /// Whether a kernel failure decided the verdict, and not the outcome of a step.
    #[must_use]
    pub fn is_kernel_failure(&self) -> bool {
        self.verdict == Verdict::Broken && self.expected.is_none()
    }

    /// [`Verdict::Skipped`]: the claim does not apply.
    #[must_use]
    pub fn skipped(because: impl Into<String>) -> Self {
        VerdictDetail { verdict: Verdict::Skipped, expected: None, observed: None, because: Some(because.into()) }
    }
}

/// Judges a claim by its steps and the reports of its guest steps, both in order of execution.
///
/// The first guest step with an unexpected outcome decides: a failed assertion is broken, a failed
/// precondition is *cannot tell*. So is a missing report, or a lost log line that may have changed
/// the result. If all steps have the expected outcomes, the claim holds, and the
/// detail shows the last asserted mount, or else the first assertion.
#[must_use]
pub fn judge(steps: &[Step], reports: &[StepReport]) -> VerdictDetail {
    let guest_steps = steps.iter().filter_map(|step| match step {
        Step::Precondition(op, expectation) => Some((false, op, *expectation)),
        Step::Assertion(op, expectation) => Some((true, op, *expectation)),
        Step::Host(_) => None,
    });
    let mut shown = None;
    let mut reports = reports.iter();
    for (is_assertion, op, expectation) in guest_steps {
        let Some(report) = reports.next() else {
            return VerdictDetail::cannot_tell(format!("the guest did not report this step: {}", describe(op)));
        };
        let satisfied = satisfies::satisfies(op, expectation, report);
        // If outcome or errno differ, no log line can make the step match.
        let depends_on_log = || {
            satisfied
                || ObservedOutcome::from_expectation(expectation)
                    .is_same_but_reason(&ObservedOutcome::from_report(report))
        };
        if report.log.iter().any(|line| line == MESSAGES_LOST) && depends_on_log() {
            return VerdictDetail::cannot_tell(format!("{}: lines of the kernel log are lost", describe(op)));
        }
        if !satisfied {
            // An operation that fails without an errno failed in the guest, not in the kernel.
            let guest_failed = matches!(report.outcome, Outcome::Failed { errno: 0, .. });
            let verdict = if is_assertion && !guest_failed { Verdict::Broken } else { Verdict::CannotTell };
            return VerdictDetail {
                verdict,
                expected: Some(ObservedOutcome::from_expectation(expectation)),
                observed: Some(ObservedOutcome::from_report(report)),
                because: Some(format!("{}: expected {expectation}, observed {}", describe(op), Observed(report))),
            };
        }
        // A mount shows more of the claim than the checks around it.
        if is_assertion && (shown.is_none() || matches!(op, Op::MountOverlay { .. })) {
            shown = Some((expectation, report));
        }
    }
    match shown {
        Some((expectation, report)) => VerdictDetail {
            verdict: Verdict::Holds,
            expected: Some(ObservedOutcome::from_expectation(expectation)),
            observed: Some(ObservedOutcome::from_report(report)),
            because: None,
        },
        None => VerdictDetail::cannot_tell("the claim has no assertion"),
    }
}

/// Shows the outcome of a report with the refusal reasons in its log.
struct Observed<'a>(&'a StepReport);

impl fmt::Display for Observed<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Observed(report) = self;
        f.write_str(&describe_outcome(&report.outcome))?;
        if !matches!(report.outcome, Outcome::Refused { .. }) {
            return Ok(());
        }
        match Reason::all_in(&report.log).as_slice() {
            [] => f.write_str(", no reason logged"),
            [reason] => write!(f, ": {reason}"),
            reasons => {
                let reasons: Vec<_> = reasons.iter().map(Reason::to_string).collect();
                write!(f, ", several reasons logged: {}", reasons.join(", "))
            }
        }
    }
}

impl ObservedOutcome {
    /// Outcome that satisfies an expectation. An expectation that several outcomes satisfy is shown
    /// as its usual one.
    #[must_use]
    pub fn from_expectation(expectation: Expectation) -> Self {
        let (outcome, errno, reason) = match expectation {
            Expectation::Done
            | Expectation::IoErrors
            | Expectation::NoIo
            | Expectation::SomeIo
            | Expectation::AnyOutcome
            | Expectation::AtMostOneMounted => ("done", None, None),
            Expectation::SomeRefusedWithEnomem | Expectation::SomeMountedOthersNoCheckpoint => ("starved", None, None),
            Expectation::Mounted | Expectation::MountedOrWritebackError => ("mounted", None, None),
            Expectation::MountedReadOnly => ("mounted-read-only", None, None),
            Expectation::AtMostOneMountedOthersRefused { reason, .. } => ("one-wins", Some(libc::EINVAL), Some(reason)),
            Expectation::Differs => ("differs", None, None),
            Expectation::Refused { errno, reason } => ("refused", Some(errno), Some(reason)),
            Expectation::RefusedWithoutReason(errno) => ("refused", Some(errno), None),
            Expectation::Fails(errno) => ("failed", Some(errno), None),
            Expectation::FailsWithEioOrEnospc => ("failed", None, None),
        };
        ObservedOutcome { outcome: outcome.to_string(), errno: errno.map(errno_name), reason }
    }

    fn from_report(report: &StepReport) -> Self {
        let (outcome, errno) = match &report.outcome {
            Outcome::Done | Outcome::Counted(_) | Outcome::Measured(_) => ("done", None),
            Outcome::Mounted { read_only: true, .. } => ("mounted-read-only", None),
            Outcome::Mounted { .. } => ("mounted", None),
            Outcome::Refused { errno } => ("refused", Some(*errno)),
            Outcome::Failed { errno, .. } => ("failed", Some(*errno)),
            Outcome::Differs { .. } => ("differs", None),
            Outcome::Raced { mounted: 1, refused } => ("one-wins", refused.keys().next().copied()),
            Outcome::Raced { .. } => ("raced", None),
            Outcome::Starved { .. } => ("starved", None),
        };
        ObservedOutcome {
            outcome: outcome.to_string(),
            errno: errno.map(errno_name),
            reason: Reason::unique_in(&report.log),
        }
    }

    fn is_same_but_reason(&self, other: &Self) -> bool {
        (&self.outcome, &self.errno) == (&other.outcome, &other.errno)
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Verdict::Holds => "holds",
            Verdict::Broken => "broken",
            Verdict::CannotTell => "cannot tell",
            Verdict::Skipped => "skipped",
        })
    }
}

impl fmt::Display for ObservedOutcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.outcome)?;
        if let Some(errno) = &self.errno {
            write!(f, " {errno}")?;
        }
        if let Some(reason) = &self.reason {
            write!(f, " {reason}")?;
        }
        Ok(())
    }
}

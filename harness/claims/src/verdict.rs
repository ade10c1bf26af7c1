// SPDX-License-Identifier: MIT OR Apache-2.0
//! Expected against observed: a claim holds, is broken, or nobody can tell.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};
use vremount_protocol::{LOST, Op, Outcome, StepReport};

use crate::refusal_reason::Reason;
use crate::{Expectation, Step, describe, describe_outcome, errno_name};

/// What can be said of a claim.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    Holds,
    Broken,
    CannotTell,
    Skipped,
}

/// An outcome in the terms of a report: `mounted`, `refused`, ... with errno and stated reason where there are any.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ObservedOutcome {
    pub outcome: String,
    pub errno: Option<String>,
    pub reason: Option<Reason>,
}

/// A verdict with the step that decided it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct VerdictDetail {
    pub verdict: Verdict,
    pub expected: Option<ObservedOutcome>,
    pub observed: Option<ObservedOutcome>,
    /// Why it is not `holds`, in words.
    pub because: Option<String>,
}

impl VerdictDetail {
    /// Something outside the claim went wrong.
    #[must_use]
    pub fn cannot_tell(because: impl Into<String>) -> Self {
        VerdictDetail { verdict: Verdict::CannotTell, expected: None, observed: None, because: Some(because.into()) }
    }

    /// The kernel is not well, whatever else was seen.
    #[must_use]
    pub fn kernel_complained(because: String) -> Self {
        VerdictDetail { verdict: Verdict::Broken, expected: None, observed: None, because: Some(because) }
    }

    /// Whether the kernel was not well.
    #[must_use]
    pub fn is_complaint(&self) -> bool {
        self.verdict == Verdict::Broken && self.expected.is_none()
    }

    /// The claim says nothing about this filesystem.
    #[must_use]
    pub fn skipped(because: impl Into<String>) -> Self {
        VerdictDetail { verdict: Verdict::Skipped, expected: None, observed: None, because: Some(because.into()) }
    }
}

/// Judges a claim by its guest steps and their reports, which are in the same order.
///
/// The first step that did not lead to what it must decides: evidence that is missing makes the claim undecided, an
/// outcome that is not as claimed breaks it.
#[must_use]
pub fn judge(steps: &[Step], reports: &[StepReport]) -> VerdictDetail {
    let guest_steps = steps.iter().filter_map(|step| match step {
        Step::Precondition(op, want) => Some((false, op, *want)),
        Step::Assertion(op, want) => Some((true, op, *want)),
        Step::Host(_) => None,
    });
    let mut told = None;
    let mut reports = reports.iter();
    for (claimed, op, want) in guest_steps {
        let Some(report) = reports.next() else {
            return VerdictDetail::cannot_tell(format!("the guest did not get to: {}", describe(op)));
        };
        let meets = satisfies(op, want, report);
        // What a mount led to may say enough without the log.
        let is_up_to_the_log =
            || meets || ObservedOutcome::wanted(want).is_but_for_the_reason(&ObservedOutcome::of(report));
        if report.log.iter().any(|line| line == LOST) && is_up_to_the_log() {
            return VerdictDetail::cannot_tell(format!("{}: some of what the kernel said is lost", describe(op)));
        }
        if !meets {
            // Where the kernel was not to blame, it says nothing about the claim.
            let ours = matches!(report.outcome, Outcome::Failed { errno: 0, .. });
            let verdict = if claimed && !ours { Verdict::Broken } else { Verdict::CannotTell };
            return VerdictDetail {
                verdict,
                expected: Some(ObservedOutcome::wanted(want)),
                observed: Some(ObservedOutcome::of(report)),
                because: Some(format!("{}: expected {want}, observed {}", describe(op), in_words(report))),
            };
        }
        // A mount tells more about the claim than what is checked around it.
        if claimed && (told.is_none() || matches!(op, Op::MountOverlay { .. })) {
            told = Some((want, report));
        }
    }
    match told {
        Some((want, report)) => VerdictDetail {
            verdict: Verdict::Holds,
            expected: Some(ObservedOutcome::wanted(want)),
            observed: Some(ObservedOutcome::of(report)),
            because: None,
        },
        None => VerdictDetail::cannot_tell("the claim claims nothing"),
    }
}

/// What is said where memory was too short to look.
const UNREAD: [Reason; 2] = [Reason::CheckpointUnreadable, Reason::Unreadable];

fn satisfies(op: &Op, want: Expectation, report: &StepReport) -> bool {
    match (want, &report.outcome) {
        (Expectation::Done, outcome) => *outcome == Outcome::Done,
        (Expectation::Mounted, Outcome::Mounted { volatile, read_only }) => {
            *volatile == op.asks_volatile() && !read_only
        }
        (Expectation::MountedReadOnly, Outcome::Mounted { volatile, read_only }) => {
            *volatile == op.asks_volatile() && *read_only
        }
        (Expectation::MountedOrError, Outcome::Mounted { read_only, .. }) => !read_only,
        (Expectation::MountedOrError, Outcome::Refused { errno }) => matches!(
            (*errno, Reason::stated(&report.log)),
            (libc::EINVAL, Some(Reason::WritebackError)) | (libc::EIO, Some(Reason::UnseenError))
        ),
        (Expectation::OneWins { others, reason }, Outcome::Raced { mounted: mounted @ 0..=1, refused }) => {
            let lines = Reason::all(&report.log);
            let losers = others + 1 - mounted;
            *refused == BTreeMap::from([(libc::EINVAL, losers)])
                && lines.len() == losers as usize
                && lines.iter().all(|stated| *stated == reason)
        }
        (Expectation::AtMostOneWins, Outcome::Raced { mounted, .. }) => *mounted <= 1,
        // Some filesystems say that there is no room where there was no memory.
        (Expectation::RefusedUntilFed, Outcome::Starved { refused, .. }) => {
            // From Linux 6.15 on EINVAL is what becomes of ENOMEM in clone_private_mount().
            let cloning = report.log.iter().filter(|line| line.contains("overlayfs: failed to clone ")).count();
            let known = refused.iter().all(|(errno, times)| match *errno {
                libc::ENOMEM | libc::ENOSPC => true,
                libc::EINVAL => *times as usize <= cloning,
                _ => false,
            });
            let innocent = Reason::all(&report.log).iter().all(|reason| UNREAD.contains(reason));
            refused.contains_key(&libc::ENOMEM) && known && innocent
        }
        (Expectation::AcceptedOrUnchecked, Outcome::Starved { mounted: 1.., read_only: 0, refused }) => {
            // What was said of mounts that were short of memory is in the log as well.
            let reasons: Vec<_> =
                Reason::all(&report.log).into_iter().filter(|reason| !UNREAD.contains(reason)).collect();
            let unchecked = reasons.iter().filter(|reason| **reason == Reason::NoCheckpoint).count();
            let counted: Vec<_> = refused.iter().map(|(errno, count)| (*errno, *count as usize)).collect();
            unchecked == reasons.len() && counted == [(libc::EINVAL, unchecked)]
        }
        (Expectation::Differs, outcome) => matches!(outcome, Outcome::Differs { .. }),
        (Expectation::Whatever, _) => true,
        (Expectation::Refused { errno, reason }, Outcome::Refused { errno: seen }) => {
            errno == *seen
                && Reason::stated(&report.log) == Some(reason)
                && (!op.has_own_log() || Reason::stated_to_context(&report.log) == Some(reason))
        }
        (Expectation::RefusedUnsaid(errno), Outcome::Refused { errno: seen }) => {
            errno == *seen && Reason::all(&report.log).is_empty()
        }
        (Expectation::Fails(errno), Outcome::Failed { errno: seen, .. }) => errno == *seen,
        (Expectation::FailsToWriteBack, Outcome::Failed { errno: libc::EIO | libc::ENOSPC, .. })
        | (Expectation::IoErrors, Outcome::Failed { errno: libc::EIO, .. }) => true,
        (Expectation::IoErrors, Outcome::Done) => report.log.iter().any(|line| line.contains("I/O error")),
        (Expectation::NoIo, Outcome::Counted(io)) => io.writes == 0 && io.flushes == 0,
        (Expectation::SomeIo, Outcome::Counted(io)) => io.writes + io.flushes > 0,
        _ => false,
    }
}

fn in_words(report: &StepReport) -> String {
    let outcome = describe_outcome(&report.outcome);
    match (&report.outcome, Reason::stated(&report.log)) {
        (Outcome::Refused { .. }, Some(reason)) => format!("{outcome}: {reason}"),
        (Outcome::Refused { .. }, None) => format!("{outcome}, and no single reason stated"),
        _ => outcome,
    }
}

impl ObservedOutcome {
    fn is_but_for_the_reason(&self, other: &Self) -> bool {
        (&self.outcome, &self.errno) == (&other.outcome, &other.errno)
    }

    /// What is seen where all is as wanted.
    #[must_use]
    pub fn wanted(want: Expectation) -> Self {
        let (outcome, errno, reason) = match want {
            Expectation::Done
            | Expectation::IoErrors
            | Expectation::NoIo
            | Expectation::SomeIo
            | Expectation::Whatever
            | Expectation::AtMostOneWins => ("done", None, None),
            Expectation::RefusedUntilFed | Expectation::AcceptedOrUnchecked => ("starved", None, None),
            Expectation::Mounted | Expectation::MountedOrError => ("mounted", None, None),
            Expectation::MountedReadOnly => ("mounted-read-only", None, None),
            Expectation::OneWins { reason, .. } => ("one-wins", Some(libc::EINVAL), Some(reason)),
            Expectation::Differs => ("differs", None, None),
            Expectation::Refused { errno, reason } => ("refused", Some(errno), Some(reason)),
            Expectation::RefusedUnsaid(errno) => ("refused", Some(errno), None),
            Expectation::Fails(errno) => ("failed", Some(errno), None),
            Expectation::FailsToWriteBack => ("failed", None, None),
        };
        ObservedOutcome { outcome: outcome.to_string(), errno: errno.map(errno_name), reason }
    }

    fn of(report: &StepReport) -> Self {
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
            reason: Reason::only(&report.log),
        }
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

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use vremount_protocol::{AccessPath, Disk, Io, LayerSet, Mode};

    use super::*;

    const REFUSED: Expectation = Expectation::Refused { errno: libc::EINVAL, reason: Reason::OtherBoot };
    const OTHER_BOOT: &str = "overlayfs: volatile reuse refused: other-boot: so it is";
    const CLONE: &str = "overlayfs: failed to clone upperpath";
    const NO_CHECKPOINT: &str = "overlayfs: volatile reuse refused: no-checkpoint: so it is";
    const REMOUNTED: &str = "overlayfs: volatile reuse refused: upper-remounted: so it is";

    const IN_USE: &str = "overlayfs: volatile reuse refused: in-use: so it is";
    const WRITEBACK: &str = "overlayfs: volatile reuse refused: writeback-error: so it is";
    const TO_CONTEXT: &str = "fs context: e overlayfs: volatile reuse refused: other-boot: so it is";
    const ONE_WINS: Expectation = Expectation::OneWins { others: 2, reason: Reason::InUse };

    fn mount() -> Op {
        Op::MountOverlay {
            disk: Disk::A,
            layers: LayerSet::First,
            mode: Mode::Volatile,
            via: AccessPath::Mount,
            options: String::new(),
        }
    }

    fn report(outcome: Outcome, log: &[&str]) -> StepReport {
        StepReport { index: 0, outcome, log: log.iter().map(ToString::to_string).collect(), us: 1 }
    }

    fn starved(refused: &[(i32, u32)]) -> Outcome {
        Outcome::Starved { mounted: 1, read_only: 0, refused: refused.iter().copied().collect() }
    }

    fn raced(mounted: u32, errno: i32, refused: u32) -> Outcome {
        Outcome::Raced { mounted, refused: [(errno, refused)].into() }
    }

    fn failed(errno: i32) -> Outcome {
        Outcome::Failed { errno, what: "so".into() }
    }

    fn io(writes: u64, flushes: u64) -> Outcome {
        Outcome::Counted(Io { writes, bytes: 0, flushes })
    }

    fn mounted(volatile: bool, read_only: bool) -> Outcome {
        Outcome::Mounted { volatile, read_only }
    }

    #[rstest]
    #[case::as_claimed(REFUSED, Outcome::Refused { errno: libc::EINVAL }, &[OTHER_BOOT], Verdict::Holds)]
    #[case::other_errno(REFUSED, Outcome::Refused { errno: libc::EIO }, &[OTHER_BOOT], Verdict::Broken)]
    #[case::other_reason(REFUSED, Outcome::Refused { errno: libc::EINVAL }, &[REMOUNTED], Verdict::Broken)]
    #[case::no_reason(REFUSED, Outcome::Refused { errno: libc::EINVAL }, &[], Verdict::Broken)]
    #[case::said_twice(REFUSED, Outcome::Refused { errno: libc::EINVAL }, &[OTHER_BOOT, OTHER_BOOT], Verdict::Broken)]
    #[case::accepted(REFUSED, mounted(true, false), &[], Verdict::Broken)]
    #[case::mounted(Expectation::Mounted, mounted(true, false), &[], Verdict::Holds)]
    #[case::not_volatile(Expectation::Mounted, mounted(false, false), &[], Verdict::Broken)]
    #[case::read_only(Expectation::Mounted, mounted(true, true), &[], Verdict::Broken)]
    #[case::refused(Expectation::Mounted, Outcome::Refused { errno: libc::EINVAL }, &[OTHER_BOOT], Verdict::Broken)]
    #[case::quiet(Expectation::NoIo, Outcome::Counted(Io { writes: 0, bytes: 0, flushes: 0 }), &[], Verdict::Holds)]
    #[case::a_flush(Expectation::NoIo, Outcome::Counted(Io { writes: 0, bytes: 0, flushes: 1 }), &[], Verdict::Broken)]
    #[case::a_write(Expectation::NoIo, Outcome::Counted(Io { writes: 1, bytes: 0, flushes: 0 }), &[], Verdict::Broken)]
    #[case::starved(Expectation::RefusedUntilFed, starved(&[(libc::ENOMEM, 2), (libc::ENOSPC, 1)]), &[], Verdict::Holds)]
    #[case::not_starved(Expectation::RefusedUntilFed, starved(&[]), &[], Verdict::Broken)]
    #[case::lost_errno(Expectation::RefusedUntilFed, starved(&[(libc::ENOMEM, 1), (libc::EINVAL, 1)]), &[CLONE], Verdict::Holds)]
    #[case::no_errno_lost(Expectation::RefusedUntilFed, starved(&[(libc::ENOMEM, 1), (libc::EINVAL, 2)]), &[CLONE], Verdict::Broken)]
    #[case::starved_and_refused(Expectation::RefusedUntilFed, starved(&[(libc::ENOMEM, 1)]), &[OTHER_BOOT], Verdict::Broken)]
    #[case::unchecked(Expectation::AcceptedOrUnchecked, starved(&[(libc::EINVAL, 2)]), &[NO_CHECKPOINT, NO_CHECKPOINT], Verdict::Holds)]
    #[case::all_checked(Expectation::AcceptedOrUnchecked, starved(&[]), &[], Verdict::Broken)]
    #[case::unchecked_unsaid(Expectation::AcceptedOrUnchecked, starved(&[(libc::EINVAL, 2)]), &[NO_CHECKPOINT], Verdict::Broken)]
    #[case::not_for_that(Expectation::AcceptedOrUnchecked, starved(&[(libc::EINVAL, 2)]), &[NO_CHECKPOINT, OTHER_BOOT], Verdict::Broken)]
    #[case::still_starved(Expectation::AcceptedOrUnchecked, starved(&[(libc::EINVAL, 1), (libc::ENOMEM, 1)]), &[NO_CHECKPOINT], Verdict::Broken)]
    #[case::differs(Expectation::Done, Outcome::Differs { what: "byte 3".into() }, &[], Verdict::Broken)]
    #[case::done(Expectation::Done, Outcome::Done, &[], Verdict::Holds)]
    #[case::mounted_read_only(Expectation::MountedReadOnly, mounted(true, true), &[], Verdict::Holds)]
    #[case::not_read_only(Expectation::MountedReadOnly, mounted(true, false), &[], Verdict::Broken)]
    #[case::no_error_found(Expectation::MountedOrError, mounted(true, false), &[], Verdict::Holds)]
    #[case::error_found(Expectation::MountedOrError, Outcome::Refused { errno: libc::EINVAL }, &[WRITEBACK], Verdict::Holds)]
    #[case::one_wins(ONE_WINS, raced(1, libc::EINVAL, 2), &[IN_USE, IN_USE], Verdict::Holds)]
    #[case::one_wins_otherwise(ONE_WINS, raced(1, libc::EBUSY, 2), &[IN_USE, IN_USE], Verdict::Broken)]
    #[case::one_wins_half_said(ONE_WINS, raced(1, libc::EINVAL, 2), &[IN_USE], Verdict::Broken)]
    #[case::none_wins(ONE_WINS, raced(0, libc::EINVAL, 3), &[IN_USE, IN_USE, IN_USE], Verdict::Holds)]
    #[case::none_wins_half_said(ONE_WINS, raced(0, libc::EINVAL, 3), &[IN_USE, IN_USE], Verdict::Broken)]
    #[case::none_wins_and_one_is_lost(ONE_WINS, raced(0, libc::EINVAL, 2), &[IN_USE, IN_USE], Verdict::Broken)]
    #[case::two_of_three_win(ONE_WINS, raced(2, libc::EINVAL, 2), &[IN_USE, IN_USE], Verdict::Broken)]
    #[case::at_most_one(Expectation::AtMostOneWins, raced(1, libc::EINVAL, 2), &[], Verdict::Holds)]
    #[case::two_win(Expectation::AtMostOneWins, raced(2, libc::EINVAL, 2), &[], Verdict::Broken)]
    #[case::differs_as_wanted(Expectation::Differs, Outcome::Differs { what: "byte 3".into() }, &[], Verdict::Holds)]
    #[case::whatever(Expectation::Whatever, failed(libc::EIO), &[], Verdict::Holds)]
    #[case::unsaid(Expectation::RefusedUnsaid(libc::EIO), Outcome::Refused { errno: libc::EIO }, &[], Verdict::Holds)]
    #[case::said(Expectation::RefusedUnsaid(libc::EIO), Outcome::Refused { errno: libc::EIO }, &[OTHER_BOOT], Verdict::Broken)]
    #[case::fails(Expectation::Fails(libc::EIO), failed(libc::EIO), &[], Verdict::Holds)]
    #[case::not_written_back(Expectation::FailsToWriteBack, failed(libc::ENOSPC), &[], Verdict::Holds)]
    #[case::logged(Expectation::IoErrors, Outcome::Done, &["I/O error, dev dm-0, sector 8"], Verdict::Holds)]
    #[case::some_io(Expectation::SomeIo, io(0, 1), &[], Verdict::Holds)]
    #[case::reason_lost(REFUSED, Outcome::Refused { errno: libc::EINVAL }, &[LOST], Verdict::CannotTell)]
    #[case::accepted_whatever_was_said(REFUSED, mounted(true, false), &[LOST], Verdict::Broken)]
    #[case::more_was_said(REFUSED, Outcome::Refused { errno: libc::EINVAL }, &[OTHER_BOOT, LOST], Verdict::CannotTell)]
    fn a_claim_holds_only_as_claimed(
        #[case] want: Expectation,
        #[case] outcome: Outcome,
        #[case] log: &[&str],
        #[case] expected: Verdict,
    ) {
        let judgement = judge(&[Step::Assertion(mount(), want)], &[report(outcome, log)]);
        assert_eq!(judgement.verdict, expected, "{:?}", judgement.because);
        assert_eq!(judgement.because.is_none(), expected == Verdict::Holds);
    }

    #[test]
    fn a_kernel_that_was_not_well_is_no_claim_that_broke() {
        assert!(VerdictDetail::kernel_complained("the kernel warned".to_string()).is_complaint());
        assert!(!VerdictDetail::cannot_tell("the machine hung").is_complaint());
        let broken = judge(&[Step::Assertion(mount(), REFUSED)], &[report(mounted(true, false), &[])]);
        assert!(broken.verdict == Verdict::Broken && !broken.is_complaint());
    }

    #[rstest]
    #[case::first_mount_refused(Expectation::Mounted, Outcome::Refused { errno: libc::EINVAL })]
    #[case::fault_did_not_hit(Expectation::Fails(libc::EIO), Outcome::Done)]
    #[case::nothing_logged(Expectation::IoErrors, Outcome::Done)]
    #[case::no_io_seen(Expectation::SomeIo, Outcome::Counted(Io { writes: 0, bytes: 0, flushes: 0 }))]
    #[case::not_lost(Expectation::Differs, Outcome::Done)]
    #[case::upper_read_only(Expectation::Done, Outcome::Failed { errno: libc::EROFS, what: "upper".into() })]
    fn without_evidence_nobody_can_tell(#[case] want: Expectation, #[case] outcome: Outcome) {
        let steps = [Step::Precondition(mount(), want), Step::Assertion(mount(), Expectation::Mounted)];
        let reports = [report(outcome, &[]), report(mounted(true, false), &[])];
        assert_eq!(judge(&steps, &reports).verdict, Verdict::CannotTell);
    }

    #[test]
    fn a_step_that_was_not_reached_is_undecided() {
        let steps = [Step::Assertion(mount(), Expectation::Mounted), Step::Assertion(mount(), Expectation::Mounted)];
        let reports = [report(mounted(true, false), &[])];
        assert_eq!(judge(&steps, &reports).verdict, Verdict::CannotTell);
        assert_eq!(judge(&[], &[]).verdict, Verdict::CannotTell);
    }

    #[rstest]
    #[case::both(&[OTHER_BOOT, TO_CONTEXT], Verdict::Holds)]
    #[case::kernel_only(&[OTHER_BOOT], Verdict::Broken)]
    fn who_mounts_by_context_is_told_too(#[case] log: &[&str], #[case] expected: Verdict) {
        let op = Op::MountOverlayByContext { disk: Disk::A, mode: Mode::Volatile, options: String::new() };
        let reports = [report(Outcome::Refused { errno: libc::EINVAL }, log)];
        assert_eq!(judge(&[Step::Assertion(op, REFUSED)], &reports).verdict, expected);
    }

    #[test]
    fn a_mount_tells_more_than_what_is_checked_around_it() {
        let reports = [report(mounted(true, false), &[]), report(Outcome::Done, &[])];
        let check = Step::Assertion(Op::WriteBack, Expectation::Done);
        let told = judge(&[Step::Assertion(mount(), Expectation::Mounted), check.clone()], &reports);
        assert_eq!(told.observed.map(|seen| seen.outcome).as_deref(), Some("mounted"));
        assert_eq!(judge(&[check], &reports[1..]).verdict, Verdict::Holds);
        let given = Step::Precondition(mount(), Expectation::Mounted);
        assert_eq!(judge(&[given], &reports[..1]).verdict, Verdict::CannotTell);
    }

    #[rstest]
    #[case::said(&[OTHER_BOOT], "observed refused EINVAL: other-boot")]
    #[case::unsaid(&[], "observed refused EINVAL, and no single reason stated")]
    fn a_refusal_is_told_with_its_reason(#[case] log: &[&str], #[case] expected: &str) {
        let reports = [report(Outcome::Refused { errno: libc::EINVAL }, log)];
        let because = judge(&[Step::Assertion(mount(), Expectation::Mounted)], &reports).because.unwrap();
        assert!(because.ends_with(expected), "{because}");
    }
}

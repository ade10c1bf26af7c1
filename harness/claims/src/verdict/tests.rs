// SPDX-License-Identifier: MIT OR Apache-2.0
use rstest::rstest;
use vremount_protocol::{AccessPath, Disk, IoCounts, LayerSet, MESSAGES_LOST, Mode, Op, Outcome, StepReport};

use super::*;

const REFUSED: Expectation = Expectation::Refused { errno: libc::EINVAL, reason: Reason::OtherBoot };
const OTHER_BOOT: &str = "overlayfs: volatile reuse refused: other-boot: text for people";
const CLONE: &str = "overlayfs: failed to clone upperpath";
const NO_CHECKPOINT: &str = "overlayfs: volatile reuse refused: no-checkpoint: text for people";
const REMOUNTED: &str = "overlayfs: volatile reuse refused: upper-remounted: text for people";

const IN_USE: &str = "overlayfs: volatile reuse refused: in-use: text for people";
const WRITEBACK: &str = "overlayfs: volatile reuse refused: writeback-error: text for people";
const TO_CONTEXT: &str = "fs context: e overlayfs: volatile reuse refused: other-boot: text for people";
const ONE_WINS: Expectation = Expectation::AtMostOneMountedOthersRefused { others: 2, reason: Reason::InUse };

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
    Outcome::Failed { errno, message: "write".into() }
}

fn io(writes: u64, flushes: u64) -> Outcome {
    Outcome::Counted(IoCounts { writes, bytes: 0, flushes })
}

fn mounted(volatile: bool, read_only: bool) -> Outcome {
    Outcome::Mounted { volatile, read_only }
}

#[rstest]
#[case::errno_and_reason_as_expected(REFUSED, Outcome::Refused { errno: libc::EINVAL }, &[OTHER_BOOT], Verdict::Holds)]
#[case::other_errno(REFUSED, Outcome::Refused { errno: libc::EIO }, &[OTHER_BOOT], Verdict::Broken)]
#[case::other_reason(REFUSED, Outcome::Refused { errno: libc::EINVAL }, &[REMOUNTED], Verdict::Broken)]
#[case::no_reason(REFUSED, Outcome::Refused { errno: libc::EINVAL }, &[], Verdict::Broken)]
#[case::reason_logged_twice(
    REFUSED,
    Outcome::Refused { errno: libc::EINVAL },
    &[OTHER_BOOT, OTHER_BOOT],
    Verdict::Broken
)]
#[case::mounted_instead_of_refused(REFUSED, mounted(true, false), &[], Verdict::Broken)]
#[case::mounted(Expectation::Mounted, mounted(true, false), &[], Verdict::Holds)]
#[case::not_volatile(Expectation::Mounted, mounted(false, false), &[], Verdict::Broken)]
#[case::read_only(Expectation::Mounted, mounted(true, true), &[], Verdict::Broken)]
#[case::refused(Expectation::Mounted, Outcome::Refused { errno: libc::EINVAL }, &[OTHER_BOOT], Verdict::Broken)]
#[case::no_io(Expectation::NoIo, Outcome::Counted(IoCounts { writes: 0, bytes: 0, flushes: 0 }), &[], Verdict::Holds)]
#[case::one_flush(Expectation::NoIo, Outcome::Counted(IoCounts { writes: 0, bytes: 0, flushes: 1 }), &[], Verdict::Broken)]
#[case::one_write(Expectation::NoIo, Outcome::Counted(IoCounts { writes: 1, bytes: 0, flushes: 0 }), &[], Verdict::Broken)]
#[case::refused_for_lack_of_memory(
    Expectation::SomeRefusedWithEnomem,
    starved(&[(libc::ENOMEM, 2), (libc::ENOSPC, 1)]),
    &[],
    Verdict::Holds
)]
#[case::never_refused_for_lack_of_memory(Expectation::SomeRefusedWithEnomem, starved(&[]), &[], Verdict::Broken)]
#[case::einval_for_a_failed_clone(
    Expectation::SomeRefusedWithEnomem,
    starved(&[(libc::ENOMEM, 1), (libc::EINVAL, 1)]),
    &[CLONE],
    Verdict::Holds
)]
#[case::more_einval_than_failed_clones(
    Expectation::SomeRefusedWithEnomem,
    starved(&[(libc::ENOMEM, 1), (libc::EINVAL, 2)]),
    &[CLONE],
    Verdict::Broken
)]
#[case::refused_for_another_reason_without_memory(
    Expectation::SomeRefusedWithEnomem,
    starved(&[(libc::ENOMEM, 1)]),
    &[OTHER_BOOT],
    Verdict::Broken
)]
#[case::refused_without_checkpoint(
    Expectation::SomeMountedOthersNoCheckpoint,
    starved(&[(libc::EINVAL, 2)]),
    &[NO_CHECKPOINT, NO_CHECKPOINT],
    Verdict::Holds
)]
#[case::never_refused(Expectation::SomeMountedOthersNoCheckpoint, starved(&[]), &[], Verdict::Broken)]
#[case::one_refusal_without_a_reason(
    Expectation::SomeMountedOthersNoCheckpoint,
    starved(&[(libc::EINVAL, 2)]),
    &[NO_CHECKPOINT],
    Verdict::Broken
)]
#[case::one_refusal_for_another_reason(
    Expectation::SomeMountedOthersNoCheckpoint,
    starved(&[(libc::EINVAL, 2)]),
    &[NO_CHECKPOINT, OTHER_BOOT],
    Verdict::Broken
)]
#[case::one_refusal_for_lack_of_memory(
    Expectation::SomeMountedOthersNoCheckpoint,
    starved(&[(libc::EINVAL, 1), (libc::ENOMEM, 1)]),
    &[NO_CHECKPOINT],
    Verdict::Broken
)]
#[case::content_differs(Expectation::Done, Outcome::Differs { difference: "byte 3".into() }, &[], Verdict::Broken)]
#[case::done(Expectation::Done, Outcome::Done, &[], Verdict::Holds)]
#[case::mounted_read_only(Expectation::MountedReadOnly, mounted(true, true), &[], Verdict::Holds)]
#[case::not_read_only(Expectation::MountedReadOnly, mounted(true, false), &[], Verdict::Broken)]
#[case::no_error_found(Expectation::MountedOrWritebackError, mounted(true, false), &[], Verdict::Holds)]
#[case::error_found(
    Expectation::MountedOrWritebackError,
    Outcome::Refused { errno: libc::EINVAL },
    &[WRITEBACK],
    Verdict::Holds
)]
#[case::one_wins(ONE_WINS, raced(1, libc::EINVAL, 2), &[IN_USE, IN_USE], Verdict::Holds)]
#[case::losers_with_another_errno(ONE_WINS, raced(1, libc::EBUSY, 2), &[IN_USE, IN_USE], Verdict::Broken)]
#[case::one_loser_without_a_reason(ONE_WINS, raced(1, libc::EINVAL, 2), &[IN_USE], Verdict::Broken)]
#[case::all_refused(ONE_WINS, raced(0, libc::EINVAL, 3), &[IN_USE, IN_USE, IN_USE], Verdict::Holds)]
#[case::all_refused_and_one_without_a_reason(ONE_WINS, raced(0, libc::EINVAL, 3), &[IN_USE, IN_USE], Verdict::Broken)]
#[case::one_mount_is_not_accounted_for(ONE_WINS, raced(0, libc::EINVAL, 2), &[IN_USE, IN_USE], Verdict::Broken)]
#[case::two_of_three_mounted(ONE_WINS, raced(2, libc::EINVAL, 2), &[IN_USE, IN_USE], Verdict::Broken)]
#[case::at_most_one_mounted(Expectation::AtMostOneMounted, raced(1, libc::EINVAL, 2), &[], Verdict::Holds)]
#[case::two_mounted(Expectation::AtMostOneMounted, raced(2, libc::EINVAL, 2), &[], Verdict::Broken)]
#[case::difference_expected(Expectation::Differs, Outcome::Differs { difference: "byte 3".into() }, &[], Verdict::Holds)]
#[case::any_outcome_is_accepted(Expectation::AnyOutcome, failed(libc::EIO), &[], Verdict::Holds)]
#[case::refused_without_a_reason(
    Expectation::RefusedWithoutReason(libc::EIO),
    Outcome::Refused { errno: libc::EIO },
    &[],
    Verdict::Holds
)]
#[case::refused_with_an_unexpected_reason(
    Expectation::RefusedWithoutReason(libc::EIO),
    Outcome::Refused { errno: libc::EIO },
    &[OTHER_BOOT],
    Verdict::Broken
)]
#[case::fails_as_expected(Expectation::Fails(libc::EIO), failed(libc::EIO), &[], Verdict::Holds)]
#[case::writeback_fails(Expectation::FailsWithEioOrEnospc, failed(libc::ENOSPC), &[], Verdict::Holds)]
#[case::io_error_logged(Expectation::IoErrors, Outcome::Done, &["I/O error, dev dm-0, sector 8"], Verdict::Holds)]
#[case::some_io(Expectation::SomeIo, io(0, 1), &[], Verdict::Holds)]
#[case::reason_may_be_in_a_lost_line(REFUSED, Outcome::Refused { errno: libc::EINVAL }, &[MESSAGES_LOST], Verdict::CannotTell)]
#[case::mounted_whatever_line_is_lost(REFUSED, mounted(true, false), &[MESSAGES_LOST], Verdict::Broken)]
#[case::a_second_reason_may_be_in_a_lost_line(
    REFUSED,
    Outcome::Refused { errno: libc::EINVAL },
    &[OTHER_BOOT, MESSAGES_LOST],
    Verdict::CannotTell
)]
fn assertion_holds_only_with_the_expected_outcome(
    #[case] expectation: Expectation,
    #[case] outcome: Outcome,
    #[case] log: &[&str],
    #[case] expected: Verdict,
) {
    let detail = judge(&[Step::Assertion(mount(), expectation)], &[report(outcome, log)]);
    assert_eq!(detail.verdict, expected, "{:?}", detail.because);
    assert_eq!(detail.because.is_none(), expected == Verdict::Holds);
}

#[test]
fn kernel_failure_is_not_a_broken_assertion() {
    assert!(VerdictDetail::kernel_failure("the kernel warned".to_string()).is_kernel_failure());
    assert!(!VerdictDetail::cannot_tell("the machine hung").is_kernel_failure());
    let broken = judge(&[Step::Assertion(mount(), REFUSED)], &[report(mounted(true, false), &[])]);
    assert!(broken.verdict == Verdict::Broken && !broken.is_kernel_failure());
}

#[rstest]
#[case::first_mount_refused(Expectation::Mounted, Outcome::Refused { errno: libc::EINVAL })]
#[case::fault_had_no_effect(Expectation::Fails(libc::EIO), Outcome::Done)]
#[case::no_io_error_logged(Expectation::IoErrors, Outcome::Done)]
#[case::no_io_counted(Expectation::SomeIo, Outcome::Counted(IoCounts { writes: 0, bytes: 0, flushes: 0 }))]
#[case::data_survived(Expectation::Differs, Outcome::Done)]
#[case::upper_read_only(Expectation::Done, Outcome::Failed { errno: libc::EROFS, message: "upper".into() })]
fn failed_precondition_makes_the_verdict_cannot_tell(#[case] expectation: Expectation, #[case] outcome: Outcome) {
    let steps = [Step::Precondition(mount(), expectation), Step::Assertion(mount(), Expectation::Mounted)];
    let reports = [report(outcome, &[]), report(mounted(true, false), &[])];
    assert_eq!(judge(&steps, &reports).verdict, Verdict::CannotTell);
}

#[test]
fn missing_report_makes_the_verdict_cannot_tell() {
    let steps = [Step::Assertion(mount(), Expectation::Mounted), Step::Assertion(mount(), Expectation::Mounted)];
    let reports = [report(mounted(true, false), &[])];
    assert_eq!(judge(&steps, &reports).verdict, Verdict::CannotTell);
    assert_eq!(judge(&[], &[]).verdict, Verdict::CannotTell);
}

#[rstest]
#[case::both_logs(&[OTHER_BOOT, TO_CONTEXT], Verdict::Holds)]
#[case::kernel_log_only(&[OTHER_BOOT], Verdict::Broken)]
fn fsopen_mount_needs_the_reason_in_its_own_log(#[case] log: &[&str], #[case] expected: Verdict) {
    let op = Op::MountOverlayByContext { disk: Disk::A, mode: Mode::Volatile, options: String::new() };
    let reports = [report(Outcome::Refused { errno: libc::EINVAL }, log)];
    assert_eq!(judge(&[Step::Assertion(op, REFUSED)], &reports).verdict, expected);
}

#[test]
fn assertion_about_a_mount_is_reported_before_other_assertions() {
    let reports = [report(mounted(true, false), &[]), report(Outcome::Done, &[])];
    let check = Step::Assertion(Op::WriteBack, Expectation::Done);
    let detail = judge(&[Step::Assertion(mount(), Expectation::Mounted), check.clone()], &reports);
    assert_eq!(detail.observed.map(|observed| observed.outcome).as_deref(), Some("mounted"));
    assert_eq!(judge(&[check], &reports[1..]).verdict, Verdict::Holds);
    let precondition = Step::Precondition(mount(), Expectation::Mounted);
    assert_eq!(judge(&[precondition], &reports[..1]).verdict, Verdict::CannotTell);
}

#[rstest]
#[case::one_reason(&[OTHER_BOOT], "observed refused EINVAL: other-boot")]
#[case::no_reason(&[], "observed refused EINVAL, no reason logged")]
#[case::two_reasons(&[IN_USE, OTHER_BOOT], "observed refused EINVAL, several reasons logged: in-use, other-boot")]
fn unexpected_refusal_is_described_with_its_reason(#[case] log: &[&str], #[case] expected: &str) {
    let reports = [report(Outcome::Refused { errno: libc::EINVAL }, log)];
    let because = judge(&[Step::Assertion(mount(), Expectation::Mounted)], &reports).because.unwrap();
    assert!(because.ends_with(expected), "{because}");
}

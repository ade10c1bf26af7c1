// SPDX-License-Identifier: MIT OR Apache-2.0
//! Compares the report of one step with its expectation.

use std::collections::BTreeMap;

use vremount_protocol::{Op, Outcome, StepReport};

use crate::Expectation;
use crate::refusal_reason::Reason;

/// Reasons that overlayfs logs if an allocation fails while it reads a directory or the checkpoint.
const UNREADABLE: [Reason; 2] = [Reason::CheckpointUnreadable, Reason::Unreadable];

/// Whether a report is what the expectation of its step allows.
pub(super) fn satisfies(op: &Op, expectation: Expectation, report: &StepReport) -> bool {
    match (expectation, &report.outcome) {
        (Expectation::Done, outcome) => *outcome == Outcome::Done,
        (Expectation::Mounted, Outcome::Mounted { volatile, read_only }) => {
            *volatile == op.requests_volatile() && !read_only
        }
        (Expectation::MountedReadOnly, Outcome::Mounted { volatile, read_only }) => {
            *volatile == op.requests_volatile() && *read_only
        }
        (Expectation::MountedOrWritebackError, Outcome::Mounted { read_only, .. }) => !read_only,
        (Expectation::MountedOrWritebackError, Outcome::Refused { errno }) => matches!(
            (*errno, Reason::single_in(&report.log)),
            (libc::EINVAL, Some(Reason::WritebackError)) | (libc::EIO, Some(Reason::UnseenError))
        ),
        (
            Expectation::AtMostOneMountedOthersRefused { others, reason },
            Outcome::Raced { mounted: mounted @ 0..=1, refused },
        ) => {
            let losers = others + 1 - mounted;
            let logged = Reason::all_in(&report.log);
            *refused == BTreeMap::from([(libc::EINVAL, losers)])
                && logged.len() == losers as usize
                && logged.iter().all(|logged| *logged == reason)
        }
        (Expectation::AtMostOneMounted, Outcome::Raced { mounted, .. }) => *mounted <= 1,
        (Expectation::SomeRefusedWithEnomem, Outcome::Starved { refused, .. }) => {
            is_refused_for_lack_of_memory(refused, &report.log)
        }
        (Expectation::SomeMountedOthersNoCheckpoint, Outcome::Starved { mounted: 1.., read_only: 0, refused }) => {
            is_refused_without_checkpoint_only(refused, &report.log)
        }
        (Expectation::Differs, outcome) => matches!(outcome, Outcome::Differs { .. }),
        (Expectation::AnyOutcome, _) => true,
        (Expectation::Refused { errno, reason }, Outcome::Refused { errno: observed }) => {
            errno == *observed
                && Reason::single_in(&report.log) == Some(reason)
                && (!op.uses_fs_context() || Reason::single_in_fs_context(&report.log) == Some(reason))
        }
        (Expectation::RefusedWithoutReason(errno), Outcome::Refused { errno: observed }) => {
            errno == *observed && Reason::all_in(&report.log).is_empty()
        }
        (Expectation::Fails(errno), Outcome::Failed { errno: observed, .. }) => errno == *observed,
        (Expectation::FailsWithEioOrEnospc, Outcome::Failed { errno: libc::EIO | libc::ENOSPC, .. })
        | (Expectation::IoErrors, Outcome::Failed { errno: libc::EIO, .. }) => true,
        (Expectation::IoErrors, Outcome::Done) => report.log.iter().any(|line| line.contains("I/O error")),
        (Expectation::NoIo, Outcome::Counted(io)) => io.writes == 0 && io.flushes == 0,
        (Expectation::SomeIo, Outcome::Counted(io)) => io.writes + io.flushes > 0,
        _ => false,
    }
}

/// Whether at least one mount failed with ENOMEM, and every other refusal is a known result of a
/// failed allocation.
fn is_refused_for_lack_of_memory(refused: &BTreeMap<i32, u32>, log: &[String]) -> bool {
    // Linux 6.15 and later return EINVAL if clone_private_mount() fails with ENOMEM.
    let failed_clones = log.iter().filter(|line| line.contains("overlayfs: failed to clone ")).count();
    let errnos_are_known = refused.iter().all(|(errno, count)| match *errno {
        // Some filesystems return ENOSPC if an allocation fails.
        libc::ENOMEM | libc::ENOSPC => true,
        libc::EINVAL => *count as usize <= failed_clones,
        _ => false,
    });
    let reasons_are_known = Reason::all_in(log).iter().all(|reason| UNREADABLE.contains(reason));
    refused.contains_key(&libc::ENOMEM) && errnos_are_known && reasons_are_known
}

/// Whether every refusal is EINVAL with the reason `no-checkpoint`, and there is at least one.
fn is_refused_without_checkpoint_only(refused: &BTreeMap<i32, u32>, log: &[String]) -> bool {
    // The log also has the lines of the earlier mounts, whose allocations failed.
    let reasons: Vec<_> = Reason::all_in(log).into_iter().filter(|reason| !UNREADABLE.contains(reason)).collect();
    let refusals: Vec<_> = refused.iter().map(|(errno, count)| (*errno, *count as usize)).collect();
    reasons.iter().all(|reason| *reason == Reason::NoCheckpoint) && refusals == [(libc::EINVAL, reasons.len())]
}

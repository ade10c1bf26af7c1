// SPDX-License-Identifier: MIT OR Apache-2.0
//! Predicts the verdict on a claim.

use vremount_kernel::base::{Base, Feature, Level};
use vremount_machine::image::Fs;

use crate::model::{ModelState, OutOfModel};
use crate::refusal_reason::Reason;
use crate::verdict::Verdict;
use crate::{Claim, Expectation, Step};

/// Prediction that a claim does not hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Prediction<'a> {
    /// Predicted verdict: broken or cannot tell.
    pub verdict: Verdict,
    /// Step that decides.
    pub step: &'a Step,
    /// Predicted outcome of the step.
    pub expectation: Expectation,
}

/// Features of other bases that change how filesystems handle errors, which the model does not
/// implement.
const UNMODELLED_FEATURES: [Feature; 3] = [Feature::QuietReadOnly, Feature::ErrorsShutDown, Feature::DirectErrors];

/// Predicts the verdict on a claim at a level of a base; none means that the claim holds.
///
/// # Errors
/// If the model cannot predict the outcome of a step.
pub fn predict<'a>(base: &Base, claim: &'a Claim, fs: Fs, level: Level) -> Result<Option<Prediction<'a>>, OutOfModel> {
    if claim.requires.iter().any(|feature| UNMODELLED_FEATURES.contains(feature)) {
        return Err(OutOfModel::OTHER_BASE);
    }
    let mut state = ModelState::new(level, fs).with_base(base);
    for step in &claim.steps {
        match step {
            Step::Host(host) => state = state.apply_host_step(*host)?,
            Step::Precondition(op, claimed) | Step::Assertion(op, claimed) => {
                let (next, predicted) = state.apply_op(op)?;
                state = next;
                if !is_compatible(*claimed, predicted) {
                    let verdict =
                        if matches!(step, Step::Assertion(..)) { Verdict::Broken } else { Verdict::CannotTell };
                    return Ok(Some(Prediction { verdict, step, expectation: predicted }));
                }
            }
        }
    }
    Ok(None)
}

/// Whether a predicted outcome satisfies the expectation of a claim, which may be less specific.
fn is_compatible(claimed: Expectation, predicted: Expectation) -> bool {
    match (claimed, predicted) {
        (Expectation::AnyOutcome, _)
        | (Expectation::IoErrors | Expectation::FailsWithEioOrEnospc, Expectation::Fails(libc::EIO))
        | (Expectation::MountedOrWritebackError, Expectation::Mounted) => true,
        (Expectation::MountedOrWritebackError, Expectation::Refused { reason, .. }) => {
            matches!(reason, Reason::WritebackError | Reason::UnseenError)
        }
        _ => claimed == predicted,
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case(Reason::WritebackError, true)]
    #[case(Reason::UnseenError, true)]
    #[case(Reason::OtherBoot, false)]
    fn mounted_or_error_allows_a_mount_and_writeback_errors_only(#[case] reason: Reason, #[case] expected: bool) {
        assert_eq!(
            is_compatible(Expectation::MountedOrWritebackError, Expectation::Refused { errno: libc::EINVAL, reason }),
            expected
        );
        assert!(is_compatible(Expectation::MountedOrWritebackError, Expectation::Mounted));
    }
}

// SPDX-License-Identifier: MIT OR Apache-2.0
//! A claim as the model sees it.

use vremount_kernel::base::{Base, Feature, Level};
use vremount_machine::image::Fs;

use crate::model::{ModelState, OutOfModel};
use crate::refusal_reason::Reason;
use crate::verdict::Verdict;
use crate::{Claim, Expectation, Step};

/// A claim that is not going to hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Prediction<'a> {
    pub verdict: Verdict,
    /// What decides.
    pub step: &'a Step,
    /// What that must lead to instead.
    pub want: Expectation,
}

/// What filesystems of other bases do with an error.
const OF_OTHER_BASES: [Feature; 3] = [Feature::QuietReadOnly, Feature::ErrorsShutDown, Feature::DirectErrors];

/// What becomes of a claim at a level of a base; nothing: it holds.
///
/// # Errors
/// If a step is beyond the model.
pub fn predict<'a>(base: &Base, claim: &'a Claim, fs: Fs, level: Level) -> Result<Option<Prediction<'a>>, OutOfModel> {
    if claim.requires.iter().any(|feature| OF_OTHER_BASES.contains(feature)) {
        return Err(OutOfModel("filesystems are as in the default base"));
    }
    let mut world = ModelState::new(level, fs).of(base);
    for step in &claim.steps {
        match step {
            Step::Host(host) => world = world.host(*host)?,
            Step::Precondition(op, wanted) | Step::Assertion(op, wanted) => {
                let (next, want) = world.op(op)?;
                world = next;
                if !agrees(*wanted, want) {
                    let verdict =
                        if matches!(step, Step::Assertion(..)) { Verdict::Broken } else { Verdict::CannotTell };
                    return Ok(Some(Prediction { verdict, step, want }));
                }
            }
        }
    }
    Ok(None)
}

/// Whether a step that leads to what was foretold is what a claim wants; a claim may want less.
fn agrees(wanted: Expectation, foretold: Expectation) -> bool {
    match (wanted, foretold) {
        (Expectation::Whatever, _)
        | (Expectation::IoErrors | Expectation::FailsToWriteBack, Expectation::Fails(libc::EIO))
        | (Expectation::MountedOrError, Expectation::Mounted) => true,
        (Expectation::MountedOrError, Expectation::Refused { reason, .. }) => {
            matches!(reason, Reason::WritebackError | Reason::UnseenError)
        }
        _ => wanted == foretold,
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
    fn an_error_may_be_found_or_not(#[case] reason: Reason, #[case] expected: bool) {
        assert_eq!(agrees(Expectation::MountedOrError, Expectation::Refused { errno: libc::EINVAL, reason }), expected);
        assert!(agrees(Expectation::MountedOrError, Expectation::Mounted));
    }
}

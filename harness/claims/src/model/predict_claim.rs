// SPDX-License-Identifier: MIT OR Apache-2.0
//! A claim as the model sees it.

use vremount_kernel::base::{Base, Feature, Level};
use vremount_machine::image::Fs;

use crate::model::{Beyond, World};
use crate::refusal_reason::Reason;
use crate::verdict::Verdict;
use crate::{Claim, Step, Want};

/// A claim that is not going to hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Foretold<'a> {
    pub verdict: Verdict,
    /// What decides.
    pub step: &'a Step,
    /// What that must lead to instead.
    pub want: Want,
}

/// What filesystems of other bases do with an error.
const OF_OTHER_BASES: [Feature; 3] = [Feature::QuietReadOnly, Feature::ErrorsShutDown, Feature::DirectErrors];

/// What becomes of a claim at a level of a base; nothing: it holds.
///
/// # Errors
/// If a step is beyond the model.
pub fn foretell<'a>(base: &Base, claim: &'a Claim, fs: Fs, level: Level) -> Result<Option<Foretold<'a>>, Beyond> {
    if claim.needs.iter().any(|feature| OF_OTHER_BASES.contains(feature)) {
        return Err(Beyond("filesystems are as in the default base"));
    }
    let mut world = World::new(level, fs).of(base);
    for step in &claim.steps {
        match step {
            Step::Host(host) => world = world.host(*host)?,
            Step::Given(op, wanted) | Step::Then(op, wanted) => {
                let (next, want) = world.op(op)?;
                world = next;
                if !agrees(*wanted, want) {
                    let verdict = if matches!(step, Step::Then(..)) { Verdict::Broken } else { Verdict::CannotTell };
                    return Ok(Some(Foretold { verdict, step, want }));
                }
            }
        }
    }
    Ok(None)
}

/// Whether a step that leads to what was foretold is what a claim wants; a claim may want less.
fn agrees(wanted: Want, foretold: Want) -> bool {
    match (wanted, foretold) {
        (Want::Whatever, _)
        | (Want::IoErrors | Want::FailsToWriteBack, Want::Fails(libc::EIO))
        | (Want::MountedOrError, Want::Mounted) => true,
        (Want::MountedOrError, Want::Refused { reason, .. }) => {
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
        assert_eq!(agrees(Want::MountedOrError, Want::Refused { errno: libc::EINVAL, reason }), expected);
        assert!(agrees(Want::MountedOrError, Want::Mounted));
    }
}

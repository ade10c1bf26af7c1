// SPDX-License-Identifier: MIT OR Apache-2.0
//! How verdicts are shown in tables.

use serde::Serialize;
use vremount_claims::verdict::Verdict;
use vremount_runner::results::Tally;

/// The reason of a planned case without a verdict.
pub const MISSING: &str = "the run was interrupted before this case finished";

/// How a verdict is shown.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct VerdictLabel {
    /// The class in style sheets and in the script.
    pub class: &'static str,
    /// The text of a cell.
    pub sign: &'static str,
    name: &'static str,
    meaning: &'static str,
}

impl VerdictLabel {
    /// The label of a verdict. `None`: the case did not finish.
    pub fn new(verdict: Option<Verdict>) -> Self {
        let (class, sign, name, meaning) = match verdict {
            Some(Verdict::Holds) => ("holds", "ok", "holds", "the outcome is the claimed one"),
            Some(Verdict::Broken) => {
                ("broken", "BROKEN", "broken", "the outcome differs, or the kernel printed a warning")
            }
            Some(Verdict::CannotTell) => ("cannot-tell", "?", "cannot tell", "something outside the claim failed"),
            Some(Verdict::Skipped) => ("skipped", "-", "skipped", "the claim does not apply"),
            None => ("missing", "missing", "missing", "the case did not finish"),
        };
        VerdictLabel { class, sign, name, meaning }
    }

    /// All labels, each with its number of cases.
    pub fn with_counts(tally: Tally) -> [(Self, usize); 5] {
        let Tally { holds, broken, cannot_tell, skipped, missing } = tally;
        [
            (Some(Verdict::Holds), holds),
            (Some(Verdict::Broken), broken),
            (Some(Verdict::CannotTell), cannot_tell),
            (Some(Verdict::Skipped), skipped),
            (None, missing),
        ]
        .map(|(verdict, count)| (VerdictLabel::new(verdict), count))
    }
}

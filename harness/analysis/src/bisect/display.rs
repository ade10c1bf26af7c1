// SPDX-License-Identifier: MIT OR Apache-2.0
//! Formats a bisection for a terminal.

use std::fmt;

use vremount_claims::exit::Exit;

use crate::bisect::log::{Bisection, LoggedResult, Step};
use crate::bisect::policy::{Mark, Rule};
use crate::bisect::range::Revision;
use crate::bisect::transcript_diff;
use crate::error::Error;

/// Formats a step as one line: mark, abbreviated id, title, and the first line of the reason.
#[must_use]
pub fn format_step(step: &Step) -> String {
    let why = step.why.lines().next().unwrap_or_default();
    format!("{:<4} {:<12} {}: {why}", step.mark, abbreviate_id(&step.revision.id), step.revision.title)
}

/// The first 12 characters of an id. A shorter id, such as a version, stays as it is.
#[must_use]
pub fn abbreviate_id(id: &str) -> &str {
    id.get(..12).unwrap_or(id)
}

impl fmt::Display for Mark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Mark::Good => "good",
            Mark::Bad => "bad",
            Mark::Skip => "skip",
        })
    }
}

impl Bisection {
    /// The result for a terminal: the first bad revision with title and reason, the candidates, or
    /// that it was interrupted.
    #[must_use]
    pub fn result_text(&self) -> String {
        match &self.result {
            Some(LoggedResult::Found { bad, .. }) => {
                let (title, why) = self.step(bad).map_or(("", ""), |step| (&step.revision.title, &step.why));
                format!("first bad revision: {bad}\n  {title}\n  {why}")
            }
            Some(LoggedResult::Undecided(revisions)) => {
                let list: String = revisions.iter().map(|Revision { id, title }| format!("\n  {id} {title}")).collect();
                format!("only skipped revisions are left; the first bad revision is one of these:{list}")
            }
            None => "the bisection was interrupted; run the same command again with --resume".to_string(),
        }
    }

    /// A diff of the transcripts on the last good and on the first bad revision for each case that
    /// differs. Empty if the first bad revision was not found.
    ///
    /// # Errors
    /// If a transcript cannot be read, or is not one.
    pub fn transcript_diffs(&self) -> Result<Vec<String>, Error> {
        let Some(LoggedResult::Found { good, bad }) = &self.result else { return Ok(Vec::new()) };
        let (Some(good), Some(bad)) = (self.step(good), self.step(bad)) else { return Ok(Vec::new()) };
        let reference = self.header.good.first().and_then(|id| self.step(id));
        let rule = match reference {
            Some(step) if self.header.reason_changed => Rule::DiffersFrom(&step.records),
            _ => Rule::Broken,
        };
        let title = |Revision { id, title }: &Revision| format!("{} {title}", abbreviate_id(id));
        let diff =
            |(before, after)| transcript_diff::diff((before, &title(&good.revision)), (after, &title(&bad.revision)));
        transcript_diff::differing_cases(good, bad, rule).into_iter().map(diff).collect()
    }

    /// [`Exit::Success`] if the first bad revision was found, else [`Exit::CannotTell`].
    #[must_use]
    pub fn exit(&self) -> Exit {
        if matches!(self.result, Some(LoggedResult::Found { .. })) { Exit::Success } else { Exit::CannotTell }
    }
}

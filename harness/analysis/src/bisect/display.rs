// SPDX-License-Identifier: MIT OR Apache-2.0
//! A bisection for a terminal.

use std::fmt;

use vremount_claims::exit::Exit;

use crate::bisect::{Bisection, LoggedResult, Mark, Revision, Rule, Step, transcript_diff};
use crate::error::Error;

/// A step as a line: mark, id, title, why.
#[must_use]
pub fn line(step: &Step) -> String {
    let why = step.why.lines().next().unwrap_or_default();
    format!("{:<4} {:<12} {}: {why}", step.mark, short(&step.point.id), step.point.title)
}

/// Digits of an id that people see; versions have fewer.
#[must_use]
pub fn short(id: &str) -> &str {
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
    /// What came of it.
    #[must_use]
    pub fn found(&self) -> String {
        match &self.end {
            Some(LoggedResult::Found { bad, .. }) => {
                let (title, why) = self.step(bad).map_or(("", ""), |step| (&step.point.title, &step.why));
                format!("the first bad one is {bad}\n  {title}\n  {why}")
            }
            Some(LoggedResult::Among(points)) => {
                let points: String = points.iter().map(|Revision { id, title }| format!("\n  {id} {title}")).collect();
                format!("nothing can be told between them: the first bad one is among these{points}")
            }
            None => "it was interrupted before the first bad one was found; bisect --resume goes on".to_string(),
        }
    }

    /// How the last good one and the first bad one differ, transcript by transcript; nothing if that was not found.
    ///
    /// # Errors
    /// If a transcript is gone, or is none.
    pub fn differences(&self) -> Result<Vec<String>, Error> {
        let Some(LoggedResult::Found { good, bad }) = &self.end else { return Ok(Vec::new()) };
        let (Some(good), Some(bad)) = (self.step(good), self.step(bad)) else { return Ok(Vec::new()) };
        let reference = self.header.good.first().and_then(|id| self.step(id));
        let rule = match reference {
            Some(step) if self.header.reason_changed => Rule::Differs(&step.records),
            _ => Rule::Broken,
        };
        let title = |Revision { id, title }: &Revision| format!("{} {title}", short(id));
        let both = transcript_diff::difference(good, bad, rule);
        let diff =
            |(before, after)| transcript_diff::parallel_map((before, &title(&good.point)), (after, &title(&bad.point)));
        both.into_iter().map(diff).collect()
    }

    /// What it means for the command as a whole.
    #[must_use]
    pub fn exit(&self) -> Exit {
        if matches!(self.end, Some(LoggedResult::Found { .. })) { Exit::Success } else { Exit::CannotTell }
    }
}

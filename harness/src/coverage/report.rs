// SPDX-License-Identifier: MIT OR Apache-2.0
//! What was executed, for people and programs.

use std::fmt::Write as _;

use serde::Serialize;

use super::{Argument, Coverage, Line, Patch, Ruling};
use crate::error::Exit;

/// Fields are added, never changed; this counts what is.
const SCHEMA: u32 = 1;

/// For programs.
#[derive(Serialize)]
pub struct Report<'a> {
    schema: u32,
    base: &'a str,
    series: &'a str,
    executor: &'a str,
    /// What came of the claims, in words.
    claims: String,
    patches: Vec<Entry<'a>>,
}

#[derive(Serialize)]
struct Entry<'a> {
    sums: Sums,
    #[serde(flatten)]
    patch: &'a Patch,
}

impl<'a> Report<'a> {
    #[must_use]
    pub fn new(coverage: &'a Coverage) -> Self {
        let Coverage { base, series, executor, tally, patches, .. } = coverage;
        let patches = patches.iter().map(|patch| Entry { sums: Sums::of(patch), patch }).collect();
        Report { schema: SCHEMA, base, series, executor, claims: tally.to_string(), patches }
    }
}

/// Of the lines of a patch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Sums {
    pub lines: Sum,
    pub branches: Sum,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Sum {
    pub all: usize,
    pub executed: usize,
    pub argued: usize,
}

impl Sums {
    #[must_use]
    pub fn of(patch: &Patch) -> Self {
        let mut sums = Sums { lines: Sum::default(), branches: Sum::default() };
        for line in &patch.lines {
            let argued = line.ruling == Ruling::Argued;
            sums.lines.count(line.executed, argued);
            line.branches.iter().for_each(|taken| sums.branches.count(*taken, argued));
        }
        sums
    }
}

impl Sum {
    fn count(&mut self, times: u64, argued: bool) {
        self.all += 1;
        self.executed += usize::from(times > 0);
        self.argued += usize::from(times == 0 && argued);
    }

    /// `7 of 9, 1 argued`
    #[must_use]
    pub fn words(&self) -> String {
        let argued = if self.argued > 0 { format!(", {} argued", self.argued) } else { String::new() };
        if self.all == 0 { "-".to_string() } else { format!("{} of {}{argued}", self.executed, self.all) }
    }
}

impl Line {
    /// What of it was not executed, and where that is.
    fn words(&self) -> String {
        let Line { file, number, function, text, .. } = self;
        let what = match self.left() {
            Some(count) => format!("{count} of {} branches of `{}`", self.branches.len(), text.trim()),
            None => format!("`{}`", text.trim()),
        };
        format!("{file}:{number}: {function}: {what}")
    }
}

/// Sums for each patch, then what was not executed.
#[must_use]
pub fn text(coverage: &Coverage) -> String {
    let mut text = String::new();
    // Writing to a string does not fail.
    let _ = write(&mut text, coverage);
    text
}

fn write(text: &mut String, coverage: &Coverage) -> std::fmt::Result {
    writeln!(text, "  {:<72} {:<22} branches", "", "lines")?;
    for patch in &coverage.patches {
        let Sums { lines, branches } = Sums::of(patch);
        writeln!(text, "{} {:<72} {:<22} {}", patch.level, patch.subject, lines.words(), branches.words())?;
    }
    let lines = || coverage.patches.iter().flat_map(|patch| &patch.lines);
    let of = |ruling: Ruling| lines().filter(move |line| line.ruling == ruling);
    for line in of(Ruling::Argued) {
        write!(text, "\nargued: {}\n    {}", line.words(), line.because.as_deref().unwrap_or_default())?;
    }
    for line in of(Ruling::Unexecuted) {
        write!(text, "\nNOT EXECUTED: {}", line.words())?;
    }
    for Argument { function, line, .. } in &coverage.in_vain {
        write!(text, "\nARGUED IN VAIN: {function}: `{line}`; take it out of {}", super::FILE)?;
    }
    writeln!(text)
}

/// Of claims that did not all hold there is no telling what they would have executed.
#[must_use]
pub fn exit(coverage: &Coverage) -> Exit {
    let mut lines = coverage.patches.iter().flat_map(|patch| &patch.lines);
    match coverage.tally.exit() {
        Exit::Holds if !coverage.in_vain.is_empty() => Exit::Broken,
        Exit::Holds if lines.any(|line| line.ruling == Ruling::Unexecuted) => Exit::Broken,
        exit => exit,
    }
}

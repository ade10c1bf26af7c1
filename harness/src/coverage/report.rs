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
        write!(text, "\nARGUED IN VAIN: {function}: `{line}`: that is not what is left; correct {}", super::FILE)?;
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::Tally;
    use rstest::rstest;

    fn line(executed: u64, branches: &[u64], ruling: Ruling) -> Line {
        Line {
            file: "fs/a.c".to_string(),
            number: 7,
            text: "\tif (err)".to_string(),
            function: "f".to_string(),
            executed,
            branches: branches.to_vec(),
            ruling,
            because: (ruling == Ruling::Argued).then(|| "Nobody calls it.".to_string()),
        }
    }

    fn coverage(lines: Vec<Line>, in_vain: Vec<Argument>) -> Coverage {
        Coverage {
            base: "toy".to_string(),
            series: "s".to_string(),
            executor: "uml".to_string(),
            tally: Tally { holds: 1, ..Tally::default() },
            patches: vec![Patch { level: 4, subject: "Subject".to_string(), lines }],
            in_vain,
        }
    }

    fn argument() -> Argument {
        Argument { function: "f".to_string(), line: "x;".to_string(), branches: None, because: "so".to_string() }
    }

    #[test]
    fn what_is_left_is_told_with_its_reason_or_without() {
        let lines = vec![
            line(5, &[2, 3], Ruling::Executed),
            line(0, &[0, 0], Ruling::Argued),
            line(5, &[5, 0], Ruling::Unexecuted),
        ];
        let text = text(&coverage(lines, vec![argument()]));
        let told: Vec<_> = text.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
        assert_eq!(
            told,
            [
                "lines branches",
                "4 Subject 2 of 3, 1 argued 3 of 6, 2 argued",
                "",
                "argued: fs/a.c:7: f: `if (err)`",
                "Nobody calls it.",
                "NOT EXECUTED: fs/a.c:7: f: 1 of 2 branches of `if (err)`",
                "ARGUED IN VAIN: f: `x;`: that is not what is left; correct patches/unexecuted.toml",
            ]
        );
    }

    #[rstest]
    #[case::all(vec![line(5, &[2, 3], Ruling::Executed)], Vec::new(), Exit::Holds)]
    #[case::argued(vec![line(0, &[], Ruling::Argued)], Vec::new(), Exit::Holds)]
    #[case::not_all(vec![line(0, &[], Ruling::Unexecuted)], Vec::new(), Exit::Broken)]
    #[case::in_vain(vec![line(5, &[], Ruling::Executed)], vec![argument()], Exit::Broken)]
    fn what_is_left_without_a_reason_is_an_error(
        #[case] lines: Vec<Line>,
        #[case] in_vain: Vec<Argument>,
        #[case] expected: Exit,
    ) {
        let coverage = coverage(lines, in_vain);
        assert_eq!(exit(&coverage), expected);
        let lost = Tally { cannot_tell: 1, ..coverage.tally };
        assert_eq!(exit(&Coverage { tally: lost, ..coverage }), Exit::CannotTell);
    }
}

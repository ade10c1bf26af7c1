// SPDX-License-Identifier: MIT OR Apache-2.0
//! What was executed, for people.

use std::fmt::Write as _;

use serde::{Deserialize, Serialize};
use vremount_claims::exit::Exit;

use crate::coverage::{Coverage, CoverageExemption, Line, LineStatus};

/// Of the lines of a patch.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Totals {
    pub lines: Sum,
    pub branches: Sum,
    /// Lines without code.
    pub no_code: usize,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sum {
    pub all: usize,
    pub executed: usize,
    pub argued: usize,
}

impl Totals {
    #[must_use]
    pub fn of(lines: &[Line]) -> Self {
        let mut sums = Totals::default();
        for line in lines {
            if line.ruling == LineStatus::NoCode {
                sums.no_code += 1;
                continue;
            }
            let argued = line.ruling == LineStatus::Argued;
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
    writeln!(text, "Linux {}, series {}: {}\n", coverage.base, coverage.series, coverage.tally)?;
    writeln!(text, "  {:<72} {:<22} {:<22} without code", "", "lines", "branches")?;
    for patch in &coverage.patches {
        let Totals { lines, branches, no_code } = patch.sums;
        let (lines, branches) = (lines.words(), branches.words());
        writeln!(text, "{} {:<72} {lines:<22} {branches:<22} {no_code}", patch.level, patch.subject)?;
    }
    let lines = || coverage.patches.iter().flat_map(|patch| &patch.lines);
    let of = |ruling: LineStatus| lines().filter(move |line| line.ruling == ruling);
    for line in of(LineStatus::Argued) {
        write!(text, "\nargued: {}\n    {}", line.words(), line.because.as_deref().unwrap_or_default())?;
    }
    for line in of(LineStatus::Unexecuted) {
        write!(text, "\nNOT EXECUTED: {}", line.words())?;
    }
    for CoverageExemption { function, line, .. } in &coverage.in_vain {
        write!(
            text,
            "\nARGUED IN VAIN: {function}: `{line}`: that is not what is left of one line; correct {}",
            super::ARGUMENTS
        )?;
    }
    writeln!(text)
}

/// Of claims that did not all hold there is no telling what they would have executed.
#[must_use]
pub fn exit(coverage: &Coverage) -> Exit {
    let mut lines = coverage.patches.iter().flat_map(|patch| &patch.lines);
    match coverage.tally.exit() {
        Exit::Success if !coverage.in_vain.is_empty() => Exit::Broken,
        Exit::Success if lines.any(|line| line.ruling == LineStatus::Unexecuted) => Exit::Broken,
        exit => exit,
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use vremount_kernel::base::Level;
    use vremount_runner::results::Tally;

    use super::*;
    use crate::coverage::Patch;

    fn line(executed: u64, branches: &[u64], ruling: LineStatus) -> Line {
        Line {
            file: "fs/a.c".to_string(),
            number: 7,
            text: "\tif (err)".to_string(),
            function: "f".to_string(),
            executed,
            branches: branches.to_vec(),
            ruling,
            because: (ruling == LineStatus::Argued).then(|| "Nobody calls it.".to_string()),
        }
    }

    fn coverage(lines: Vec<Line>, in_vain: Vec<CoverageExemption>) -> Coverage {
        Coverage {
            schema: super::super::SCHEMA,
            base: "toy".to_string(),
            series: "s".to_string(),
            executor: "uml".to_string(),
            tally: Tally { holds: 1, ..Tally::default() },
            patches: vec![Patch::new(Level::FULL, "Subject".to_string(), lines)],
            in_vain,
        }
    }

    fn argument() -> CoverageExemption {
        CoverageExemption {
            series: None,
            function: "f".to_string(),
            line: "x;".to_string(),
            branches: None,
            because: "so".to_string(),
        }
    }

    #[test]
    fn what_is_left_is_told_with_its_reason_or_without() {
        let lines = vec![
            line(5, &[2, 3], LineStatus::Executed),
            line(0, &[0, 0], LineStatus::Argued),
            line(5, &[5, 0], LineStatus::Unexecuted),
            line(0, &[], LineStatus::NoCode),
        ];
        let text = text(&coverage(lines, vec![argument()]));
        let told: Vec<_> = text.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
        assert_eq!(
            told,
            [
                "Linux toy, series s: 1 hold, 0 broken, 0 cannot tell, 0 skipped",
                "",
                "lines branches without code",
                "4 Subject 2 of 3, 1 argued 3 of 6, 2 argued 1",
                "",
                "argued: fs/a.c:7: f: `if (err)`",
                "Nobody calls it.",
                "NOT EXECUTED: fs/a.c:7: f: 1 of 2 branches of `if (err)`",
                "ARGUED IN VAIN: f: `x;`: that is not what is left of one line; correct patches/unexecuted.toml",
            ]
        );
    }

    #[rstest]
    #[case::all(vec![line(5, &[2, 3], LineStatus::Executed)], Vec::new(), Exit::Success)]
    #[case::argued(vec![line(0, &[], LineStatus::Argued)], Vec::new(), Exit::Success)]
    #[case::not_all(vec![line(0, &[], LineStatus::Unexecuted)], Vec::new(), Exit::Broken)]
    #[case::without_code(vec![line(5, &[], LineStatus::Executed), line(0, &[], LineStatus::NoCode)], Vec::new(), Exit::Success)]
    #[case::in_vain(vec![line(5, &[], LineStatus::Executed)], vec![argument()], Exit::Broken)]
    fn what_is_left_without_a_reason_is_an_error(
        #[case] lines: Vec<Line>,
        #[case] in_vain: Vec<CoverageExemption>,
        #[case] expected: Exit,
    ) {
        let coverage = coverage(lines, in_vain);
        assert_eq!(exit(&coverage), expected);
        let lost = Tally { cannot_tell: 1, ..coverage.tally };
        assert_eq!(exit(&Coverage { tally: lost, ..coverage }), Exit::CannotTell);
    }
}

// SPDX-License-Identifier: MIT OR Apache-2.0
//! The coverage of a series as text.

use std::fmt::Write as _;

use vremount_claims::exit::Exit;

use crate::coverage::exemption::{CoverageExemption, FILE as EXEMPTIONS_FILE};
use crate::coverage::line::LineStatus;
use crate::coverage::record::Coverage;
use crate::coverage::totals::Totals;

/// A table of the totals of each patch, then each line that is not completely executed, then each
/// wrong exemption.
#[must_use]
pub fn to_text(coverage: &Coverage) -> String {
    let mut text = String::new();
    // Writing to a string does not fail.
    let _ = write(&mut text, coverage);
    text
}

fn write(text: &mut String, coverage: &Coverage) -> std::fmt::Result {
    writeln!(text, "Linux {}, series {}: {}\n", coverage.base, coverage.series, coverage.tally)?;
    writeln!(text, "  {:<72} {:<22} {:<22} without code", "", "lines", "branches")?;
    for patch in &coverage.patches {
        let Totals { lines, branches, no_code } = patch.totals;
        let (lines, branches) = (lines.to_text(), branches.to_text());
        writeln!(text, "{} {:<72} {lines:<22} {branches:<22} {no_code}", patch.level, patch.subject)?;
    }
    let lines = || coverage.patches.iter().flat_map(|patch| &patch.lines);
    let with_status = |status: LineStatus| lines().filter(move |line| line.status == status);
    for line in with_status(LineStatus::Exempt) {
        write!(text, "\nexempt: {line}\n    {}", line.because.as_deref().unwrap_or_default())?;
    }
    for line in with_status(LineStatus::Unexecuted) {
        write!(text, "\nNOT EXECUTED: {line}")?;
    }
    for CoverageExemption { function, line, .. } in &coverage.wrong_exemptions {
        let next =
            format!("it must match one line and state exactly what is not executed; correct it in {EXEMPTIONS_FILE}");
        write!(text, "\nWRONG EXEMPTION: {function}: `{line}`: {next}")?;
    }
    writeln!(text)
}

/// The exit code of the verdicts unless every claim holds. Then [`Exit::Broken`] if an exemption is
/// wrong or a line is not completely executed, else [`Exit::Success`].
#[must_use]
pub fn exit(coverage: &Coverage) -> Exit {
    let mut lines = coverage.patches.iter().flat_map(|patch| &patch.lines);
    match coverage.tally.exit_code() {
        Exit::Success if !coverage.wrong_exemptions.is_empty() => Exit::Broken,
        Exit::Success if lines.any(|line| line.status == LineStatus::Unexecuted) => Exit::Broken,
        exit => exit,
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use vremount_kernel::base::Level;
    use vremount_runner::results::Tally;

    use super::*;
    use crate::coverage::line::Line;
    use crate::coverage::record::{Patch, SCHEMA};

    fn line(executed: u64, branches: &[u64], ruling: LineStatus) -> Line {
        Line {
            file: "fs/a.c".to_string(),
            number: 7,
            text: "\tif (err)".to_string(),
            function: "f".to_string(),
            executed,
            branches: branches.to_vec(),
            status: ruling,
            because: (ruling == LineStatus::Exempt).then(|| "It is not called.".to_string()),
        }
    }

    fn coverage(lines: Vec<Line>, in_vain: Vec<CoverageExemption>) -> Coverage {
        Coverage {
            schema: SCHEMA,
            base: "toy".to_string(),
            series: "s".to_string(),
            executor: "uml".to_string(),
            tally: Tally { holds: 1, ..Tally::default() },
            patches: vec![Patch::new(Level::FULL, "Subject".to_string(), lines)],
            wrong_exemptions: in_vain,
        }
    }

    fn exemption() -> CoverageExemption {
        CoverageExemption {
            series: None,
            function: "f".to_string(),
            line: "x;".to_string(),
            branches: None,
            because: "reason".to_string(),
        }
    }

    #[test]
    fn text_lists_totals_exempt_and_unexecuted_lines() {
        let lines = vec![
            line(5, &[2, 3], LineStatus::Executed),
            line(0, &[0, 0], LineStatus::Exempt),
            line(5, &[5, 0], LineStatus::Unexecuted),
            line(0, &[], LineStatus::NoCode),
        ];
        let text = to_text(&coverage(lines, vec![exemption()]));
        let lines: Vec<_> = text.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
        assert_eq!(
            lines,
            [
                "Linux toy, series s: 1 hold, 0 broken, 0 cannot tell, 0 skipped",
                "",
                "lines branches without code",
                "4 Subject 2 of 3, 1 exempt 3 of 6, 2 exempt 1",
                "",
                "exempt: fs/a.c:7: f: `if (err)`",
                "It is not called.",
                "NOT EXECUTED: fs/a.c:7: f: 1 of 2 branches of `if (err)`",
                "WRONG EXEMPTION: f: `x;`: it must match one line and state exactly what is not executed; correct it in \
                 patches/unexecuted.toml",
            ]
        );
    }

    #[rstest]
    #[case::all_executed(vec![line(5, &[2, 3], LineStatus::Executed)], Vec::new(), Exit::Success)]
    #[case::exempt(vec![line(0, &[], LineStatus::Exempt)], Vec::new(), Exit::Success)]
    #[case::unexecuted(vec![line(0, &[], LineStatus::Unexecuted)], Vec::new(), Exit::Broken)]
    #[case::no_code(vec![line(5, &[], LineStatus::Executed), line(0, &[], LineStatus::NoCode)], Vec::new(), Exit::Success)]
    #[case::wrong_exemption(vec![line(5, &[], LineStatus::Executed)], vec![exemption()], Exit::Broken)]
    fn exit_is_broken_if_something_is_unexecuted_without_a_reason(
        #[case] lines: Vec<Line>,
        #[case] in_vain: Vec<CoverageExemption>,
        #[case] expected: Exit,
    ) {
        let coverage = coverage(lines, in_vain);
        assert_eq!(exit(&coverage), expected);
        let undecided = Tally { cannot_tell: 1, ..coverage.tally };
        assert_eq!(exit(&Coverage { tally: undecided, ..coverage }), Exit::CannotTell);
    }
}

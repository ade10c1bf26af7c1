// SPDX-License-Identifier: MIT OR Apache-2.0
//! What of the series the claims execute: each line and branch that it adds, by a kernel that counts (`coverage.config`). One
//! that no claim executes shows what nobody claims, or says why it cannot be executed.

mod exemption;
mod report;

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

pub use exemption::{CoverageExemption, FILE as ARGUMENTS};
pub use report::{Totals, exit, text};
use serde::{Deserialize, Serialize};
use vremount_kernel::base::{Base, Level};
use vremount_kernel::build::KernelSpec;
use vremount_kernel::series::AddedLine;
use vremount_kernel::workspace::Workspace;
use vremount_kernel::{build, source};
use vremount_runner::gcov_data::{self, Count, Counts};
use vremount_runner::results::Tally;
use vremount_runner::session::Session;
use vremount_util::{io_error, progress};

use crate::error::Error;

/// The configuration fragment, the fixes of that name, and a place aside for what runs leave.
pub const FRAGMENT: &str = "coverage";

/// Its name in the folder of a run.
pub const FILE: &str = "coverage.json";

/// Fields are added, never changed; this counts what is.
const SCHEMA: u32 = 2;

/// What became of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LineStatus {
    /// It was, and each of its branches was taken.
    Executed,
    /// It was not, or a branch was not taken, and it says why that is so.
    Argued,
    Unexecuted,
    /// The compiler made no code of it that could be: a declaration, a comment, a part of the statement above.
    NoCode,
}

/// A line of the series.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Line {
    pub file: String,
    pub number: u32,
    pub text: String,
    /// Empty if there is no code of it.
    pub function: String,
    pub executed: u64,
    pub branches: Vec<u64>,
    pub ruling: LineStatus,
    /// Why it is not executed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub because: Option<String>,
}

/// A patch of the series, with the lines that are of it in the end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Patch {
    pub level: u8,
    pub subject: String,
    pub sums: Totals,
    pub lines: Vec<Line>,
}

/// What the claims executed of a series.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Coverage {
    schema: u32,
    pub base: String,
    pub series: String,
    /// What machines ran on.
    pub executor: String,
    /// What came of the claims.
    pub tally: Tally,
    pub patches: Vec<Patch>,
    /// Those that are about lines of this series, of which not one, or more than one, is unexecuted the way they say.
    pub in_vain: Vec<CoverageExemption>,
}

/// The kernel that counts.
#[must_use]
pub fn kernel(base: &Base) -> KernelSpec<'_> {
    KernelSpec { fragment: Some(FRAGMENT), ..KernelSpec::of(base) }
}

impl Coverage {
    /// What the proofs of a run on such a kernel executed. What its machines told of that is used up.
    ///
    /// # Errors
    /// If the series cannot be read, or gcov does not understand what machines told.
    pub fn of(workspace: &Workspace, kernel: &KernelSpec<'_>, session: &Session<'_>) -> Result<Self, Error> {
        let (base, testbed) = (kernel.base, &session.testbed);
        let mut arguments = CoverageExemption::all(&workspace.root)?;
        arguments.retain(|argument| argument.is_of(&base.series));
        let _progress = progress::start("adding up what was counted");
        let counts = gcov_data::sum(&testbed.logs, &testbed.kernel.module.notes)?;
        let pristine = source::obtain(workspace, &base.source)?;
        let series = build::series(workspace, kernel, testbed.executor.arch())?;
        let added = series.added(&pristine)?;
        let counts = of_files(&added, counts);
        if let Some(file) = uncounted(&added, &counts) {
            return Err(Error::NoCoverageData { file: file.to_string(), base: base.name.clone() });
        }
        let mut patches = Vec::new();
        for level in Level::patched() {
            let own = added.iter().filter(|line| line.level == level && !line.text.trim().is_empty());
            let lines = own.map(|line| Line::of(line, &counts, &arguments)).collect();
            patches.push(Patch::new(level, series.subject(&pristine, level)?, lines));
        }
        Ok(Coverage {
            schema: SCHEMA,
            base: base.name.clone(),
            series: base.series.clone(),
            executor: testbed.title(),
            tally: Tally::of(session.log.results()),
            in_vain: in_vain(&patches, &arguments),
            patches,
        })
    }

    /// What [`Coverage::json`] wrote to a file.
    ///
    /// # Errors
    /// If it cannot be read or is none.
    pub fn read(path: &Path) -> Result<Self, Error> {
        let text = fs::read_to_string(path).map_err(io_error("read", path))?;
        let not_understood = |why: String| {
            Error::Usage(format!("failed to understand {} as what claims executed: {why}", path.display()))
        };
        let coverage: Coverage = serde_json::from_str(&text).map_err(|cause| not_understood(cause.to_string()))?;
        match coverage.schema {
            SCHEMA => Ok(coverage),
            other => Err(not_understood(format!("it has schema {other}, and this program knows {SCHEMA} alone"))),
        }
    }

    #[must_use]
    pub fn json(&self) -> String {
        // Strings and numbers in structures always have a JSON form.
        serde_json::to_string_pretty(self).unwrap_or_default() + "\n"
    }
}

impl Patch {
    fn new(level: Level, subject: String, lines: Vec<Line>) -> Self {
        Patch { level: level.number(), subject, sums: Totals::of(&lines), lines }
    }
}

impl Line {
    fn of(added: &AddedLine, counts: &Counts, arguments: &[CoverageExemption]) -> Self {
        let count = counts.get(&(added.file.clone(), added.number)).cloned();
        let has_code = count.is_some();
        let Count { function, executed, branches } = count.unwrap_or_default();
        let mut line = Line {
            file: added.file.clone(),
            number: added.number,
            text: added.text.clone(),
            function,
            executed,
            branches,
            ruling: LineStatus::Unexecuted,
            because: None,
        };
        if !has_code {
            line.ruling = LineStatus::NoCode;
        } else if line.left() == Some(0) {
            line.ruling = LineStatus::Executed;
        } else if let Some(argument) = arguments.iter().find(|argument| line.is_argued(argument)) {
            line.ruling = LineStatus::Argued;
            line.because = Some(argument.because.clone());
        }
        line
    }

    /// How many of its branches were not taken; none if it was not executed at all.
    fn left(&self) -> Option<usize> {
        (self.executed > 0).then(|| self.branches.iter().filter(|count| **count == 0).count())
    }

    fn is_argued(&self, argument: &CoverageExemption) -> bool {
        argument.is_about(&self.function, &self.text) && argument.branches == self.left()
    }
}

/// Whether a file of the tree is the one that the compiler was told of.
fn is(file: &str, told: &str) -> bool {
    told.strip_suffix(file).is_some_and(|before| before.is_empty() || before.ends_with('/'))
}

/// Those of files that the series has lines in, by their names in the tree.
fn of_files(added: &[AddedLine], counts: Counts) -> Counts {
    let files: BTreeSet<_> = added.iter().map(|line| line.file.as_str()).collect();
    let named = |((told, number), count): ((String, u32), Count)| {
        let file = files.iter().find(|file| is(file, &told))?;
        Some((((*file).to_string(), number), count))
    };
    counts.into_iter().filter_map(named).collect()
}

/// A source of which no line was counted: nobody could tell whether it is executed.
fn uncounted<'a>(added: &'a [AddedLine], counts: &Counts) -> Option<&'a str> {
    let mut sources = added.iter().map(|line| line.file.as_str()).filter(|file| file.ends_with(".c"));
    sources.find(|file| !counts.keys().any(|(counted, _)| counted == file))
}

fn in_vain(patches: &[Patch], arguments: &[CoverageExemption]) -> Vec<CoverageExemption> {
    let lines = || patches.iter().flat_map(|patch| &patch.lines);
    let is_in_vain = |argument: &&CoverageExemption| {
        lines().any(|line| argument.is_about(&line.function, &line.text))
            && lines().filter(|line| line.is_argued(argument)).count() != 1
    };
    arguments.iter().filter(is_in_vain).cloned().collect()
}

#[cfg(test)]
pub mod tests {
    use rstest::rstest;

    use super::*;

    const TEXT: &str = "\tif (err)";

    fn line(executed: u64, branches: &[u64], arguments: &[CoverageExemption]) -> Line {
        let added = AddedLine { file: "fs/a.c".to_string(), number: 7, text: TEXT.to_string(), level: Level::FULL };
        let count = Count { function: "f".to_string(), executed, branches: branches.to_vec() };
        let elsewhere = Count { executed: 99, ..count.clone() };
        let counts = [("/s/fs/a.c", 7, count), ("/s/xfs/a.c", 7, elsewhere.clone()), ("/s/fs/a.c", 8, elsewhere)];
        let counts = counts.into_iter().map(|(file, number, count)| ((file.to_string(), number), count)).collect();
        Line::of(&added, &of_files(std::slice::from_ref(&added), counts), arguments)
    }

    /// It is shown all the same: what the compiler left out nobody can execute, and a reader has to see that.
    #[test]
    fn a_line_without_code_is_told_and_not_counted() {
        let added =
            AddedLine { file: "fs/a.c".to_string(), number: 9, text: "\tint err;".to_string(), level: Level::FULL };
        let line = Line::of(&added, &Counts::new(), &[]);
        assert_eq!((line.ruling, line.function.as_str()), (LineStatus::NoCode, ""));
        let sums = Totals::of(&[line]);
        assert_eq!((sums.lines.all, sums.branches.all, sums.no_code), (0, 0, 1));
    }

    #[test]
    fn a_source_that_counts_nothing_is_not_executed_for_all_we_know() {
        let line =
            |file: &str| AddedLine { file: file.to_string(), number: 1, text: String::new(), level: Level::FULL };
        let added = [line("include/a.h"), line("fs/a.c"), line("fs/b.c")];
        let counts = ["/s/fs/a.c", "/s/xfs/b.c"].map(|file| ((file.to_string(), 9), Count::default()));
        let counts = of_files(&added, Counts::from(counts));
        assert_eq!(uncounted(&added, &counts), Some("fs/b.c"));
        assert_eq!(uncounted(&added[..2], &counts), None);
    }

    fn argument(function: &str, branches: Option<usize>) -> CoverageExemption {
        let (function, line) = (function.to_string(), TEXT.trim().to_string());
        CoverageExemption { series: None, function, line, branches, because: "so".to_string() }
    }

    #[rstest]
    #[case::executed(5, &[2, 3], None, LineStatus::Executed, false)]
    #[case::without_branches(5, &[], None, LineStatus::Executed, false)]
    #[case::not_at_all(0, &[0, 0], None, LineStatus::Unexecuted, false)]
    #[case::one_way_only(5, &[5, 0], None, LineStatus::Unexecuted, false)]
    #[case::argued(0, &[0, 0], Some(argument("f", None)), LineStatus::Argued, false)]
    #[case::argued_of_a_branch(5, &[5, 0], Some(argument("f", Some(1))), LineStatus::Argued, false)]
    #[case::of_another_function(0, &[0, 0], Some(argument("g", None)), LineStatus::Unexecuted, false)]
    #[case::of_a_branch_only(0, &[0, 0], Some(argument("f", Some(1))), LineStatus::Unexecuted, true)]
    #[case::of_too_few_branches(5, &[5, 0, 0], Some(argument("f", Some(1))), LineStatus::Unexecuted, true)]
    #[case::of_too_many_branches(5, &[5, 0], Some(argument("f", Some(2))), LineStatus::Unexecuted, true)]
    #[case::executed_by_now(5, &[2, 3], Some(argument("f", None)), LineStatus::Executed, true)]
    #[case::taken_by_now(5, &[2, 3], Some(argument("f", Some(1))), LineStatus::Executed, true)]
    fn an_argument_says_exactly_what_is_left(
        #[case] executed: u64,
        #[case] branches: &[u64],
        #[case] argument: Option<CoverageExemption>,
        #[case] expected: LineStatus,
        #[case] vain: bool,
    ) {
        let arguments: Vec<_> = argument.into_iter().collect();
        let line = line(executed, branches, &arguments);
        assert_eq!(line.ruling, expected);
        let patch = Patch::new(Level::FULL, String::new(), vec![line]);
        assert_eq!(in_vain(&[patch], &arguments).len(), usize::from(vain));
    }

    #[test]
    fn one_argument_is_for_one_line() {
        let arguments = [argument("f", None)];
        let twice = vec![line(0, &[0, 0], &arguments), line(0, &[0, 0], &arguments)];
        assert_eq!(in_vain(&[Patch::new(Level::FULL, String::new(), twice)], &arguments), arguments);
    }
}

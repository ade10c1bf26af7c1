// SPDX-License-Identifier: MIT OR Apache-2.0
//! The coverage of a series: measured from the gcov data of a run, written and read as JSON.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use serde::{Deserialize, Serialize};
use vremount_kernel::base::{Base, Level};
use vremount_kernel::build::KernelSpec;
use vremount_kernel::series::AddedLine;
use vremount_kernel::workspace::Workspace;
use vremount_kernel::{build, source};
use vremount_runner::gcov_data::{self, LineCount, LineCounts};
use vremount_runner::results::Tally;
use vremount_runner::session::Session;
use vremount_util::{io_error, progress};

use crate::coverage::exemption::CoverageExemption;
use crate::coverage::line::Line;
use crate::coverage::totals::Totals;
use crate::error::Error;

/// Name of the configuration fragment, of the fixes in `ci/bases.toml`, and of the folder for run
/// directories.
pub const FRAGMENT: &str = "coverage";

/// Name of the JSON file in the run directory.
pub const FILE: &str = "coverage.json";

/// Version of the JSON file. Fields are added without a change of the version.
pub(super) const SCHEMA: u32 = 2;

/// A patch of the series, with those of its lines that are in the source with the whole series.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Patch {
    /// Number of the patch, from 1.
    pub level: u8,
    /// Subject of the patch.
    pub subject: String,
    /// Totals over its lines.
    #[serde(rename = "sums")]
    pub totals: Totals,
    /// Its lines that are not blank.
    pub lines: Vec<Line>,
}

/// Coverage of a series by claims.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Coverage {
    pub(super) schema: u32,
    /// Name of the base.
    pub base: String,
    /// Folder name of the series.
    pub series: String,
    /// Title of the executor.
    pub executor: String,
    /// Verdicts of the cases.
    pub tally: Tally,
    /// The patches of the series.
    pub patches: Vec<Patch>,
    /// Exemptions for a line of this series that match no unexecuted line, or more than one.
    #[serde(rename = "in_vain")]
    pub wrong_exemptions: Vec<CoverageExemption>,
}

/// A kernel of this base that collects coverage data.
#[must_use]
pub fn kernel(base: &Base) -> KernelSpec<'_> {
    KernelSpec { fragment: Some(FRAGMENT), ..KernelSpec::new(base) }
}

impl Coverage {
    /// Measures the coverage of a run on such a kernel. The gcov data of its machines is removed.
    ///
    /// # Errors
    /// If the source or the series cannot be read, no machine sent gcov data, gcov cannot read the
    /// data, or a source file of the series has none.
    pub fn measure(workspace: &Workspace, kernel: &KernelSpec<'_>, session: &Session<'_>) -> Result<Self, Error> {
        let (base, testbed) = (kernel.base, &session.testbed);
        let mut exemptions = CoverageExemption::all(&workspace.root)?;
        exemptions.retain(|exemption| exemption.is_for_series(&base.series));
        let _progress = progress::start("adding up coverage data");
        let counts = gcov_data::merge_counts(&testbed.run_dir, &testbed.kernel.module.notes)?;
        let pristine = source::obtain(workspace, &base.source)?;
        let series = build::read_series(workspace, kernel, testbed.executor.arch())?;
        let added = series.added_lines(&pristine)?;
        let counts = with_names_in_tree(&added, counts);
        if let Some(file) = file_without_counts(&added, &counts) {
            return Err(Error::NoCoverageData { file: file.to_string(), base: base.name.clone() });
        }
        let mut patches = Vec::new();
        for level in Level::patched() {
            let own = added.iter().filter(|line| line.level == level && !line.text.trim().is_empty());
            let lines = own.map(|line| Line::new(line, &counts, &exemptions)).collect();
            patches.push(Patch::new(level, series.patch_subject(&pristine, level)?, lines));
        }
        Ok(Coverage {
            schema: SCHEMA,
            base: base.name.clone(),
            series: base.series.clone(),
            executor: testbed.title(),
            tally: Tally::from_results(session.log.results()),
            wrong_exemptions: wrong_exemptions(&patches, &exemptions),
            patches,
        })
    }

    /// Reads a file with the output of [`Coverage::to_json`].
    ///
    /// # Errors
    /// [`Error::Usage`] if the file is not coverage of this version; an I/O error if it cannot be
    /// read.
    pub fn read(path: &Path) -> Result<Self, Error> {
        let text = fs::read(path).map_err(io_error("read", path))?;
        let invalid = |why: String| {
            let next = "run `vremount coverage` again";
            Error::Usage(format!("failed to read {} as coverage: {why}; {next}", path.display()))
        };
        let coverage: Coverage = serde_json::from_slice(&text).map_err(|cause| invalid(cause.to_string()))?;
        match coverage.schema {
            SCHEMA => Ok(coverage),
            other => Err(invalid(format!("it has schema {other}, and this program reads schema {SCHEMA}"))),
        }
    }

    /// The coverage as JSON, with a newline at the end.
    ///
    /// # Errors
    /// [`Error::Serialize`] if it cannot be serialized.
    pub fn to_json(&self) -> Result<String, Error> {
        let json = serde_json::to_string_pretty(self);
        Ok(json.map_err(|source| Error::Serialize { what: "coverage", source })? + "\n")
    }
}

impl Patch {
    pub(super) fn new(level: Level, subject: String, lines: Vec<Line>) -> Self {
        Patch { level: level.number(), subject, totals: Totals::new(&lines), lines }
    }
}

/// Keeps the counts of files that the series changes, with the names of the files in the kernel
/// tree. gcov names a file as the compiler was called, possibly with an absolute path.
fn with_names_in_tree(added: &[AddedLine], counts: LineCounts) -> LineCounts {
    let files: BTreeSet<_> = added.iter().map(|line| line.file.as_str()).collect();
    let rename = |((name, number), count): ((String, u32), LineCount)| {
        let file = files.iter().find(|file| is_path_of(&name, file))?;
        Some((((*file).to_string(), number), count))
    };
    counts.into_iter().filter_map(rename).collect()
}

/// Whether `path` ends with all components of `file`.
fn is_path_of(path: &str, file: &str) -> bool {
    path.strip_suffix(file).is_some_and(|prefix| prefix.is_empty() || prefix.ends_with('/'))
}

/// The first source file of the series that has no count for any line. Its coverage is unknown.
fn file_without_counts<'a>(added: &'a [AddedLine], counts: &LineCounts) -> Option<&'a str> {
    let mut sources = added.iter().map(|line| line.file.as_str()).filter(|file| file.ends_with(".c"));
    sources.find(|file| !counts.keys().any(|(counted, _)| counted == file))
}

fn wrong_exemptions(patches: &[Patch], exemptions: &[CoverageExemption]) -> Vec<CoverageExemption> {
    let lines = || patches.iter().flat_map(|patch| &patch.lines);
    let is_wrong = |exemption: &&CoverageExemption| {
        lines().any(|line| exemption.is_for_line(&line.function, &line.text))
            && lines().filter(|line| line.is_exempt_by(exemption)).count() != 1
    };
    exemptions.iter().filter(is_wrong).cloned().collect()
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;
    use crate::coverage::line::LineStatus;

    const TEXT: &str = "\tif (err)";

    fn added_line(file: &str, number: u32, text: &str) -> AddedLine {
        AddedLine { file: file.to_string(), number, text: text.to_string(), level: Level::FULL }
    }

    fn line(executed: u64, branches: &[u64], exemptions: &[CoverageExemption]) -> Line {
        let added = added_line("fs/a.c", 7, TEXT);
        let count = LineCount { function: "f".to_string(), executions: executed, branches: branches.to_vec() };
        let other = LineCount { executions: 99, ..count.clone() };
        let counts = [("/s/fs/a.c", 7, count), ("/s/xfs/a.c", 7, other.clone()), ("/s/fs/a.c", 8, other)];
        let counts = counts.into_iter().map(|(file, number, count)| ((file.to_string(), number), count)).collect();
        Line::new(&added, &with_names_in_tree(std::slice::from_ref(&added), counts), exemptions)
    }

    fn exemption(function: &str, branches: Option<usize>) -> CoverageExemption {
        let (function, line) = (function.to_string(), TEXT.trim().to_string());
        CoverageExemption { series: None, function, line, branches, because: "reason".to_string() }
    }

    /// The report lists it, so that a reader sees for which lines the compiler generated no code.
    #[test]
    fn line_without_code_is_kept_and_not_counted() {
        let line = Line::new(&added_line("fs/a.c", 9, "\tint err;"), &LineCounts::new(), &[]);
        assert_eq!((line.status, line.function.as_str()), (LineStatus::NoCode, ""));
        let totals = Totals::new(&[line]);
        assert_eq!((totals.lines.all, totals.branches.all, totals.no_code), (0, 0, 1));
    }

    #[test]
    fn source_file_without_counts_is_found() {
        let added = ["include/a.h", "fs/a.c", "fs/b.c"].map(|file| added_line(file, 1, ""));
        let counts = ["/s/fs/a.c", "/s/xfs/b.c"].map(|file| ((file.to_string(), 9), LineCount::default()));
        let counts = with_names_in_tree(&added, LineCounts::from(counts));
        assert_eq!(file_without_counts(&added, &counts), Some("fs/b.c"));
        assert_eq!(file_without_counts(&added[..2], &counts), None);
    }

    #[rstest]
    #[case::executed(5, &[2, 3], None, LineStatus::Executed, false)]
    #[case::executed_without_branches(5, &[], None, LineStatus::Executed, false)]
    #[case::not_executed(0, &[0, 0], None, LineStatus::Unexecuted, false)]
    #[case::one_branch_taken(5, &[5, 0], None, LineStatus::Unexecuted, false)]
    #[case::exempt_line(0, &[0, 0], Some(exemption("f", None)), LineStatus::Exempt, false)]
    #[case::exempt_branch(5, &[5, 0], Some(exemption("f", Some(1))), LineStatus::Exempt, false)]
    #[case::exemption_for_another_function(0, &[0, 0], Some(exemption("g", None)), LineStatus::Unexecuted, false)]
    #[case::exemption_for_a_branch_of_unexecuted_line(0, &[0, 0], Some(exemption("f", Some(1))), LineStatus::Unexecuted, true)]
    #[case::exemption_for_too_few_branches(5, &[5, 0, 0], Some(exemption("f", Some(1))), LineStatus::Unexecuted, true)]
    #[case::exemption_for_too_many_branches(5, &[5, 0], Some(exemption("f", Some(2))), LineStatus::Unexecuted, true)]
    #[case::exempt_line_is_executed(5, &[2, 3], Some(exemption("f", None)), LineStatus::Executed, true)]
    #[case::exempt_branch_is_taken(5, &[2, 3], Some(exemption("f", Some(1))), LineStatus::Executed, true)]
    fn exemption_must_state_exactly_what_is_unexecuted(
        #[case] executed: u64,
        #[case] branches: &[u64],
        #[case] exemption: Option<CoverageExemption>,
        #[case] expected: LineStatus,
        #[case] is_wrong: bool,
    ) {
        let exemptions: Vec<_> = exemption.into_iter().collect();
        let line = line(executed, branches, &exemptions);
        assert_eq!(line.status, expected);
        let patch = Patch::new(Level::FULL, String::new(), vec![line]);
        assert_eq!(wrong_exemptions(&[patch], &exemptions).len(), usize::from(is_wrong));
    }

    #[test]
    fn exemption_for_two_lines_is_wrong() {
        let exemptions = [exemption("f", None)];
        let twice = vec![line(0, &[0, 0], &exemptions), line(0, &[0, 0], &exemptions)];
        assert_eq!(wrong_exemptions(&[Patch::new(Level::FULL, String::new(), twice)], &exemptions), exemptions);
    }

    #[test]
    fn json_keys_are_stable() {
        let patch = Patch::new(Level::FULL, String::new(), vec![line(0, &[0, 0], &[exemption("f", None)])]);
        let json = serde_json::to_value(patch).unwrap();
        assert_eq!(json["lines"][0]["ruling"], "argued");
        assert_eq!(json["sums"]["lines"]["argued"], 1);
    }

    #[rstest]
    #[case::not_json("hello", "expected value")]
    #[case::not_text("\u{0}", "expected value")]
    #[case::other_schema(
        r#"{"schema":1,"base":"b","series":"s","executor":"uml","tally":{"holds":1,"broken":0,"cannot_tell":0,"skipped":0,"missing":0},"patches":[],"in_vain":[]}"#,
        "it has schema 1"
    )]
    fn file_that_is_not_coverage_is_bad_usage(#[case] text: &str, #[case] expected: &str) {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), text).unwrap();
        let error = Coverage::read(file.path()).unwrap_err();
        assert!(error.is_usage() && error.to_string().contains(expected), "{error}");
    }
}

// SPDX-License-Identifier: MIT OR Apache-2.0
//! What commands left behind: runs of `verify` and `matrix`, what claims executed, bisections, benches. Told apart by the files
//! they leave.

use std::fs;
use std::path::{Path, PathBuf};

use vremount_analysis::bench::Record;
use vremount_analysis::bisect::Bisection;
use vremount_analysis::coverage::Coverage;
use vremount_analysis::{bench, bisect, coverage};
use vremount_claims::exit::Exit;
use vremount_kernel::base::numbers;
use vremount_runner::results::{self, MergedResults, Results, RunOutcome, Tally};
use vremount_util::io_error;

use crate::error::Error;

#[derive(Debug, Default)]
pub struct ReportInput {
    pub merged: MergedResults,
    pub bisections: Vec<Bisection>,
    pub benches: Vec<Record>,
    pub coverages: Vec<Coverage>,
}

/// What left it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Run,
    Bisection,
    Bench,
    /// Beside it are the results of a kernel that counts, which are a run if their log is named.
    Coverage,
}

impl Kind {
    /// None for a folder that only has others in it, or nothing. A file that is named is what it is, whatever is beside it.
    #[must_use]
    pub fn of(path: &Path) -> Option<Kind> {
        let has = |name: &str| if path.is_file() { path.ends_with(name) } else { path.join(name).is_file() };
        let files = [
            (coverage::FILE, Kind::Coverage),
            (results::FILE, Kind::Run),
            (bisect::FILE, Kind::Bisection),
            (bench::FILE, Kind::Bench),
        ];
        let left = files.into_iter().find(|(name, _)| has(name)).map(|(_, kind)| kind);
        left.or_else(|| path.is_file().then_some(Kind::Bench))
    }
}

/// The folder that was named, or that a log is in that was.
#[must_use]
pub fn folder(path: &Path) -> &Path {
    path.parent().filter(|_| path.is_file()).unwrap_or(path)
}

impl ReportInput {
    /// What is in these folders, and in folders in them; a file is a log, or what a bench wrote with `--json`.
    ///
    /// # Errors
    /// If there is nothing in one of them, or something else, or runs that cannot be joined.
    pub fn read(paths: &[PathBuf]) -> Result<Self, Error> {
        let mut findings = ReportInput::default();
        let mut runs = Vec::new();
        for path in paths.iter().map(|path| places(path)).collect::<Result<Vec<_>, _>>()?.into_iter().flatten() {
            let folder = folder(&path);
            match Kind::of(&path) {
                // Where there is nothing, it is a run that is missed.
                Some(Kind::Run) | None => runs.push((folder.to_path_buf(), RunOutcome::read(folder)?)),
                Some(Kind::Bisection) => findings.bisections.push(Bisection::read(folder)?),
                Some(Kind::Coverage) => findings.coverages.push(Coverage::read(&folder.join(coverage::FILE))?),
                Some(Kind::Bench) if path.is_file() => {
                    findings.benches.push(Record::read(&path).map_err(|error| match error {
                        vremount_analysis::Error::Usage(why) => {
                            Error::Usage(format!("{why}; of a run, name its folder in target/runs"))
                        }
                        error => error.into(),
                    })?)
                }
                Some(Kind::Bench) => findings.benches.push(Record::read(&path.join(bench::FILE))?),
            }
        }
        findings.merged = MergedResults::of(runs)?;
        Ok(findings)
    }

    /// What it means for the command as a whole.
    #[must_use]
    pub fn exit(&self) -> Exit {
        let others = self.bisections.iter().map(Bisection::exit).chain(self.benches.iter().map(Record::exit));
        let others = others.chain(self.coverages.iter().map(coverage::exit));
        others.fold(Tally::of_all(&self.merged).exit(), Exit::worst)
    }
}

impl From<MergedResults> for ReportInput {
    fn from(merged: MergedResults) -> Self {
        ReportInput { merged, ..ReportInput::default() }
    }
}

impl From<Results> for ReportInput {
    fn from(run: Results) -> Self {
        MergedResults { runs: vec![run], not_run: Vec::new() }.into()
    }
}

/// The path itself, or the folders in it that something was left in, by the versions in their names.
fn places(path: &Path) -> Result<Vec<PathBuf>, Error> {
    if Kind::of(path).is_some() || !path.is_dir() {
        return Ok(vec![path.to_path_buf()]);
    }
    let entries =
        fs::read_dir(path).and_then(Iterator::collect::<Result<Vec<_>, _>>).map_err(io_error("list", path))?;
    let folders = entries.into_iter().map(|entry| entry.path()).filter(|path| path.is_dir());
    let mut found: Vec<_> = folders.filter(|folder| Kind::of(folder).is_some()).collect();
    let name = |folder: &PathBuf| folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
    found.sort_by_cached_key(|folder| (numbers(&name(folder)), name(folder)));
    Ok(if found.is_empty() { vec![path.to_path_buf()] } else { found })
}

#[cfg(test)]
mod tests {
    use vremount_runner::results::RunError;

    use super::*;

    #[test]
    fn a_folder_of_folders_is_all_that_is_in_them() {
        let folder = tempfile::tempdir().unwrap();
        let word = |base: &str| RunError {
            base: base.to_string(),
            series: "s".to_string(),
            level: 4,
            executor: "uml".to_string(),
            cannot_tell: "why".to_string(),
        };
        for base in ["6.12.107", "6.1.176", "nowhere"] {
            let run = folder.path().join(base);
            fs::create_dir_all(&run).unwrap();
            word(base).write(&run).unwrap();
        }
        fs::create_dir(folder.path().join("empty")).unwrap();
        let bench = folder.path().join("5.10.13");
        fs::create_dir(&bench).unwrap();
        fs::write(bench.join(bench::FILE), vremount_analysis::bench::testing::record().json()).unwrap();
        let findings = ReportInput::read(&[folder.path().to_path_buf()]).unwrap();
        let bases: Vec<_> = findings.merged.not_run.iter().map(|word| word.base.as_str()).collect();
        assert_eq!(bases, ["nowhere", "6.1.176", "6.12.107"]);
        assert_eq!(findings.benches, [vremount_analysis::bench::testing::record()]);
        // A goal of the toy is missed.
        assert_eq!(findings.exit(), Exit::Broken);
        let nothing = ReportInput::read(&[folder.path().join("empty")]).unwrap_err().to_string();
        assert!(nothing.contains("name the folder of a run"), "{nothing}");
    }
}

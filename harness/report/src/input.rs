// SPDX-License-Identifier: MIT OR Apache-2.0
//! Input of reports: directories of runs, coverages, bisections and benchmarks. The kind of a directory is that of the file
//! that it has.

use std::fs;
use std::path::{Path, PathBuf};

use vremount_analysis::bench::BenchResults;
use vremount_analysis::bisect::Bisection;
use vremount_analysis::coverage::Coverage;
use vremount_analysis::{bench, bisect, coverage};
use vremount_claims::exit::Exit;
use vremount_kernel::base::version_numbers;
use vremount_runner::results::{self, MergedResults, Results, RunOutcome, Tally};
use vremount_util::io_error;

use crate::error::Error;

/// Everything that a report is about.
#[derive(Debug, Default)]
pub struct ReportInput {
    /// Runs of `verify` and `matrix`, with shards joined, and runs that could not start.
    pub merged: MergedResults,
    /// Bisections.
    pub bisections: Vec<Bisection>,
    /// Benchmarks.
    pub benches: Vec<BenchResults>,
    /// Coverages of a series.
    pub coverages: Vec<Coverage>,
}

/// The kind of a directory or file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InputKind {
    /// A run of `verify` or `matrix`.
    Run,
    /// A bisection.
    Bisection,
    /// A benchmark.
    Bench,
    /// A coverage. Its directory also has the log of the run that collected it; that log, given as a file, is a run.
    Coverage,
}

impl InputKind {
    /// The kind of a directory, by the file that it has, or of a file, by its name; a file with any other name is taken for
    /// the JSON of a benchmark. `None` for a directory without such a file.
    #[must_use]
    pub fn from_path(path: &Path) -> Option<InputKind> {
        let has = |name: &str| if path.is_file() { path.ends_with(name) } else { path.join(name).is_file() };
        let files = [
            (coverage::FILE, InputKind::Coverage),
            (results::LOG_FILE, InputKind::Run),
            (bisect::LOG_FILE, InputKind::Bisection),
            (bench::FILE, InputKind::Bench),
        ];
        let known = files.into_iter().find(|(name, _)| has(name)).map(|(_, kind)| kind);
        known.or_else(|| path.is_file().then_some(InputKind::Bench))
    }
}

/// The directory itself, or the directory of a file.
#[must_use]
pub fn results_dir(path: &Path) -> &Path {
    path.parent().filter(|_| path.is_file()).unwrap_or(path)
}

impl ReportInput {
    /// Reads directories of any kind, directories that contain such directories, logs, and files of `bench --json`.
    ///
    /// # Errors
    /// A usage error if a directory has no results; the error of the reader if a file cannot be read or parsed; the error of
    /// [`MergedResults::merge`] if two runs have the same case or cannot be joined.
    pub fn read(paths: &[PathBuf]) -> Result<Self, Error> {
        let mut input = ReportInput::default();
        let mut runs = Vec::new();
        for path in paths.iter().map(|path| expand(path)).collect::<Result<Vec<_>, _>>()?.into_iter().flatten() {
            let folder = results_dir(&path);
            match InputKind::from_path(&path) {
                // Without any known file: the reader of runs returns the error.
                Some(InputKind::Run) | None => runs.push((folder.to_path_buf(), RunOutcome::read(folder)?)),
                Some(InputKind::Bisection) => input.bisections.push(Bisection::read(folder)?),
                Some(InputKind::Coverage) => input.coverages.push(Coverage::read(&folder.join(coverage::FILE))?),
                Some(InputKind::Bench) if path.is_file() => {
                    input.benches.push(BenchResults::read(&path).map_err(|error| match error {
                        vremount_analysis::Error::Usage(why) => {
                            Error::Usage(format!("{why}; for a run, name its directory in target/runs"))
                        }
                        error => error.into(),
                    })?)
                }
                Some(InputKind::Bench) => input.benches.push(BenchResults::read(&path.join(bench::FILE))?),
            }
        }
        input.merged = MergedResults::merge(runs)?;
        Ok(input)
    }

    /// The exit code of the whole command: the worst of all inputs.
    #[must_use]
    pub fn exit(&self) -> Exit {
        let others = self.bisections.iter().map(Bisection::exit).chain(self.benches.iter().map(BenchResults::exit));
        let others = others.chain(self.coverages.iter().map(coverage::exit));
        others.fold(Tally::from_merged(&self.merged).exit_code(), Exit::worst)
    }
}

impl From<MergedResults> for ReportInput {
    fn from(merged: MergedResults) -> Self {
        ReportInput { merged, ..ReportInput::default() }
    }
}

impl From<Results> for ReportInput {
    fn from(run: Results) -> Self {
        MergedResults { runs: vec![run], run_errors: Vec::new() }.into()
    }
}

/// The path itself, or the directories of a known kind in it, ordered by the versions in their names.
fn expand(path: &Path) -> Result<Vec<PathBuf>, Error> {
    if InputKind::from_path(path).is_some() || !path.is_dir() {
        return Ok(vec![path.to_path_buf()]);
    }
    let entries =
        fs::read_dir(path).and_then(Iterator::collect::<Result<Vec<_>, _>>).map_err(io_error("list", path))?;
    let folders = entries.into_iter().map(|entry| entry.path()).filter(|path| path.is_dir());
    let mut found: Vec<_> = folders.filter(|folder| InputKind::from_path(folder).is_some()).collect();
    let name = |folder: &PathBuf| folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
    found.sort_by_cached_key(|folder| (version_numbers(&name(folder)), name(folder)));
    Ok(if found.is_empty() { vec![path.to_path_buf()] } else { found })
}

#[cfg(test)]
mod tests {
    use vremount_analysis::bench::testing::results;
    use vremount_runner::results::RunError;

    use super::*;

    #[test]
    fn directory_of_directories_is_read_in_order_of_versions() {
        let folder = tempfile::tempdir().unwrap();
        let run_error = |base: &str| RunError {
            base: base.to_string(),
            series: "s".to_string(),
            level: 4,
            executor: "uml".to_string(),
            cannot_tell: "why".to_string(),
        };
        for base in ["6.12.107", "6.1.176", "nowhere"] {
            let run = folder.path().join(base);
            fs::create_dir_all(&run).unwrap();
            run_error(base).write(&run).unwrap();
        }
        fs::create_dir(folder.path().join("empty")).unwrap();
        let bench = folder.path().join("5.10.13");
        fs::create_dir(&bench).unwrap();
        fs::write(bench.join(bench::FILE), results().json().unwrap()).unwrap();
        let input = ReportInput::read(&[folder.path().to_path_buf()]).unwrap();
        let bases: Vec<_> = input.merged.run_errors.iter().map(|error| error.base.as_str()).collect();
        assert_eq!(bases, ["nowhere", "6.1.176", "6.12.107"]);
        assert_eq!(input.benches, [results()]);
        // The benchmark misses a threshold.
        assert_eq!(input.exit(), Exit::Broken);
        let nothing = ReportInput::read(&[folder.path().join("empty")]).unwrap_err().to_string();
        assert!(nothing.contains("name the folder of a run"), "{nothing}");
    }
}

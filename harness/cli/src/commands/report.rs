// SPDX-License-Identifier: MIT OR Apache-2.0
//! `vremount report`, and the options for report files that `vremount verify` and `vremount matrix`
//! have too.

use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use serde::Deserialize;
use vremount_analysis::{bench, bisect, coverage};
use vremount_claims::exit::Exit;
use vremount_report as report;
use vremount_report::bench_table;
use vremount_report::input::{InputKind, ReportInput, results_dir};
use vremount_runner::results::{self, Expected, Results, RunOutcome, Tally};
use vremount_util::atomic_file::AtomicFile;
use vremount_util::io_error;

use crate::args::{JsonArg, PageArg, heading};
use crate::commands::bisect::print_result;
use crate::commands::exit_codes;
use crate::display;
use crate::error::Error;

/// Summarize a run, coverage, bisection or benchmark, complete or interrupted
///
/// Prints the results and writes the report files that are asked for. The exit code is the one of
/// the command that left the results.
#[derive(Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true, after_long_help = exit_codes(&[
    (0, "as the command that left the results"),
    (1, "as that command"),
    (2, "the command line is wrong, or PATH has no results"),
    (125, "cannot tell: a case is undecided or missing, or the results cannot be read"),
]))]
pub struct Options {
    /// Directory below target/runs/ of a run, coverage, bisection or benchmark, a directory of
    /// several of them, or a file that `vremount bench --json` wrote
    #[arg(value_name = "PATH", required = true)]
    run: Option<PathBuf>,
    #[command(flatten)]
    output: OutputArgs,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Subcommand)]
enum Command {
    /// Join the results of several runs, coverages, bisections and benchmarks
    ///
    /// Prints one table with a column for each base and executor. The shards of a run become one
    /// column.
    #[command(after_long_help = exit_codes(&[
        (0, "every claim holds, and nothing is missing"),
        (1, "a claim is broken"),
        (2, "the command line is wrong, a PATH has no results, or a case is in two runs"),
        (125, "cannot tell: a case or a run is undecided or missing, or results cannot be read"),
    ]))]
    Merge {
        /// Results to join, each as `vremount report` takes it
        #[arg(value_name = "PATH", required = true)]
        runs: Vec<PathBuf>,
        /// File with the output of `vremount matrix --list`; a run that is listed there and missing
        /// here is reported
        #[arg(long, value_name = "FILE", help_heading = heading::SELECTION)]
        expect: Option<PathBuf>,
        #[command(flatten)]
        output: MergedOutputArgs,
    },
}

/// Report files of one or several runs.
#[derive(Args)]
#[command(next_help_heading = heading::OUTPUT)]
pub struct MergedOutputArgs {
    #[command(flatten)]
    page: PageArg,
    #[command(flatten)]
    json: JsonArg,
    /// Write JUnit XML to FILE, for CI services
    #[arg(long, value_name = "FILE")]
    junit: Option<PathBuf>,
}

/// Report files of one run.
#[derive(Args)]
#[command(next_help_heading = heading::OUTPUT)]
pub struct OutputArgs {
    #[command(flatten)]
    common: MergedOutputArgs,
    /// Write KTAP to FILE, for tools of kernel developers
    #[arg(long, value_name = "FILE")]
    ktap: Option<PathBuf>,
    /// Write KCIDB JSON to FILE, for the database of KernelCI
    #[arg(long, value_name = "FILE")]
    kcidb: Option<PathBuf>,
    /// Write the table of claims and filesystems to FILE as an SVG picture
    #[arg(long, value_name = "FILE")]
    svg: Option<PathBuf>,
}

/// Makes a report from results.
type Format<R> = fn(&R) -> Result<String, Error>;

/// Report files that are open for writing. An existing file is replaced only when its report is
/// complete.
pub struct OpenFiles<R> {
    files: Vec<(AtomicFile, Format<R>)>,
    page: Option<PathBuf>,
}

impl OutputArgs {
    /// Opens all files, so that a path that cannot be written is reported before the run.
    ///
    /// # Errors
    /// If a file cannot be written.
    pub fn open(&self) -> Result<OpenFiles<Results>, Error> {
        let MergedOutputArgs { page: PageArg { output }, json: JsonArg { json }, junit } = &self.common;
        let page: Format<Results> = |run| Ok(report::html_page(&run.clone().into())?);
        OpenFiles::new(
            output,
            [
                (output, page),
                (json, |run| Ok(report::json(run)?)),
                (junit, |run| Ok(report::junit(run)?)),
                (&self.ktap, |run| Ok(report::ktap(run))),
                (&self.kcidb, |run| Ok(report::kcidb(run)?)),
                (&self.svg, |run| Ok(report::svg_table(run))),
            ],
        )
    }

    /// The formats that can describe several runs.
    fn for_several_runs(&self) -> Result<&MergedOutputArgs, Error> {
        match (&self.ktap, &self.kcidb, &self.svg) {
            (None, None, None) => Ok(&self.common),
            _ => Err(Error::Usage(
                "failed to report as KTAP, KCIDB or SVG: these formats describe a single run; name its results.jsonl"
                    .to_string(),
            )),
        }
    }
}

impl MergedOutputArgs {
    /// Opens all files, so that a path that cannot be written is reported before the run.
    ///
    /// # Errors
    /// If a file cannot be written.
    pub fn open(&self) -> Result<OpenFiles<ReportInput>, Error> {
        let MergedOutputArgs { page: PageArg { output }, json: JsonArg { json }, junit } = self;
        let page: Format<ReportInput> = |input| Ok(report::html_page(input)?);
        OpenFiles::new(
            output,
            [
                (output, page),
                (json, |input| Ok(report::merged_json(input)?)),
                (junit, |input| Ok(report::merged_junit(&input.merged)?)),
            ],
        )
    }
}

impl<R> OpenFiles<R> {
    fn new<const N: usize>(page: &Option<PathBuf>, all: [(&Option<PathBuf>, Format<R>); N]) -> Result<Self, Error> {
        let requested = all.into_iter().filter_map(|(path, format)| Some((path.as_ref()?, format)));
        let files =
            requested.map(|(path, format)| Ok((AtomicFile::new(path)?, format))).collect::<Result<_, Error>>()?;
        Ok(OpenFiles { files, page: page.clone() })
    }

    /// Writes all reports and prints the path of the HTML page.
    ///
    /// # Errors
    /// If a report cannot be made or written.
    pub fn write(self, results: &R) -> Result<(), Error> {
        self.files.into_iter().try_for_each(|(file, format)| Ok::<_, Error>(file.write(&format(results)?)?))?;
        self.page.iter().for_each(|page| println!("HTML page: {}", page.display()));
        Ok(())
    }
}

pub fn run(options: &Options) -> Result<Exit, Error> {
    match (&options.command, &options.run) {
        (Some(Command::Merge { runs, expect, output }), _) => merge(runs, expect.as_deref(), output),
        (None, Some(path)) => report_on(path, &options.output),
        // clap requires one of them.
        (None, None) => Err(Error::Usage("failed to report: no results are named; name a run directory".to_string())),
    }
}

fn merge(paths: &[PathBuf], expect: Option<&Path>, output: &MergedOutputArgs) -> Result<Exit, Error> {
    let (files, style) = (output.open()?, display::style());
    paths.iter().try_for_each(|path| require_results(path))?;
    let mut input = ReportInput::read(paths)?;
    if let Some(path) = expect {
        input.merged.expect(&read_expected(path)?);
    }
    let ReportInput { merged, bisections, benches, coverages } = &input;
    for results in benches {
        println!("{}", bench_table::table(results, &style));
    }
    for bisection in bisections {
        bisection.steps.iter().for_each(|step| println!("{}", bisect::format_step(step)));
        println!();
        print_result(bisection);
    }
    coverages.iter().for_each(|coverage| println!("{}", coverage::to_text(coverage)));
    if !merged.is_empty() {
        println!("{}", report::summary_table(merged, &style));
        println!("{}", Tally::from_merged(merged));
    }
    files.write(&input)?;
    Ok(input.exit())
}

/// Reads the runs that `vremount matrix --list` printed.
fn read_expected(path: &Path) -> Result<Vec<Expected>, Error> {
    #[derive(Deserialize)]
    struct Jobs {
        include: Vec<Expected>,
    }
    let text = fs::read(path).map_err(io_error("read", path))?;
    let jobs: Jobs = serde_json::from_slice(&text).map_err(|cause| {
        let path = path.display();
        Error::Usage(format!(
            "failed to understand {path}: {cause}; name a file with the output of `vremount matrix --list`"
        ))
    })?;
    Ok(jobs.include)
}

/// Refuses a file that is not JSON, so that a wrong path is distinguished from damaged results. All
/// result files begin with an object.
///
/// # Errors
/// If `path`, or a result file in the directory `path`, begins with something else, or cannot be
/// read.
fn require_results(path: &Path) -> Result<(), Error> {
    let in_directory = [results::LOG_FILE, bisect::LOG_FILE, coverage::FILE, bench::FILE].map(|name| path.join(name));
    let files = [path.to_path_buf()].into_iter().chain(in_directory).filter(|file| file.is_file());
    for file in files {
        let mut start = Vec::new();
        File::open(&file)
            .and_then(|opened| opened.take(4096).read_to_end(&mut start))
            .map_err(io_error("read", &file))?;
        if start.trim_ascii_start().first().is_some_and(|byte| *byte != b'{') {
            return Err(Error::Usage(format!(
                "failed to report on {}: it has no results of vremount; name a directory below target/runs/, or a \
                 file that `vremount bench --json` wrote",
                file.display()
            )));
        }
    }
    Ok(())
}

fn report_on(path: &Path, output: &OutputArgs) -> Result<Exit, Error> {
    require_results(path)?;
    match InputKind::from_path(path) {
        Some(InputKind::Run) if matches!(RunOutcome::read(results_dir(path))?, RunOutcome::Ran(_)) => {
            report_on_run(results_dir(path), output)
        }
        // The error for a run that does not exist is the one that helps most.
        None if !path.exists() => report_on_run(path, output),
        _ => merge(&[path.to_path_buf()], None, output.for_several_runs()?),
    }
}

fn report_on_run(run: &Path, output: &OutputArgs) -> Result<Exit, Error> {
    let (files, style) = (output.open()?, display::style());
    let (results, is_torn) = Results::read(run)?;
    if is_torn {
        eprintln!("note: the last line of results.jsonl is incomplete and is ignored");
    }
    println!("{}\n", results.plan.title());
    for (case, record) in results.cases() {
        println!(
            "{}",
            record.map_or_else(|| report::missing_case_line(case, &style), |record| report::case_line(record, &style))
        );
    }
    println!("\n{}", report::filesystem_table(&results, &style));
    let tally = Tally::from_results(&results);
    println!("{tally}");
    files.write(&results)?;
    Ok(tally.exit_code())
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::text("hello\n", false)]
    #[case::list("[]", false)]
    #[case::binary("\u{7f}ELF", false)]
    #[case::results("{\"schema\":1", true)]
    #[case::run_that_did_not_start("", true)]
    fn only_files_with_results_are_accepted(
        #[case] text: &str,
        #[case] expected: bool,
        #[values("results.jsonl", "bisect.jsonl", "coverage.json", "bench.json")] name: &str,
    ) {
        let run = tempfile::tempdir().unwrap();
        fs::write(run.path().join(name), text).unwrap();
        assert_eq!(require_results(run.path()).is_ok(), expected);
        assert_eq!(require_results(&run.path().join(name)).is_ok(), expected);
    }
}

// SPDX-License-Identifier: MIT OR Apache-2.0
//! `vremount report`, and the reports that it has in common with `vremount verify` and `vremount matrix`.

use std::fs;
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use serde::Deserialize;
use vremount_analysis::{bisect, coverage};
use vremount_claims::exit::Exit;
use vremount_report as report;
use vremount_report::input::{Kind, ReportInput, folder};
use vremount_report::{Style, bench_table};
use vremount_runner::results::{Expected, Results, RunOutcome, Tally};
use vremount_util::atomic_file::AtomicFile;
use vremount_util::io_error;

use crate::commands::bisect::tell;
use crate::error::Error;

/// Reports on what a command left behind, also on what was interrupted. Exits as that would have.
#[derive(Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub struct Options {
    /// The folder of a run, a bench, a bisection or a coverage, below target/runs/; a folder of such; or what `bench --json` wrote
    #[arg(required = true)]
    run: Option<PathBuf>,
    #[command(flatten)]
    files: OutputArgs,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Subcommand)]
enum Command {
    /// Join the results of many: runs on all bases and executors, shards, coverages, benches, bisections
    ///
    /// A case that is in two of them is refused. What is missing, and what nobody can tell, is told, and exits with 125.
    Merge {
        /// Each as `vremount report` takes one
        #[arg(required = true)]
        runs: Vec<PathBuf>,
        /// What there has to be: what `vremount matrix --list` printed
        #[arg(long, value_name = "FILE")]
        expect: Option<PathBuf>,
        #[command(flatten)]
        files: MergedOutputArgs,
    },
}

/// Reports on any number of runs.
#[derive(Args)]
pub struct MergedOutputArgs {
    /// Write all of it to this file, as a page for people: one file of HTML, with every transcript and console log
    #[arg(short = 'o', long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Write all of it to this file, for programs
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Write JUnit XML, for CI services, to this file
    #[arg(long, value_name = "FILE")]
    junit: Option<PathBuf>,
}

/// Reports on a run.
#[derive(Args)]
pub struct OutputArgs {
    #[command(flatten)]
    common: MergedOutputArgs,
    /// Write KTAP, for kernel developers' tools, to this file
    #[arg(long, value_name = "FILE")]
    ktap: Option<PathBuf>,
    /// Write what KernelCI's database takes to this file
    #[arg(long, value_name = "FILE")]
    kcidb: Option<PathBuf>,
}

type Format<R> = fn(&R) -> Result<String, Error>;

/// Files that can be written.
pub struct Open<R> {
    files: Vec<(AtomicFile, Format<R>)>,
    page: Option<PathBuf>,
}

impl OutputArgs {
    /// # Errors
    /// If one of them cannot be written.
    pub fn open(&self) -> Result<Open<Results>, Error> {
        let MergedOutputArgs { output, json, junit } = &self.common;
        let page: Format<Results> = |run| Ok(report::page(&run.clone().into())?);
        Open::new(
            output,
            [
                (output, page),
                (json, |run| Ok(report::json(run)?)),
                (junit, |run| Ok(report::junit(run)?)),
                (&self.ktap, |run| Ok(report::ktap(run))),
                (&self.kcidb, |run| Ok(report::kcidb(run)?)),
            ],
        )
    }

    /// Those that are not about one run only.
    fn of_many(&self) -> Result<&MergedOutputArgs, Error> {
        match (&self.ktap, &self.kcidb) {
            (None, None) => Ok(&self.common),
            _ => Err(Error::Usage(
                "failed to report as KTAP or KCIDB: that is of one run; name its results.jsonl".to_string(),
            )),
        }
    }
}

impl MergedOutputArgs {
    /// # Errors
    /// If one of them cannot be written.
    pub fn open(&self) -> Result<Open<ReportInput>, Error> {
        let MergedOutputArgs { output, json, junit } = self;
        let page: Format<ReportInput> = |input| Ok(report::page(input)?);
        Open::new(
            output,
            [
                (output, page),
                (json, |all| Ok(report::merged_json(all)?)),
                (junit, |all| Ok(report::merged_junit(&all.merged)?)),
            ],
        )
    }
}

impl<R> Open<R> {
    fn new<const N: usize>(page: &Option<PathBuf>, all: [(&Option<PathBuf>, Format<R>); N]) -> Result<Self, Error> {
        let asked = all.into_iter().filter_map(|(path, format)| Some((path.as_ref()?, format)));
        let files = asked.map(|(path, format)| Ok((AtomicFile::new(path)?, format))).collect::<Result<_, Error>>()?;
        Ok(Open { files, page: page.clone() })
    }

    /// # Errors
    /// If one of them cannot be written.
    pub fn write(self, results: &R) -> Result<(), Error> {
        self.files.into_iter().try_for_each(|(file, format)| Ok::<_, Error>(file.write(&format(results)?)?))?;
        self.page.iter().for_each(|page| println!("the page is {}", page.display()));
        Ok(())
    }
}

pub fn run(options: &Options) -> Result<Exit, Error> {
    match (&options.command, &options.run) {
        (Some(Command::Merge { runs, expect, files }), _) => merge(runs, expect.as_deref(), files),
        (None, Some(path)) => report_on(path, &options.files),
        // The command line has one or the other.
        (None, None) => Err(Error::Usage("failed to find a run: name its folder".to_string())),
    }
}

fn merge(paths: &[PathBuf], expect: Option<&Path>, files: &MergedOutputArgs) -> Result<Exit, Error> {
    let files = files.open()?;
    let mut findings = ReportInput::read(paths)?;
    if let Some(path) = expect {
        findings.merged.expect(&expected(path)?);
    }
    let ReportInput { merged, bisections, benches, coverages } = &findings;
    for results in benches {
        println!("{}", bench_table::table(results, &Style::plain()));
    }
    for bisection in bisections {
        bisection.steps.iter().for_each(|step| println!("{}", bisect::line(step)));
        println!();
        tell(bisection);
    }
    coverages.iter().for_each(|coverage| println!("{}", coverage::text(coverage)));
    if !merged.is_empty() {
        println!("{}", report::across(merged, &Style::plain()));
        println!("{}", Tally::of_all(merged));
    }
    files.write(&findings)?;
    Ok(findings.exit())
}

fn expected(path: &Path) -> Result<Vec<Expected>, Error> {
    #[derive(Deserialize)]
    struct Jobs {
        include: Vec<Expected>,
    }
    let text = fs::read(path).map_err(io_error("read", path))?;
    let jobs: Result<Jobs, _> = serde_json::from_slice(&text);
    let why = |cause| format!("failed to understand {}: {cause}; `vremount matrix --list` prints such", path.display());
    jobs.map(|jobs| jobs.include).map_err(|cause| Error::Usage(why(cause)))
}

fn report_on(path: &Path, files: &OutputArgs) -> Result<Exit, Error> {
    match Kind::of(path) {
        Some(Kind::Run) if matches!(RunOutcome::read(folder(path))?, RunOutcome::Ran(_)) => {
            report_on_run(folder(path), files)
        }
        // Where there is nothing, it is a run that is missed.
        None if !path.exists() => report_on_run(path, files),
        _ => merge(&[path.to_path_buf()], None, files.of_many()?),
    }
}

fn report_on_run(run: &Path, files: &OutputArgs) -> Result<Exit, Error> {
    let files = files.open()?;
    let (results, torn) = Results::read(run)?;
    if torn {
        eprintln!("note: the last line of the log is torn, and left out");
    }
    println!("{}\n", results.plan.title());
    let style = Style::plain();
    for (case, record) in results.cases() {
        let line = record.map_or_else(|| report::missing(case, &style), |record| report::line(record, &style));
        println!("{line}");
    }
    println!("\n{}", report::matrix(&results, &style));
    let tally = Tally::of(&results);
    println!("{tally}");
    files.write(&results)?;
    Ok(tally.exit())
}

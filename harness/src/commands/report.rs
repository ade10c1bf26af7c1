// SPDX-License-Identifier: MIT OR Apache-2.0
//! `vremount report`, and the reports that it has in common with `vremount verify`.

use std::fs;
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use serde::Deserialize;

use crate::error::{Error, Exit};
use crate::report::{self, Tally, Whole};
use crate::results::{Expected, Merged, Outcome, Results};

/// Reports on a run, also on one that was interrupted. Exits as the run would have.
#[derive(Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub struct Options {
    /// Its folder, below target/runs/
    #[arg(required = true)]
    run: Option<PathBuf>,
    #[command(flatten)]
    files: Files,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Subcommand)]
enum Command {
    /// Join the results of many runs: of all bases and executors, and of shards
    ///
    /// A case that is in two of them is refused. What is missing, and what nobody can tell, is told, and exits with 125.
    Merge {
        /// Folders of runs
        #[arg(required = true)]
        runs: Vec<PathBuf>,
        /// What there has to be: what `vremount matrix --list` printed
        #[arg(long, value_name = "FILE")]
        expect: Option<PathBuf>,
        #[command(flatten)]
        files: MergedFiles,
    },
}

/// Reports on many runs, for programs.
#[derive(Args)]
pub struct MergedFiles {
    /// Write all of it to this file
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Write JUnit XML, for CI services, to this file
    #[arg(long, value_name = "FILE")]
    junit: Option<PathBuf>,
}

/// Reports for programs.
#[derive(Args)]
pub struct Files {
    /// Write all of it to this file
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Write JUnit XML, for CI services, to this file
    #[arg(long, value_name = "FILE")]
    junit: Option<PathBuf>,
    /// Write KTAP, for kernel developers' tools, to this file
    #[arg(long, value_name = "FILE")]
    ktap: Option<PathBuf>,
    /// Write what KernelCI's database takes to this file
    #[arg(long, value_name = "FILE")]
    kcidb: Option<PathBuf>,
}

type Format<R> = fn(&R) -> String;

/// Files that can be written.
pub struct Open<R>(Vec<(Whole, Format<R>)>);

impl Files {
    /// # Errors
    /// If one of them cannot be written.
    pub fn open(&self) -> Result<Open<Results>, Error> {
        Open::new([
            (&self.json, report::json),
            (&self.junit, report::junit),
            (&self.ktap, report::ktap),
            (&self.kcidb, report::kcidb),
        ])
    }
}

impl MergedFiles {
    /// # Errors
    /// If one of them cannot be written.
    pub fn open(&self) -> Result<Open<Merged>, Error> {
        Open::new([(&self.json, report::merged_json), (&self.junit, report::merged_junit)])
    }
}

impl<R> Open<R> {
    fn new<const N: usize>(all: [(&Option<PathBuf>, Format<R>); N]) -> Result<Self, Error> {
        let asked = all.into_iter().filter_map(|(path, format)| Some((path.as_ref()?, format)));
        Ok(Open(asked.map(|(path, format)| Ok((Whole::new(path)?, format))).collect::<Result<_, Error>>()?))
    }

    /// # Errors
    /// If one of them cannot be written.
    pub fn write(self, results: &R) -> Result<(), Error> {
        self.0.into_iter().try_for_each(|(file, format)| file.write(&format(results)))
    }
}

pub fn run(options: &Options) -> Result<Exit, Error> {
    match (&options.command, &options.run) {
        (Some(Command::Merge { runs, expect, files }), _) => merge(runs, expect.as_deref(), files),
        (None, Some(run)) => report_on(run, &options.files),
        // The command line has one or the other.
        (None, None) => Err(Error::Usage("failed to find a run: name its folder".to_string())),
    }
}

fn merge(runs: &[PathBuf], expect: Option<&Path>, files: &MergedFiles) -> Result<Exit, Error> {
    let files = files.open()?;
    let outcomes = runs.iter().map(|run| Ok((run.clone(), Outcome::read(run)?))).collect::<Result<_, Error>>()?;
    let mut merged = Merged::of(outcomes)?;
    if let Some(path) = expect {
        merged.expect(&expected(path)?);
    }
    println!("{}", report::across(&merged));
    let tally = Tally::of_all(&merged);
    println!("{tally}");
    files.write(&merged)?;
    Ok(tally.exit())
}

fn expected(path: &Path) -> Result<Vec<Expected>, Error> {
    #[derive(Deserialize)]
    struct Jobs {
        include: Vec<Expected>,
    }
    let text = fs::read(path).map_err(Error::io("read", path))?;
    let jobs: Result<Jobs, _> = serde_json::from_slice(&text);
    let why = |cause| format!("failed to understand {}: {cause}; `vremount matrix --list` prints such", path.display());
    jobs.map(|jobs| jobs.include).map_err(|cause| Error::Usage(why(cause)))
}

fn report_on(run: &Path, files: &Files) -> Result<Exit, Error> {
    let files = files.open()?;
    if let Outcome::NotRun(word) = Outcome::read(run)? {
        println!("cannot tell: {}: {}", word.title(), word.cannot_tell);
        return Ok(Exit::CannotTell);
    }
    let (results, torn) = Results::read(run)?;
    if torn {
        eprintln!("note: the last line of the log is torn, and left out");
    }
    println!("{}\n", results.plan.title());
    for (case, record) in results.cases() {
        println!("{}", record.map_or_else(|| report::missing(case), report::line));
    }
    println!("\n{}", report::matrix(&results));
    let tally = Tally::of(&results);
    println!("{tally}");
    files.write(&results)?;
    Ok(tally.exit())
}

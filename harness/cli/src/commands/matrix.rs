// SPDX-License-Identifier: MIT OR Apache-2.0
//! `vremount matrix`

use clap::Args;
use serde_json::json;
use vremount_claims::exit::Exit;
use vremount_claims::verdict::Verdict;
use vremount_kernel::base::Base;
use vremount_kernel::workspace::Workspace;
use vremount_machine::ExecutorChoice;
use vremount_report as report;
use vremount_runner::case_runner::CaseResult;
use vremount_runner::matrix::config::MatrixConfig;
use vremount_runner::matrix::{self, Job, JobObserver};
use vremount_runner::results::{Record, Results, Tally};
use vremount_util::progress::{self, Task};

use crate::args::{self, BaseNamesArg, JobsArg, heading};
use crate::commands::report::MergedOutputArgs;
use crate::commands::{CANNOT_TELL, WRONG_COMMAND_LINE, exit_codes};
use crate::display;
use crate::error::Error;
use crate::run_setup::LockedWorkspace;

/// Check the claims on many kernels
///
/// ci/matrix.toml defines what is checked: every claim on every filesystem under User Mode Linux,
/// and the core of the claims under QEMU. Prints one table with a column for each base and
/// executor. A base that cannot be fetched, built or booted is listed below the table and does not
/// stop the others.
#[derive(Args)]
#[command(after_long_help = exit_codes(&[
    (0, "every claim holds or is skipped"),
    (1, "a claim is broken"),
    (2, WRONG_COMMAND_LINE),
    (125, CANNOT_TELL),
]))]
pub struct Options {
    #[command(flatten)]
    bases: BaseNamesArg,
    /// Use only bases whose source stays available: those from a suite that is frozen in
    /// ci/matrix.toml
    #[arg(long, help_heading = heading::KERNEL)]
    frozen: bool,
    /// List the jobs as JSON, for a CI service that runs each of them, and run none
    #[arg(long, help_heading = heading::SELECTION, conflicts_with_all = ["output", "json", "junit"])]
    list: bool,
    /// Executor that runs the machines; can be repeated [default: all of ci/matrix.toml]
    #[arg(long = "executor", value_name = "EXECUTOR", value_parser = args::executor(),
        help_heading = heading::EXECUTION)]
    executors: Vec<ExecutorChoice>,
    #[command(flatten)]
    jobs: JobsArg,
    #[command(flatten)]
    output: MergedOutputArgs,
}

pub fn run(options: &Options) -> Result<Exit, Error> {
    let workspace = LockedWorkspace::open()?;
    let config = MatrixConfig::read(&workspace.root)?;
    let bases = options.select_bases(&workspace, &config)?;
    let mut entries = config.entries;
    entries.retain(|entry| options.executors.is_empty() || options.executors.contains(&entry.executor));
    let jobs = matrix::plan_jobs(&bases, &entries);
    if jobs.is_empty() {
        return Err(Error::Usage(
            "failed to find anything to check: no selected base is frozen, or ci/matrix.toml has no entry for the \
             executor; see ci/bases.toml and ci/matrix.toml"
                .to_string(),
        ));
    }
    if options.list {
        let entry = |job: &Job<'_>| {
            let (base, executor) = (&job.base.name, job.entry.executor.name());
            json!({"base": base, "executor": executor, "arch": job.arch().name()})
        };
        println!("{}", json!({"include": jobs.iter().map(entry).collect::<Vec<_>>()}));
        return Ok(Exit::Success);
    }
    let files = options.output.open()?;
    let merged = matrix::run_jobs(&workspace, &jobs, options.jobs.jobs, &mut MatrixProgress::new(jobs.len()))?;
    println!("\n{}", report::summary_table(&merged, &display::style()));
    let tally = Tally::from_merged(&merged);
    println!("{tally}; transcripts and console logs are in {}", workspace.root.join("target/runs").display());
    files.write(&merged.into())?;
    Ok(tally.exit_code())
}

impl Options {
    fn select_bases(&self, workspace: &Workspace, config: &MatrixConfig) -> Result<Vec<Base>, Error> {
        let names = &self.bases.bases;
        let mut bases = Base::all(&workspace.root)?;
        // An unknown name is an error.
        names.iter().try_for_each(|name| Base::find(&workspace.root, Some(name)).map(drop))?;
        bases.retain(|base| names.is_empty() || names.contains(&base.name));
        bases.retain(|base| !self.frozen || config.is_frozen(base));
        Ok(bases)
    }
}

/// Prints broken and undecided cases, and a line for each complete job.
pub struct MatrixProgress(Task);

impl MatrixProgress {
    /// Shows a bar of `jobs` jobs.
    #[must_use]
    pub fn new(jobs: usize) -> Self {
        MatrixProgress(progress::start_with_total("bases and executors", jobs))
    }
}

impl JobObserver for MatrixProgress {
    fn case_finished(&mut self, job: Job<'_>, case_result: &CaseResult) {
        if matches!(case_result.verdict_detail.verdict, Verdict::Broken | Verdict::CannotTell) {
            display::print_line(&format!(
                "{} {}",
                title(job),
                report::case_line(&Record::new(case_result), &display::style())
            ));
        }
    }

    fn job_finished(&mut self, job: Job<'_>, outcome: &Result<Results, vremount_runner::Error>) {
        self.0.advance();
        display::print_line(&match outcome {
            Ok(results) => format!("{}: {}", title(job), Tally::from_results(results)),
            Err(error) => format!("{}: cannot tell: {error}", title(job)),
        });
    }
}

fn title(job: Job<'_>) -> String {
    format!("{} {}", job.base.name, job.entry.executor.name())
}

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
use vremount_runner::matrix::config::{MatrixConfig, MatrixEntry};
use vremount_runner::matrix::{self, Job, JobObserver};
use vremount_runner::results::{Record, Results, Tally};
use vremount_util::progress::{self, Task};

use crate::commands::report::MergedOutputArgs;
use crate::error::Error;
use crate::{args, display};

/// Every claim on every filesystem under User Mode Linux, the core of them under QEMU (ci/matrix.toml); one table in the
/// end. A base that cannot be had or built is told, and hides no other.
#[derive(Args)]
pub struct Options {
    /// This base only; may be given more than once [default: all of ci/bases.toml]
    #[arg(long = "base", value_name = "NAME")]
    bases: Vec<String>,
    /// Only bases whose source can always be had
    #[arg(long)]
    frozen: bool,
    /// On this executor only; may be given more than once
    #[arg(long = "executor", value_name = "EXECUTOR", value_parser = args::executor())]
    executors: Vec<ExecutorChoice>,
    /// Machines side by side, as far as memory allows [default: cores]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    jobs: Option<u16>,
    /// Prove nothing: print what would be, as JSON for a CI service to fan out over
    #[arg(long, conflicts_with_all = ["output", "json", "junit"])]
    list: bool,
    #[command(flatten)]
    files: MergedOutputArgs,
}

pub fn run(options: &Options) -> Result<Exit, Error> {
    let workspace = Workspace::find()?;
    let MatrixConfig { entries, .. } = MatrixConfig::read(&workspace.root)?;
    let wanted = |entry: &MatrixEntry| options.executors.is_empty() || options.executors.contains(&entry.executor);
    let entries: Vec<MatrixEntry> = entries.into_iter().filter(wanted).collect();
    let bases = options.bases(&workspace)?;
    let jobs = matrix::plan_jobs(&bases, &entries);
    if jobs.is_empty() {
        return Err(Error::Usage(
            "failed to find anything to prove: no base is frozen, or no lane is on that executor; \
                                 see ci/bases.toml and ci/matrix.toml"
                .to_string(),
        ));
    }
    if options.list {
        let job = |job: &Job<'_>| json!({"base": job.base.name, "executor": job.entry.executor.name(), "arch": job.arch().name()});
        println!("{}", json!({"include": jobs.iter().map(job).collect::<Vec<_>>()}));
        return Ok(Exit::Success);
    }
    let files = options.files.open()?;
    let _cache = workspace.lock_cache_shared()?;
    let merged = matrix::run(&workspace, &jobs, options.jobs, &mut MatrixProgress::new(jobs.len()))?;
    println!("\n{}", report::across(&merged, &report::Style::plain()));
    let tally = Tally::of_all(&merged);
    println!("{tally}; logs, transcripts and consoles are in {}", workspace.root.join("target/runs").display());
    files.write(&merged.into())?;
    Ok(tally.exit())
}

impl Options {
    fn bases(&self, workspace: &Workspace) -> Result<Vec<Base>, Error> {
        let entries = MatrixConfig::read(&workspace.root)?;
        let mut bases = Base::all(&workspace.root)?;
        if !self.bases.is_empty() {
            for name in &self.bases {
                Base::find(&workspace.root, Some(name))?;
            }
            bases.retain(|base| self.bases.contains(&base.name));
        }
        bases.retain(|base| !self.frozen || entries.is_frozen(base));
        Ok(bases)
    }
}

/// What needs looking at, and a line for each job.
pub struct MatrixProgress(Task);

impl MatrixProgress {
    #[must_use]
    pub fn new(jobs: usize) -> Self {
        MatrixProgress(progress::count("bases and executors", jobs))
    }
}

impl JobObserver for MatrixProgress {
    fn case_result(&mut self, job: Job<'_>, case_result: &CaseResult) {
        if matches!(case_result.judgement.verdict, Verdict::Broken | Verdict::CannotTell) {
            display::line(&format!(
                "{} {}",
                title(job),
                report::line(&Record::new(case_result), &report::Style::plain())
            ));
        }
    }

    fn done(&mut self, job: Job<'_>, outcome: &Result<Results, vremount_runner::Error>) {
        self.0.advance();
        display::line(&match outcome {
            Ok(results) => format!("{}: {}", title(job), Tally::of(results)),
            Err(error) => format!("{}: cannot tell: {error}", title(job)),
        });
    }
}

fn title(job: Job<'_>) -> String {
    format!("{} {}", job.base.name, job.entry.executor.name())
}

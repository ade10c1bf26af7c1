// SPDX-License-Identifier: MIT OR Apache-2.0
//! `vremount coverage`

use std::path::PathBuf;

use clap::Args;
use vremount_analysis::coverage::{self, Coverage};
use vremount_claims::exit::Exit;
use vremount_claims::filter;
use vremount_kernel::base::Base;
use vremount_kernel::workspace::Workspace;
use vremount_machine::ExecutorChoice;
use vremount_report as report;
use vremount_report::input::ReportInput;
use vremount_runner::results::RunOptions;
use vremount_runner::scheduler::jobs;
use vremount_runner::session::Session;
use vremount_runner::testbed::RunSpec;
use vremount_util::atomic_file::AtomicFile;

use crate::args::{self, FilterArgs};
use crate::commands::verify::shown;
use crate::error::Error;

#[derive(Args)]
pub struct Options {
    /// Kernel base, from ci/bases.toml [default: the one named there]
    #[arg(long, value_name = "NAME")]
    base: Option<String>,
    #[command(flatten)]
    filters: FilterArgs,
    /// What machines run on
    #[arg(long, value_parser = args::executor(), default_value = "uml")]
    executor: ExecutorChoice,
    /// Machines side by side, as far as memory allows [default: cores]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    jobs: Option<u16>,
    /// Write the lines of the series to this file, as a page for people: how often each was executed, and each of its branches
    #[arg(short = 'o', long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Write all of it to this file, for programs
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

pub fn run(options: &Options) -> Result<Exit, Error> {
    let workspace = Workspace::find()?;
    let base = Base::find(&workspace.root, options.base.as_deref())?;
    let claims = options.filters.filters().claims(&base)?;
    let filesystems = options.filters.filters().filesystems();
    let cases = filter::cases(&claims, &filesystems);
    let page = options.output.as_deref().map(AtomicFile::new).transpose()?;
    let json = options.json.as_deref().map(AtomicFile::new).transpose()?;
    let _cache = workspace.lock_cache_shared()?;
    let kernel = coverage::kernel(&base);
    let run_spec = RunSpec { aside: Some(coverage::FRAGMENT), ..RunSpec::new(kernel, &filesystems, options.executor) };
    let how = RunOptions { faults: true, twice: false, fresh: false };
    let mut session = Session::start(&workspace, &run_spec, how, &cases)?;
    let jobs = jobs(options.jobs, session.testbed.kernel.memory_mib());
    session.run(jobs, shown(cases.len(), jobs, false))?;
    let coverage = Coverage::of(&workspace, &kernel, &session)?;
    print!("{}", coverage::text(&coverage));
    let text = coverage.json()?;
    AtomicFile::new(&session.testbed.logs.join(coverage::FILE))?.write(&text)?;
    json.map_or(Ok(()), |json| json.write(&text))?;
    let exit = coverage::exit(&coverage);
    if let Some(page) = page {
        page.write(&report::page(&ReportInput { coverages: vec![coverage], ..ReportInput::default() })?)?;
    }
    Ok(exit)
}

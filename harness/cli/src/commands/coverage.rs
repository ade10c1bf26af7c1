// SPDX-License-Identifier: MIT OR Apache-2.0
//! `vremount coverage`

use clap::Args;
use vremount_analysis::coverage::{self, Coverage};
use vremount_claims::exit::Exit;
use vremount_report as report;
use vremount_report::input::ReportInput;
use vremount_runner::results::RunOptions;
use vremount_runner::scheduler::job_count;
use vremount_runner::testbed::RunSpec;
use vremount_util::atomic_file::AtomicFile;

use crate::args::{BaseNameArg, ExecutorArg, FilterArgs, JobsArg, JsonArg, PageArg};
use crate::commands::verify::case_printer;
use crate::commands::{CANNOT_TELL, WRONG_COMMAND_LINE, exit_codes};
use crate::error::Error;
use crate::run_setup::RunSetup;

/// Show which lines and branches of the series the claims execute
///
/// Checks the claims on a kernel that counts with gcov how often each line and branch of overlayfs
/// is executed. Prints the lines and branches that the series adds and no claim executes. A line or
/// branch that cannot be executed is listed, with the reason, in patches/unexecuted.toml; an entry
/// that matches an executed line is an error.
#[derive(Args)]
#[command(after_long_help = exit_codes(&[
    (0, "everything is executed or listed with a reason"),
    (1, "something is not, a listed line is executed, or a claim is broken"),
    (2, WRONG_COMMAND_LINE),
    (125, CANNOT_TELL),
]))]
pub struct Options {
    #[command(flatten)]
    base: BaseNameArg,
    #[command(flatten)]
    filters: FilterArgs,
    #[command(flatten)]
    executor: ExecutorArg<true>,
    #[command(flatten)]
    jobs: JobsArg,
    #[command(flatten)]
    page: PageArg,
    #[command(flatten)]
    json: JsonArg,
}

pub fn run(options: &Options) -> Result<Exit, Error> {
    let setup = RunSetup::open_named(options.base.base.as_deref())?;
    let selection = setup.select(&options.filters.filters())?;
    let cases = selection.cases();
    let page = options.page.output.as_deref().map(AtomicFile::new).transpose()?;
    let json = options.json.json.as_deref().map(AtomicFile::new).transpose()?;
    let kernel = coverage::kernel(&setup.base);
    let run_spec = RunSpec {
        subdirectory: Some(coverage::FRAGMENT),
        ..RunSpec::new(kernel, &selection.filesystems, options.executor.executor)
    };
    let run_options = RunOptions { faults: true, twice: false, fresh: false };
    let mut session = setup.session(&run_spec, run_options, &cases)?;
    let jobs = job_count(options.jobs.jobs, session.testbed.kernel.memory_mib());
    session.run(jobs, case_printer(cases.len(), jobs, false))?;
    let coverage = Coverage::measure(&setup.workspace, &kernel, &session)?;
    print!("{}", coverage::to_text(&coverage));
    let text = coverage.to_json()?;
    AtomicFile::new(&session.testbed.run_dir.join(coverage::FILE))?.write(&text)?;
    json.map_or(Ok(()), |json| json.write(&text))?;
    let exit = coverage::exit(&coverage);
    if let Some(page) = page {
        page.write(&report::html_page(&ReportInput { coverages: vec![coverage], ..ReportInput::default() })?)?;
    }
    Ok(exit)
}

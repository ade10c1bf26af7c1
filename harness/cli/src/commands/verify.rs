// SPDX-License-Identifier: MIT OR Apache-2.0
//! `vremount verify`

use clap::Args;
use vremount_claims::exit::Exit;
use vremount_claims::filter;
use vremount_claims::shard::Shard;
use vremount_claims::verdict::Verdict;
use vremount_machine::ExecutorChoice;
use vremount_report as report;
use vremount_runner::case_runner::CaseResult;
use vremount_runner::results::{Record, RunOptions, Tally};
use vremount_runner::scheduler::job_count;
use vremount_runner::testbed::RunSpec;
use vremount_util::progress;

use crate::args::{ExecutorArg, FilterArgs, JobsArg, KernelArgs, heading};
use crate::commands::report::OutputArgs;
use crate::commands::{CANNOT_TELL, WRONG_COMMAND_LINE, exit_codes};
use crate::display;
use crate::error::Error;
use crate::run_setup::RunSetup;

/// Build and boot a kernel and check the claims
///
/// A case is one claim on one filesystem. Each case runs in a machine; its result, transcript and
/// console log go to a directory below target/runs/. At the end a table of all verdicts is printed.
/// With one filesystem, each case is a line with outcome, errno, reason and time instead. Kernels
/// are cached: no kernel is built twice.
#[derive(Args)]
#[command(after_long_help = exit_codes(&[
    (0, "every claim holds or is skipped"),
    (1, "a claim is broken"),
    (2, WRONG_COMMAND_LINE),
    (125, CANNOT_TELL),
]))]
pub struct Options {
    #[command(flatten)]
    kernel: KernelArgs,
    #[command(flatten)]
    filters: FilterArgs,
    /// Run part K of N only; a case belongs to a part by the hash of its claim and filesystem;
    /// `vremount report merge` joins the parts
    #[arg(long, value_name = "K/N", help_heading = heading::SELECTION)]
    shard: Option<Shard>,
    /// List the selected cases and run none: claim, filesystem, tag, faults, level from which the
    /// claim holds, and why a case is skipped
    #[arg(long, help_heading = heading::SELECTION,
        conflicts_with_all = ["resume", "output", "json", "junit", "ktap", "kcidb", "svg"])]
    list: bool,
    #[command(flatten)]
    executor: ExecutorArg<false>,
    #[command(flatten)]
    jobs: JobsArg,
    /// Continue the last run of this kernel, which was interrupted: run the missing cases only;
    /// needs the same options
    #[arg(long, help_heading = heading::EXECUTION)]
    resume: bool,
    /// Give every claim a machine of its own; without this, claims share machines where booting is
    /// slow
    #[arg(long, help_heading = heading::EXECUTION)]
    fresh: bool,
    /// Test the harness: run each case twice and compare transcripts and console logs byte for byte
    /// (User Mode Linux only)
    #[arg(long, help_heading = heading::EXECUTION)]
    twice: bool,
    /// Test the harness: inject no faults; every claim about a fault must end as `cannot tell`
    #[arg(long, help_heading = heading::EXECUTION)]
    no_faults: bool,
    #[command(flatten)]
    output: OutputArgs,
}

pub fn run(options: &Options) -> Result<Exit, Error> {
    let setup = RunSetup::open(options.kernel.spec().as_ref())?;
    let selection = setup.select(&options.filters.filters())?;
    let mut cases = selection.cases();
    cases.retain(|case| options.shard.is_none_or(|shard| shard.contains(case.claim.name, case.fs)));
    if options.list {
        cases.iter().for_each(|case| println!("{}", filter::format_case(case)));
        return Ok(Exit::Success);
    }
    let executor = options.executor.executor;
    if options.twice && executor == ExecutorChoice::Qemu {
        return Err(not_deterministic("qemu"));
    }
    let files = options.output.open()?;
    let (kernel, filesystems) = (options.kernel.kernel(&setup.base), selection.filesystems.as_slice());
    let run_spec =
        RunSpec { resume: options.resume, shard: options.shard, ..RunSpec::new(kernel, filesystems, executor) };
    let run_options = RunOptions { faults: !options.no_faults, twice: options.twice, fresh: options.fresh };
    let mut session = setup.session(&run_spec, run_options, &cases)?;
    let testbed = &session.testbed;
    if options.twice && testbed.accel.is_some() {
        return Err(not_deterministic(testbed.executor.name()));
    }
    println!("{}: {}\n", session.log.results().plan.title(), testbed.executor_reason);
    if options.resume {
        println!("resumed: {} of {} cases are complete\n", cases.len() - session.remaining_cases.len(), cases.len());
    }
    let jobs = job_count(options.jobs.jobs, testbed.kernel.memory_mib());
    let print = case_printer(session.remaining_cases.len(), jobs, filesystems.len() == 1);
    session.run(jobs, print)?;
    let results = session.log.results();
    if filesystems.len() > 1 {
        println!("{}", report::filesystem_table(results, &display::style()));
    }
    let tally = Tally::from_results(results);
    println!("\n{tally}; transcripts and console logs are in {}", session.testbed.run_dir.display());
    files.write(results)?;
    Ok(tally.exit_code())
}

/// Returns a function that prints the results of cases and advances a bar of `total` cases. It
/// prints every case if `print_all`, else those that are broken or undecided.
pub(super) fn case_printer(total: usize, jobs: usize, print_all: bool) -> impl FnMut(&CaseResult) {
    let bar = progress::start_with_total("checking", total);
    let (mut complete, mut broken) = (0, 0);
    move |case_result| {
        let verdict = case_result.verdict_detail.verdict;
        if print_all || matches!(verdict, Verdict::Broken | Verdict::CannotTell) {
            display::print_line(&report::case_line(&Record::new(case_result), &display::style()));
        }
        bar.advance();
        complete += 1;
        broken += usize::from(verdict == Verdict::Broken);
        bar.rename(format!("{} running, {broken} broken", jobs.min(total - complete)));
    }
}

fn not_deterministic(executor: &str) -> Error {
    Error::Usage(format!(
        "failed to compare two runs under {executor}: they differ, because its clock is that of the host; use \
         --executor uml"
    ))
}

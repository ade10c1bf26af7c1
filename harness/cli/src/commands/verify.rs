// SPDX-License-Identifier: MIT OR Apache-2.0
//! `vremount verify`

use clap::Args;
use vremount_claims::exit::Exit;
use vremount_claims::filter;
use vremount_claims::shard::Shard;
use vremount_claims::verdict::Verdict;
use vremount_kernel::workspace::Workspace;
use vremount_machine::ExecutorChoice;
use vremount_report as report;
use vremount_runner::case_runner::CaseResult;
use vremount_runner::results::{Record, RunOptions, Tally};
use vremount_runner::scheduler::jobs;
use vremount_runner::session::Session;
use vremount_runner::testbed::RunSpec;
use vremount_util::progress;

use crate::args::FilterArgs;
use crate::commands::KernelArgs;
use crate::commands::report::OutputArgs;
use crate::error::Error;
use crate::{args, display};

#[derive(Args)]
pub struct Options {
    #[command(flatten)]
    which: KernelArgs,
    #[command(flatten)]
    filters: FilterArgs,
    /// List what would be proved, and prove nothing: claim, filesystem, tag, faults, level from which it holds
    #[arg(long, conflicts_with_all = ["resume", "output", "json", "junit", "ktap", "kcidb"])]
    list: bool,
    /// What machines run on
    #[arg(long, value_parser = args::executor(), default_value = "auto")]
    executor: ExecutorChoice,
    #[command(flatten)]
    files: OutputArgs,
    /// Go on with the last run of this kernel, which was interrupted: prove what is missing
    #[arg(long)]
    resume: bool,
    /// Prove part K of N only: every case is in one part, and stays there; `vremount report merge` joins the parts
    #[arg(long, value_name = "K/N")]
    shard: Option<Shard>,
    /// Machines side by side, as far as memory allows [default: cores]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    jobs: Option<u16>,
    /// Self-test: break nothing; every claim about a fault must end as `cannot tell`
    #[arg(long)]
    no_faults: bool,
    /// Prove each claim two times; transcripts and console logs must be the same, byte for byte (User Mode Linux only)
    #[arg(long)]
    twice: bool,
    /// A machine of its own for every claim, also where booting is slow
    #[arg(long)]
    fresh: bool,
}

pub fn run(options: &Options) -> Result<Exit, Error> {
    let workspace = Workspace::find()?;
    let base = options.which.base(&workspace)?;
    let claims = options.filters.filters().claims(&base)?;
    let filesystems = options.filters.filters().filesystems();
    let mut cases = filter::cases(&claims, &filesystems);
    cases.retain(|case| options.shard.is_none_or(|shard| shard.contains(case.claim.name, case.fs)));
    if options.list {
        cases.iter().for_each(|case| println!("{}", filter::line(case)));
        return Ok(Exit::Success);
    }
    if options.twice && options.executor == ExecutorChoice::Qemu {
        return Err(not_repeatable("qemu"));
    }
    let files = options.files.open()?;
    let _cache = workspace.lock_cache_shared()?;
    let Options { which, executor: wanted, resume, shard, .. } = options;
    let (kernel, filesystems) = (which.kernel(&base), filesystems.as_slice());
    let run_spec = RunSpec { resume: *resume, shard: *shard, ..RunSpec::new(kernel, filesystems, *wanted) };
    let how = RunOptions { faults: !options.no_faults, twice: options.twice, fresh: options.fresh };
    let mut session = Session::start(&workspace, &run_spec, how, &cases)?;
    let testbed = &session.testbed;
    if options.twice && testbed.accel.is_some() {
        return Err(not_repeatable(testbed.executor.name()));
    }
    println!("{}: {}\n", session.log.results().plan.title(), testbed.why);
    if *resume {
        println!("resumed: {} of {} are there\n", cases.len() - session.left.len(), cases.len());
    }
    let jobs = jobs(options.jobs, session.testbed.kernel.memory_mib());
    let show = shown(session.left.len(), jobs, filesystems.len() == 1);
    session.run(jobs, show)?;
    let results = session.log.results();
    if filesystems.len() > 1 {
        println!("{}", report::matrix(results, &report::Style::plain()));
    }
    let tally = Tally::of(results);
    println!("\n{tally}; transcripts and console logs are in {}", session.testbed.logs.display());
    files.write(results)?;
    Ok(tally.exit())
}

/// Shows proofs as they come: all of them, or those that need looking at, where many filesystems make a matrix in the end.
pub(super) fn shown(total: usize, jobs: usize, all: bool) -> impl FnMut(&CaseResult) {
    let bar = progress::count("proving", total);
    let (mut shown, mut broken) = (0, 0);
    move |case_result| {
        let verdict = case_result.judgement.verdict;
        if all || matches!(verdict, Verdict::Broken | Verdict::CannotTell) {
            display::line(&report::line(&Record::new(case_result), &report::Style::plain()));
        }
        bar.advance();
        shown += 1;
        broken += usize::from(verdict == Verdict::Broken);
        bar.rename(format!("{} running, {broken} broken", jobs.min(total - shown)));
    }
}

fn not_repeatable(executor: &str) -> Error {
    let way_out = "its time is the host's, and no two runs are the same; use --executor uml";
    Error::Usage(format!("failed to compare two runs under {executor}: {way_out}"))
}

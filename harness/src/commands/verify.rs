// SPDX-License-Identifier: MIT OR Apache-2.0
//! `vremount verify`

use clap::Args;

use super::Which;
use super::report::Files;
use crate::error::{Error, Exit};
use crate::lab::{Lab, Order, Wanted};
use crate::progress;
use crate::project::Project;
use crate::prove::{Case, MEMORY_MIB, Proof, Prover};
use crate::report::{self, Tally};
use crate::results::{How, Log, Plan, Record};
use crate::select::{self, Filters};
use crate::verdict::Verdict;
use crate::verify::{jobs, verify};

#[derive(Args)]
pub struct Options {
    #[command(flatten)]
    which: Which,
    #[command(flatten)]
    filters: Filters,
    /// List what would be proved, and prove nothing: claim, filesystem, tag, faults, level from which it holds
    #[arg(long, conflicts_with_all = ["resume", "json", "junit", "ktap", "kcidb"])]
    list: bool,
    /// What machines run on
    #[arg(long, value_enum, default_value_t = Wanted::Auto)]
    executor: Wanted,
    #[command(flatten)]
    files: Files,
    /// Go on with the last run of this kernel, which was interrupted: prove what is missing
    #[arg(long)]
    resume: bool,
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
    let project = Project::find()?;
    let base = options.which.base(&project)?;
    let claims = options.filters.claims(&base)?;
    let filesystems = options.filters.filesystems();
    let cases = select::cases(&claims, &filesystems);
    if options.list {
        cases.iter().for_each(|case| println!("{}", select::line(case)));
        return Ok(Exit::Holds);
    }
    if options.twice && options.executor == Wanted::Qemu {
        return Err(not_repeatable("qemu"));
    }
    let files = options.files.open()?;
    let _cache = project.use_cache()?;
    let Options { which, executor: wanted, .. } = options;
    let order =
        Order { base: &base, level: which.level, filesystems: &filesystems, wanted: *wanted, resume: options.resume };
    let lab = Lab::new(&project, &order)?;
    if options.twice && lab.accel.is_some() {
        return Err(not_repeatable(lab.executor.name()));
    }
    println!(
        "Linux {}, series {} at level {}\nexecutor {}: {}\n",
        lab.kernel.base,
        lab.kernel.series,
        lab.kernel.level,
        lab.title(),
        lab.why
    );
    let how = How { faults: !options.no_faults, twice: options.twice, fresh: options.fresh };
    let plan = Plan::new(&lab, how, &cases)?;
    let mut log = if options.resume { Log::resume(&lab.logs, &plan)? } else { Log::create(&lab.logs, plan)? };
    let left: Vec<Case<'_>> =
        cases.iter().filter(|case| log.results().of(case.claim.name, case.fs).is_none()).copied().collect();
    if options.resume {
        println!("resumed: {} of {} are there\n", cases.len() - left.len(), cases.len());
    }
    prove(&lab, how, &left, jobs(options.jobs, MEMORY_MIB), &mut log)?;
    if filesystems.len() > 1 {
        println!("{}", report::matrix(log.results()));
    }
    let tally = Tally::of(log.results());
    println!("\n{tally}; transcripts and console logs are in {}", lab.logs.display());
    files.write(log.results())?;
    Ok(tally.exit())
}

/// Proves cases, shows them, and keeps what came of them.
fn prove(lab: &Lab, how: How, cases: &[Case<'_>], jobs: usize, log: &mut Log) -> Result<(), Error> {
    let bar = progress::count("proving", cases.len());
    let prover = Prover { faults: how.faults, twice: how.twice, fresh: how.fresh, ..lab.prover() };
    let mut kept = Ok(());
    let keep = |proof: &Proof| {
        // After a line that is torn there is nothing more to keep.
        if kept.is_ok() {
            kept = log.append(Record::new(proof));
        }
    };
    let (mut shown, mut broken) = (0, 0);
    verify(&prover, cases, jobs, keep, |proof| {
        // Many filesystems make a matrix in the end, and lines of what needs looking at.
        let telling = matches!(proof.judgement.verdict, Verdict::Broken | Verdict::CannotTell);
        if telling || lab.media.len() == 1 {
            bar.line(&report::line(&Record::new(proof)));
        }
        bar.advance();
        shown += 1;
        broken += usize::from(proof.judgement.verdict == Verdict::Broken);
        bar.note(format!("{} running, {broken} broken", jobs.min(cases.len() - shown)));
    });
    kept
}

fn not_repeatable(executor: &str) -> Error {
    let way_out = "its time is the host's, and no two runs are the same; use --executor uml";
    Error::Usage(format!("failed to compare two runs under {executor}: {way_out}"))
}

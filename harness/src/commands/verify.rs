// SPDX-License-Identifier: MIT OR Apache-2.0
//! `vremount verify`

use std::path::PathBuf;

use clap::Args;

use super::Which;
use crate::error::{Error, Exit};
use crate::lab::{Lab, Order, Wanted};
use crate::progress;
use crate::project::Project;
use crate::prove::{MEMORY_MIB, Prover};
use crate::report::{self, Report, Tally, Whole};
use crate::select::{self, Filters};
use crate::verify::{jobs, verify};

#[derive(Args)]
pub struct Options {
    #[command(flatten)]
    which: Which,
    #[command(flatten)]
    filters: Filters,
    /// List what would be proved, and prove nothing: claim, filesystem, tag, faults, level from which it holds
    #[arg(long)]
    list: bool,
    /// What machines run on
    #[arg(long, value_enum, default_value_t = Wanted::Auto)]
    executor: Wanted,
    /// Write the report for programs to this file
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
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
    let claims = options.filters.claims()?;
    let filesystems = options.filters.filesystems();
    let cases = select::cases(&claims, &filesystems);
    if options.list {
        cases.iter().for_each(|case| println!("{}", select::line(case)));
        return Ok(Exit::Holds);
    }
    if options.twice && options.executor == Wanted::Qemu {
        return Err(not_repeatable("qemu"));
    }
    let json = options.json.as_deref().map(Whole::new).transpose()?;
    let project = Project::find()?;
    let _cache = project.use_cache()?;
    let Options { which, executor: wanted, .. } = options;
    let base = which.base(&project)?;
    let order = Order { base: &base, level: which.level, filesystems: &filesystems, wanted: *wanted };
    let lab = Lab::new(&project, &order)?;
    let jobs = jobs(options.jobs, MEMORY_MIB);
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
    let bar = progress::count("proving", cases.len());
    let mut tally = Tally::default();
    let prover = Prover { faults: !options.no_faults, twice: options.twice, fresh: options.fresh, ..lab.prover() };
    let proofs = verify(&prover, &cases, jobs, |proof| {
        bar.line(&report::line(proof));
        bar.advance();
        tally.count(proof);
        bar.note(format!("{} running, {} broken", jobs.min(cases.len() - tally.total()), tally.broken));
    });
    drop(bar);
    println!("\n{tally}; transcripts and console logs are in {}", lab.logs.display());
    if let Some(json) = json {
        let report = Report::new(&lab.kernel, lab.executor.name(), lab.accel, &proofs);
        json.write(&report.to_json())?;
    }
    Ok(tally.exit())
}

fn not_repeatable(executor: &str) -> Error {
    let way_out = "its time is the host's, and no two runs are the same; use --executor uml";
    Error::Usage(format!("failed to compare two runs under {executor}: {way_out}"))
}

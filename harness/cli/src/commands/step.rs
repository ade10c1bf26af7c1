// SPDX-License-Identifier: MIT OR Apache-2.0
//! `vremount step`

use std::env;
use std::path::PathBuf;
use std::process::Command;

use clap::Args;
use vremount_analysis::bisect::{KernelTester, Mark, Rule, judge};
use vremount_claims::exit::Exit;
use vremount_claims::verdict::Verdict;
use vremount_kernel::base::Spec;
use vremount_kernel::resolve;
use vremount_kernel::workspace::Workspace;
use vremount_report as report;
use vremount_runner::results::Record;
use vremount_util::process_group;

use crate::args::BisectArgs;
use crate::error::Error;

/// Tells us that somebody sees to our exit code.
const SUPERVISED: &str = "VREMOUNT_STEP";

#[derive(Args)]
pub struct Options {
    /// The kernel's git work tree, as it is; it is only read
    #[arg(long, value_name = "PATH", default_value = ".")]
    tree: PathBuf,
    #[command(flatten)]
    how: BisectArgs,
    /// Machines side by side, as far as memory allows [default: cores]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    jobs: Option<u16>,
}

pub fn run(options: &Options) -> Result<Exit, Error> {
    let Options { tree, jobs, .. } = options;
    let how = &options.how.how();
    let workspace = Workspace::find()?;
    how.check(&workspace)?;
    let _cache = workspace.lock_cache_shared()?;
    let base = resolve::find(&workspace, Some(&Spec::Tree(tree.clone())))?;
    let tester = KernelTester { workspace: &workspace, how, place: "step", jobs: *jobs };
    let runs = tester.test(&base, |case_result| {
        if matches!(case_result.judgement.verdict, Verdict::Broken | Verdict::CannotTell) {
            println!("{}", report::line(&Record::new(case_result), &report::Style::plain()));
        }
    })?;
    let (mark, why) = judge(&runs, Rule::Broken);
    let (word, exit) = match mark {
        Mark::Good => ("good", Exit::Success),
        Mark::Bad => ("bad", Exit::Broken),
        Mark::Skip => ("skip", Exit::CannotTell),
    };
    println!("{word}: {why}");
    Ok(exit)
}

/// Does the step in a process of its own and sees to it that the exit code is one of the three that `git bisect run` is meant
/// to have, whatever becomes of that: 2 would be a bad commit, and so would be what a crash of ours leaves. None if this is
/// another command, or that process.
#[must_use]
pub fn supervised() -> Option<Exit> {
    let mut args = env::args_os().skip(1);
    if args.next()? != "step" || env::var_os(SUPERVISED).is_some() {
        return None;
    }
    let ended = env::current_exe().and_then(|program| {
        let mut step = Command::new(program);
        step.arg("step").args(args).env(SUPERVISED, "1");
        process_group::run_in_foreground(&mut step)
    });
    Some(match ended.as_ref().map(std::process::ExitStatus::code) {
        Ok(Some(0)) => Exit::Success,
        Ok(Some(1)) => Exit::Broken,
        Ok(Some(125)) => Exit::CannotTell,
        Ok(_) | Err(_) => {
            let how = ended.map_or_else(|cause| cause.to_string(), |status| status.to_string());
            eprintln!("note: the step ended otherwise than it should ({how}): 125, so that the commit is skipped");
            Exit::CannotTell
        }
    })
}

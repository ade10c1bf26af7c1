// SPDX-License-Identifier: MIT OR Apache-2.0
//! `vremount step`

use std::env;
use std::path::PathBuf;
use std::process::{Command, ExitStatus};

use clap::Args;
use vremount_analysis::bisect::{KernelTester, Mark, Rule, judge};
use vremount_claims::exit::Exit;
use vremount_claims::verdict::Verdict;
use vremount_kernel::base::Spec;
use vremount_report as report;
use vremount_runner::results::Record;
use vremount_util::process_group;

use crate::args::{BisectArgs, JobsArg, heading};
use crate::commands::exit_codes;
use crate::display;
use crate::error::Error;
use crate::run_setup::{LockedWorkspace, RunSetup};

/// Set in the environment of the process that does the work of a step.
const SUPERVISED: &str = "VREMOUNT_STEP";

/// One step of `git bisect run`
///
/// For `git bisect run vremount step --tree . --claim NAME --fs NAME`. Builds the work tree as it
/// is, with the series that applies, and checks the claims. Kernels of one tree share a build
/// directory: what two of them have in common is built once.
#[derive(Args)]
#[command(after_long_help = exit_codes(&[
    (0, "good: every claim holds"),
    (1, "bad: a claim is broken"),
    (125, "skip: cannot tell; also for a wrong command line or a crash of vremount"),
]))]
pub struct Options {
    /// Git work tree of a kernel, built as it is, with uncommitted changes; it is only read
    #[arg(long, value_name = "PATH", default_value = ".", help_heading = heading::KERNEL)]
    tree: PathBuf,
    #[command(flatten)]
    checks: BisectArgs,
    #[command(flatten)]
    jobs: JobsArg,
}

pub fn run(options: &Options) -> Result<Exit, Error> {
    let checks = &options.checks.options();
    let workspace = LockedWorkspace::open()?;
    checks.check_filters(&workspace)?;
    let setup = RunSetup::open_in(workspace, Some(&Spec::Tree(options.tree.clone())))?;
    let tester =
        KernelTester { workspace: &setup.workspace, options: checks, run_dir: "step", jobs: options.jobs.jobs };
    let runs = tester.test(&setup.base, |case_result| {
        if matches!(case_result.verdict_detail.verdict, Verdict::Broken | Verdict::CannotTell) {
            println!("{}", report::case_line(&Record::new(case_result), &display::style()));
        }
    })?;
    let (mark, reason) = judge(&runs, Rule::Broken);
    let (word, exit) = match mark {
        Mark::Good => ("good", Exit::Success),
        Mark::Bad => ("bad", Exit::Broken),
        Mark::Skip => ("skip", Exit::CannotTell),
    };
    println!("{word}: {reason}");
    Ok(exit)
}

/// Runs `vremount step` in a child process and maps every unexpected end of the child to
/// [`Exit::CannotTell`]. `git bisect run` takes all other exit codes below 128 for a bad commit,
/// including the 2 of a wrong command line and the 101 of a panic.
///
/// Returns none in that child, and for every other command.
#[must_use]
pub fn run_supervised() -> Option<Exit> {
    let mut args = env::args_os().skip(1);
    if args.next()? != "step" || env::var_os(SUPERVISED).is_some() {
        return None;
    }
    let ended = env::current_exe().and_then(|program| {
        let mut step = Command::new(program);
        step.arg("step").args(args).env(SUPERVISED, "1");
        process_group::run_in_foreground(&mut step)
    });
    Some(match ended.as_ref().map(ExitStatus::code) {
        Ok(Some(0)) => Exit::Success,
        Ok(Some(1)) => Exit::Broken,
        Ok(Some(125)) => Exit::CannotTell,
        Ok(_) | Err(_) => {
            let end = ended.map_or_else(|cause| cause.to_string(), |status| status.to_string());
            eprintln!("note: the step did not end normally ({end}); the exit code is 125, and git skips the commit");
            Exit::CannotTell
        }
    })
}

// SPDX-License-Identifier: MIT OR Apache-2.0
//! `vremount reproduce`

use clap::Args;
use vremount_analysis::reproduce::{Checker, Test, no_script, of_claim, test};
use vremount_claims as claims;
use vremount_claims::exit::Exit;
use vremount_claims::filter::Filters;
use vremount_claims::verdict::Verdict;
use vremount_claims::{Case, filter};
use vremount_kernel::workspace::Workspace;
use vremount_machine::ExecutorChoice;
use vremount_machine::image::Fs;
use vremount_runner::case_runner::CaseRunner;
use vremount_runner::scheduler::jobs;
use vremount_runner::testbed::{RunSpec, TestBed};
use vremount_util::parallel::parallel_map;
use vremount_util::progress;
use vremount_util::suggest::{closest, did_you_mean};

use crate::commands::KernelArgs;
use crate::error::Error;
use crate::{args, display};

#[derive(Args)]
pub struct Options {
    /// The claim; with --check any number of them [default: all]
    #[arg(value_name = "CLAIM", required_unless_present_any = ["list", "check"])]
    claims: Vec<String>,
    /// Upper filesystem; with --check more than one may be given
    #[arg(long = "fs", value_name = "NAME", default_value = "ext4")]
    filesystems: Vec<Fs>,
    /// List the claims: those that a script can make, and why it cannot make the others
    #[arg(long, conflicts_with = "check")]
    list: bool,
    /// Print a test of the overlay group of xfstests instead, and behind a line of dashes its golden output
    #[arg(long, conflicts_with_all = ["list", "check"])]
    xfstests: bool,
    /// Run scripts on machines, and compare what they say with the verdict on their claims
    #[arg(long)]
    check: bool,
    #[command(flatten)]
    which: KernelArgs,
    /// What machines of --check run on
    #[arg(long, value_parser = args::executor(), default_value = "auto")]
    executor: ExecutorChoice,
    /// What runs the scripts of --check: `/bin/sh` is busybox with its own tools, `/usr/bin/dash` uses those of the host
    #[arg(long, value_name = "PATH", default_value = "/usr/bin/dash")]
    shell: String,
    /// Machines of --check side by side, as far as memory allows [default: cores]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    jobs: Option<u16>,
}

pub fn run(options: &Options) -> Result<Exit, Error> {
    if options.list {
        for claim in claims::all() {
            println!(
                "{:<32} {}",
                claim.name,
                no_script(&claim.steps).map_or("ok".to_string(), |why| format!("no: {why}"))
            );
        }
        return Ok(Exit::Success);
    }
    if options.check { check(options) } else { print(options) }
}

fn print(options: &Options) -> Result<Exit, Error> {
    let ([name], [fs]) = (options.claims.as_slice(), options.filesystems.as_slice()) else {
        return Err(Error::Usage("failed to print a script: it is of one claim on one filesystem".to_string()));
    };
    let all = claims::all();
    let claim = all.iter().find(|claim| claim.name == name).ok_or_else(|| {
        let suggestion = did_you_mean(closest(name, all.iter().map(|claim| claim.name)));
        Error::Usage(format!("failed to find claim {name:?}: {suggestion}`vremount reproduce --list` lists all"))
    })?;
    let cannot = |why: &str| Error::Usage(format!("failed to make a script of {name} on {}: {why}", fs.name()));
    if let Some(why) = claim.skip_reason_on(*fs) {
        return Err(cannot(&format!("the claim does not apply to {}: {why}", fs.name())));
    }
    if options.xfstests {
        let Test { text, golden } =
            test(claim).map_err(|why| Error::Usage(format!("failed to make a test of xfstests of {name}: {why}")))?;
        print!("{text}{}\n{golden}", "-".repeat(72));
        return Ok(Exit::Success);
    }
    print!("{}", of_claim(claim, *fs).map_err(cannot)?);
    Ok(Exit::Success)
}

/// What became of a claim and of its script.
struct ClaimVsScript {
    case: String,
    claim: Verdict,
    script: Result<Verdict, String>,
    left: Vec<String>,
    said: String,
}

fn check(options: &Options) -> Result<Exit, Error> {
    let Options { which, filesystems, executor, jobs: asked, .. } = options;
    let workspace = Workspace::find()?;
    let _cache = workspace.lock_cache_shared()?;
    let base = which.base(&workspace)?;
    let filters = Filters::new(options.claims.clone(), filesystems.clone());
    let (claims, filesystems) = (filters.claims(&base)?, filters.filesystems());
    let cases = filter::cases(&claims, &filesystems);
    let run_spec = RunSpec::new(which.kernel(&base), &filesystems, *executor);
    let testbed = TestBed::new(&workspace, &run_spec)?;
    println!("scripts on Linux {} at level {}, {}: {}\n", base.name, which.level, testbed.title(), testbed.why);
    let arch = testbed.executor.arch();
    let about =
        |case: &Case<'_>| case.claim.skip_reason_on(case.fs).or(case.claim.skip_reason_for_arch(arch)).is_none();
    let mut scripts = Vec::new();
    for case in cases.into_iter().filter(about) {
        match of_claim(case.claim, case.fs) {
            Ok(script) => scripts.push((case, script)),
            Err(why) => println!("{:<40} no script: {why}", case.name()),
        }
    }
    let (case_runner, checker) = (CaseRunner::new(&testbed), Checker::new(&testbed, &options.shell)?);
    let bar = progress::count("checking", scripts.len());
    let mut pairs = Vec::new();
    let compare = |(case, script): &(Case<'_>, String)| {
        let claim = case_runner.run_case(case).judgement.verdict;
        let trial = checker.run(&case.name(), script, case.claim.sleeps());
        let (said, left) = trial.as_ref().map(|trial| (trial.said.clone(), trial.left.clone())).unwrap_or_default();
        ClaimVsScript { case: case.name(), claim, script: trial.map(|trial| trial.verdict), left, said }
    };
    parallel_map(jobs(*asked, testbed.kernel.memory_mib()), &scripts, compare, |pair| {
        bar.advance();
        if !pair.agrees() {
            display::line(&pair.in_words());
        }
        pairs.push(pair);
    });
    let agree = pairs.iter().filter(|pair| pair.agrees()).count();
    let differ = pairs.len() - agree;
    println!("\n{agree} scripts agree with their claims, {differ} do not; all are in {}", testbed.logs.display());
    let lost = pairs.iter().any(|pair| pair.script.is_err());
    Ok(if lost {
        Exit::CannotTell
    } else if differ > 0 {
        Exit::Broken
    } else {
        Exit::Success
    })
}

impl ClaimVsScript {
    fn agrees(&self) -> bool {
        self.script.as_ref() == Ok(&self.claim) && self.left.is_empty()
    }

    fn in_words(&self) -> String {
        let script = match &self.script {
            Ok(verdict) => verdict.to_string(),
            Err(why) => format!("nobody can tell: {why}"),
        };
        let left =
            if self.left.is_empty() { String::new() } else { format!("; left behind: {}", self.left.join(", ")) };
        let said: String = self.said.lines().map(|line| format!("    | {line}\n")).collect();
        format!("{}: claim {}, script {script}{left}\n{said}", self.case, self.claim)
    }
}

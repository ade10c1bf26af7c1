// SPDX-License-Identifier: MIT OR Apache-2.0
//! `vremount reproduce`

use std::fmt;

use clap::Args;
use vremount_analysis::reproduce::{Checker, Test, claim_script, unsupported_reason, xfstests_test};
use vremount_claims as claims;
use vremount_claims::Case;
use vremount_claims::exit::Exit;
use vremount_claims::filter::Filters;
use vremount_claims::verdict::Verdict;
use vremount_machine::image::Fs;
use vremount_runner::case_runner::CaseRunner;
use vremount_runner::scheduler::job_count;
use vremount_runner::testbed::{RunSpec, TestBed};
use vremount_util::parallel::parallel_map;
use vremount_util::progress;
use vremount_util::suggest::{closest, did_you_mean};

use crate::args::{ExecutorArg, JobsArg, KernelArgs, fs_help, heading};
use crate::commands::exit_codes;
use crate::display;
use crate::error::Error;
use crate::run_setup::{RunSetup, Selection};

/// Print a claim as a shell script that does not need vremount
///
/// The POSIX script performs the steps of the claim with mount, losetup, dmsetup, mkfs and tools
/// for xattrs. Run it as root on any machine, or in `vremount shell`. It prints what it expects and
/// what it observes, removes everything that it created, and exits with 0 if every step had the
/// expected outcome, 1 if the claim is broken, and 125 if it cannot tell.
///
/// With --check, scripts run in machines, and their results are compared with the verdicts on their
/// claims. The options in Kernel and Execution are for --check.
#[derive(Args)]
#[command(after_long_help = exit_codes(&[
    (0, "the script is printed; with --check, every script agrees with its claim"),
    (1, "with --check, a script and its claim differ"),
    (2, "the command line is wrong, or the claim cannot become a script"),
    (125, "cannot tell: with --check, a script did not end"),
]))]
pub struct Options {
    /// Claim to print; with --check any number of claims [default with --check: all]
    #[arg(value_name = "CLAIM", required_unless_present_any = ["list", "check"])]
    claims: Vec<String>,
    #[command(flatten)]
    kernel: KernelArgs,
    #[arg(long = "fs", value_name = "NAME", default_value = Fs::Ext4.name(),
        help = fs_help("; can be repeated with --check"), help_heading = heading::SELECTION)]
    filesystems: Vec<Fs>,
    /// List all claims, and why some cannot become a script
    #[arg(long, conflicts_with = "check", help_heading = heading::SELECTION)]
    list: bool,
    /// Run scripts in machines and compare their results with the verdicts on their claims
    #[arg(long, help_heading = heading::EXECUTION)]
    check: bool,
    #[command(flatten)]
    executor: ExecutorArg<false>,
    /// Shell that runs the scripts: /bin/sh is busybox with its own tools, /usr/bin/dash uses the
    /// tools of the host
    #[arg(long, value_name = "PATH", default_value = "/usr/bin/dash", help_heading = heading::EXECUTION)]
    shell: String,
    #[command(flatten)]
    jobs: JobsArg,
    /// Print a test for the overlay group of xfstests instead, then a line of dashes and the
    /// content of its .out file
    #[arg(long, conflicts_with_all = ["list", "check"], help_heading = heading::OUTPUT)]
    xfstests: bool,
}

pub fn run(options: &Options) -> Result<Exit, Error> {
    if options.list {
        list();
        return Ok(Exit::Success);
    }
    if options.check { check(options) } else { print(options) }
}

fn list() {
    for claim in claims::all() {
        let status = unsupported_reason(&claim.steps).map_or_else(|| "ok".to_string(), |why| format!("no: {why}"));
        println!("{:<32} {status}", claim.name);
    }
}

fn print(options: &Options) -> Result<Exit, Error> {
    let ([name], [fs]) = (options.claims.as_slice(), options.filesystems.as_slice()) else {
        return Err(Error::Usage(
            "failed to print a script: a script is for one claim on one filesystem; name one of each".to_string(),
        ));
    };
    let all = claims::all();
    let claim = all.iter().find(|claim| claim.name == name).ok_or_else(|| {
        let suggestion = did_you_mean(closest(name, all.iter().map(|claim| claim.name)));
        Error::Usage(format!("failed to find claim {name:?}: {suggestion}`vremount reproduce --list` lists all"))
    })?;
    let no_script = |why: &str| {
        let fs = fs.name();
        Error::Usage(format!(
            "failed to convert {name} on {fs} to a script: {why}; `vremount reproduce --list` lists the claims that \
             can be converted"
        ))
    };
    if let Some(why) = claim.skip_reason_on(*fs) {
        return Err(no_script(&format!("the claim does not apply to {}: {why}", fs.name())));
    }
    if options.xfstests {
        let Test { text, golden } = xfstests_test(claim).map_err(|why| {
            Error::Usage(format!(
                "failed to convert {name} to a test for xfstests: {why}; print it as a script, without --xfstests"
            ))
        })?;
        print!("{text}{}\n{golden}", "-".repeat(72));
        return Ok(Exit::Success);
    }
    print!("{}", claim_script(claim, *fs).map_err(no_script)?);
    Ok(Exit::Success)
}

/// Result of a claim and of its script.
struct ClaimVsScript {
    case: String,
    claim: Verdict,
    /// Exit code of the script as a verdict, or why there is none.
    script: Result<Verdict, String>,
    /// What the script created and did not remove.
    leftovers: Vec<String>,
    output: String,
}

fn check(options: &Options) -> Result<Exit, Error> {
    let setup = RunSetup::open(options.kernel.spec().as_ref())?;
    let selection = setup.select(&Filters::new(options.claims.clone(), options.filesystems.clone()))?;
    let kernel = options.kernel.kernel(&setup.base);
    let testbed = setup.testbed(&RunSpec::new(kernel, &selection.filesystems, options.executor.executor))?;
    println!(
        "scripts on Linux {} at level {}, {}: {}\n",
        setup.base.name,
        kernel.level,
        testbed.title(),
        testbed.executor_reason
    );
    let scripts = generate_scripts(&selection, &testbed);
    let results = compare_all(&testbed, &scripts, options)?;
    let agree = results.iter().filter(|result| result.agrees()).count();
    let differ = results.len() - agree;
    println!(
        "\n{agree} scripts agree with their claims, {differ} do not; scripts and logs are in {}",
        testbed.run_dir.display()
    );
    Ok(if results.iter().any(|result| result.script.is_err()) {
        Exit::CannotTell
    } else if differ > 0 {
        Exit::Broken
    } else {
        Exit::Success
    })
}

/// Scripts of the selected cases that apply to the filesystem and the architecture. Prints the
/// cases that cannot become a script.
fn generate_scripts<'a>(selection: &'a Selection, testbed: &TestBed) -> Vec<(Case<'a>, String)> {
    let arch = testbed.executor.arch();
    let mut scripts = Vec::new();
    for case in selection.cases() {
        if case.claim.skip_reason_on(case.fs).or(case.claim.skip_reason_for_arch(arch)).is_some() {
            continue;
        }
        match claim_script(case.claim, case.fs) {
            Ok(script) => scripts.push((case, script)),
            Err(why) => println!("{:<40} no script: {why}", case.name()),
        }
    }
    scripts
}

/// Runs each claim and its script. Prints those that differ.
fn compare_all(
    testbed: &TestBed,
    scripts: &[(Case<'_>, String)],
    options: &Options,
) -> Result<Vec<ClaimVsScript>, Error> {
    let (case_runner, checker) = (CaseRunner::new(testbed), Checker::new(testbed, &options.shell)?);
    let compare = |(case, script): &(Case<'_>, String)| {
        let claim = case_runner.run_case(case).verdict_detail.verdict;
        let run = checker.run(&case.name(), script, case.claim.sleep_time());
        let (output, leftovers) =
            run.as_ref().map(|run| (run.output.clone(), run.leftovers.clone())).unwrap_or_default();
        ClaimVsScript { case: case.name(), claim, script: run.map(|run| run.verdict), leftovers, output }
    };
    let bar = progress::start_with_total("comparing scripts with claims", scripts.len());
    let mut results = Vec::new();
    parallel_map(job_count(options.jobs.jobs, testbed.kernel.memory_mib()), scripts, compare, |result| {
        bar.advance();
        if !result.agrees() {
            display::print_line(&result.to_string());
        }
        results.push(result);
    });
    Ok(results)
}

impl ClaimVsScript {
    fn agrees(&self) -> bool {
        self.script.as_ref() == Ok(&self.claim) && self.leftovers.is_empty()
    }
}

impl fmt::Display for ClaimVsScript {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: claim {}, script ", self.case, self.claim)?;
        match &self.script {
            Ok(verdict) => write!(f, "{verdict}")?,
            Err(why) => write!(f, "{}: {why}", Verdict::CannotTell)?,
        }
        if !self.leftovers.is_empty() {
            write!(f, "; not removed: {}", self.leftovers.join(", "))?;
        }
        writeln!(f)?;
        self.output.lines().try_for_each(|line| writeln!(f, "    | {line}"))
    }
}

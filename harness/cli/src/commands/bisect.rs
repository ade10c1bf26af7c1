// SPDX-License-Identifier: MIT OR Apache-2.0
//! `vremount bisect`

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use vremount_analysis::bisect::{
    self, BisectEvent, BisectRange, Bisection, GitRange, Header, KernelTester, Log, ReleaseRange, VersionRange,
};
use vremount_claims::exit::Exit;
use vremount_kernel::workspace::{self, Workspace};
use vremount_runner::testbed;
use vremount_util::io_error;

use crate::args::{BisectArgs, JobsArg, heading};
use crate::commands::exit_codes;
use crate::display;
use crate::error::Error;
use crate::run_setup::LockedWorkspace;

/// Find the first commit or release on which a claim is broken
///
/// Both ends are tested first. Each kernel gets the series that applies to it; a tree that contains
/// the series is tested as it is. A kernel that does not build or boot, hangs, or crashes before
/// the first step that the claim is about, is skipped. `git bisect` runs in a separate repository:
/// checkout, index, refs and bisections of the tree are not changed. Each step is logged at once.
#[derive(Args)]
#[command(after_long_help = exit_codes(&[
    (0, "found"),
    (2, "the command line is wrong, the good end is bad, or the bad end is good"),
    (125, "cannot tell: an end is undecided, or only skipped kernels are left"),
]))]
pub struct Options {
    /// Git repository of a kernel whose history is bisected; it is only read
    #[arg(long, value_name = "PATH", required_unless_present = "releases", help_heading = heading::KERNEL)]
    tree: Option<PathBuf>,
    /// Commit that is good; can be repeated
    #[arg(long, value_name = "COMMIT", required_unless_present = "releases", help_heading = heading::KERNEL)]
    good: Vec<String>,
    /// Commit that is bad
    #[arg(long, value_name = "COMMIT", required_unless_present = "releases", help_heading = heading::KERNEL)]
    bad: Option<String>,
    /// Two released versions: the older one is good, the newer one is bad. Tests the versions
    /// between them that ci/bases.toml pins, then others that the Debian mirror has
    #[arg(long, value_name = "GOOD..BAD", conflicts_with_all = ["tree", "good", "bad"],
        help_heading = heading::KERNEL)]
    releases: Option<VersionRange>,
    #[command(flatten)]
    checks: BisectArgs,
    /// Call a kernel bad if the outcome, errno or reason of a claim differs from the good end, even
    /// if the claim holds [default: a kernel is bad if a claim is broken]
    #[arg(long, help_heading = heading::EXECUTION)]
    reason_changed: bool,
    /// Continue the last bisection of this tree, which was interrupted; needs the same options
    #[arg(long, help_heading = heading::EXECUTION)]
    resume: bool,
    #[command(flatten)]
    jobs: JobsArg,
}

pub fn run(options: &Options) -> Result<Exit, Error> {
    let workspace = LockedWorkspace::open()?;
    options.checks.options().check_filters(&workspace)?;
    match (&options.releases, &options.tree, &options.bad) {
        (Some(versions), _, _) => {
            let mut releases = ReleaseRange::new(&workspace, versions)?;
            options.bisect(&workspace, "linux", "bisect-releases", &mut releases)
        }
        (None, Some(tree), Some(bad)) => {
            let mut history = GitRange::new(&workspace, tree, &options.good, bad)?;
            let tree = history.top_dir().to_string_lossy().into_owned();
            options.bisect(&workspace, &tree, &bisect::shared_build_name(&tree), &mut history)
        }
        // clap requires one or the other.
        _ => Err(Error::Usage("failed to bisect: no range; name --tree, --good and --bad, or --releases".to_string())),
    }
}

impl Options {
    /// Bisects `range` of `subject`, and keeps the log in the run directory `name`.
    fn bisect(
        &self,
        workspace: &Workspace,
        subject: &str,
        name: &str,
        range: &mut dyn BisectRange,
    ) -> Result<Exit, Error> {
        let checks = &self.checks.options();
        let directory = testbed::runs_dir(workspace, Some(name));
        let _lock = workspace::lock(Path::new(&format!("{}.lock", directory.display())))?;
        if directory.exists() && !self.resume {
            fs::remove_dir_all(&directory).map_err(io_error("remove", &directory))?;
        }
        fs::create_dir_all(&directory).map_err(io_error("create", &directory))?;
        let header = Header {
            subject: subject.to_string(),
            good: range.good().iter().map(|revision| revision.id.clone()).collect(),
            bad: range.bad().id.clone(),
            reason_changed: self.reason_changed,
            options: checks.clone(),
        };
        let path = directory.join(bisect::LOG_FILE);
        let mut log = if self.resume { Log::resume(&path, &header)? } else { Log::create(&path, &header)? };
        let tester = KernelTester { workspace, options: checks, run_dir: name, jobs: self.jobs.jobs };
        let mut test = |base: &_| tester.test(base, |_| ());
        let result = bisect::run(range, &mut log, self.reason_changed, &mut test, &mut |event| print_event(&event))?;
        log.finish(&result)?;
        println!("\nall steps are in {}", path.display());
        Ok(print_result(log.bisection()))
    }
}

/// Prints the result of a bisection, and how the transcripts of the last good and the first bad
/// kernel differ.
pub fn print_result(bisection: &Bisection) -> Exit {
    println!("{}\n", bisection.result_text());
    match bisection.transcript_diffs() {
        Ok(differences) => differences.iter().for_each(|difference| print!("{difference}")),
        Err(error) => eprintln!("note: {error}"),
    }
    bisection.exit()
}

fn print_event(event: &BisectEvent<'_>) {
    match event {
        BisectEvent::TestStarted { revision: point, mean_duration: mean, tests_left: left } => {
            let time = mean.zip(*left).map(|(mean, left)| mean * u32::try_from(left).unwrap_or(u32::MAX));
            let steps = left.map_or_else(String::new, |left| format!(", about {left} steps left"));
            let time = time.map_or_else(String::new, |time| format!(", about {} left", format_duration(time)));
            display::print_status(&format!(
                "testing {} {}{steps}{time}",
                bisect::abbreviate_id(&point.id),
                point.title
            ));
        }
        BisectEvent::Tested(step) => {
            let seconds = Duration::from_millis(step.duration_ms).as_secs_f64();
            println!("{}, {seconds:.1} s", bisect::format_step(step));
        }
        BisectEvent::FoundInLog(step) => println!("{}, from the log", bisect::format_step(step)),
    }
}

/// Whole seconds below 90 s, else whole minutes, rounded.
fn format_duration(time: Duration) -> String {
    let seconds = time.as_secs();
    if seconds < 90 { format!("{seconds} s") } else { format!("{} min", (seconds + 30) / 60) }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::zero(0, "0 s")]
    #[case::longest_in_seconds(89, "89 s")]
    #[case::shortest_in_minutes(90, "2 min")]
    #[case::hour(3600, "60 min")]
    fn durations_are_rounded_to_seconds_or_minutes(#[case] seconds: u64, #[case] expected: &str) {
        assert_eq!(format_duration(Duration::from_secs(seconds)), expected);
    }
}

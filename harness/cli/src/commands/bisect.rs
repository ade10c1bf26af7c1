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

use crate::args::BisectArgs;
use crate::display;
use crate::error::Error;

#[derive(Args)]
pub struct Options {
    /// A kernel's git work tree, for its history; it is only read
    #[arg(long, value_name = "PATH", required_unless_present = "releases")]
    tree: Option<PathBuf>,
    /// A commit that is good; may be given more than once
    #[arg(long, value_name = "COMMIT", required_unless_present = "releases")]
    good: Vec<String>,
    /// A commit that is bad
    #[arg(long, value_name = "COMMIT", required_unless_present = "releases")]
    bad: Option<String>,
    /// Between two released versions, the older one good, the newer one bad: those that ci/bases.toml pins first, then what else
    /// the Debian mirror has of their suites
    #[arg(long, value_name = "GOOD..BAD", conflicts_with_all = ["tree", "good", "bad"])]
    releases: Option<VersionRange>,
    #[command(flatten)]
    how: BisectArgs,
    /// Bad is where a claim comes to another outcome, errno or reason than on the good end, holds or not [default: where one
    /// is broken]
    #[arg(long)]
    reason_changed: bool,
    /// Go on with the last bisection of this tree, which was interrupted
    #[arg(long)]
    resume: bool,
    /// Machines side by side, as far as memory allows [default: cores]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    jobs: Option<u16>,
}

pub fn run(options: &Options) -> Result<Exit, Error> {
    let workspace = Workspace::find()?;
    options.how.how().check(&workspace)?;
    let _cache = workspace.lock_cache_shared()?;
    match (&options.releases, &options.tree, &options.bad) {
        (Some(versions), _, _) => {
            let mut releases = ReleaseRange::new(&workspace, versions)?;
            options.bisect(&workspace, "linux", "bisect-releases", &mut releases)
        }
        (None, Some(tree), Some(bad)) => {
            let mut history = GitRange::new(&workspace, tree, &options.good, bad)?;
            let tree = history.tree().to_string_lossy().into_owned();
            options.bisect(&workspace, &tree, &bisect::shared_build_name(&tree), &mut history)
        }
        // clap sees to that.
        _ => Err(Error::Usage("failed to bisect: name --tree, --good and --bad, or --releases".to_string())),
    }
}

impl Options {
    /// Keeps its log in the place for runs of that name.
    fn bisect(&self, workspace: &Workspace, of: &str, name: &str, range: &mut dyn BisectRange) -> Result<Exit, Error> {
        let Options { reason_changed, resume, jobs, .. } = self;
        let how = &self.how.how();
        let folder = testbed::runs_dir(workspace, Some(name));
        let _lock = workspace::lock(Path::new(&format!("{}.lock", folder.display())))?;
        if folder.exists() && !resume {
            fs::remove_dir_all(&folder).map_err(io_error("remove", &folder))?;
        }
        fs::create_dir_all(&folder).map_err(io_error("create", &folder))?;
        let header = Header {
            of: of.to_string(),
            good: range.good().iter().map(|point| point.id.clone()).collect(),
            bad: range.bad().id.clone(),
            reason_changed: *reason_changed,
            how: how.clone(),
        };
        let path = folder.join(bisect::FILE);
        let mut log = if *resume { Log::resume(&path, &header)? } else { Log::create(&path, &header)? };
        let tester = KernelTester { workspace, how, place: name, jobs: *jobs };
        let mut examine = |base: &_| tester.test(base, |_| ());
        let ending = bisect::run(range, &mut log, *reason_changed, &mut examine, &mut |news| show(&news))?;
        log.end(&ending)?;
        println!("\nall steps are in {}", path.display());
        Ok(tell(log.so_far()))
    }
}

/// What came of it, and how the kernels around it differ.
pub fn tell(bisection: &Bisection) -> Exit {
    println!("{}\n", bisection.found());
    match bisection.differences() {
        Ok(differences) => differences.iter().for_each(|difference| print!("{difference}")),
        Err(error) => eprintln!("note: {error}"),
    }
    bisection.exit()
}

fn show(news: &BisectEvent<'_>) {
    match news {
        BisectEvent::Starts { point, mean, left } => {
            let time = mean.zip(*left).map(|(mean, left)| mean * u32::try_from(left).unwrap_or(u32::MAX));
            let steps = left.map_or_else(String::new, |left| format!(", about {left} to go"));
            let time = time.map_or_else(String::new, |time| format!(", {} left", minutes(time)));
            display::remark(&format!("examining {} {}{steps}{time}", bisect::short(&point.id), point.title));
        }
        BisectEvent::Done(step) => {
            let seconds = Duration::from_millis(step.ms).as_secs_f64();
            println!("{}, {seconds:.1} s", bisect::line(step));
        }
        BisectEvent::Known(step) => println!("{}, known", bisect::line(step)),
    }
}

fn minutes(time: Duration) -> String {
    let seconds = time.as_secs();
    if seconds < 90 { format!("{seconds} s") } else { format!("{} min", (seconds + 30) / 60) }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case(0, "0 s")]
    #[case(89, "89 s")]
    #[case(90, "2 min")]
    #[case(3600, "60 min")]
    fn time_is_told_as_people_do(#[case] seconds: u64, #[case] expected: &str) {
        assert_eq!(minutes(Duration::from_secs(seconds)), expected);
    }
}

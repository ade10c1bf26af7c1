// SPDX-License-Identifier: MIT OR Apache-2.0
//! Builds a kernel and tests the selected cases on it.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use vremount_claims::filter::{self, Filters};
use vremount_kernel::base::{Base, Level, Source};
use vremount_kernel::build::KernelSpec;
use vremount_kernel::workspace::Workspace;
use vremount_machine::ExecutorChoice;
use vremount_runner::case_runner::CaseResult;
use vremount_runner::results::{self, Record};
use vremount_runner::scheduler::job_count;
use vremount_runner::session::Session;
use vremount_runner::testbed::RunSpec;
use vremount_util::{hash, progress};

use crate::bisect::policy::disagreement;
use crate::error::Error;

/// Which cases are tested on each kernel of a bisection, and how.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BisectOptions {
    /// Selects the cases.
    #[serde(flatten)]
    pub filters: Filters,
    /// What runs the machines.
    pub executor: ExecutorChoice,
    /// Name of a further configuration fragment in `vm-images/config/`, such as `debug`.
    pub config: Option<String>,
    /// Number of runs of every case. A kernel whose runs disagree is skipped, with a warning.
    pub repeat: u16,
}

impl BisectOptions {
    /// Checks the filters before any kernel is built.
    ///
    /// # Errors
    /// If a filter names an unknown claim, tag, fault or filesystem.
    pub fn check_filters(&self, workspace: &Workspace) -> Result<(), Error> {
        Ok(self.filters.select_claims(&Base::find(&workspace.root, None)?).map(drop)?)
    }
}

/// Tests kernels, all with the same options.
pub struct KernelTester<'a> {
    /// The checkout and the cache.
    pub workspace: &'a Workspace,
    /// The cases, and how they are run.
    pub options: &'a BisectOptions,
    /// Name of the run directory below `target/runs/`.
    pub run_dir: &'a str,
    /// Number of machines that run at the same time, as far as memory allows; none for one per
    /// processor.
    pub jobs: Option<u16>,
}

impl KernelTester<'_> {
    /// Builds the kernel with the whole series and runs the cases `repeat` times. `show` is called
    /// with each result. Returns the results of each run.
    ///
    /// # Errors
    /// If the kernel does not build or boot, the executor is not available, or a filter matches
    /// nothing.
    pub fn test(&self, base: &Base, mut show: impl FnMut(&CaseResult)) -> Result<Vec<Vec<Record>>, Error> {
        let BisectOptions { filters, executor, config, repeat } = self.options;
        let (claims, filesystems) = (filters.select_claims(base)?, filters.select_filesystems());
        let cases = filter::cases(&claims, &filesystems);
        let shared_build = match &base.source {
            Source::Git(git) => Some(shared_build_name(&git.git)),
            Source::Package(_) | Source::Tarball(_) => None,
        };
        let (fragment, shared_build) = (config.as_deref(), shared_build.as_deref());
        let kernel = KernelSpec { base, level: Level::FULL, fragment, shared_build, mutant: None };
        let run_spec = RunSpec { subdirectory: Some(self.run_dir), ..RunSpec::new(kernel, &filesystems, *executor) };
        let options = results::RunOptions { faults: true, twice: false, fresh: false };
        let mut runs = Vec::new();
        for _ in 0..*repeat {
            let mut session = Session::start(self.workspace, &run_spec, options, &cases)?;
            let jobs = job_count(self.jobs, session.testbed.kernel.memory_mib());
            session.run(jobs, &mut show)?;
            let results = session.log.results();
            runs.push(results.cases().filter_map(|(_, record)| record.cloned()).collect());
        }
        if let Some(why) = disagreement(&runs) {
            progress::warning(why);
        }
        Ok(runs)
    }
}

/// Name of the build directory and of the run directory for the kernels of a git work tree. It is
/// one path component, and differs for different trees.
#[must_use]
pub fn shared_build_name(tree: &str) -> String {
    let name = tree.rsplit('/').find(|part| !part.is_empty()).unwrap_or_default();
    let plain: String = name.chars().filter(|char| char.is_ascii_alphanumeric() || "-_.".contains(*char)).collect();
    format!("bisect-{plain}-{}", hash::cache_key(Sha256::new_with_prefix(tree)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shared_build_name_is_one_path_component() {
        let name = shared_build_name("/home/me/my linux/");
        assert!(name.starts_with("bisect-mylinux-"), "{name}");
        assert_ne!(name, shared_build_name("/home/you/my linux/"));
        assert!(!shared_build_name("/..").contains('/'));
    }
}

// SPDX-License-Identifier: MIT OR Apache-2.0
//! A kernel and what is claimed of it, to what came of it.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use vremount_claims::filter::{self, Filters};
use vremount_kernel::base::{Base, Level, Source};
use vremount_kernel::build::KernelSpec;
use vremount_kernel::workspace::Workspace;
use vremount_machine::ExecutorChoice;
use vremount_runner::case_runner::CaseResult;
use vremount_runner::results::{self, Record};
use vremount_runner::scheduler::jobs;
use vremount_runner::session::Session;
use vremount_runner::testbed::RunSpec;
use vremount_util::{hash, progress};

use crate::bisect::policy::disagreement;
use crate::error::Error;

/// What is proved of each kernel, and how.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BisectOptions {
    #[serde(flatten)]
    pub filters: Filters,
    /// What machines run on
    pub executor: ExecutorChoice,
    /// A further configuration fragment, from vm-images/config/, such as `debug`
    pub config: Option<String>,
    /// Prove everything that many times; a kernel that does not always do the same is skipped, with a warning
    pub repeat: u16,
}

impl BisectOptions {
    /// What makes no sense on any base is said before the work.
    ///
    /// # Errors
    /// If a filter names what is not there.
    pub fn check(&self, workspace: &Workspace) -> Result<(), Error> {
        Ok(self.filters.claims(&Base::find(&workspace.root, None)?).map(drop)?)
    }
}

pub struct KernelTester<'a> {
    pub workspace: &'a Workspace,
    pub how: &'a BisectOptions,
    /// Where its runs stay, below the place of all others.
    pub place: &'a str,
    /// Machines side by side.
    pub jobs: Option<u16>,
}

impl KernelTester<'_> {
    /// Builds the kernel with all of the series and proves what is asked for, as often as is asked for. `show` sees each proof.
    ///
    /// # Errors
    /// If it cannot be built or does not boot, or what is asked for is not there.
    pub fn test(&self, base: &Base, mut show: impl FnMut(&CaseResult)) -> Result<Vec<Vec<Record>>, Error> {
        let BisectOptions { filters, executor, config, repeat } = self.how;
        let (claims, filesystems) = (filters.claims(base)?, filters.filesystems());
        let cases = filter::cases(&claims, &filesystems);
        let shared_build = match &base.source {
            Source::Git(git) => Some(shared_build_name(&git.git)),
            Source::Package(_) | Source::Tarball(_) => None,
        };
        let (fragment, shared_build) = (config.as_deref(), shared_build.as_deref());
        let kernel = KernelSpec { base, level: Level::FULL, fragment, shared_build, mutant: None };
        let run_spec = RunSpec { aside: Some(self.place), ..RunSpec::new(kernel, &filesystems, *executor) };
        let how = results::RunOptions { faults: true, twice: false, fresh: false };
        let mut runs = Vec::new();
        for _ in 0..*repeat {
            let mut session = Session::start(self.workspace, &run_spec, how, &cases)?;
            let jobs = jobs(self.jobs, session.testbed.kernel.memory_mib());
            session.run(jobs, &mut show)?;
            let results = session.log.results();
            runs.push(results.cases().filter_map(|(_, record)| record.cloned()).collect());
        }
        if let Some(why) = disagreement(&runs) {
            progress::warning(format!("{why}"));
        }
        Ok(runs)
    }
}

/// Name of the place where kernels of a history are built and their runs kept.
#[must_use]
pub fn shared_build_name(tree: &str) -> String {
    let name = tree.rsplit('/').find(|part| !part.is_empty()).unwrap_or_default();
    let plain: String = name.chars().filter(|char| char.is_ascii_alphanumeric() || "-_.".contains(*char)).collect();
    format!("bisect-{plain}-{}", hash::short(Sha256::new_with_prefix(tree)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_workspace_has_a_name_that_is_one_folder() {
        let name = shared_build_name("/home/me/my linux/");
        assert!(name.starts_with("bisect-mylinux-"), "{name}");
        assert_ne!(name, shared_build_name("/home/you/my linux/"));
        assert!(!shared_build_name("/..").contains('/'));
    }
}

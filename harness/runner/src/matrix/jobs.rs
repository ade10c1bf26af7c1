// SPDX-License-Identifier: MIT OR Apache-2.0
//! Many bases on several executors: a kernel is built while claims are proved on another.

use std::path::PathBuf;
use std::sync::{Mutex, mpsc};
use std::thread;

use vremount_claims::filter;
use vremount_kernel::base::Base;
use vremount_kernel::build::{self, Arch, KernelSpec};
use vremount_kernel::workspace::Workspace;
use vremount_machine::ExecutorChoice;

use crate::case_runner::CaseResult;
use crate::error::Error;
use crate::matrix::config::MatrixEntry;
use crate::results::{MergedResults, Results, RunOptions, RunOutcome};
use crate::scheduler::jobs;
use crate::session::{Session, record_run_error};
use crate::testbed::RunSpec;

/// From this many cores on, another kernel is built at a time: make of a small kernel keeps no more of them busy.
const CORES_PER_BUILD: usize = 16;

/// A base on an executor.
#[derive(Clone, Copy)]
pub struct Job<'a> {
    pub base: &'a Base,
    pub entry: &'a MatrixEntry,
}

impl<'a> Job<'a> {
    /// What its kernel is built for.
    #[must_use]
    pub fn arch(&self) -> Arch {
        if self.entry.executor == ExecutorChoice::Uml { Arch::Um } else { Arch::X86_64 }
    }

    fn kernel(self) -> KernelSpec<'a> {
        KernelSpec::of(self.base)
    }
}

/// What there is to see while it goes on.
pub trait JobObserver {
    /// A case was proved.
    fn case_result(&mut self, job: Job<'_>, case_result: &CaseResult);
    /// A job came to its end, or never started.
    fn done(&mut self, job: Job<'_>, outcome: &Result<Results, Error>);
}

/// Every lane on every base, lanes first: the breadth of all comes before the core of any.
#[must_use]
pub fn plan_jobs<'a>(bases: &'a [Base], entries: &'a [MatrixEntry]) -> Vec<Job<'a>> {
    entries.iter().flat_map(|entry| bases.iter().map(move |base| Job { base, entry })).collect()
}

/// Does all of them. What becomes of one says nothing about the others.
///
/// # Errors
/// If the harness itself cannot go on: a lane that names no claim, results that cannot be joined.
pub fn run(
    workspace: &Workspace,
    all: &[Job<'_>],
    asked: Option<u16>,
    watch: &mut impl JobObserver,
) -> Result<MergedResults, Error> {
    // Before a kernel is built for nothing.
    all.iter().try_for_each(|job| job.entry.claims(job.base).map(drop))?;
    let cores = thread::available_parallelism().map_or(1, usize::from);
    let queue = Mutex::new(all.iter());
    let (sender, receiver) = mpsc::channel();
    let mut outcomes = Vec::new();
    thread::scope(|scope| {
        for _ in 0..builders(cores, all.len()) {
            let (sender, queue) = (sender.clone(), &queue);
            scope.spawn(move || {
                // Nobody panics while holding it.
                let next = || queue.lock().map_or(None, |mut queue| queue.next().copied());
                while let Some(job) = next() {
                    let prepared = prepare(workspace, job);
                    // Nobody listens any more if the harness cannot go on.
                    if sender.send((job, prepared)).is_err() {
                        break;
                    }
                }
            });
        }
        drop(sender);
        for (job, prepared) in receiver {
            let outcome = prove(workspace, job, prepared, asked, watch)?;
            watch.done(job, &outcome);
            outcomes.push((PathBuf::from(job.base.name.clone()), into_outcome(job, outcome)));
        }
        Ok::<_, Error>(())
    })?;
    MergedResults::of(outcomes)
}

/// Builds what the job will ask for.
fn prepare(workspace: &Workspace, job: Job<'_>) -> Result<(), build::Error> {
    build::kernel(workspace, &job.kernel(), job.arch()).map(drop)
}

/// The inner error is why nothing can be told of this job.
fn prove(
    workspace: &Workspace,
    job: Job<'_>,
    prepared: Result<(), build::Error>,
    asked: Option<u16>,
    watch: &mut impl JobObserver,
) -> Result<Result<Results, Error>, Error> {
    let (claims, filesystems) = (job.entry.claims(job.base)?, job.entry.filesystems());
    let cases = filter::cases(&claims, &filesystems);
    let run_spec = RunSpec::new(job.kernel(), &filesystems, job.entry.executor);
    let how = RunOptions { faults: true, twice: false, fresh: false };
    let prepared = prepared.map_err(|error| record_run_error(workspace, &run_spec, error.into()));
    let proved = prepared.and_then(|()| Session::start(workspace, &run_spec, how, &cases)).and_then(|mut session| {
        let jobs = jobs(asked, session.testbed.kernel.memory_mib());
        session.run(jobs, |case_result| watch.case_result(job, case_result))?;
        Ok(session.log.results().clone())
    });
    Ok(proved)
}

fn into_outcome(job: Job<'_>, proved: Result<Results, Error>) -> RunOutcome {
    match proved {
        Ok(results) => RunOutcome::Ran(results),
        Err(error) => RunOutcome::NotRun(crate::session::run_error(&job.kernel(), job.entry.executor, &error)),
    }
}

fn builders(cores: usize, jobs: usize) -> usize {
    (cores / CORES_PER_BUILD).clamp(1, jobs.max(1))
}

#[cfg(test)]
mod tests {

    use rstest::rstest;

    use super::*;
    use crate::matrix::config::MatrixConfig;

    #[rstest]
    #[case(1, 10, 1)]
    #[case(2, 10, 1)]
    #[case(64, 10, 4)]
    #[case(64, 2, 2)]
    #[case(64, 0, 1)]
    fn there_is_always_one_that_builds(#[case] cores: usize, #[case] jobs: usize, #[case] expected: usize) {
        assert_eq!(builders(cores, jobs), expected);
    }

    #[test]
    fn every_lane_comes_to_every_base() {
        let root = vremount_kernel::testing::checkout();
        let (bases, entries) = (Base::all(&root).unwrap(), MatrixConfig::read(&root).unwrap().entries);
        let jobs = plan_jobs(&bases, &entries);
        let names: Vec<_> = jobs.iter().map(|job| (job.entry.executor.name(), job.base.name.as_str())).collect();
        let all = entries.iter().flat_map(|entry| bases.iter().map(|base| (entry.executor.name(), base.name.as_str())));
        assert_eq!(names, all.collect::<Vec<_>>());
        for job in jobs {
            assert_eq!(job.arch() == Arch::Um, job.entry.executor.name() == "uml");
        }
    }
}

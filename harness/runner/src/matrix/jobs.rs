// SPDX-License-Identifier: MIT OR Apache-2.0
//! Runs the jobs of the matrix. Kernels are built while machines run claims on others.

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
use crate::scheduler::job_count;
use crate::session::{Session, record_run_error};
use crate::testbed::RunSpec;

/// Number of cores for each kernel that is built in parallel: the build of one small kernel does
/// not use more.
const CORES_PER_BUILD: usize = 16;

/// One base with one executor.
#[derive(Clone, Copy)]
pub struct Job<'a> {
    /// The base.
    pub base: &'a Base,
    /// The executor, with its claims and filesystems.
    pub entry: &'a MatrixEntry,
}

impl<'a> Job<'a> {
    /// Architecture of its kernel.
    #[must_use]
    pub fn arch(&self) -> Arch {
        if self.entry.executor == ExecutorChoice::Uml { Arch::Um } else { Arch::X86_64 }
    }

    fn kernel_spec(self) -> KernelSpec<'a> {
        KernelSpec::new(self.base)
    }
}

/// Receives the progress of the matrix.
pub trait JobObserver {
    /// A case has finished. Called in the order of the cases of the job.
    fn case_finished(&mut self, job: Job<'_>, case_result: &CaseResult);
    /// A job has finished or failed to start.
    fn job_finished(&mut self, job: Job<'_>, outcome: &Result<Results, Error>);
}

/// All combinations of entries and bases, ordered by entry: the first entry tests every base before
/// the second one starts.
#[must_use]
pub fn plan_jobs<'a>(bases: &'a [Base], entries: &'a [MatrixEntry]) -> Vec<Job<'a>> {
    entries.iter().flat_map(|entry| bases.iter().map(move |base| Job { base, entry })).collect()
}

/// Runs all jobs and merges their results. A job that fails does not stop the others; its error is
/// part of the results. `asked` is the number of machines that run in parallel, by default one for
/// each core as far as memory permits.
///
/// # Errors
/// [`Error::Matrix`] if an entry names an unknown claim, [`Error::Usage`] if the results cannot be
/// merged.
pub fn run_jobs(
    workspace: &Workspace,
    all_jobs: &[Job<'_>],
    asked: Option<u16>,
    observer: &mut impl JobObserver,
) -> Result<MergedResults, Error> {
    // Report unknown claims before any kernel is built.
    all_jobs.iter().try_for_each(|job| job.entry.claims(job.base).map(drop))?;
    let cores = thread::available_parallelism().map_or(1, usize::from);
    let queue = Mutex::new(all_jobs.iter());
    let (sender, receiver) = mpsc::channel();
    let mut outcomes = Vec::new();
    thread::scope(|scope| {
        for _ in 0..builder_count(cores, all_jobs.len()) {
            let (sender, queue) = (sender.clone(), &queue);
            scope.spawn(move || {
                // The lock cannot be poisoned: no code panics while it is held.
                let next = || queue.lock().map_or(None, |mut queue| queue.next().copied());
                while let Some(job) = next() {
                    let built = build_kernel(workspace, job);
                    // The receiver is gone if the matrix has stopped with an error.
                    if sender.send((job, built)).is_err() {
                        break;
                    }
                }
            });
        }
        drop(sender);
        for (job, built) in receiver {
            let outcome = run_job(workspace, job, built, asked, observer)?;
            observer.job_finished(job, &outcome);
            outcomes.push((PathBuf::from(job.base.name.clone()), into_outcome(job, outcome)));
        }
        Ok::<_, Error>(())
    })?;
    MergedResults::merge(outcomes)
}

/// Builds the kernel of a job, so that [`run_job`] finds it in the cache.
fn build_kernel(workspace: &Workspace, job: Job<'_>) -> Result<(), build::Error> {
    build::build_kernel(workspace, &job.kernel_spec(), job.arch()).map(drop)
}

/// Runs the cases of a job. The inner error is that of the job; the outer one stops the matrix.
fn run_job(
    workspace: &Workspace,
    job: Job<'_>,
    built: Result<(), build::Error>,
    asked: Option<u16>,
    observer: &mut impl JobObserver,
) -> Result<Result<Results, Error>, Error> {
    let (claims, filesystems) = (job.entry.claims(job.base)?, job.entry.filesystems());
    let cases = filter::cases(&claims, &filesystems);
    let run_spec = RunSpec::new(job.kernel_spec(), &filesystems, job.entry.executor);
    let built = built.map_err(|error| record_run_error(workspace, &run_spec, error.into()));
    let outcome = built.and_then(|()| Session::start(workspace, &run_spec, RunOptions::default(), &cases)).and_then(
        |mut session| {
            let jobs = job_count(asked, session.testbed.kernel.memory_mib());
            session.run(jobs, |case_result| observer.case_finished(job, case_result))?;
            Ok(session.log.results().clone())
        },
    );
    Ok(outcome)
}

fn into_outcome(job: Job<'_>, outcome: Result<Results, Error>) -> RunOutcome {
    match outcome {
        Ok(results) => RunOutcome::Ran(results),
        Err(error) => RunOutcome::NotRun(crate::session::run_error(&job.kernel_spec(), job.entry.executor, &error)),
    }
}

/// Number of kernels that are built in parallel.
fn builder_count(cores: usize, jobs: usize) -> usize {
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
    fn there_is_at_least_one_builder(#[case] cores: usize, #[case] jobs: usize, #[case] expected: usize) {
        assert_eq!(builder_count(cores, jobs), expected);
    }

    #[test]
    fn every_entry_is_combined_with_every_base() {
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

// SPDX-License-Identifier: MIT OR Apache-2.0
//! Many bases on several executors: a kernel is built while claims are proved on another.

use std::path::PathBuf;
use std::sync::{Mutex, mpsc};
use std::thread;

use vremount_claims::filter;
use vremount_kernel::base::Base;
use vremount_kernel::build::{self, Arch, Wish};
use vremount_kernel::workspace::Project;
use vremount_machine::Wanted;

use crate::case_runner::Proof;
use crate::error::Error;
use crate::matrix::config::Lane;
use crate::results::{How, Merged, Outcome, Results};
use crate::scheduler::jobs;
use crate::session::{Session, not_run};
use crate::testbed::Order;

/// From this many cores on, another kernel is built at a time: make of a small kernel keeps no more of them busy.
const CORES_PER_BUILD: usize = 16;

/// A base on an executor.
#[derive(Clone, Copy)]
pub struct Job<'a> {
    pub base: &'a Base,
    pub lane: &'a Lane,
}

impl<'a> Job<'a> {
    /// What its kernel is built for.
    #[must_use]
    pub fn arch(&self) -> Arch {
        if self.lane.executor == Wanted::Uml { Arch::Um } else { Arch::X86_64 }
    }

    fn kernel(self) -> Wish<'a> {
        Wish::of(self.base)
    }
}

/// What there is to see while it goes on.
pub trait Watch {
    /// A case was proved.
    fn proof(&mut self, job: Job<'_>, proof: &Proof);
    /// A job came to its end, or never started.
    fn done(&mut self, job: Job<'_>, outcome: &Result<Results, Error>);
}

/// Every lane on every base, lanes first: the breadth of all comes before the core of any.
#[must_use]
pub fn jobs_of<'a>(bases: &'a [Base], lanes: &'a [Lane]) -> Vec<Job<'a>> {
    lanes.iter().flat_map(|lane| bases.iter().map(move |base| Job { base, lane })).collect()
}

/// Does all of them. What becomes of one says nothing about the others.
///
/// # Errors
/// If the harness itself cannot go on: a lane that names no claim, results that cannot be joined.
pub fn run(project: &Project, all: &[Job<'_>], asked: Option<u16>, watch: &mut impl Watch) -> Result<Merged, Error> {
    // Before a kernel is built for nothing.
    all.iter().try_for_each(|job| job.lane.claims(job.base).map(drop))?;
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
                    let prepared = prepare(project, job);
                    // Nobody listens any more if the harness cannot go on.
                    if sender.send((job, prepared)).is_err() {
                        break;
                    }
                }
            });
        }
        drop(sender);
        for (job, prepared) in receiver {
            let outcome = prove(project, job, prepared, asked, watch)?;
            watch.done(job, &outcome);
            outcomes.push((PathBuf::from(job.base.name.clone()), into_outcome(job, outcome)));
        }
        Ok::<_, Error>(())
    })?;
    Merged::of(outcomes)
}

/// Builds what the job will ask for.
fn prepare(project: &Project, job: Job<'_>) -> Result<(), build::Error> {
    build::kernel(project, &job.kernel(), job.arch()).map(drop)
}

/// The inner error is why nothing can be told of this job.
fn prove(
    project: &Project,
    job: Job<'_>,
    prepared: Result<(), build::Error>,
    asked: Option<u16>,
    watch: &mut impl Watch,
) -> Result<Result<Results, Error>, Error> {
    let (claims, filesystems) = (job.lane.claims(job.base)?, job.lane.filesystems());
    let cases = filter::cases(&claims, &filesystems);
    let order = Order::new(job.kernel(), &filesystems, job.lane.executor);
    let how = How { faults: true, twice: false, fresh: false };
    let prepared = prepared.map_err(|error| not_run(project, &order, error.into()));
    let proved = prepared.and_then(|()| Session::start(project, &order, how, &cases)).and_then(|mut session| {
        let jobs = jobs(asked, session.lab.kernel.memory_mib());
        session.prove(jobs, |proof| watch.proof(job, proof))?;
        Ok(session.log.results().clone())
    });
    Ok(proved)
}

fn into_outcome(job: Job<'_>, proved: Result<Results, Error>) -> Outcome {
    match proved {
        Ok(results) => Outcome::Ran(results),
        Err(error) => Outcome::NotRun(crate::session::word(&job.kernel(), job.lane.executor, &error)),
    }
}

fn builders(cores: usize, jobs: usize) -> usize {
    (cores / CORES_PER_BUILD).clamp(1, jobs.max(1))
}

#[cfg(test)]
mod tests {

    use rstest::rstest;

    use super::*;
    use crate::matrix::config::Lanes;

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
        let (bases, lanes) = (Base::all(&root).unwrap(), Lanes::read(&root).unwrap().lanes);
        let jobs = jobs_of(&bases, &lanes);
        let names: Vec<_> = jobs.iter().map(|job| (job.lane.executor.name(), job.base.name.as_str())).collect();
        let all = lanes.iter().flat_map(|lane| bases.iter().map(|base| (lane.executor.name(), base.name.as_str())));
        assert_eq!(names, all.collect::<Vec<_>>());
        for job in jobs {
            assert_eq!(job.arch() == Arch::Um, job.lane.executor.name() == "uml");
        }
    }
}

// SPDX-License-Identifier: MIT OR Apache-2.0
//! A run from its kernel to its log: what `vremount verify` and `vremount matrix` do with each base and executor.

use std::fs;

use vremount_claims::Case;
use vremount_kernel::build::Wish;
use vremount_kernel::workspace::Project;
use vremount_machine::Wanted;
use vremount_util::{io_error, progress};

use crate::case_runner::{Proof, Prover};
use crate::error::Error;
use crate::results::{How, Log, NotRun, Plan, Record, Start};
use crate::scheduler::verify;
use crate::testbed::{self, Lab, Order};

/// A run that has a machine to run on and a log to write to.
pub struct Session<'a> {
    pub lab: Lab,
    pub log: Log,
    /// What an earlier run of the same has not proved yet.
    pub left: Vec<Case<'a>>,
    how: How,
}

impl<'a> Session<'a> {
    /// Obtains all that it takes. If it cannot be had, the log says so.
    ///
    /// # Errors
    /// If a kernel or an image cannot be made, machines do not run here, or there is no run to resume.
    pub fn start(project: &Project, order: &Order<'_>, how: How, cases: &[Case<'a>]) -> Result<Self, Error> {
        let lab = Lab::new(project, order).map_err(|error| not_run(project, order, error))?;
        // Word of an earlier run that could not start holds no more.
        let _ = fs::remove_dir_all(testbed::folder(project, order, order.wanted.name()));
        let plan = Plan::new(&lab, how, order.shard, cases)?;
        let mut log = if order.resume { Log::resume(&lab.logs, &plan)? } else { Log::create(&lab.logs, plan)? };
        let is_left = |case: &&Case<'_>| log.results().of(case.claim.name, case.fs).is_none();
        let left: Vec<_> = cases.iter().filter(is_left).copied().collect();
        if !left.is_empty() {
            log.start(Start::here(&lab.why)?)?;
        }
        Ok(Session { lab, log, left, how })
    }

    /// Proves what is left, shows it in order, and keeps what came of it.
    ///
    /// # Errors
    /// If the log cannot be written.
    pub fn prove(&mut self, jobs: usize, show: impl FnMut(&Proof)) -> Result<(), Error> {
        let Session { lab, log, left, how } = self;
        let prover = Prover { faults: how.faults, twice: how.twice, fresh: how.fresh, ..lab.prover() };
        let mut kept = Ok(());
        let keep = |proof: &Proof| {
            // After a line that is torn there is nothing more to keep.
            if kept.is_ok() {
                kept = log.append(Record::new(proof));
            }
        };
        verify(&prover, left, jobs, keep, show);
        kept
    }
}

/// Leaves word in the place of the log, for those who join the results of many runs.
pub(crate) fn not_run(project: &Project, order: &Order<'_>, error: Error) -> Error {
    // What an earlier run has proved is worth more.
    if order.resume {
        return error;
    }
    let folder = testbed::folder(project, order, order.wanted.name());
    let word = word(&order.kernel, order.wanted, &error);
    let created = fs::create_dir_all(&folder).map_err(io_error("create", &folder));
    let written = created.map_err(Error::from).and_then(|()| word.write(&folder));
    match written {
        Ok(()) => error,
        Err(also) => {
            progress::note(format!("nor could that be noted: {also}"));
            error
        }
    }
}

/// Why nothing can be told, for a report.
#[must_use]
pub fn word(kernel: &Wish<'_>, wanted: Wanted, error: &Error) -> NotRun {
    NotRun {
        base: kernel.base.name.clone(),
        series: kernel.series(),
        level: kernel.level.number(),
        executor: wanted.name().to_string(),
        cannot_tell: error.to_string(),
    }
}

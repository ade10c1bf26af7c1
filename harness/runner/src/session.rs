// SPDX-License-Identifier: MIT OR Apache-2.0
//! A run from its kernel to its log: what `vremount verify` and `vremount matrix` do with each base and executor.

use std::fs;

use vremount_claims::Case;
use vremount_kernel::build::KernelSpec;
use vremount_kernel::workspace::Workspace;
use vremount_machine::ExecutorChoice;
use vremount_util::{io_error, progress};

use crate::case_runner::{CaseResult, CaseRunner};
use crate::error::Error;
use crate::results::{Invocation, Log, Record, RunError, RunOptions, RunPlan};
use crate::scheduler::run_cases;
use crate::testbed::{self, RunSpec, TestBed};

/// A run that has a machine to run on and a log to write to.
pub struct Session<'a> {
    pub testbed: TestBed,
    pub log: Log,
    /// What an earlier run of the same has not proved yet.
    pub left: Vec<Case<'a>>,
    how: RunOptions,
}

impl<'a> Session<'a> {
    /// Obtains all that it takes. If it cannot be had, the log says so.
    ///
    /// # Errors
    /// If a kernel or an image cannot be made, machines do not run here, or there is no run to resume.
    pub fn start(
        workspace: &Workspace,
        run_spec: &RunSpec<'_>,
        how: RunOptions,
        cases: &[Case<'a>],
    ) -> Result<Self, Error> {
        let testbed =
            TestBed::new(workspace, run_spec).map_err(|error| record_run_error(workspace, run_spec, error))?;
        // Word of an earlier run that could not start holds no more.
        let _ = fs::remove_dir_all(testbed::run_dir(workspace, run_spec, run_spec.wanted.name()));
        let plan = RunPlan::new(&testbed, how, run_spec.shard, cases)?;
        let mut log =
            if run_spec.resume { Log::resume(&testbed.logs, &plan)? } else { Log::create(&testbed.logs, plan)? };
        let is_left = |case: &&Case<'_>| log.results().of(case.claim.name, case.fs).is_none();
        let left: Vec<_> = cases.iter().filter(is_left).copied().collect();
        if !left.is_empty() {
            log.start(Invocation::here(&testbed.why)?)?;
        }
        Ok(Session { testbed, log, left, how })
    }

    /// Proves what is left, shows it in order, and keeps what came of it.
    ///
    /// # Errors
    /// If the log cannot be written.
    pub fn run(&mut self, jobs: usize, show: impl FnMut(&CaseResult)) -> Result<(), Error> {
        let Session { testbed, log, left, how } = self;
        let case_runner =
            CaseRunner { faults: how.faults, twice: how.twice, fresh: how.fresh, ..testbed.case_runner() };
        let mut kept = Ok(());
        let keep = |case_result: &CaseResult| {
            // After a line that is torn there is nothing more to keep.
            if kept.is_ok() {
                kept = log.append(Record::new(case_result));
            }
        };
        run_cases(&case_runner, left, jobs, keep, show);
        kept
    }
}

/// Leaves word in the place of the log, for those who join the results of many runs.
pub(crate) fn record_run_error(workspace: &Workspace, run_spec: &RunSpec<'_>, error: Error) -> Error {
    // What an earlier run has proved is worth more.
    if run_spec.resume {
        return error;
    }
    let folder = testbed::run_dir(workspace, run_spec, run_spec.wanted.name());
    let word = run_error(&run_spec.kernel, run_spec.wanted, &error);
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
pub fn run_error(kernel: &KernelSpec<'_>, wanted: ExecutorChoice, error: &Error) -> RunError {
    RunError {
        base: kernel.base.name.clone(),
        series: kernel.series(),
        level: kernel.level.number(),
        executor: wanted.name().to_string(),
        cannot_tell: error.to_string(),
    }
}

// SPDX-License-Identifier: MIT OR Apache-2.0
//! A run of many cases with its log: `vremount verify`, or one job of `vremount matrix`.

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

/// A run that is ready to start.
pub struct Session<'a> {
    /// Kernel, executor and run directory.
    pub testbed: TestBed,
    /// The log of the run.
    pub log: Log,
    /// Cases that have no record in the log yet.
    pub remaining_cases: Vec<Case<'a>>,
    options: RunOptions,
}

impl<'a> Session<'a> {
    /// Prepares a new run of `cases`, or resumes an earlier one. If the preparation of a new run
    /// fails, a file in its run directory records the error for reports.
    ///
    /// # Errors
    /// Any [`Error`] of [`TestBed::new`], and any of [`Log::create`] and [`Log::resume`].
    pub fn start(
        workspace: &Workspace,
        run_spec: &RunSpec<'_>,
        options: RunOptions,
        cases: &[Case<'a>],
    ) -> Result<Self, Error> {
        let testbed =
            TestBed::new(workspace, run_spec).map_err(|error| record_run_error(workspace, run_spec, error))?;
        // The error of an earlier run that failed to start is obsolete.
        let _ = fs::remove_dir_all(testbed::run_dir(workspace, run_spec, run_spec.executor.name()));
        let plan = RunPlan::new(&testbed, options, run_spec.shard, cases)?;
        let mut log =
            if run_spec.resume { Log::resume(&testbed.run_dir, &plan)? } else { Log::create(&testbed.run_dir, plan)? };
        let is_left = |case: &&Case<'_>| log.results().find_record(case.claim.name, case.fs).is_none();
        let left: Vec<_> = cases.iter().filter(is_left).copied().collect();
        if !left.is_empty() {
            log.start(Invocation::current(&testbed.executor_reason)?)?;
        }
        Ok(Session { testbed, log, remaining_cases: left, options })
    }

    /// Runs the remaining cases on up to `jobs` machines and appends a record for each to the log.
    /// `show` gets the results in order.
    ///
    /// # Errors
    /// [`Error::Io`] if the log cannot be written.
    pub fn run(&mut self, jobs: usize, show: impl FnMut(&CaseResult)) -> Result<(), Error> {
        let Session { testbed, log, remaining_cases: left, options } = self;
        let case_runner = CaseRunner {
            faults: options.faults,
            twice: options.twice,
            fresh: options.fresh,
            ..CaseRunner::new(testbed)
        };
        let mut logged = Ok(());
        let append = |case_result: &CaseResult| {
            // After a failed write, the last line of the log may be incomplete; appending would
            // corrupt it.
            if logged.is_ok() {
                logged = log.append(Record::new(case_result));
            }
        };
        run_cases(&case_runner, left, jobs, append, show);
        logged
    }
}

/// Writes the error of a run that failed to start to its run directory, where reports find it.
/// Returns the error.
pub(crate) fn record_run_error(workspace: &Workspace, run_spec: &RunSpec<'_>, error: Error) -> Error {
    // The results of the earlier run must not be overwritten.
    if run_spec.resume {
        return error;
    }
    let folder = testbed::run_dir(workspace, run_spec, run_spec.executor.name());
    let record = run_error(&run_spec.kernel, run_spec.executor, &error);
    let created = fs::create_dir_all(&folder).map_err(io_error("create", &folder));
    let written = created.map_err(Error::from).and_then(|()| record.write(&folder));
    match written {
        Ok(()) => error,
        Err(also) => {
            progress::note(format!("failed to record the error of the run: {also}"));
            error
        }
    }
}

/// The record of a run that failed to start with `error`.
#[must_use]
pub fn run_error(kernel: &KernelSpec<'_>, executor: ExecutorChoice, error: &Error) -> RunError {
    RunError {
        base: kernel.base.name.clone(),
        series: kernel.series_name(),
        level: kernel.level.number(),
        executor: executor.name().to_string(),
        cannot_tell: error.to_string(),
    }
}

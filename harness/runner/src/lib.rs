// SPDX-License-Identifier: MIT OR Apache-2.0
//! Runs claims on machines, validates the runs, and records verdicts.
//!
//! In: a kernel specification, claims and filesystems. Out: a log with a record for each case (one
//! claim on one filesystem), transcripts and console logs; read back as [`results::Results`].
//!
//! Entry points: [`session::Session`] for a whole run with its log, [`testbed::TestBed`] for
//! kernel, images and executor, [`scheduler::run_cases`] for many cases in parallel, [`matrix`] for
//! many bases.
//!
//! Invariants: a verdict comes only from a run that is complete, of the expected build, and without
//! a kernel warning; a record is written to the log before it is shown; a run directory is locked
//! by one process.

#![warn(missing_docs)]

pub mod batch;
mod boot_segment;
pub mod case_runner;
mod determinism;
mod error;
pub mod gcov_data;
pub mod host_info;
pub mod matrix;
pub mod results;
pub mod scheduler;
pub mod session;
pub mod testbed;
pub mod transcript;
pub mod validate;

pub use error::Error;
#[cfg(any(test, feature = "testing"))]
pub use results::testing;

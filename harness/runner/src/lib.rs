// SPDX-License-Identifier: MIT OR Apache-2.0
//! Runs claims on machines, validates what came back, and records verdicts.
//!
//! In: a kernel specification, claims and filesystems. Out: a log of records, one for each case (a claim on a filesystem),
//! with transcript and console log beside it; joined, [`results::Results`].
//!
//! Entry points: [`session::Session`] for a whole run with its log, [`testbed::Lab`] for kernel, images and executor,
//! [`scheduler::verify`] for many cases side by side, [`matrix`] for many bases.
//!
//! Invariants: a verdict comes only from a run that is complete, of the expected build, and without a kernel warning; a
//! record is on disk before it is shown; the folder of a run is locked by one process.

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

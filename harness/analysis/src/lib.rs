// SPDX-License-Identifier: MIT OR Apache-2.0
//! Drivers over the runner that answer other questions than one run does.
//!
//! - [`bisect`]: from which commit or release on a claim is broken
//! - [`explore`]: whether kernel and model agree on generated sequences of operations
//! - [`mutants`]: whether wrong versions of the series are noticed
//! - [`coverage`]: which lines and branches of the series the claims execute
//! - [`lint_series`]: what reviewers' tools report of the series
//! - [`reproduce`]: claims as shell scripts
//! - [`bench`]: what reuse costs and saves
//!
//! In: a kernel specification and options. Out: a record or log that [the report crate](../vremount_report/index.html) shows.
//!
//! Invariants: each driver runs kernels and claims by the runner alone; what is interrupted keeps its log.

pub mod bench;
pub mod bisect;
pub mod command_line;
pub mod coverage;
mod error;
pub mod explore;
pub mod lint_series;
pub mod mutants;
pub mod reproduce;

pub use error::Error;

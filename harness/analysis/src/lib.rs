// SPDX-License-Identifier: MIT OR Apache-2.0
//! Analyses that run many kernels or many cases.
//!
//! - [`bisect`]: finds the first commit or release on which a claim is broken
//! - [`explore`]: compares a kernel with the model on generated sequences of operations
//! - [`mutants`]: checks that the claims detect faulty versions of the series
//! - [`coverage`]: measures which lines and branches of the series the claims execute
//! - [`lint_series`]: runs the tools of kernel reviewers on the series
//! - [`reproduce`]: prints claims as shell scripts
//! - [`mod@bench`]: measures the cost and the benefit of reuse
//!
//! Input: a kernel specification and options. Output: a record or a log, which [the report
//! crate](../vremount_report/index.html) shows.
//!
//! Invariants: kernels and cases are run by the runner only. An interrupted bisection keeps its log
//! and can be resumed. Modules do not import each other in a circle: `mutants` uses `explore`,
//! `explore` uses `reproduce`, and `lint_series` uses `mutants`.

#![warn(missing_docs)]

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

// SPDX-License-Identifier: MIT OR Apache-2.0
//! Results for people and programs.
//!
//! In: results of runs, coverage, bisections and benchmarks ([`input`]). Out: text: console tables, JSON, JUnit, KTAP,
//! KCIDB, an HTML page, and the Markdown page of costs.
//!
//! Entry points: [`line`] and [`matrix`] for the console, [`json`], [`junit`], [`ktap`], [`kcidb`] for programs, [`page`]
//! for the HTML page.
//!
//! Invariants: nothing here runs anything or prints; each format is made from the same [`Results`](vremount_runner::results::Results);
//! cases that were planned and did not run are in each format.

pub mod bench_table;
mod console;
pub mod cost_page;
mod error;
mod fs_table;
pub mod input;
mod json;
mod junit;
mod kcidb;
mod ktap;
mod page;
pub mod plot;
mod summary_table;

pub use console::{line, missing};
pub use error::Error;
pub use fs_table::matrix;
pub use json::{json, merged_json};
pub use junit::{junit, merged_junit};
pub use kcidb::kcidb;
pub use ktap::ktap;
pub use page::page;
pub use summary_table::across;

/// Why there is no verdict on a case that was planned.
const MISSING: &str = "the run was interrupted before it was proved";

// SPDX-License-Identifier: MIT OR Apache-2.0
//! Results as people and programs read them.

mod across;
mod json;
mod junit;
mod kcidb;
mod ktap;
mod matrix;
mod page;
mod table;
mod whole;

pub use across::across;
pub use json::{json, merged_json};
pub use junit::{junit, merged_junit};
pub use kcidb::kcidb;
pub use ktap::ktap;
pub use matrix::matrix;
pub use page::page;
pub use table::{Tally, line, missing};
pub use whole::Whole;

/// Why there is no verdict on a case that was planned.
const MISSING: &str = "the run was interrupted before it was proved";

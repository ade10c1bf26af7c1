// SPDX-License-Identifier: MIT OR Apache-2.0
//! Proofs as people and programs read them.

mod json;
mod table;
mod whole;

pub use json::Report;
pub use table::{Tally, line};
pub use whole::Whole;

// SPDX-License-Identifier: MIT OR Apache-2.0
//! Proofs as people and programs read them.

mod json;
mod table;

pub use json::Report;
pub use table::{Tally, line};

// SPDX-License-Identifier: MIT OR Apache-2.0
//! The oracle: what cover letter and documentation promise, as a pure and small model. A world and an operation give the
//! next world and what the operation must lead to, in the words of claims. It is written from the promises, not from the
//! patches, so that each can show the other wrong; where nothing is promised, it says so.

pub mod errseq;
mod file_ops;
mod marker;
mod mounts;
mod overlay;
mod page_cache;
mod predict_claim;
mod state;
mod upper;

#[cfg(test)]
mod edge_cases;
#[cfg(test)]
mod tests;

pub use predict_claim::{Prediction, predict};
pub use state::ModelState;

/// What the model cannot foretell, and why not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("beyond the model: {0}")]
pub struct OutOfModel(pub &'static str);

/// What is foretold.
type ModelResult<T> = Result<T, OutOfModel>;

// SPDX-License-Identifier: MIT OR Apache-2.0
//! Model of what the documentation and the cover letter of the series promise: predicts the outcome
//! of each operation.
//!
//! In: a [`ModelState`] and an operation. Out: the next state and the outcome that the kernel must
//! have, or [`OutOfModel`] where nothing is promised.
//!
//! Entry points: [`ModelState`] for single operations, [`predict`] for a whole claim.
//!
//! Invariants: the model is written from the documentation and not from the patches, so a
//! difference between kernel and model shows an error in one of them. It is pure and does no I/O.

pub mod errseq;
mod file_ops;
mod marker;
mod mounts;
mod out_of_model;
mod overlay;
mod page_cache;
mod predict_claim;
mod snapshots;
mod state;
mod upper;
mod work_dir;

#[cfg(test)]
mod edge_cases;
#[cfg(test)]
mod tests;

pub use out_of_model::OutOfModel;
pub use predict_claim::{Prediction, predict};
pub use state::ModelState;

type ModelResult<T> = Result<T, OutOfModel>;

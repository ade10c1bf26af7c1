// SPDX-License-Identifier: MIT OR Apache-2.0
//! The claims about the series as data, the model of the promised behaviour, and verdicts.
//!
//! Input: a kernel base. Output: the claims that apply to it, each a list of steps with expected
//! outcomes. Further input: the reports of a machine that ran the steps. Output: a verdict.
//!
//! Entry points: [`for_base`] returns the claims of a base, [`filter::Filters`] selects among them,
//! [`verdict::judge`] returns the verdict of a case, [`model::predict`] returns the outcomes that
//! the model predicts.
//!
//! A claim is defined in one of the modules in `topics`, with [`Claim`]'s constructor and the
//! builder in `builder`.
//!
//! Invariants: this crate does no I/O. The model is written from the documentation and shares no
//! code with the claims.

#![warn(missing_docs)]

mod builder;
mod case;
mod citations;
mod claim;
mod describe;
mod display_outcome;
pub mod exit;
pub mod filter;
pub mod model;
pub mod refusal_reason;
pub mod shard;
mod step;
mod topics;
pub mod verdict;

pub use builder::{BORROWED_WORK, FILE};
pub use case::Case;
pub use claim::{Claim, all, for_base};
pub use describe::describe;
pub use display_outcome::{describe_outcome, errno_name};
pub use step::{Action, Expectation, HostStep, Step};

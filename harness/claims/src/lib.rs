// SPDX-License-Identifier: MIT OR Apache-2.0
//! The claims of the series as data, the model of what it promises, and verdicts.
//!
//! In: a kernel base. Out: the claims about it, as lists of steps with expected outcomes; and, for steps and the reports of
//! a machine, a verdict.
//!
//! Entry points: [`of`] for the claims on a base, [`filter::Filters`] to choose among them, [`verdict::judge`] for a verdict,
//! [`model::foretell`] for what the model predicts.
//!
//! Invariants: nothing here does I/O; the model is written from the documentation and does not share code with the claims.

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

pub use case::Case;
pub use claim::{Claim, all, for_base};
pub use describe::describe;
pub use display_outcome::{describe_outcome, errno_name};
pub use step::{Action, BORROWED_WORK, Expectation, FILE, HostStep, Step};

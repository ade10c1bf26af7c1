// SPDX-License-Identifier: MIT OR Apache-2.0
//! Prints claims and explored sequences as shell scripts, for people who do not have `vremount`. A
//! script performs the same steps with common tools and checks their outcomes.

mod check;
mod library;
mod script;
mod shell_call;
mod shell_check;
mod xfstests;

pub use check::{Checker, ScriptRun};
pub use script::{claim_script, expected_outcomes, script, unsupported_reason};
pub use shell_call::Unsupported;
pub use xfstests::{Test, xfstests_test};

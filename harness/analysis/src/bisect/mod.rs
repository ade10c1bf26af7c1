// SPDX-License-Identifier: MIT OR Apache-2.0
//! Finds the first commit or release on which a claim is broken. Each kernel is built and tested as
//! `verify` does it.
//!
//! A [`BisectRange`] chooses revisions, a [`KernelTester`] tests them, [`judge`] marks them good,
//! bad or skipped, and a [`Log`] keeps each step before the next one begins.

mod display;
mod driver;
mod git_range;
mod kernel_tester;
mod log;
mod policy;
mod range;
mod release_range;
mod transcript_diff;

pub use display::{abbreviate_id, format_step};
pub use driver::{BisectEvent, run};
pub use git_range::GitRange;
pub use kernel_tester::{BisectOptions, KernelTester, shared_build_name};
pub use log::{BisectResult, Bisection, Header, LOG_FILE, Log, LoggedResult, Step};
pub use policy::{Mark, Rule, judge};
pub use range::{BisectRange, NextStep, Revision};
pub use release_range::{ReleaseRange, VersionRange};

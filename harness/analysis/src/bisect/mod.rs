// SPDX-License-Identifier: MIT OR Apache-2.0
//! From which commit, or release, on a claim is broken: a driver over the pipeline, which builds and proves each kernel as
//! `verify` would.

mod display;
mod driver;
mod git_range;
mod kernel_tester;
mod log;
mod policy;
mod release_range;
mod transcript_diff;

pub use display::{line, short};
pub use driver::{BisectEvent, BisectResult, run};
pub use git_range::GitRange;
pub use kernel_tester::{BisectOptions, KernelTester, shared_build_name};
pub use log::{Bisection, FILE, Header, Log, LoggedResult, Step};
pub use policy::{Mark, Rule, judge};
pub use release_range::{ReleaseRange, VersionRange};
use serde::{Deserialize, Serialize};
use vremount_kernel::base::Base;

use crate::error::Error;

/// A commit or a release.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Revision {
    /// What it is found by.
    pub id: String,
    /// What people know it by.
    pub title: String,
}

/// What is to be done next.
#[derive(Debug, PartialEq, Eq)]
pub enum NextStep {
    /// Examine this; so many more will be needed, if that can be told.
    Examine(Revision, Option<usize>),
    /// This is the first that is bad.
    Found(Revision),
    /// It is one of these, and nothing can be told of any but the last.
    Among(Vec<Revision>),
}

/// Points between one that is good and one that is bad.
pub trait BisectRange {
    fn good(&self) -> &[Revision];

    fn bad(&self) -> &Revision;

    /// What to do next, by all marks so far.
    ///
    /// # Errors
    /// If that cannot be told.
    fn next(&mut self) -> Result<NextStep, Error>;

    /// Marks the point that was to be examined.
    ///
    /// # Errors
    /// If it cannot be marked.
    fn mark(&mut self, point: &Revision, mark: Mark) -> Result<(), Error>;

    /// Those that come right before one.
    ///
    /// # Errors
    /// If they cannot be told.
    fn before(&self, point: &Revision) -> Result<Vec<String>, Error>;

    /// The kernel of a point, and how it came to be what it is, in words.
    ///
    /// # Errors
    /// If it cannot be had, or no series applies to it.
    fn base(&self, point: &Revision) -> Result<(Base, String), Error>;
}

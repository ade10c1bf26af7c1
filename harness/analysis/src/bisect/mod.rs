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
pub use driver::{Ending, News, run};
pub use git_range::History;
pub use kernel_tester::{Examiner, How, workspace};
pub use log::{Bisection, End, FILE, Header, Log, Step};
pub use policy::{Mark, Rule, judge};
pub use release_range::{Releases, Versions};
use serde::{Deserialize, Serialize};
use vremount_kernel::base::Base;

use crate::error::Error;

/// A commit or a release.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Point {
    /// What it is found by.
    pub id: String,
    /// What people know it by.
    pub title: String,
}

/// What is to be done next.
#[derive(Debug, PartialEq, Eq)]
pub enum Next {
    /// Examine this; so many more will be needed, if that can be told.
    Examine(Point, Option<usize>),
    /// This is the first that is bad.
    Found(Point),
    /// It is one of these, and nothing can be told of any but the last.
    Among(Vec<Point>),
}

/// Points between one that is good and one that is bad.
pub trait Range {
    fn good(&self) -> &[Point];

    fn bad(&self) -> &Point;

    /// What to do next, by all marks so far.
    ///
    /// # Errors
    /// If that cannot be told.
    fn next(&mut self) -> Result<Next, Error>;

    /// Marks the point that was to be examined.
    ///
    /// # Errors
    /// If it cannot be marked.
    fn mark(&mut self, point: &Point, mark: Mark) -> Result<(), Error>;

    /// Those that come right before one.
    ///
    /// # Errors
    /// If they cannot be told.
    fn before(&self, point: &Point) -> Result<Vec<String>, Error>;

    /// The kernel of a point, and how it came to be what it is, in words.
    ///
    /// # Errors
    /// If it cannot be had, or no series applies to it.
    fn base(&self, point: &Point) -> Result<(Base, String), Error>;
}

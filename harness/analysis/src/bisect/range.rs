// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a bisection searches: revisions between good ones and a bad one.

use serde::{Deserialize, Serialize};
use vremount_kernel::base::Base;

use crate::bisect::policy::Mark;
use crate::error::Error;

/// A commit or a release.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Revision {
    /// Commit id, or upstream version of the release.
    pub id: String,
    /// Subject of the commit, or name of the source package.
    pub title: String,
}

/// What a bisection does next.
#[derive(Debug, PartialEq, Eq)]
pub enum NextStep {
    /// Test this revision. The number is an estimate of the tests left; none if
    /// it is unknown.
    Test(Revision, Option<usize>),
    /// This is the first bad revision.
    Found(Revision),
    /// The first bad revision is one of these. All but the last one were skipped.
    Undecided(Vec<Revision>),
}

/// The revisions between the good ends and the bad end of a bisection.
pub trait BisectRange {
    /// The good ends, at least one.
    fn good(&self) -> &[Revision];

    /// The bad end.
    fn bad(&self) -> &Revision;

    /// Chooses the next revision from the marks so far.
    ///
    /// # Errors
    /// If git fails, or there are no commits between the ends.
    fn next(&mut self) -> Result<NextStep, Error>;

    /// Marks the revision that [`BisectRange::next`] chose.
    ///
    /// # Errors
    /// If git fails.
    fn mark(&mut self, revision: &Revision, mark: Mark) -> Result<(), Error>;

    /// The ids of the parents of a commit, or of the release before a release.
    ///
    /// # Errors
    /// If git fails.
    fn parents(&self, revision: &Revision) -> Result<Vec<String>, Error>;

    /// The kernel of a revision, and a sentence for the log about its source and series.
    ///
    /// # Errors
    /// If its source cannot be obtained, or no series applies to it.
    fn resolve(&self, revision: &Revision) -> Result<(Base, String), Error>;
}

// SPDX-License-Identifier: MIT OR Apache-2.0
//! What commands need before they can run anything: checkout, cache, kernel base, claims, machines.

use std::fs::File;
use std::ops::Deref;

use vremount_claims::filter::{self, Filters};
use vremount_claims::{Case, Claim};
use vremount_kernel::base::{Base, Spec};
use vremount_kernel::resolve;
use vremount_kernel::workspace::Workspace;
use vremount_machine::image::Fs;
use vremount_runner::results::RunOptions;
use vremount_runner::session::Session;
use vremount_runner::testbed::{RunSpec, TestBed};

use crate::error::Error;

/// The checkout and its cache. No other process can clean the cache while this value exists.
pub struct LockedWorkspace {
    workspace: Workspace,
    _cache_lock: File,
}

impl LockedWorkspace {
    /// Finds the checkout and locks the cache. Waits while another process cleans the cache.
    ///
    /// # Errors
    /// If there is no checkout, or the lock file cannot be created.
    pub fn open() -> Result<Self, Error> {
        let workspace = Workspace::find()?;
        let cache_lock = workspace.lock_cache_shared()?;
        Ok(LockedWorkspace { workspace, _cache_lock: cache_lock })
    }
}

impl Deref for LockedWorkspace {
    type Target = Workspace;

    fn deref(&self) -> &Workspace {
        &self.workspace
    }
}

/// A locked workspace and the base of the kernel to run.
pub struct RunSetup {
    pub workspace: LockedWorkspace,
    pub base: Base,
}

impl RunSetup {
    /// Opens the workspace and finds the base; `None` is the default base.
    ///
    /// # Errors
    /// If the workspace cannot be opened, `ci/bases.toml` has no base of that name, the source
    /// cannot be obtained, or no series applies to it.
    pub fn open(spec: Option<&Spec>) -> Result<Self, Error> {
        RunSetup::open_in(LockedWorkspace::open()?, spec)
    }

    /// Like [`RunSetup::open`], in a workspace that is open already.
    ///
    /// # Errors
    /// See [`RunSetup::open`].
    pub fn open_in(workspace: LockedWorkspace, spec: Option<&Spec>) -> Result<Self, Error> {
        let base = resolve::find_base(&workspace, spec)?;
        Ok(RunSetup { workspace, base })
    }

    /// Like [`RunSetup::open`], for a name from `ci/bases.toml`.
    ///
    /// # Errors
    /// See [`RunSetup::open`].
    pub fn open_named(name: Option<&str>) -> Result<Self, Error> {
        RunSetup::open(name.map(|name| Spec::Named(name.to_string())).as_ref())
    }

    /// The claims and filesystems that pass the filters.
    ///
    /// # Errors
    /// If a filter names an unknown claim, tag or fault, or no claim passes.
    pub fn select(&self, filters: &Filters) -> Result<Selection, Error> {
        Ok(Selection { claims: filters.select_claims(&self.base)?, filesystems: filters.select_filesystems() })
    }

    /// Builds the kernel and the disk images and finds an executor that works.
    ///
    /// # Errors
    /// If the kernel or an image cannot be built, or no executor works.
    pub fn testbed(&self, run_spec: &RunSpec<'_>) -> Result<TestBed, Error> {
        Ok(TestBed::new(&self.workspace, run_spec)?)
    }

    /// Starts or resumes a run of `cases`, with a testbed and a log.
    ///
    /// # Errors
    /// See [`RunSetup::testbed`]; also if the run to resume does not exist or differs from this
    /// one.
    pub fn session<'a>(
        &self,
        run_spec: &RunSpec<'_>,
        options: RunOptions,
        cases: &[Case<'a>],
    ) -> Result<Session<'a>, Error> {
        Ok(Session::start(&self.workspace, run_spec, options, cases)?)
    }
}

/// The claims and filesystems that a command runs on.
pub struct Selection {
    claims: Vec<Claim>,
    /// Each selected filesystem once.
    pub filesystems: Vec<Fs>,
}

impl Selection {
    /// Every claim on every filesystem.
    pub fn cases(&self) -> Vec<Case<'_>> {
        filter::cases(&self.claims, &self.filesystems)
    }
}

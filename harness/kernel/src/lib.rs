// SPDX-License-Identifier: MIT OR Apache-2.0
//! From the name of a kernel base to a built kernel and its overlay modules.
//!
//! In: a [`base::Spec`] (a name of `ci/bases.toml`, a git repository, a tarball or a work tree), a [`base::Level`] and an
//! architecture. Out: a [`build::Kernel`]: image, `overlay.ko`, configuration and build id, kept in the cache by content.
//!
//! Entry points: [`resolve::find`] turns a spec into a base, [`build::kernel`] turns a base into a kernel,
//! [`workspace::Project::find`] finds checkout and cache.
//!
//! Stages, each of which uses only those before it: [`workspace`], [`base`], [`source`], [`series`], [`build`]; then
//! [`resolve`] and [`pin`], which use all of them.
//!
//! Invariants: sources are verified before they are used; patches apply without fuzz or not at all; equal keys mean
//! identical build inputs; work trees of users are only read.

pub mod base;
pub mod build;
mod error;
pub mod pin;
pub mod resolve;
pub mod series;
pub mod source;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
pub mod workspace;

pub use error::Error;

// SPDX-License-Identifier: MIT OR Apache-2.0
//! Obtains, patches and builds a kernel and its overlay modules.
//!
//! In: a [`base::Spec`] (a name of `ci/bases.toml`, a git repository, a tarball or a work tree), a
//! [`base::Level`] and an architecture. Out: a [`build::Kernel`]: image, `overlay.ko`,
//! configuration and build id, in a cache whose keys are hashes of all build inputs.
//!
//! Entry points: [`resolve::find_base`] turns a spec into a base, [`build::build_kernel`] turns a base into a
//! kernel, [`workspace::Workspace::find`] finds checkout and cache.
//!
//! Stages, each of which uses only those before it: [`workspace`], [`base`], [`source`],
//! [`series`], [`build`]. [`resolve`] and [`pin`] use all of them. Each stage has an error type of
//! its own, which [`Error`] joins.
//!
//! Invariants: the hash of a source is verified before the source is used. Patches apply without
//! fuzz or not at all. Equal keys mean identical build inputs. Work trees of the user are only
//! read.

#![warn(missing_docs)]

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

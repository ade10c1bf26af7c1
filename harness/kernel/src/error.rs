// SPDX-License-Identifier: MIT OR Apache-2.0
//! The error of this crate.

use std::collections::BTreeMap;

use vremount_util::{IoError, command, toml_config};

use crate::{base, build, series, source, workspace};

/// Why a kernel cannot be obtained or built.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The user asked for something that does not exist. Bad usage.
    #[error("{0}")]
    Usage(String),
    /// The base is unknown, or `ci/bases.toml` cannot be used.
    #[error(transparent)]
    Base(#[from] base::Error),
    /// The source cannot be obtained.
    #[error(transparent)]
    Source(#[from] source::Error),
    /// The series cannot be applied.
    #[error(transparent)]
    Series(#[from] series::Error),
    /// The source is not a Linux kernel with overlayfs. This is not bad usage: a commit of a
    /// bisection may be the cause.
    #[error(
        "failed to find a Linux kernel in {0}: its Makefile has no version, or it has no fs/overlayfs; \
         name the source of a kernel with overlayfs"
    )]
    NoKernel(
        /// The source, as the user named it.
        String,
    ),
    /// No series applies to the source.
    #[error(
        "failed to find a series that applies to {from} (Linux {version}); port one to it (patches/README.md){}",
        list(tried)
    )]
    NoSeries {
        /// The source, as the user named it.
        from: String,
        /// Its version, from its Makefile.
        version: String,
        /// The first hunk that failed, by series.
        tried: BTreeMap<String, String>,
    },
    /// There is no checkout or no cache, or they cannot be used.
    #[error(transparent)]
    Workspace(#[from] workspace::Error),
    /// The kernel does not build.
    #[error(transparent)]
    Build(#[from] build::Error),
    /// A program failed.
    #[error(transparent)]
    Command(#[from] command::Error),
    /// A file of `ci/` cannot be used.
    #[error(transparent)]
    Config(#[from] toml_config::Error),
    /// A file operation failed.
    #[error(transparent)]
    Io(#[from] IoError),
}

impl Error {
    /// Whether the kernel is the cause, and not this machine: another kernel may work.
    #[must_use]
    pub fn is_kernel_failure(&self) -> bool {
        match self {
            Error::NoKernel(_) | Error::NoSeries { .. } => true,
            Error::Series(error) => error.is_kernel_failure(),
            Error::Build(error) => error.is_kernel_failure(),
            _ => false,
        }
    }

    /// Whether the command line is the cause: it names something that does not exist or is of the
    /// wrong kind. A network failure, a version that a mirror does not have, and a full disk are
    /// not.
    #[must_use]
    pub fn is_usage(&self) -> bool {
        match self {
            Error::Usage(_) => true,
            Error::Base(error) => error.is_usage(),
            Error::Source(error) => error.is_usage(),
            Error::Build(error) => error.is_usage(),
            _ => false,
        }
    }
}

fn list(tried: &BTreeMap<String, String>) -> String {
    tried.iter().map(|(series, failure)| format!("\n- {series}: {failure}")).collect()
}

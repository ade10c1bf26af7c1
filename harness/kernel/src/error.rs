// SPDX-License-Identifier: MIT OR Apache-2.0
//! The errors of all stages from a name to a kernel.

use std::collections::BTreeMap;

use vremount_util::{IoError, command, toml_config};

use crate::{base, build, series, source, workspace};

/// Why there is no kernel.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The user asked for something that does not exist.
    #[error("{0}")]
    Usage(String),
    /// The base is unknown or malformed.
    #[error(transparent)]
    Base(#[from] base::Error),
    /// The source could not be obtained.
    #[error(transparent)]
    Source(#[from] source::Error),
    /// The series could not be applied.
    #[error(transparent)]
    Series(#[from] series::Error),
    /// The source is not a Linux kernel with overlayfs.
    #[error("failed to find a Linux in {0}: its Makefile names no version, or it has no overlayfs")]
    NoKernel(String),
    /// None of the series applies to the source.
    #[error(
        "failed to apply a series to {from} (Linux {version}); port one to it (patches/README.md){}",
        in_lines(tried)
    )]
    NoSeries {
        /// The source, as the user named it.
        from: String,
        /// Its version, from its Makefile.
        version: String,
        /// The first hunk that failed, by series.
        tried: BTreeMap<String, String>,
    },
    /// There is no checkout or no cache.
    #[error(transparent)]
    Project(#[from] workspace::Error),
    /// The kernel does not build.
    #[error(transparent)]
    Build(#[from] build::Error),
    /// A program failed.
    #[error(transparent)]
    Tool(#[from] command::Error),
    /// A file of `ci/` cannot be used.
    #[error(transparent)]
    Table(#[from] toml_config::Error),
    /// A file operation failed.
    #[error(transparent)]
    Io(#[from] IoError),
}

impl Error {
    /// Whether the kernel is the cause, and not this machine: another kernel may work.
    #[must_use]
    pub fn is_of_the_kernel(&self) -> bool {
        match self {
            Error::NoKernel(_) | Error::NoSeries { .. } => true,
            Error::Series(error) => error.is_of_the_kernel(),
            Error::Build(error) => error.is_of_the_kernel(),
            _ => false,
        }
    }

    /// Whether the command line is the cause.
    #[must_use]
    pub fn is_usage(&self) -> bool {
        matches!(self, Error::Usage(_) | Error::Base(base::Error::Unknown { .. }))
    }
}

fn in_lines(tried: &BTreeMap<String, String>) -> String {
    tried.iter().map(|(series, failure)| format!("\n- {series}: {failure}")).collect()
}

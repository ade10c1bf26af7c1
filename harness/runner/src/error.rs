// SPDX-License-Identifier: MIT OR Apache-2.0
//! Why a run could not be made or its results not be read.

use std::path::PathBuf;

use vremount_claims::filter;
use vremount_machine::image;

use crate::matrix::config;

/// Why there are no results.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The user asked for something that does not exist.
    #[error("{0}")]
    Usage(String),
    /// A filter names nothing, or nothing passes all filters.
    #[error(transparent)]
    Filter(#[from] filter::Error),
    /// There is no kernel.
    #[error(transparent)]
    Kernel(#[from] vremount_kernel::Error),
    /// An image could not be made.
    #[error(transparent)]
    Image(#[from] image::Error),
    /// Machines do not run here.
    #[error(transparent)]
    Machine(#[from] vremount_machine::Error),
    /// `ci/matrix.toml` cannot be used.
    #[error(transparent)]
    Matrix(#[from] config::Error),
    /// The log of a run cannot be used.
    #[error("failed to understand {path}: {why}; run verify again", path = path.display())]
    Results {
        /// The log.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// No machine sent coverage data.
    #[error(
        "failed to read coverage data: no machine sent any; build the kernel with the `coverage` fixes of ci/bases.toml"
    )]
    NotCounted,
    /// gcov failed, or its output is not as expected.
    #[error("failed to understand what gcov says: {0}; is it of the compiler that built the kernel?")]
    Gcov(String),
}

vremount_util::error_from!(
    Error, Kernel:
    vremount_kernel::base::Error,
    vremount_kernel::build::Error,
    vremount_kernel::series::Error,
    vremount_kernel::source::Error,
    vremount_kernel::workspace::Error,
    vremount_util::IoError,
    vremount_util::command::Error,
    vremount_util::toml_config::Error,
);

impl Error {
    /// Whether the kernel is the cause, and not this machine: another kernel may work.
    #[must_use]
    pub fn is_of_the_kernel(&self) -> bool {
        match self {
            Error::Kernel(error) => error.is_of_the_kernel(),
            Error::Machine(vremount_machine::Error::NoUml(_)) => true,
            _ => false,
        }
    }

    /// Whether the command line is the cause.
    #[must_use]
    pub fn is_usage(&self) -> bool {
        match self {
            Error::Usage(_) | Error::Filter(_) => true,
            Error::Kernel(error) => error.is_usage(),
            _ => false,
        }
    }
}

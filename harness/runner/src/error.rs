// SPDX-License-Identifier: MIT OR Apache-2.0
//! The error of this crate.

use std::path::PathBuf;

use vremount_claims::filter;
use vremount_machine::image;
use vremount_util::IoError;

use crate::matrix::config;

/// Reasons why a run cannot be made or its results cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The command line names something that does not exist or does not fit.
    #[error("{0}")]
    Usage(String),
    /// A filter names something unknown, or no case passes all filters.
    #[error(transparent)]
    Filter(#[from] filter::Error),
    /// The kernel cannot be obtained, or a tool of the host failed.
    #[error(transparent)]
    Kernel(Box<vremount_kernel::Error>),
    /// A disk image or an initramfs cannot be made.
    #[error(transparent)]
    Image(#[from] image::Error),
    /// The executor does not work on this host.
    #[error(transparent)]
    Machine(#[from] vremount_machine::Error),
    /// `ci/matrix.toml` cannot be used.
    #[error(transparent)]
    Matrix(#[from] config::Error),
    /// A log or a transcript is malformed.
    #[error("failed to read {path}: {why}; run verify again", path = path.display())]
    Results {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// No machine has sent coverage data.
    #[error(
        "failed to read coverage data: no machine sent any; build the kernel with the `coverage` fixes of ci/bases.toml"
    )]
    NoCoverageData,
    /// The output of gcov is malformed.
    #[error("failed to read the output of gcov: {0}; use the gcov of the compiler that built the kernel")]
    Gcov(#[source] serde_json::Error),
    /// A file operation failed.
    #[error(transparent)]
    Io(#[from] IoError),
}

impl From<vremount_kernel::Error> for Error {
    fn from(error: vremount_kernel::Error) -> Self {
        Error::Kernel(Box::new(error))
    }
}

macro_rules! from_kernel_errors {
    ($($error:ty),+ $(,)?) => {
        $(impl From<$error> for Error {
            fn from(error: $error) -> Self {
                vremount_kernel::Error::from(error).into()
            }
        })+
    };
}

from_kernel_errors!(
    vremount_kernel::base::Error,
    vremount_kernel::build::Error,
    vremount_kernel::series::Error,
    vremount_kernel::source::Error,
    vremount_kernel::workspace::Error,
    vremount_util::command::Error,
    vremount_util::toml_config::Error,
);

impl Error {
    /// Whether the kernel is the cause and not the host or the harness. A bisection skips such a
    /// kernel.
    #[must_use]
    pub fn is_kernel_failure(&self) -> bool {
        match self {
            Error::Kernel(error) => error.is_kernel_failure(),
            Error::Machine(vremount_machine::Error::NoUml(_)) => true,
            _ => false,
        }
    }

    /// Whether the command line is the cause, so that the exit code is that of a usage error.
    #[must_use]
    pub fn is_usage(&self) -> bool {
        match self {
            Error::Usage(_) | Error::Filter(_) => true,
            Error::Kernel(error) => error.is_usage(),
            _ => false,
        }
    }
}

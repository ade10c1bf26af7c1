// SPDX-License-Identifier: MIT OR Apache-2.0
//! Why an analysis could not be made.

use std::path::PathBuf;

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The user asked for something that does not exist.
    #[error("{0}")]
    Usage(String),
    /// Claims could not be run.
    #[error(transparent)]
    Run(#[from] vremount_runner::Error),
    /// The unchanged series does not hold, so that a failure of a mutant shows nothing.
    #[error(
        "failed to tell mutants from series {series}: it is not as claimed itself, {why}; `vremount verify` must hold first"
    )]
    NoControl {
        /// The series.
        series: String,
        /// What it fails.
        why: String,
    },
    /// The source of a kernel is unknown.
    #[error("failed to bisect: {0}")]
    NotBisected(String),
    /// An object file of the series has no coverage data.
    #[error(
        "failed to tell what of {file} was executed: its object counts nothing; have a fix for it in ci/bases.toml, \
         `coverage` of {base}"
    )]
    FileNotCounted {
        /// The source file.
        file: String,
        /// The base.
        base: String,
    },
    /// A benchmark could not be measured.
    #[error("failed to measure on {fs}: {why}; its console log is with the others of the run, in target/runs")]
    Bench {
        /// The filesystem.
        fs: &'static str,
        /// Why.
        why: String,
    },
    /// A result has no JSON form.
    #[error("failed to write {what} as JSON: {source}")]
    Json {
        /// What was to be written.
        what: &'static str,
        /// The error of the serializer.
        source: serde_json::Error,
    },
    /// The log of a bisection cannot be used.
    #[error("failed to understand {path}: {why}; run bisect again", path = path.display())]
    Bisection {
        /// The log.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
}

vremount_util::error_from!(
    Error, Run:
    vremount_kernel::base::Error,
    vremount_kernel::build::Error,
    vremount_kernel::series::Error,
    vremount_kernel::source::Error,
    vremount_kernel::workspace::Error,
    vremount_util::IoError,
    vremount_util::command::Error,
    vremount_util::toml_config::Error,
    vremount_kernel::Error,
    vremount_machine::Error,
    vremount_machine::image::Error,
    vremount_claims::filter::Error,
    vremount_runner::matrix::config::Error,
);

impl Error {
    /// Whether the kernel is the cause, and not this machine: another kernel may work.
    #[must_use]
    pub fn is_of_the_kernel(&self) -> bool {
        matches!(self, Error::Run(error) if error.is_of_the_kernel())
    }

    /// Whether the command line is the cause.
    #[must_use]
    pub fn is_usage(&self) -> bool {
        match self {
            Error::Usage(_) => true,
            Error::Run(error) => error.is_usage(),
            _ => false,
        }
    }
}

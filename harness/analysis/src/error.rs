// SPDX-License-Identifier: MIT OR Apache-2.0
//! Errors of the analyses.

use std::path::PathBuf;

/// Why an analysis failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The command line names something that does not exist or is not what it should be. The
    /// message is complete.
    #[error("{0}")]
    Usage(String),
    /// A kernel could not be obtained, built or booted, or cases could not be run.
    #[error(transparent)]
    Run(#[from] vremount_runner::Error),
    /// A claim is broken or undecided on the unchanged series. Failures on mutants would show
    /// nothing.
    #[error(
        "failed to test the mutants of series {series}: its claims do not hold without a mutant: {why}; \
         make `vremount verify` succeed first"
    )]
    UnmodifiedSeries {
        /// Folder name of the series.
        series: String,
        /// The first claim that does not hold, with filesystem and reason.
        why: String,
    },
    /// The mark of a revision could not be decided.
    #[error("failed to bisect: {0}")]
    Undecided(String),
    /// The object file of a source file of the series has no coverage data.
    #[error(
        "failed to measure the coverage of {file}: its object file has no coverage data; \
         add a fix for it to `coverage` of base {base} in ci/bases.toml"
    )]
    NoCoverageData {
        /// The source file, relative to the kernel tree.
        file: String,
        /// Name of the base.
        base: String,
    },
    /// A benchmark could not be measured.
    #[error("failed to measure on {fs}: {why}; see the console log in the run directory below target/runs")]
    Bench {
        /// Name of the upper filesystem.
        fs: &'static str,
        /// The cause.
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
    /// A file that the user named is not the log of a bisection.
    #[error(
        "failed to read {path} as the log of a bisection: {why}; run `vremount bisect` again, without --resume",
        path = path.display()
    )]
    InvalidLog {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// A result could not be written as JSON.
    #[error("failed to write {what} as JSON: {source}")]
    Serialize {
        /// The result.
        what: &'static str,
        /// The cause.
        source: serde_json::Error,
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
    /// Whether the kernel under test is the cause, and not this host. Another kernel may work.
    #[must_use]
    pub fn is_kernel_failure(&self) -> bool {
        matches!(self, Error::Run(error) if error.is_kernel_failure())
    }

    /// Whether the command line, or a file that it names, is the cause. The exit code is then 2.
    #[must_use]
    pub fn is_usage(&self) -> bool {
        match self {
            Error::Usage(_) | Error::InvalidLog { .. } => true,
            Error::Run(error) => error.is_usage(),
            _ => false,
        }
    }
}

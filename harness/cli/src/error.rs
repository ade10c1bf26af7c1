// SPDX-License-Identifier: MIT OR Apache-2.0
//! Joins the errors of all crates and maps them to exit codes.

use vremount_claims::exit::Exit;

/// Why a command failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The command line is wrong.
    #[error("{0}")]
    Usage(String),
    /// A report or something below it failed.
    #[error(transparent)]
    Report(#[from] vremount_report::Error),
    /// Results cannot be serialized.
    #[error("failed to write {what} as JSON: {source}; this is a bug, please report it")]
    Json {
        /// Name of the results.
        what: &'static str,
        /// Cause.
        source: serde_json::Error,
    },
}

vremount_util::error_from!(
    Error, Report:
    vremount_analysis::Error,
    vremount_claims::filter::Error,
    vremount_kernel::Error,
    vremount_kernel::base::Error,
    vremount_kernel::build::Error,
    vremount_kernel::series::Error,
    vremount_kernel::source::Error,
    vremount_kernel::workspace::Error,
    vremount_machine::Error,
    vremount_machine::image::Error,
    vremount_runner::Error,
    vremount_runner::matrix::config::Error,
    vremount_util::IoError,
    vremount_util::command::Error,
    vremount_util::toml_config::Error,
);

impl From<&Error> for Exit {
    fn from(error: &Error) -> Self {
        match error {
            Error::Usage(_) => Exit::Usage,
            Error::Report(error) if error.is_usage() => Exit::Usage,
            Error::Report(_) | Error::Json { .. } => Exit::CannotTell,
        }
    }
}

/// Serializes results as indented JSON.
///
/// # Errors
/// If serialization fails; `what` names the results in the message.
pub fn to_json(what: &'static str, results: &impl serde::Serialize) -> Result<String, Error> {
    serde_json::to_string_pretty(results).map_err(|source| Error::Json { what, source })
}

// SPDX-License-Identifier: MIT OR Apache-2.0
//! The errors of all crates and the exit codes that they lead to.

use vremount_claims::exit::Exit;

/// Why a command could not do its work.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The user asked for something that does not exist.
    #[error("{0}")]
    Usage(String),
    /// A report could not be made, or anything below it failed.
    #[error(transparent)]
    Report(#[from] vremount_report::Error),
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
            Error::Report(_) => Exit::CannotTell,
        }
    }
}

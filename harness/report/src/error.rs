// SPDX-License-Identifier: MIT OR Apache-2.0
//! Why a report could not be made.

/// Why there is no report.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The user asked for something that does not exist.
    #[error("{0}")]
    Usage(String),
    /// What is to be reported on cannot be read.
    #[error(transparent)]
    Analysis(#[from] vremount_analysis::Error),
    /// A plot could not be drawn.
    #[error("failed to draw the plot of {axis}: {why}")]
    Plot {
        /// The axis.
        axis: &'static str,
        /// Why.
        why: String,
    },
    /// The page could not be made from its template.
    #[error("failed to make the page: {0}; please report that with the folder it is of")]
    Page(String),
}

vremount_util::error_from!(
    Error, Analysis:
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
    vremount_runner::Error,
    vremount_runner::matrix::config::Error,
);

impl Error {
    /// Whether the command line is the cause.
    #[must_use]
    pub fn is_usage(&self) -> bool {
        match self {
            Error::Usage(_) => true,
            Error::Analysis(error) => error.is_usage(),
            _ => false,
        }
    }
}

// SPDX-License-Identifier: MIT OR Apache-2.0
//! The error of this crate.

/// A report could not be made.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The command line is wrong.
    #[error("{0}")]
    Usage(String),
    /// The input of the report cannot be read, or a part below this crate failed.
    #[error(transparent)]
    Analysis(#[from] vremount_analysis::Error),
    /// A plot could not be drawn.
    #[error("failed to draw the plot of {axis}: {reason}")]
    Plot {
        /// The axis.
        axis: &'static str,
        /// The message of the plot library, whose errors do not outlive the plot.
        reason: String,
    },
    /// The HTML page could not be made from its template.
    #[error("failed to render the HTML page: {0:#}; please report this with the directory of the run")]
    Page(#[source] minijinja::Error),
    /// A report has no JSON form.
    #[error("failed to write the {format} report: {source}")]
    Json {
        /// The format of the report.
        format: &'static str,
        /// The error of the serializer.
        source: serde_json::Error,
    },
    /// A report cannot be written as XML.
    #[error("failed to write the JUnit report: {0}")]
    Junit(#[source] quick_junit::SerializeError),
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
    /// Whether the command line is the cause; the exit code is then 2.
    #[must_use]
    pub fn is_usage(&self) -> bool {
        match self {
            Error::Usage(_) => true,
            Error::Analysis(error) => error.is_usage(),
            _ => false,
        }
    }
}

// SPDX-License-Identifier: MIT OR Apache-2.0
//! The error of a failed file operation, and conversions between the errors of crates.

use std::io;
use std::path::PathBuf;

/// A file operation failed.
#[derive(Debug, thiserror::Error)]
#[error("failed to {action} {path}: {source}", path = path.display())]
pub struct IoError {
    /// The operation, as a verb: `read`.
    pub action: &'static str,
    /// The file or folder.
    pub path: PathBuf,
    /// The error of the system call.
    pub source: io::Error,
}

/// Adds the operation and the path to an [`io::Error`]: `fs::read(path).map_err(io_error("read",
/// path))?`.
pub fn io_error(action: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> IoError {
    let path = path.into();
    move |source| IoError { action, path, source }
}

/// Implements `From<$from> for $error` for each `$from`: the error is converted to the type that
/// `$variant` holds, and wrapped in that variant.
#[macro_export]
macro_rules! error_from {
    ($error:ty, $variant:ident: $($from:ty),+ $(,)?) => {
        $(impl From<$from> for $error {
            fn from(error: $from) -> Self {
                <$error>::$variant(error.into())
            }
        })+
    };
}

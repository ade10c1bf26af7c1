// SPDX-License-Identifier: MIT OR Apache-2.0
//! Reads the TOML files of the checkout, such as `ci/bases.toml`.

use std::fs;
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;

/// Why a TOML file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file does not exist or cannot be read.
    #[error("failed to read {path}: {cause}", path = path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why it cannot be read.
        #[source]
        cause: std::io::Error,
    },
    /// The file is not valid TOML, or its keys or values are not those that are expected.
    #[error("failed to parse {path}: {cause}", path = path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What is wrong, with line and column.
        #[source]
        cause: Box<toml::de::Error>,
    },
}

/// Reads `file`, a path below `root`.
///
/// # Errors
/// [`Error::Unreadable`] if the file cannot be read, [`Error::Malformed`] if it is not a `T`.
pub fn read<T: DeserializeOwned>(root: &Path, file: &str) -> Result<T, Error> {
    let path = root.join(file);
    let text = fs::read_to_string(&path).map_err(|cause| Error::Unreadable { path: path.clone(), cause })?;
    toml::from_str(&text).map_err(|cause| Error::Malformed { path, cause: Box::new(cause) })
}

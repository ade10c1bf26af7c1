// SPDX-License-Identifier: MIT OR Apache-2.0
//! The tables in `ci/`: what is proved, as data.

use std::fs;
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;

/// Why a table is of no use.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("failed to read {path}: {cause}", path = path.display())]
    Unreadable { path: PathBuf, cause: std::io::Error },
    #[error("failed to understand {path}: {cause}", path = path.display())]
    Malformed { path: PathBuf, cause: Box<toml::de::Error> },
}

/// Reads a table of the checkout.
///
/// # Errors
/// If the file is not what it should be.
pub fn read<T: DeserializeOwned>(root: &Path, file: &str) -> Result<T, Error> {
    let path = root.join(file);
    let text = fs::read_to_string(&path).map_err(|cause| Error::Unreadable { path: path.clone(), cause })?;
    toml::from_str(&text).map_err(|cause| Error::Malformed { path, cause: Box::new(cause) })
}

// SPDX-License-Identifier: MIT OR Apache-2.0
//! The record of a run that failed to start.

use std::fs;
use std::path::Path;

use serde::{Deserialize, Serialize};
use vremount_util::io_error;

use crate::error::Error;
use crate::results::run_results::LOG_FILE;

/// Why a run failed to start. It is stored in place of the log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunError {
    /// Name of the base.
    pub base: String,
    /// Name of the series, or `?` if unknown.
    pub series: String,
    /// Number of patches of the series that are applied.
    pub level: u8,
    /// The requested executor: `qemu`, `uml` or `auto`.
    pub executor: String,
    /// The error message.
    pub cannot_tell: String,
}

impl RunError {
    /// Writes the record to the run directory `folder`.
    ///
    /// # Errors
    /// [`Error::Io`] if the file cannot be written.
    pub fn write(&self, folder: &Path) -> Result<(), Error> {
        let path = folder.join(LOG_FILE);
        let line = serde_json::to_string(self).map_err(|cause| io_error("encode", &path)(cause.into()))? + "\n";
        Ok(fs::write(&path, line).map_err(io_error("write", &path))?)
    }

    /// Kernel and executor of the run, for people.
    #[must_use]
    pub fn title(&self) -> String {
        let RunError { base, series, level, executor, .. } = self;
        format!("Linux {base}, series {series} at level {level}, {executor}")
    }
}

// SPDX-License-Identifier: MIT OR Apache-2.0
//! Word of a run that could not start, in the place of its log.

use std::fs;
use std::path::Path;

use serde::{Deserialize, Serialize};
use vremount_util::io_error;

use crate::error::Error;
use crate::results::{FILE, Results};

/// Why nothing can be told of a base on an executor.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunError {
    pub base: String,
    pub series: String,
    pub level: u8,
    pub executor: String,
    pub cannot_tell: String,
}

/// What is in the folder of a run.
#[derive(Debug)]
pub enum RunOutcome {
    Ran(Results),
    NotRun(RunError),
}

impl RunError {
    /// # Errors
    /// If it cannot be written.
    pub fn write(&self, folder: &Path) -> Result<(), Error> {
        let path = folder.join(FILE);
        // Strings and numbers in a structure always have a JSON form.
        let line = serde_json::to_string(self).unwrap_or_default() + "\n";
        Ok(fs::write(&path, line).map_err(io_error("write", &path))?)
    }

    /// In words, without why.
    #[must_use]
    pub fn title(&self) -> String {
        let RunError { base, series, level, executor, .. } = self;
        format!("Linux {base}, series {series} at level {level}, {executor}")
    }
}

impl RunOutcome {
    /// # Errors
    /// If there is no run in the folder, or it left something else.
    pub fn read(folder: &Path) -> Result<Self, Error> {
        let text = fs::read(folder.join(FILE)).unwrap_or_default();
        match serde_json::from_slice(&text) {
            Ok(word) => Ok(RunOutcome::NotRun(word)),
            Err(_) => Ok(RunOutcome::Ran(Results::read(folder)?.0)),
        }
    }
}

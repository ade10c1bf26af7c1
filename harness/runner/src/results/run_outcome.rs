// SPDX-License-Identifier: MIT OR Apache-2.0
//! The content of a run directory.

use std::fs;
use std::path::Path;

use crate::error::Error;
use crate::results::run_error::RunError;
use crate::results::run_results::{LOG_FILE, Results};

/// The content of a run directory.
#[derive(Debug)]
pub enum RunOutcome {
    /// The run started and has results.
    Ran(Results),
    /// The run failed to start.
    NotRun(RunError),
}

impl RunOutcome {
    /// Reads the run directory `folder`.
    ///
    /// # Errors
    /// As [`Results::read`].
    pub fn read(folder: &Path) -> Result<Self, Error> {
        let run_error = fs::read(folder.join(LOG_FILE)).ok().and_then(|text| serde_json::from_slice(&text).ok());
        match run_error {
            Some(run_error) => Ok(RunOutcome::NotRun(run_error)),
            None => Ok(RunOutcome::Ran(Results::read(folder)?.0)),
        }
    }
}

// SPDX-License-Identifier: MIT OR Apache-2.0
//! A file of lines of JSON to which lines are only added: whatever ends its writer, at worst the last line is torn.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::{IoError, io_error};

pub struct AppendLog {
    path: PathBuf,
    file: File,
}

impl AppendLog {
    /// Starts an empty file.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn create(path: &Path) -> Result<Self, IoError> {
        let file = File::create(path).map_err(io_error("create", path))?;
        Ok(AppendLog { path: path.to_path_buf(), file })
    }

    /// Goes on behind the lines that are whole.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn resume(path: &Path, whole: usize) -> Result<Self, IoError> {
        let file = File::options().append(true).open(path).map_err(io_error("open", path))?;
        // Else the next line would be a part of the torn one.
        file.set_len(whole as u64).map_err(io_error("cut", path))?;
        Ok(AppendLog { path: path.to_path_buf(), file })
    }

    /// Adds a line, in one piece: what is written is with the kernel, and stays if this program does not.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn append(&mut self, value: &impl Serialize) -> Result<(), IoError> {
        let line = serde_json::to_string(value).map_err(|error| io_error("write", &self.path)(error.into()))?;
        self.file.write_all((line + "\n").as_bytes()).map_err(io_error("write", &self.path))
    }

    /// Waits until the lines are on the disk, and stay if the machine does not.
    ///
    /// # Errors
    /// If they do not get there.
    pub fn sync(&self) -> Result<(), IoError> {
        self.file.sync_all().map_err(io_error("sync", &self.path))
    }
}

/// The first thing in which a header of a log is not as another.
#[must_use]
pub fn first_difference<T: Serialize>(ours: &T, theirs: &T) -> Option<String> {
    // Strings and numbers in structures always have a JSON form.
    let value = |header: &T| serde_json::to_value(header).unwrap_or_default();
    let (ours, theirs) = (value(ours), value(theirs));
    ours.as_object()?.iter().find(|(key, ours)| theirs.get(key) != Some(ours)).map(|(key, _)| key.clone())
}

/// How many bytes the lines are that are whole.
#[must_use]
pub fn complete_len(text: &[u8]) -> usize {
    text.iter().rposition(|byte| *byte == b'\n').map_or(0, |last| last + 1)
}

// SPDX-License-Identifier: MIT OR Apache-2.0
//! A JSON Lines file that is only appended to. After a crash of its writer at most the last line is
//! incomplete.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde_json::{Map, Value};

use crate::io_error::{IoError, io_error};

/// A JSON Lines file that is open for appending.
pub struct AppendLog {
    path: PathBuf,
    file: File,
}

impl AppendLog {
    /// Creates an empty log. An existing file is truncated.
    ///
    /// # Errors
    /// [`IoError`] if the file cannot be created.
    pub fn create(path: &Path) -> Result<Self, IoError> {
        let file = File::create(path).map_err(io_error("create", path))?;
        Ok(AppendLog { path: path.to_path_buf(), file })
    }

    /// Opens an existing log to append to it, after it is truncated to its first `whole` bytes.
    /// [`complete_lines_len`] gives the number of bytes that its complete lines take.
    ///
    /// # Errors
    /// [`IoError`] if the file does not exist or cannot be written.
    pub fn resume(path: &Path, whole: usize) -> Result<Self, IoError> {
        let file = File::options().append(true).open(path).map_err(io_error("open", path))?;
        // Otherwise the next line would continue an incomplete one.
        file.set_len(whole as u64).map_err(io_error("truncate", path))?;
        Ok(AppendLog { path: path.to_path_buf(), file })
    }

    /// Appends a line with one write(2). The line survives the death of this process, but not a
    /// power cut: see [`Self::sync`].
    ///
    /// # Errors
    /// [`IoError`] if the value cannot be serialized or the file cannot be written.
    pub fn append(&mut self, value: &impl Serialize) -> Result<(), IoError> {
        let line = serde_json::to_string(value).map_err(|error| io_error("write", &self.path)(error.into()))?;
        self.file.write_all((line + "\n").as_bytes()).map_err(io_error("write", &self.path))
    }

    /// Flushes the log to the disk with fsync(2), so that it survives a power cut.
    ///
    /// # Errors
    /// [`IoError`] if fsync(2) fails.
    pub fn sync(&self) -> Result<(), IoError> {
        self.file.sync_all().map_err(io_error("sync", &self.path))
    }
}

/// The name of the first field in which two log headers differ; none if they are equal. If a header
/// cannot be serialized to a JSON object, the result is the reason for that.
#[must_use]
pub fn first_differing_field<T: Serialize>(current: &T, recorded: &T) -> Option<String> {
    let (current, recorded) = match (json_object(current), json_object(recorded)) {
        (Ok(current), Ok(recorded)) => (current, recorded),
        (Err(reason), _) | (_, Err(reason)) => return Some(reason),
    };
    current.iter().find(|(key, value)| recorded.get(*key) != Some(value)).map(|(key, _)| key.clone())
}

fn json_object(header: &impl Serialize) -> Result<Map<String, Value>, String> {
    match serde_json::to_value(header) {
        Ok(Value::Object(fields)) => Ok(fields),
        Ok(_) => Err("header that is not a JSON object".to_string()),
        Err(error) => Err(format!("header that cannot be serialized ({error})")),
    }
}

/// Number of bytes that the complete lines of a log take. An incomplete last line is not counted.
#[must_use]
pub fn complete_lines_len(text: &[u8]) -> usize {
    text.iter().rposition(|byte| *byte == b'\n').map_or(0, |last| last + 1)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn resumed_log_drops_the_incomplete_last_line() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log.jsonl");
        AppendLog::create(&path).unwrap().append(&1).unwrap();
        fs::write(&path, fs::read_to_string(&path).unwrap() + "{\"incompl").unwrap();
        let mut log = AppendLog::resume(&path, complete_lines_len(&fs::read(&path).unwrap())).unwrap();
        log.append(&2).unwrap();
        log.sync().unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "1\n2\n");
    }

    #[test]
    fn first_differing_field_is_named() {
        let header = |base, level| serde_json::json!({"base": base, "level": level});
        assert_eq!(first_differing_field(&header("a", 1), &header("a", 1)), None);
        assert_eq!(first_differing_field(&header("a", 1), &header("a", 2)).as_deref(), Some("level"));
        assert!(first_differing_field(&Value::Null, &Value::Null).unwrap().contains("not a JSON object"));
    }
}

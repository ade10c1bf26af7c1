// SPDX-License-Identifier: MIT OR Apache-2.0
//! A file that is written whole or not at all.

use std::fs::{File, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use tempfile::{Builder, NamedTempFile};

use crate::{IoError, io_error};

/// Where a report goes. What is there stays until the report is written.
pub struct AtomicFile {
    path: PathBuf,
    target: Target,
}

enum Target {
    /// Beside the file, which it replaces in the end.
    Replace(NamedTempFile),
    /// A pipe or a terminal.
    InPlace(File),
}

impl AtomicFile {
    /// Before the work, because one that cannot be written is better known then.
    ///
    /// # Errors
    /// If no report can be written there.
    pub fn new(path: &Path) -> Result<Self, IoError> {
        let open = || match path.exists() && !path.is_file() {
            true => File::options().write(true).open(path).map(Target::InPlace),
            false => {
                let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
                readable_by_others(folder).map(Target::Replace)
            }
        };
        Ok(AtomicFile { path: path.to_path_buf(), target: open().map_err(io_error("write", path))? })
    }

    /// # Errors
    /// If it cannot be written.
    pub fn write(self, text: &str) -> Result<(), IoError> {
        let AtomicFile { path, target } = self;
        let written = match target {
            Target::InPlace(mut file) => file.write_all(text.as_bytes()),
            Target::Replace(mut file) => file
                .write_all(text.as_bytes())
                .and_then(|()| file.as_file().sync_all())
                .and_then(|()| file.persist(&path).map(drop).map_err(|error| error.error)),
        };
        written.map_err(io_error("write", path))
    }
}

/// As any other file is, and not as temporary ones are: CI services read it as somebody else.
fn readable_by_others(folder: &Path) -> io::Result<NamedTempFile> {
    Builder::new().permissions(Permissions::from_mode(0o666)).tempfile_in(folder)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn what_was_there_stays_until_the_end() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("report");
        fs::write(&path, "earlier").unwrap();
        drop(AtomicFile::new(&path).unwrap());
        assert_eq!(fs::read_to_string(&path).unwrap(), "earlier");
        AtomicFile::new(&path).unwrap().write("later").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "later");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
        let other = folder.path().join("other");
        fs::write(&other, "").unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode();
        assert_eq!(mode(&path), mode(&other));
    }

    #[test]
    fn a_device_is_written_to() {
        AtomicFile::new(Path::new("/dev/null")).unwrap().write("text").unwrap();
        assert!(!Path::new("/dev/null").is_file());
    }
}

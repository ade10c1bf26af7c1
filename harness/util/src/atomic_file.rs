// SPDX-License-Identifier: MIT OR Apache-2.0
//! Files that appear completely or not at all: written under a temporary name, then renamed.
//!
//! This is the only place of the harness that renames a written file over another.

use std::fs::{self, File, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use tempfile::{Builder, NamedTempFile};

use crate::io_error::{IoError, io_error};

/// An output file. An existing file keeps its content until [`AtomicFile::write`] succeeds.
pub struct AtomicFile {
    path: PathBuf,
    target: Target,
}

enum Target {
    /// A temporary file in the same folder, which replaces the file at the end.
    Replace(NamedTempFile),
    /// A pipe, a terminal or a device: it cannot be replaced.
    InPlace(File),
}

impl AtomicFile {
    /// Opens the output. Call this before the work whose result is written, so that a path that
    /// cannot be written is reported at once.
    ///
    /// # Errors
    /// [`IoError`] if the folder of `path` does not exist or cannot be written.
    pub fn new(path: &Path) -> Result<Self, IoError> {
        let open = || match path.exists() && !path.is_file() {
            true => File::options().write(true).open(path).map(Target::InPlace),
            false => temp_file_in(parent(path)).map(Target::Replace),
        };
        Ok(AtomicFile { path: path.to_path_buf(), target: open().map_err(io_error("write", path))? })
    }

    /// Writes the text, flushes it to the disk and moves it to its path.
    ///
    /// # Errors
    /// [`IoError`] if the text cannot be written; an existing file is unchanged then.
    pub fn write(self, text: &str) -> Result<(), IoError> {
        let AtomicFile { path, target } = self;
        let written = match target {
            Target::InPlace(mut file) => file.write_all(text.as_bytes()),
            Target::Replace(mut file) => file
                .write_all(text.as_bytes())
                .and_then(|()| file.as_file().sync_all())
                .and_then(|()| persist(file, &path)),
        };
        written.map_err(io_error("write", path))
    }
}

/// Copies a file to `to`, flushes the copy to the disk and moves it to its path. An existing file
/// is replaced; on an error it is unchanged.
///
/// # Errors
/// [`io::Error`] if `from` cannot be read or the folder of `to` cannot be written.
pub fn copy_into_place(from: &Path, to: &Path) -> io::Result<()> {
    let mut copy = temp_file_in(parent(to))?;
    let mut original = File::open(from)?;
    io::copy(&mut original, copy.as_file_mut())?;
    copy.as_file().set_permissions(original.metadata()?.permissions())?;
    copy.as_file().sync_all()?;
    persist(copy, to)
}

/// Moves a finished file or folder to its path in a cache. An existing file is replaced. An existing
/// folder is kept: another process created it, and entries of a cache with the same name have the
/// same content.
///
/// # Errors
/// [`io::Error`] if the rename fails and nothing exists at `place`.
pub fn rename_into_place(finished: &Path, place: &Path) -> io::Result<()> {
    match fs::rename(finished, place) {
        Err(_) if place.exists() => Ok(()),
        renamed => renamed,
    }
}

/// Creates a symbolic link, or replaces an existing one.
///
/// # Errors
/// [`io::Error`] if the folder of `link` cannot be written, or `link` is a folder.
pub fn replace_symlink(target: &Path, link: &Path) -> io::Result<()> {
    let created = Builder::new().make_in(parent(link), |path| symlink(target, path))?;
    created.persist(link).map(drop).map_err(|error| error.error)
}

fn persist(file: NamedTempFile, path: &Path) -> io::Result<()> {
    file.persist(path).map(drop).map_err(|error| error.error)
}

fn parent(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// A temporary file with the permissions of any other file (0666 less the umask), because CI
/// services read reports as another user.
fn temp_file_in(folder: &Path) -> io::Result<NamedTempFile> {
    Builder::new().permissions(Permissions::from_mode(0o666)).tempfile_in(folder)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode()
    }

    #[test]
    fn existing_file_is_unchanged_until_the_write() {
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
        assert_eq!(mode(&path), mode(&other));
    }

    #[test]
    fn device_is_written_in_place() {
        AtomicFile::new(Path::new("/dev/null")).unwrap().write("text").unwrap();
        assert!(!Path::new("/dev/null").is_file());
    }

    #[test]
    fn copy_replaces_a_file_and_keeps_the_permissions() {
        let folder = tempfile::tempdir().unwrap();
        let [from, to] = ["from", "to"].map(|name| folder.path().join(name));
        fs::write(&from, "new").unwrap();
        fs::set_permissions(&from, Permissions::from_mode(0o755)).unwrap();
        fs::write(&to, "old").unwrap();
        copy_into_place(&from, &to).unwrap();
        assert_eq!((fs::read_to_string(&to).unwrap().as_str(), mode(&to)), ("new", mode(&from)));
        assert!(copy_into_place(&folder.path().join("missing"), &to).is_err());
        assert_eq!(fs::read_to_string(&to).unwrap(), "new");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2);
    }

    #[test]
    fn existing_folder_is_kept() {
        let folder = tempfile::tempdir().unwrap();
        let [finished, place] = ["finished", "place"].map(|name| folder.path().join(name));
        for path in [&finished, &place] {
            fs::create_dir(path).unwrap();
            fs::write(path.join("file"), path.to_str().unwrap()).unwrap();
        }
        rename_into_place(&finished, &place).unwrap();
        assert_eq!(fs::read_to_string(place.join("file")).unwrap(), place.to_str().unwrap());
        assert!(rename_into_place(&folder.path().join("missing"), &folder.path().join("nowhere")).is_err());
    }

    #[test]
    fn symlink_is_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let link = folder.path().join("link");
        for target in ["first", "second"] {
            replace_symlink(Path::new(target), &link).unwrap();
            assert_eq!(fs::read_link(&link).unwrap(), Path::new(target));
        }
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}

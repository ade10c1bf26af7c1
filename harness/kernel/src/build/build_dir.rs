// SPDX-License-Identifier: MIT OR Apache-2.0
//! What can be said of a folder of objects. make looks at times, not at content: a file that was half written when somebody
//! pulled the plug is new, and would be taken for finished.

use std::fs;
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use serde::{Deserialize, Serialize};
use tempfile::NamedTempFile;
use vremount_util::io_error;

use crate::build::Error;
use crate::series;
use crate::source::Tree;

/// Changes when what was written last may not have reached the disk.
const BOOT_ID: &str = "/proc/sys/kernel/random/boot_id";

/// The folder and what was last noted about it, in a file beside it.
pub struct BuildDir {
    note: PathBuf,
    boot: String,
    found: BuildState,
}

#[derive(Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct BuildState {
    /// When it was written.
    boot: String,
    /// Whether make was at work; what is newer than the note is not to be trusted then.
    busy: bool,
    /// The key of the image that the objects are of.
    image: Option<String>,
}

impl BuildDir {
    /// The objects of a place that the caller has locked and its work tree, made if need be, without what cannot be trusted. What is
    /// noted of them is in a folder of its own.
    pub fn open(pristine: &Tree, scratch: &Path, [objects, source]: [&Path; 2]) -> Result<Self, Error> {
        let found = BuildDir::open_in(scratch, [objects, source])?;
        series::work_tree(pristine, source)?;
        if found.is_unmodified() {
            series::remove_untracked(source)?;
        }
        Ok(found)
    }

    fn open_in(scratch: &Path, [objects, source]: [&Path; 2]) -> Result<Self, Error> {
        let boot = fs::read_to_string(BOOT_ID).map_err(io_error("read", Path::new(BOOT_ID)))?.trim().to_string();
        let note = scratch.join("objects.json");
        let found: BuildState = match fs::read(&note) {
            Ok(text) => serde_json::from_slice(&text).unwrap_or_default(),
            Err(cause) if cause.kind() == ErrorKind::NotFound => BuildState::default(),
            Err(cause) => return Err(io_error("read", &note)(cause).into()),
        };
        if found.boot != boot {
            for folder in [objects, source] {
                match fs::remove_dir_all(folder) {
                    Err(cause) if cause.kind() != ErrorKind::NotFound => {
                        return Err(io_error("remove", folder)(cause).into());
                    }
                    _ => {}
                }
            }
        } else if found.busy {
            let since = fs::metadata(&note).and_then(|note| note.modified()).map_err(io_error("read", &note))?;
            remove_newer(objects, since)?;
        }
        fs::create_dir_all(objects).map_err(io_error("create", objects))?;
        Ok(BuildDir { note, boot, found })
    }

    /// Whether an earlier build was interrupted.
    fn is_unmodified(&self) -> bool {
        self.found.busy && self.found.boot == self.boot
    }

    /// Whether they are of that image, all of it.
    pub fn are_of(&self, image: &str) -> bool {
        !self.found.busy && self.found.boot == self.boot && self.found.image.as_deref() == Some(image)
    }

    /// make starts now.
    pub fn begin(&self) -> Result<(), Error> {
        self.write(true, None)
    }

    /// make came to its end by itself; if it did all it should, they are of this image now.
    pub fn end(&self, image: Option<&str>) -> Result<(), Error> {
        self.write(false, image)
    }

    fn write(&self, busy: bool, image: Option<&str>) -> Result<(), Error> {
        let note = BuildState { boot: self.boot.clone(), busy, image: image.map(str::to_string) };
        // Strings in a structure always have a JSON form.
        let text = serde_json::to_string(&note).unwrap_or_default();
        let folder = self.note.parent().unwrap_or(&self.note);
        let write = || {
            let mut file = NamedTempFile::new_in(folder)?;
            file.write_all(text.as_bytes())?;
            file.as_file().sync_all()?;
            file.persist(&self.note).map_err(|error| error.error)
        };
        Ok(write().map(drop).map_err(io_error("write", &self.note))?)
    }
}

/// Removes files that were written then or later; make writes them again.
fn remove_newer(folder: &Path, since: SystemTime) -> Result<(), Error> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(cause) if cause.kind() == ErrorKind::NotFound => return Ok(()),
        Err(cause) => return Err(io_error("read", folder)(cause).into()),
    };
    for entry in entries {
        let path = entry.map_err(io_error("read", folder))?.path();
        let metadata = fs::symlink_metadata(&path).map_err(io_error("read", &path))?;
        if metadata.is_dir() {
            remove_newer(&path, since)?;
        } else if metadata.modified().map_err(io_error("read", &path))? >= since {
            fs::remove_file(&path).map_err(io_error("remove", &path))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    struct Place(tempfile::TempDir);

    impl Place {
        fn new() -> Self {
            let place = Place(tempfile::tempdir().unwrap());
            place.open();
            fs::create_dir(place.folders()[1].clone()).unwrap();
            place
        }

        fn folders(&self) -> [PathBuf; 2] {
            ["objects", "source"].map(|name| self.0.path().join(name))
        }

        fn open(&self) -> BuildDir {
            let [objects, source] = self.folders();
            BuildDir::open_in(self.0.path(), [&objects, &source]).unwrap()
        }

        fn file(&self, name: &str) -> PathBuf {
            let path = self.folders()[0].join(name);
            fs::write(&path, name).unwrap();
            path
        }
    }

    #[test]
    fn what_was_finished_is_kept() {
        let place = Place::new();
        let objects = place.open();
        objects.begin().unwrap();
        let file = place.file("a.o");
        objects.end(Some("key")).unwrap();
        let objects = place.open();
        assert!(file.exists() && objects.are_of("key") && !objects.are_of("other"));
        objects.begin().unwrap();
        objects.end(None).unwrap();
        let objects = place.open();
        assert!(file.exists() && !objects.are_of("key") && !objects.is_unmodified());
    }

    #[test]
    fn what_was_written_by_a_build_that_was_interrupted_is_not() {
        let place = Place::new();
        place.open().end(Some("key")).unwrap();
        let old = place.file("old.o");
        let past = SystemTime::now() - Duration::from_secs(60);
        fs::File::options().write(true).open(&old).unwrap().set_modified(past).unwrap();
        place.open().begin().unwrap();
        let new = place.file("new.o");
        let objects = place.open();
        assert!(old.exists() && !new.exists() && objects.is_unmodified() && !objects.are_of("key"));
    }

    #[test]
    fn after_another_boot_nothing_is() {
        let place = Place::new();
        place.open().end(Some("key")).unwrap();
        let (file, note) = (place.file("a.o"), place.0.path().join("objects.json"));
        let text = fs::read_to_string(&note).unwrap();
        let boot = fs::read_to_string(BOOT_ID).unwrap();
        fs::write(&note, text.replace(boot.trim(), "earlier")).unwrap();
        let objects = place.open();
        assert!(!file.exists() && !place.folders()[1].exists() && !objects.are_of("key"));
    }
}

// SPDX-License-Identifier: MIT OR Apache-2.0
//! Detects objects that an interrupted build left incomplete. make compares modification times and
//! not content, so that it would take a half-written file for finished.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use serde::{Deserialize, Serialize};
use vremount_util::atomic_file::AtomicFile;
use vremount_util::io_error;

use crate::build::error::Error;
use crate::series;
use crate::source::Tree;

/// A new boot id means that the last writes of a build may not have reached the disk.
const BOOT_ID: &str = "/proc/sys/kernel/random/boot_id";

/// A folder of objects and the recorded state of its last build.
pub struct BuildDir {
    /// The file with the recorded state.
    state_file: PathBuf,
    /// The boot id of this machine.
    boot: String,
    /// The state that was recorded when the folder was opened.
    found: BuildState,
}

/// The recorded state of a build.

#[derive(Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct BuildState {
    /// The boot id when it was recorded.
    boot: String,
    /// Whether make was running when it was recorded. If so, the build was interrupted, and files
    /// newer than the record may be incomplete.
    busy: bool,
    /// Cache key of the image that the objects belong to; none if they are incomplete.
    image: Option<String>,
}

impl BuildDir {
    /// Opens a folder of objects and its work tree, and creates them if needed. The caller has
    /// locked both. Files that an interrupted build may have left incomplete are removed; after a
    /// reboot that is everything. The state is recorded in the folder `scratch`.
    ///
    /// # Errors
    /// [`Error`] if files cannot be read or removed, or git fails.
    pub fn open(pristine: &Tree, scratch: &Path, [objects, source]: [&Path; 2]) -> Result<Self, Error> {
        let found = BuildDir::open_in(scratch, [objects, source])?;
        series::prepare_work_tree(pristine, source)?;
        if found.was_interrupted() {
            series::remove_untracked(source)?;
        }
        Ok(found)
    }

    fn open_in(scratch: &Path, [objects, source]: [&Path; 2]) -> Result<Self, Error> {
        let boot = fs::read_to_string(BOOT_ID).map_err(io_error("read", Path::new(BOOT_ID)))?.trim().to_string();
        let state_file = scratch.join("objects.json");
        let found = match fs::read(&state_file) {
            // A malformed record counts as a record without a boot id, so that everything is
            // removed.
            Ok(text) => serde_json::from_slice(&text).unwrap_or_else(|_| BuildState::default()),
            Err(cause) if cause.kind() == ErrorKind::NotFound => BuildState::default(),
            Err(cause) => return Err(io_error("read", &state_file)(cause).into()),
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
            let modified = fs::metadata(&state_file).and_then(|metadata| metadata.modified());
            let since = modified.map_err(io_error("read", &state_file))?;
            remove_newer(objects, since)?;
        }
        fs::create_dir_all(objects).map_err(io_error("create", objects))?;
        Ok(BuildDir { state_file, boot, found })
    }

    /// Whether an earlier build was interrupted.
    fn was_interrupted(&self) -> bool {
        self.found.busy && self.found.boot == self.boot
    }

    /// Whether the objects are complete and belong to the image with that cache key.
    #[must_use]
    pub fn has_objects_of(&self, image: &str) -> bool {
        !self.found.busy && self.found.boot == self.boot && self.found.image.as_deref() == Some(image)
    }

    /// Records that make starts.
    ///
    /// # Errors
    /// [`Error::Io`] if the state cannot be written.
    pub fn record_start(&self) -> Result<(), Error> {
        self.write(true, None)
    }

    /// Records that make ended. `image` is the cache key of the image if all of its objects were
    /// built.
    ///
    /// # Errors
    /// [`Error::Io`] if the state cannot be written.
    pub fn record_end(&self, image: Option<&str>) -> Result<(), Error> {
        self.write(false, image)
    }

    fn write(&self, busy: bool, image: Option<&str>) -> Result<(), Error> {
        let state = BuildState { boot: self.boot.clone(), busy, image: image.map(str::to_string) };
        let text = serde_json::to_string(&state).map_err(|error| io_error("write", &self.state_file)(error.into()))?;
        Ok(AtomicFile::new(&self.state_file)?.write(&text)?)
    }
}

/// Removes files that were modified at `since` or later. make builds them again.
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

    struct Fixture(tempfile::TempDir);

    impl Fixture {
        fn new() -> Self {
            let fixture = Fixture(tempfile::tempdir().unwrap());
            fixture.open();
            fs::create_dir(fixture.folders()[1].clone()).unwrap();
            fixture
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
    fn objects_of_a_finished_build_are_kept() {
        let fixture = Fixture::new();
        let objects = fixture.open();
        objects.record_start().unwrap();
        let file = fixture.file("a.o");
        objects.record_end(Some("key")).unwrap();
        let objects = fixture.open();
        assert!(file.exists() && objects.has_objects_of("key") && !objects.has_objects_of("other"));
        objects.record_start().unwrap();
        objects.record_end(None).unwrap();
        let objects = fixture.open();
        assert!(file.exists() && !objects.has_objects_of("key") && !objects.was_interrupted());
    }

    #[test]
    fn objects_of_an_interrupted_build_are_removed() {
        let fixture = Fixture::new();
        fixture.open().record_end(Some("key")).unwrap();
        let old = fixture.file("old.o");
        let past = SystemTime::now() - Duration::from_secs(60);
        fs::File::options().write(true).open(&old).unwrap().set_modified(past).unwrap();
        fixture.open().record_start().unwrap();
        let new = fixture.file("new.o");
        let objects = fixture.open();
        assert!(old.exists() && !new.exists() && objects.was_interrupted() && !objects.has_objects_of("key"));
    }

    #[test]
    fn all_objects_are_removed_after_a_reboot() {
        let fixture = Fixture::new();
        fixture.open().record_end(Some("key")).unwrap();
        let (file, state_file) = (fixture.file("a.o"), fixture.0.path().join("objects.json"));
        let text = fs::read_to_string(&state_file).unwrap();
        let boot = fs::read_to_string(BOOT_ID).unwrap();
        fs::write(&state_file, text.replace(boot.trim(), "earlier")).unwrap();
        let objects = fixture.open();
        assert!(!file.exists() && !fixture.folders()[1].exists() && !objects.has_objects_of("key"));
    }
}

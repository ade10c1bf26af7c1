// SPDX-License-Identifier: MIT OR Apache-2.0
//! Tarballs in the cache, each in a folder named after its SHA-256.

use std::fs;
use std::path::{Path, PathBuf};

use tempfile::TempDir;
use vremount_util::{command, hash};

use crate::source::Error;
use crate::workspace::Workspace;

/// Tarball, lists, and the tree that is unpacked from it, MiB.
const ROOM_MIB: u64 = 2500;

/// Where a tarball is, or will be.
pub fn place(workspace: &Workspace, sha256: &str, file: &str) -> PathBuf {
    workspace.cache.join("source").join(sha256).join(file)
}

/// A folder to fetch into.
pub fn aside(workspace: &Workspace) -> Result<TempDir, Error> {
    command::ensure_free_space("fetch a kernel source", &workspace.cache, ROOM_MIB)?;
    let folder = workspace.cache.join("source");
    fs::create_dir_all(&folder).map_err(Error::io("create", &folder))?;
    tempfile::tempdir_in(&folder).map_err(Error::io("create a folder in", &folder))
}

/// Keeps what was fetched; gives its hash.
pub fn keep(workspace: &Workspace, fetched: &Path, file: &str) -> Result<String, Error> {
    let sha256 = sha256(fetched)?;
    let finished = fetched.with_file_name("finished");
    fs::create_dir(&finished).map_err(Error::io("create", &finished))?;
    fs::rename(fetched, finished.join(file)).map_err(Error::io("rename", fetched))?;
    let folder = workspace.cache.join("source").join(&sha256);
    command::rename_into_place(&finished, &folder).map_err(Error::io("rename", &finished))?;
    Ok(sha256)
}

/// The hash of a tarball of that name, if there is one.
pub fn kept(workspace: &Workspace, file: &str) -> Option<String> {
    let folders = fs::read_dir(workspace.cache.join("source")).ok()?.flatten();
    let is_hash = |name: &str| name.len() == 64 && name.bytes().all(|byte| byte.is_ascii_hexdigit());
    // Where something is being fetched to is none.
    let found = folders.into_iter().filter(|folder| folder.path().join(file).exists());
    found.map(|folder| folder.file_name().to_string_lossy().into_owned()).find(|name| is_hash(name))
}

/// Whether it is what it should be.
pub fn verify(path: &Path, expected: &str) -> Result<(), Error> {
    let found = sha256(path)?;
    if found == expected {
        return Ok(());
    }
    let file = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    Err(Error::WrongHash { file, found, expected: expected.to_string() })
}

pub fn sha256(path: &Path) -> Result<String, Error> {
    hash::of_file(path).map_err(Error::io("read", path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_being_fetched_is_not_kept() {
        let folder = tempfile::tempdir().unwrap();
        let workspace = Workspace { root: PathBuf::new(), cache: folder.path().to_path_buf() };
        for name in [".tmpAb12cd", "finished"] {
            let half = place(&workspace, name, "a.tar");
            fs::create_dir_all(half.parent().unwrap()).unwrap();
            fs::write(half, "a").unwrap();
        }
        assert_eq!(kept(&workspace, "a.tar"), None);
        let fetched = aside(&workspace).unwrap();
        fs::write(fetched.path().join("a.tar"), "all of it").unwrap();
        let sha256 = keep(&workspace, &fetched.path().join("a.tar"), "a.tar").unwrap();
        assert_eq!(kept(&workspace, "a.tar"), Some(sha256));
    }
}

// SPDX-License-Identifier: MIT OR Apache-2.0
//! Tarballs in the cache, each in a folder that is named after its SHA-256.

use std::fs;
use std::path::{Path, PathBuf};

use tempfile::TempDir;
use vremount_util::atomic_file::rename_into_place;
use vremount_util::{command, hash};

use crate::base::is_sha256;
use crate::source::error::Error;
use crate::workspace::Workspace;

/// Space that a tarball, the lists of apt and the unpacked tree need, MiB.
const SPACE_MIB: u64 = 2500;

/// The path of a tarball in the cache, whether it exists or not.
pub fn place(workspace: &Workspace, sha256: &str, file: &str) -> PathBuf {
    workspace.cache.join("source").join(sha256).join(file)
}

/// A temporary folder to fetch into, on the filesystem of the cache.
pub fn scratch_folder(workspace: &Workspace) -> Result<TempDir, Error> {
    command::ensure_free_space("fetch a kernel source", &workspace.cache, SPACE_MIB)?;
    let folder = workspace.cache.join("source");
    fs::create_dir_all(&folder).map_err(Error::io("create", &folder))?;
    tempfile::tempdir_in(&folder).map_err(Error::io("create a folder in", &folder))
}

/// Moves a fetched file to the cache and returns its SHA-256.
pub fn keep(workspace: &Workspace, fetched: &Path, file: &str) -> Result<String, Error> {
    let sha256 = sha256(fetched)?;
    let finished = fetched.with_file_name("finished");
    fs::create_dir(&finished).map_err(Error::io("create", &finished))?;
    fs::rename(fetched, finished.join(file)).map_err(Error::io("rename", fetched))?;
    let folder = workspace.cache.join("source").join(&sha256);
    rename_into_place(&finished, &folder).map_err(Error::io("rename", &finished))?;
    Ok(sha256)
}

/// The SHA-256 of a cached tarball with this file name; none if there is none.
pub fn find_by_name(workspace: &Workspace, file: &str) -> Option<String> {
    let folders = fs::read_dir(workspace.cache.join("source")).ok()?.flatten();
    // The other folders are those of downloads that have not finished.
    let found = folders.into_iter().filter(|folder| folder.path().join(file).exists());
    found.map(|folder| folder.file_name().to_string_lossy().into_owned()).find(|name| is_sha256(name))
}

/// Checks the SHA-256 of a file.
///
/// # Errors
/// [`Error::WrongHash`] if the file has another hash.
pub fn verify(path: &Path, expected: &str) -> Result<(), Error> {
    let found = sha256(path)?;
    if found == expected {
        return Ok(());
    }
    let file = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    Err(Error::WrongHash { file, found, expected: expected.to_string() })
}

/// SHA-256 of a file: 64 hexadecimal digits.
pub fn sha256(path: &Path) -> Result<String, Error> {
    hash::sha256_file(path).map_err(Error::io("read", path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unfinished_download_is_not_found() {
        let folder = tempfile::tempdir().unwrap();
        let workspace = Workspace { root: PathBuf::new(), cache: folder.path().to_path_buf() };
        for name in [".tmpAb12cd", "finished"] {
            let partial = place(&workspace, name, "a.tar");
            fs::create_dir_all(partial.parent().unwrap()).unwrap();
            fs::write(partial, "a").unwrap();
        }
        assert_eq!(find_by_name(&workspace, "a.tar"), None);
        let fetched = scratch_folder(&workspace).unwrap();
        fs::write(fetched.path().join("a.tar"), "complete").unwrap();
        let sha256 = keep(&workspace, &fetched.path().join("a.tar"), "a.tar").unwrap();
        assert_eq!(find_by_name(&workspace, "a.tar"), Some(sha256));
    }
}

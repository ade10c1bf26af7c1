// SPDX-License-Identifier: MIT OR Apache-2.0
//! Where things are: the checkout and the cache.

use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};
use std::{env, io};

use vremount_util::progress;

/// What makes a folder the root of the checkout.
const LANDMARK: &str = "ci/bases.toml";

/// Checkout and cache.
#[derive(Debug, Clone)]
pub struct Workspace {
    pub root: PathBuf,
    pub cache: PathBuf,
}

/// Why there is no place to work.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("failed to find the vremount checkout: no ci/bases.toml in {here} or above; change to the checkout",
        here = .0.display())]
    NoCheckout(PathBuf),
    #[error("failed to find a folder for the cache: neither XDG_CACHE_HOME nor HOME is set")]
    NoCache,
    #[error("failed to clean {cache}: another vremount uses it; wait for it", cache = .0.display())]
    InUse(PathBuf),
    #[error("failed to lock {path}: {cause}", path = path.display())]
    Lock { path: PathBuf, cause: io::Error },
}

impl Workspace {
    /// The checkout that the current folder is in, else the one that this program was built from: `git bisect run` calls it
    /// from the kernel's.
    ///
    /// # Errors
    /// If there is none, or no place for the cache.
    pub fn find() -> Result<Self, Error> {
        let here = env::current_dir().unwrap_or_default();
        let root = checkout(&here).or_else(|| checkout(Path::new(env!("CARGO_MANIFEST_DIR"))));
        let root = root.ok_or_else(|| Error::NoCheckout(here.clone()))?;
        let folder = |name| env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
        let caches = folder("XDG_CACHE_HOME").or_else(|| Some(folder("HOME")?.join(".cache"))).ok_or(Error::NoCache)?;
        Ok(Workspace { root, cache: caches.join("vremount") })
    }

    /// Keeps the cache from being cleaned until the file is dropped. Any number may use it at a time.
    ///
    /// # Errors
    /// If the lock file cannot be made.
    pub fn lock_cache_shared(&self) -> Result<File, Error> {
        let (path, file) = self.cache_lock()?;
        file.lock_shared().map_err(|cause| Error::Lock { path, cause })?;
        Ok(file)
    }

    /// Has the cache for itself until the file is dropped.
    ///
    /// # Errors
    /// If somebody uses it.
    pub fn lock_cache_exclusive(&self) -> Result<File, Error> {
        let (_, file) = self.cache_lock()?;
        file.try_lock().map_err(|_| Error::InUse(self.cache.clone()))?;
        Ok(file)
    }

    fn cache_lock(&self) -> Result<(PathBuf, File), Error> {
        let path = self.cache.join("cache.lock");
        let create = || {
            fs::create_dir_all(&self.cache)?;
            File::options().create(true).truncate(false).write(true).open(&path)
        };
        let file = create().map_err(|cause| Error::Lock { path: path.clone(), cause })?;
        Ok((path, file))
    }

    /// Keeps other harnesses out of the part of the cache that `name` stands for, until the file is dropped.
    ///
    /// # Errors
    /// If the lock file cannot be made.
    pub fn lock(&self, name: &str) -> Result<File, Error> {
        lock(&self.cache.join(format!("{name}.lock")))
    }
}

fn checkout(folder: &Path) -> Option<PathBuf> {
    folder.ancestors().find(|folder| folder.join(LANDMARK).is_file()).map(Path::to_path_buf)
}

/// Waits for the lock, and says so.
///
/// # Errors
/// If the lock file cannot be made.
pub fn lock(path: &Path) -> Result<File, Error> {
    let failed = |cause| Error::Lock { path: path.to_path_buf(), cause };
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).map_err(failed)?;
    }
    let file = File::create(path).map_err(failed)?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let _waiting = progress::start("waiting for another vremount");
            file.lock().map_err(failed)?;
        }
        Err(TryLockError::Error(cause)) => return Err(failed(cause)),
    }
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_checkout_is_found_from_anywhere_inside() {
        let folder = tempfile::tempdir().unwrap();
        let inside = folder.path().join("harness/src");
        fs::create_dir_all(&inside).unwrap();
        assert_eq!(checkout(&inside), None);
        fs::create_dir(folder.path().join("ci")).unwrap();
        fs::write(folder.path().join(LANDMARK), "").unwrap();
        assert_eq!(checkout(&inside).as_deref(), Some(folder.path()));
    }
}

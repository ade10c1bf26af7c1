// SPDX-License-Identifier: MIT OR Apache-2.0
//! The checkout of the project and the cache, and locks on the cache.

use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};
use std::{env, io};

use vremount_util::progress;

/// The file by which the root of the checkout is recognized.
const LANDMARK: &str = "ci/bases.toml";

/// Characters besides white space and control characters that make, Kbuild or the shells that they
/// run do not take in a path.
const UNSUPPORTED: &str = ":#$%&'\"()*,;<>?[\\]`{|}";

/// Checkout and cache.
#[derive(Debug, Clone)]
pub struct Workspace {
    /// The root of the checkout.
    pub root: PathBuf,
    /// The cache: `vremount` in `$XDG_CACHE_HOME`, by default in `~/.cache`. It need not exist.
    pub cache: PathBuf,
}

/// Why the workspace cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Neither the current folder nor the folder of the source of this program is in a checkout.
    #[error("failed to find the vremount checkout: no ci/bases.toml in {here} or above; change to the checkout",
        here = .0.display())]
    NoCheckout(
        /// The current folder.
        PathBuf,
    ),
    /// No environment variable names a folder for the cache.
    #[error(
        "failed to find a folder for the cache: neither XDG_CACHE_HOME nor HOME is an absolute path; set one of them"
    )]
    NoCache,
    /// A kernel cannot be built in a path with such a character.
    #[error("failed to use {path:?}: make cannot build a kernel in a path with the character {char:?}; {remedy}")]
    UnsupportedPath {
        /// The checkout or the cache.
        path: PathBuf,
        /// The first such character.
        char: char,
        /// What to do.
        remedy: &'static str,
    },
    /// The cache is in use.
    #[error("failed to clean {cache}: another vremount uses it; wait until it has finished", cache = .0.display())]
    InUse(
        /// The cache.
        PathBuf,
    ),
    /// A lock file cannot be created or locked.
    #[error("failed to lock {path}: {cause}", path = path.display())]
    Lock {
        /// The lock file.
        path: PathBuf,
        /// The error of the system call.
        #[source]
        cause: io::Error,
    },
}

impl Workspace {
    /// Finds checkout and cache. The checkout is the one that the current folder is in, else the
    /// one that this program was built from: `git bisect run` runs it in the work tree of a kernel.
    ///
    /// # Errors
    /// [`Error::NoCheckout`] or [`Error::NoCache`] if one is not found, [`Error::UnsupportedPath`]
    /// if a kernel cannot be built in its path.
    pub fn find() -> Result<Self, Error> {
        let here = env::current_dir().unwrap_or_default();
        let root = checkout(&here).or_else(|| checkout(Path::new(env!("CARGO_MANIFEST_DIR"))));
        let root = root.ok_or_else(|| Error::NoCheckout(here.clone()))?;
        let folder = |name| env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
        let caches = folder("XDG_CACHE_HOME").or_else(|| Some(folder("HOME")?.join(".cache"))).ok_or(Error::NoCache)?;
        let workspace = Workspace { root, cache: caches.join("vremount") };
        check_path(&workspace.root, "move the checkout to another path")?;
        check_path(&workspace.cache, "set XDG_CACHE_HOME to another folder")?;
        Ok(workspace)
    }

    /// Locks the cache for use until the file is dropped: `vremount cache clean` is refused
    /// meanwhile. Any number of processes may hold this lock.
    ///
    /// # Errors
    /// [`Error::Lock`] if the lock file cannot be created or locked.
    pub fn lock_cache_shared(&self) -> Result<File, Error> {
        let (path, file) = self.cache_lock()?;
        file.lock_shared().map_err(|cause| Error::Lock { path, cause })?;
        Ok(file)
    }

    /// Locks the cache for cleaning until the file is dropped. Does not wait.
    ///
    /// # Errors
    /// [`Error::InUse`] if another process uses the cache, [`Error::Lock`] if the lock file cannot
    /// be created.
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

    /// Locks a part of the cache, by its name, against other processes until the file is dropped.
    /// Waits for them.
    ///
    /// # Errors
    /// [`Error::Lock`] if the lock file cannot be created or locked.
    pub fn lock(&self, name: &str) -> Result<File, Error> {
        lock(&self.cache.join(format!("{name}.lock")))
    }
}

/// The first folder from `folder` upwards that is the root of a checkout.
fn checkout(folder: &Path) -> Option<PathBuf> {
    folder.ancestors().find(|folder| folder.join(LANDMARK).is_file()).map(Path::to_path_buf)
}

fn check_path(path: &Path, remedy: &'static str) -> Result<(), Error> {
    let is_unsupported = |char: &char| char.is_whitespace() || char.is_control() || UNSUPPORTED.contains(*char);
    // A path that is not UTF-8 has the replacement character here.
    match path.to_string_lossy().chars().find(|char| is_unsupported(char) || *char == char::REPLACEMENT_CHARACTER) {
        Some(char) => Err(Error::UnsupportedPath { path: path.to_path_buf(), char, remedy }),
        None => Ok(()),
    }
}

/// Locks a file, which is created if needed, until it is dropped. Waits for other processes, and
/// shows that it waits.
///
/// # Errors
/// [`Error::Lock`] if the file cannot be created or locked.
pub fn lock(path: &Path) -> Result<File, Error> {
    let failed = |cause| Error::Lock { path: path.to_path_buf(), cause };
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).map_err(failed)?;
    }
    let file = File::create(path).map_err(failed)?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let _progress = progress::start("waiting for another vremount");
            file.lock().map_err(failed)?;
        }
        Err(TryLockError::Error(cause)) => return Err(failed(cause)),
    }
    Ok(file)
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[test]
    fn checkout_is_found_from_a_folder_inside() {
        let folder = tempfile::tempdir().unwrap();
        let inside = folder.path().join("harness/src");
        fs::create_dir_all(&inside).unwrap();
        assert_eq!(checkout(&inside), None);
        fs::create_dir(folder.path().join("ci")).unwrap();
        fs::write(folder.path().join(LANDMARK), "").unwrap();
        assert_eq!(checkout(&inside).as_deref(), Some(folder.path()));
    }

    #[rstest]
    #[case::usual("/home/me/.cache/vremount", None)]
    #[case::other_signs("/srv/a+b=c@d_e~/\u{e9}t\u{e9}", None)]
    #[case::space("/home/my files/vremount", Some(' '))]
    #[case::newline("/home/a\nb", Some('\n'))]
    #[case::apostrophe("/home/it's", Some('\''))]
    #[case::colon("/home/a:b", Some(':'))]
    #[case::variable("/home/$HOME", Some('$'))]
    fn path_that_make_cannot_take_is_refused(#[case] path: &str, #[case] expected: Option<char>) {
        match check_path(Path::new(path), "move it") {
            Err(Error::UnsupportedPath { char, .. }) => assert_eq!(Some(char), expected),
            result => assert!(result.is_ok() && expected.is_none(), "{path}"),
        }
    }
}

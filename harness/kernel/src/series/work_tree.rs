// SPDX-License-Identifier: MIT OR Apache-2.0
//! Work trees of a bare repository in the cache.

use std::ffi::OsStr;
use std::fs;
use std::path::Path;
use std::process::Command;

use tempfile::TempDir;
use vremount_util::command;

use crate::series::error::Error;
use crate::source::{Tree, git_command};

/// A temporary work tree for `git am`. No file is checked out, so that only the files that patches
/// change are ever written.
pub struct TempWorktree(TempDir);

impl TempWorktree {
    /// Creates a work tree at a commit.
    pub fn new(pristine: &Tree, commit: &str) -> Result<Self, Error> {
        let folder = tempfile::tempdir().map_err(Error::unreadable(&std::env::temp_dir()))?;
        prune_removed(&pristine.repository)?;
        let mut add = git_command(&pristine.repository, ["worktree", "add", "--quiet", "--detach", "--no-checkout"]);
        command::run("create a work tree", add.arg(folder.path()).arg(commit))?;
        command::run("read a tree", &mut in_tree(folder.path(), ["read-tree", "HEAD"]))?;
        Ok(TempWorktree(folder))
    }

    /// The folder of the work tree.
    pub fn path(&self) -> &Path {
        self.0.path()
    }
}

/// Removes the records of work trees whose folders do not exist any more.
fn prune_removed(repository: &Path) -> Result<(), Error> {
    command::run("prune work trees", &mut git_command(repository, ["worktree", "prune"]))?;
    Ok(())
}

/// Creates a work tree of a repository if it does not exist or is incomplete. The caller has it for
/// itself: locks that a killed process left in it are removed.
///
/// # Errors
/// [`Error`] if git fails or an incomplete work tree cannot be removed.
pub fn prepare_work_tree(pristine: &Tree, tree: &Path) -> Result<(), Error> {
    let Tree { repository, commit } = pristine;
    if !is_complete(tree) {
        if tree.exists() {
            fs::remove_dir_all(tree).map_err(Error::unreadable(tree))?;
        }
        prune_removed(repository)?;
        // One --force allows a path that is registered but missing, two also one that is locked.
        let mut add = git_command(repository, ["worktree", "add", "--quiet", "--force", "--force", "--detach"]);
        command::run("create a work tree", add.arg(tree).arg(commit))?;
    }
    let git_dir = command::run("find a work tree", &mut in_tree(tree, ["rev-parse", "--absolute-git-dir"]))?;
    let git_dir = Path::new(git_dir.trim_end_matches('\n'));
    let _ = fs::remove_file(git_dir.join("index.lock"));
    let _ = fs::remove_dir_all(git_dir.join("rebase-apply"));
    Ok(())
}

/// Whether a work tree was created completely: git locks it until all of its files are there.
fn is_complete(tree: &Path) -> bool {
    let Ok(text) = fs::read_to_string(tree.join(".git")) else { return false };
    let folder = text.strip_prefix("gitdir: ").map(|path| Path::new(path.trim_end_matches('\n')));
    folder.is_some_and(|folder| folder.is_dir() && !folder.join("locked").exists())
}

/// Removes all untracked files from a work tree, also ignored ones.
///
/// # Errors
/// [`Error`] if git fails.
pub fn remove_untracked(tree: &Path) -> Result<(), Error> {
    command::run("clean a work tree", &mut in_tree(tree, ["clean", "-d", "-x", "--force", "--force", "--quiet"]))?;
    Ok(())
}

/// A git command in a work tree.
pub fn in_tree<S: AsRef<OsStr>>(tree: &Path, args: impl IntoIterator<Item = S>) -> Command {
    let mut command = git_command(&tree.join(".git"), args);
    // The .git of a work tree is a file that names its repository. git follows it from inside, but
    // not as GIT_DIR.
    command.env_remove("GIT_DIR").current_dir(tree);
    command
}

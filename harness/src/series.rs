// SPDX-License-Identifier: MIT OR Apache-2.0
//! A tree and a level become a tree with the first patches of the series.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use sha2::{Digest, Sha256};

use crate::base::Level;
use crate::source::git;
use crate::tool;

/// Fixes and the patches of a folder, in order, with what they hold.
#[derive(Debug)]
pub struct Series {
    patches: Vec<Patch>,
    /// How many of them are fixes, and so part of level 0.
    fixes: usize,
}

#[derive(Debug)]
struct Patch {
    path: PathBuf,
    /// Hash over this patch and all before it.
    state: String,
}

/// Why a level could not be reached.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("failed to read {path}: {cause}", path = path.display())]
    Unreadable { path: PathBuf, cause: std::io::Error },
    #[error("failed to find a series of {expected} patches in {folder}: it has {found}", folder = folder.display())]
    Incomplete { folder: PathBuf, found: usize, expected: u8 },
    #[error("failed to apply {patch} on top of those before it; port it to this base (patches/README.md)\n{output}",
        patch = patch.display())]
    DoesNotApply { patch: PathBuf, output: String },
    #[error(transparent)]
    Tool(#[from] tool::Error),
}

impl Series {
    /// The series in a folder: `0001-*.patch` and so on, without the cover letter; on top of `fixes`.
    ///
    /// # Errors
    /// If a patch is missing or cannot be read.
    pub fn read(folder: &Path, fixes: &[PathBuf]) -> Result<Self, Error> {
        let unreadable = |path: &Path| {
            let path = path.to_path_buf();
            |cause| Error::Unreadable { path, cause }
        };
        let is_patch = |path: &PathBuf| {
            let name = path.file_name().and_then(OsStr::to_str).unwrap_or_default();
            name.ends_with(".patch") && !name.starts_with("0000-")
        };
        let entries = fs::read_dir(folder).map_err(unreadable(folder))?;
        let mut paths: Vec<_> = entries.filter_map(|entry| Some(entry.ok()?.path())).filter(is_patch).collect();
        paths.sort();
        let expected = Level::FULL.number();
        if paths.len() != usize::from(expected) {
            return Err(Error::Incomplete { folder: folder.to_path_buf(), found: paths.len(), expected });
        }
        let mut hash = Sha256::new();
        let mut patches = Vec::new();
        for path in fixes.iter().cloned().chain(paths) {
            hash.update(fs::read(&path).map_err(unreadable(&path))?);
            let state = hash.clone().finalize().iter().take(8).map(|byte| format!("{byte:02x}")).collect();
            patches.push(Patch { path, state });
        }
        Ok(Series { patches, fixes: fixes.len() })
    }

    /// Stands for all patches up to this level: the same text, the same patches.
    #[must_use]
    pub fn state(&self, level: Level) -> &str {
        self.last(level).map_or("pristine", |patch| &patch.state)
    }

    /// How many patches make a level.
    fn count(&self, level: Level) -> usize {
        self.fixes + usize::from(level.number())
    }

    /// Brings a work tree of the repository to the level. Files that two levels share are left alone, so that make
    /// builds only what differs.
    ///
    /// # Errors
    /// If a patch does not apply as it is, or git fails.
    pub fn check_out(&self, tree: &Path, level: Level) -> Result<(), Error> {
        let go_to = |tag: &str| {
            let mut checkout = in_tree(tree, ["checkout", "--quiet", "--force", "--detach"]);
            tool::run("check out a level", checkout.arg(tag))
        };
        // The highest level that has been reached before.
        let done = (0..=self.count(level)).rev().find(|n| *n == 0 || self.is_tagged(tree, *n)).unwrap_or(0);
        go_to(&self.tag(done))?;
        for (number, patch) in self.patches.iter().enumerate().take(self.count(level)).skip(done) {
            self.apply(tree, patch)?;
            let mut tag = in_tree(tree, ["tag", "--force"]);
            tool::run("tag a level", tag.arg(self.tag(number + 1)))?;
        }
        Ok(())
    }

    /// Brings a work tree to the pristine kernel with the last patch of a level and none of those before it.
    ///
    /// # Errors
    /// If it does not apply as it is, or git fails.
    pub fn check_out_alone(&self, tree: &Path, level: Level) -> Result<(), Error> {
        self.check_out(tree, Level::PRISTINE)?;
        self.last(level).map_or(Ok(()), |patch| self.apply(tree, patch))
    }

    /// The file of the last patch of a level; none at level 0.
    #[must_use]
    pub fn patch(&self, level: Level) -> Option<&Path> {
        Some(&self.last(level)?.path)
    }

    fn last(&self, level: Level) -> Option<&Patch> {
        self.count(level).checked_sub(1).and_then(|last| self.patches.get(last))
    }

    /// The paths that patches 2 and later change, a line each; the tree must have been at the highest level.
    ///
    /// # Errors
    /// If git fails.
    pub fn changes_after_first(&self, tree: &Path) -> Result<String, tool::Error> {
        self.changes_between(tree, Level::FIRST)
    }

    /// The paths that the series changes, a line each; the tree must have been at the highest level.
    ///
    /// # Errors
    /// If git fails.
    pub fn changes(&self, tree: &Path) -> Result<String, tool::Error> {
        self.changes_between(tree, Level::PRISTINE)
    }

    fn changes_between(&self, tree: &Path, from: Level) -> Result<String, tool::Error> {
        let mut diff = in_tree(tree, ["diff", "--name-only"]);
        tool::run("compare levels", diff.arg(self.tag(self.count(from))).arg(self.tag(self.count(Level::FULL))))
    }

    fn apply(&self, tree: &Path, patch: &Patch) -> Result<(), Error> {
        let mut am = in_tree(tree, ["am", "--quiet", "--no-3way", "--committer-date-is-author-date"]);
        match tool::run("apply a patch", am.arg(&patch.path)) {
            Ok(_) => Ok(()),
            Err(tool::Error::Failed { output, .. }) => {
                tool::run("give up a patch", &mut in_tree(tree, ["am", "--abort"]))?;
                Err(Error::DoesNotApply { patch: patch.path.clone(), output })
            }
            Err(error) => Err(error.into()),
        }
    }

    fn tag(&self, patches: usize) -> String {
        match patches.checked_sub(1).and_then(|last| self.patches.get(last)) {
            Some(patch) => format!("series-{}", patch.state),
            None => "base".to_string(),
        }
    }

    fn is_tagged(&self, tree: &Path, patches: usize) -> bool {
        let mut parse = in_tree(tree, ["rev-parse", "--quiet", "--verify"]);
        tool::run("look for a level", parse.arg(format!("refs/tags/{}", self.tag(patches)))).is_ok()
    }
}

/// A work tree of a repository, made when it is not there yet.
///
/// # Errors
/// If git fails.
pub fn work_tree(repository: &Path, tree: &Path) -> Result<(), Error> {
    if !tree.join(".git").exists() {
        let mut prune = git(repository, ["worktree", "prune"]);
        tool::run("forget work trees that are gone", &mut prune)?;
        let mut add = git(repository, ["worktree", "add", "--quiet", "--force", "--detach"]);
        tool::run("make a work tree", add.arg(tree).arg("base"))?;
    }
    let git_dir = tool::run("find a work tree", &mut in_tree(tree, ["rev-parse", "--absolute-git-dir"]))?;
    // A harness that was killed leaves them; whoever calls this has the work tree for itself.
    let _ = fs::remove_file(Path::new(git_dir.trim()).join("index.lock"));
    let _ = fs::remove_dir_all(Path::new(git_dir.trim()).join("rebase-apply"));
    Ok(())
}

fn in_tree<S: AsRef<OsStr>>(tree: &Path, args: impl IntoIterator<Item = S>) -> Command {
    let mut command = git(&tree.join(".git"), args);
    // A work tree's .git is a file that says where its repository is; git follows it from inside.
    command.env_remove("GIT_DIR").current_dir(tree);
    command
}

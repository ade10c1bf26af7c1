// SPDX-License-Identifier: MIT OR Apache-2.0
//! A tree and a level become a tree with the first patches of the series.

mod added_lines;
mod dry_run;
#[cfg(test)]
mod tests;

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};

pub use added_lines::AddedLine;
pub use dry_run::{ApplyCheck, PatchFailure};
use sha2::{Digest, Sha256};
use tempfile::TempDir;
use vremount_util::{command, hash};

use crate::base::{Level, PreApplied};
use crate::source::{Tree, git};

/// What is done to a tree, in order: patches that it carries are taken out, fixes applied, then the patches of a folder, and
/// what comes on top of them.
#[derive(Debug)]
pub struct Series {
    steps: Vec<Step>,
    /// How many of them come before the series, and so are part of level 0.
    before: usize,
}

#[derive(Debug)]
struct Step {
    patch: PathBuf,
    how: How,
    /// Hash over this step and all before it.
    state: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum How {
    TakeOut,
    /// As it was mailed.
    Apply,
    /// A diff that nobody mails.
    OnTop,
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
    Tool(#[from] command::Error),
}

impl Error {
    /// Whether another kernel may do better.
    #[must_use]
    pub fn is_of_the_kernel(&self) -> bool {
        matches!(self, Error::DoesNotApply { .. })
    }
}

impl Series {
    /// The series in a folder: `0001-*.patch` and so on, without the cover letter; on top of `fixes`. What is `on_top` of it is
    /// part of the highest level.
    ///
    /// # Errors
    /// If a patch is missing or cannot be read.
    pub fn read(folder: &Path, fixes: &[PathBuf], carries: PreApplied, on_top: Option<&Path>) -> Result<Self, Error> {
        let patches = if carries == PreApplied::ItsOwn { Vec::new() } else { patches(folder)? };
        let carried = if let PreApplied::First(count) = carries { usize::from(count) } else { 0 };
        let out = patches.iter().take(carried).rev().map(|path| (path.clone(), How::TakeOut));
        let before: Vec<_> = out.chain(fixes.iter().map(|path| (path.clone(), How::Apply))).collect();
        let count = before.len();
        let on_top = on_top.map(|path| (path.to_path_buf(), How::OnTop));
        let mut hash = Sha256::new();
        let mut steps = Vec::new();
        for (patch, how) in before.into_iter().chain(patches.into_iter().map(|path| (path, How::Apply))).chain(on_top) {
            if how == How::TakeOut {
                hash.update("take out");
            }
            hash.update(fs::read(&patch).map_err(unreadable(&patch))?);
            let state = hash::short(hash.clone());
            steps.push(Step { patch, how, state });
        }
        Ok(Series { steps, before: count })
    }

    /// Stands for all patches up to this level: the same text, the same patches.
    #[must_use]
    pub fn state(&self, level: Level) -> &str {
        self.last(level).map_or("pristine", |step| &step.state)
    }

    /// How many steps make a level.
    fn count(&self, level: Level) -> usize {
        match level {
            Level::FULL => self.steps.len(),
            _ => (self.before + usize::from(level.number())).min(self.steps.len()),
        }
    }

    /// Brings a work tree of the repository to the level. Files that are the same there and where it was before are left
    /// alone, so that make builds only what differs.
    ///
    /// # Errors
    /// If a patch does not apply as it is, or git fails.
    pub fn check_out(&self, pristine: &Tree, tree: &Path, level: Level) -> Result<(), Error> {
        let tag = self.commit_at(pristine, level)?;
        command::run("check out a level", in_tree(tree, ["checkout", "--quiet", "--force", "--detach"]).arg(tag))?;
        Ok(())
    }

    /// The tag of the level's commit. It is made beside all work trees: to apply a patch in one would touch files that the
    /// kernel built there last has too.
    ///
    /// # Errors
    /// If a patch does not apply as it is, or git fails.
    pub fn commit_at(&self, pristine: &Tree, level: Level) -> Result<String, Error> {
        let repository = &pristine.repository;
        let reached = |n: usize| n == 0 || is_tagged(repository, &self.tag(pristine, n));
        // The highest level that has been reached before.
        let done = (0..=self.count(level)).rev().find(|n| reached(*n)).unwrap_or(0);
        let missing = &self.steps[done..self.count(level)];
        if !missing.is_empty() {
            let aside = TempWorktree::new(pristine, &self.tag(pristine, done))?;
            for (number, step) in missing.iter().enumerate() {
                step.apply(aside.0.path())?;
                let mut tag = in_tree(aside.0.path(), ["tag", "--force"]);
                command::run("tag a level", tag.arg(self.tag(pristine, done + number + 1)))?;
            }
        }
        Ok(self.tag(pristine, self.count(level)))
    }

    /// Brings a work tree to the pristine kernel with the last patch of a level and none of those before it.
    ///
    /// # Errors
    /// If it does not apply as it is, or git fails.
    pub fn check_out_alone(&self, pristine: &Tree, tree: &Path, level: Level) -> Result<(), Error> {
        self.check_out(pristine, tree, Level::PRISTINE)?;
        self.last(level).map_or(Ok(()), |step| step.apply(tree))
    }

    /// The file of the last patch of a level; none at level 0.
    #[must_use]
    pub fn patch(&self, level: Level) -> Option<&Path> {
        Some(&self.last(level)?.patch)
    }

    /// What its author calls the last patch of a level.
    ///
    /// # Errors
    /// If it does not apply, or git fails.
    pub fn subject(&self, pristine: &Tree, level: Level) -> Result<String, Error> {
        let mut show = git(&pristine.repository, ["show", "--no-patch", "--format=%s"]);
        let subject = command::run("ask for the subject of a patch", show.arg(self.commit_at(pristine, level)?))?;
        Ok(subject.trim().to_string())
    }

    fn last(&self, level: Level) -> Option<&Step> {
        self.count(level).checked_sub(1).and_then(|last| self.steps.get(last))
    }

    /// The paths that patches 2 and later change, a line each.
    ///
    /// # Errors
    /// If a patch does not apply, or git fails.
    pub fn changes_after_first(&self, pristine: &Tree) -> Result<String, Error> {
        self.changes_between(pristine, Level::FIRST)
    }

    /// The paths that the series changes, a line each.
    ///
    /// # Errors
    /// If a patch does not apply, or git fails.
    pub fn changes(&self, pristine: &Tree) -> Result<String, Error> {
        self.changes_between(pristine, Level::PRISTINE)
    }

    /// What the series changes, as `git format-patch` counts it in a cover letter.
    ///
    /// # Errors
    /// If a patch does not apply, or git fails.
    pub fn stat(&self, pristine: &Tree) -> Result<String, Error> {
        let (from, to) = (self.commit_at(pristine, Level::PRISTINE)?, self.commit_at(pristine, Level::FULL)?);
        let mut diff = git(&pristine.repository, ["diff", "--stat=72"]);
        Ok(command::run("count what a series changes", diff.arg(from).arg(to))?)
    }

    fn changes_between(&self, pristine: &Tree, from: Level) -> Result<String, Error> {
        let (from, to) = (self.commit_at(pristine, from)?, self.commit_at(pristine, Level::FULL)?);
        let mut diff = git(&pristine.repository, ["diff", "--name-only"]);
        Ok(command::run("compare levels", diff.arg(from).arg(to))?)
    }

    /// Levels of different trees are in one repository.
    fn tag(&self, pristine: &Tree, steps: usize) -> String {
        match steps.checked_sub(1).and_then(|last| self.steps.get(last)) {
            Some(step) => format!("{}-series-{}", pristine.commit, step.state),
            None => pristine.commit.clone(),
        }
    }
}

/// The words before the patches, in their folder.
pub const COVER_LETTER: &str = "0000-cover-letter.patch";

/// The patches of a folder, in order.
///
/// # Errors
/// If there are not as many as levels.
pub fn patches(folder: &Path) -> Result<Vec<PathBuf>, Error> {
    let is_patch = |path: &PathBuf| {
        let name = path.file_name().and_then(OsStr::to_str).unwrap_or_default();
        name.ends_with(".patch") && !name.starts_with("0000-")
    };
    let entries = command::entries(folder).map_err(unreadable(folder))?;
    let paths: Vec<_> = entries.into_iter().filter(is_patch).collect();
    let expected = Level::FULL.number();
    match paths.len() == usize::from(expected) {
        true => Ok(paths),
        false => Err(Error::Incomplete { folder: folder.to_path_buf(), found: paths.len(), expected }),
    }
}

fn unreadable(path: &Path) -> impl FnOnce(std::io::Error) -> Error {
    let path = path.to_path_buf();
    |cause| Error::Unreadable { path, cause }
}

impl Step {
    fn apply(&self, tree: &Path) -> Result<(), Error> {
        let args: &[&str] = match self.how {
            How::Apply => &["am", "--quiet", "--no-3way", "--committer-date-is-author-date"],
            How::TakeOut => &["apply", "--index", "--reverse"],
            How::OnTop => &["apply", "--index"],
        };
        let name = self.patch.file_name().unwrap_or_default().display();
        let message = match self.how {
            How::Apply => None,
            How::TakeOut => Some(format!("Take out {name}")),
            How::OnTop => Some(format!("On top: {name}")),
        };
        match (command::run("apply a patch", in_tree(tree, args).arg(&self.patch)), message) {
            (Ok(_), Some(message)) => {
                // Also one that changes nothing: whoever wrote it finds out what comes of that.
                let commit = ["commit", "--quiet", "--allow-empty", "--message", &message];
                command::run("commit a tree", &mut in_tree(tree, commit))?;
                Ok(())
            }
            (Ok(_), None) => Ok(()),
            (Err(command::Error::Failed { output, status, .. }), _) if self.does_not_apply(status, &output) => {
                if self.how == How::Apply {
                    command::run("give up a patch", &mut in_tree(tree, ["am", "--abort"]))?;
                }
                Err(Error::DoesNotApply { patch: self.patch.clone(), output })
            }
            (Err(error), _) => Err(error.into()),
        }
    }

    /// Whether that is why git failed. `git am` has words for it.
    fn does_not_apply(&self, status: ExitStatus, output: &str) -> bool {
        match self.how {
            How::Apply => {
                let says = |words| output.contains(words);
                status.code().is_some() && says("Patch failed at ") && !says("No space left on device")
            }
            How::TakeOut | How::OnTop => apply_says_no(status),
        }
    }
}

/// `git apply` has a code of its own for a patch that does not apply; with another it could not try.
fn apply_says_no(status: ExitStatus) -> bool {
    status.code() == Some(1)
}

fn is_tagged(repository: &Path, tag: &str) -> bool {
    let mut parse = git(repository, ["rev-parse", "--quiet", "--verify"]);
    command::run("look for a level", parse.arg(format!("refs/tags/{tag}"))).is_ok()
}

/// A work tree for `git am`, of which only the files that patches are about are ever written.
struct TempWorktree(TempDir);

impl TempWorktree {
    fn new(pristine: &Tree, commit: &str) -> Result<Self, Error> {
        let folder = tempfile::tempdir().map_err(unreadable(&std::env::temp_dir()))?;
        forget_work_trees_that_are_gone(&pristine.repository)?;
        let mut add = git(&pristine.repository, ["worktree", "add", "--quiet", "--detach", "--no-checkout"]);
        command::run("make a work tree", add.arg(folder.path()).arg(commit))?;
        command::run("read a tree", &mut in_tree(folder.path(), ["read-tree", "HEAD"]))?;
        Ok(TempWorktree(folder))
    }
}

fn forget_work_trees_that_are_gone(repository: &Path) -> Result<(), Error> {
    command::run("forget work trees that are gone", &mut git(repository, ["worktree", "prune"]))?;
    Ok(())
}

/// A work tree of a repository, made when it is not there yet.
///
/// # Errors
/// If git fails.
pub fn work_tree(pristine: &Tree, tree: &Path) -> Result<(), Error> {
    let Tree { repository, commit } = pristine;
    if !is_whole(tree) {
        if tree.exists() {
            fs::remove_dir_all(tree).map_err(unreadable(tree))?;
        }
        forget_work_trees_that_are_gone(repository)?;
        // Once for one that is gone, twice for one that git was killed over.
        let mut add = git(repository, ["worktree", "add", "--quiet", "--force", "--force", "--detach"]);
        command::run("make a work tree", add.arg(tree).arg(commit))?;
    }
    let git_dir = command::run("find a work tree", &mut in_tree(tree, ["rev-parse", "--absolute-git-dir"]))?;
    // A harness that was killed leaves them; whoever calls this has the work tree for itself.
    let _ = fs::remove_file(Path::new(git_dir.trim()).join("index.lock"));
    let _ = fs::remove_dir_all(Path::new(git_dir.trim()).join("rebase-apply"));
    Ok(())
}

/// Whether it was made to its end: git locks a work tree until all its files are there.
fn is_whole(tree: &Path) -> bool {
    let Ok(text) = fs::read_to_string(tree.join(".git")) else { return false };
    let folder = text.strip_prefix("gitdir: ").map(|path| Path::new(path.trim_end()));
    folder.is_some_and(|folder| folder.is_dir() && !folder.join("locked").exists())
}

/// Removes what git does not know from a work tree: whoever wrote it was killed.
///
/// # Errors
/// If git fails.
pub fn remove_untracked(tree: &Path) -> Result<(), Error> {
    command::run("clean a work tree", &mut in_tree(tree, ["clean", "-d", "-x", "--force", "--force", "--quiet"]))?;
    Ok(())
}

fn in_tree<S: AsRef<OsStr>>(tree: &Path, args: impl IntoIterator<Item = S>) -> Command {
    let mut command = git(&tree.join(".git"), args);
    // A work tree's .git is a file that says where its repository is; git follows it from inside.
    command.env_remove("GIT_DIR").current_dir(tree);
    command
}

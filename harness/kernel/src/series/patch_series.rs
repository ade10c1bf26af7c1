// SPDX-License-Identifier: MIT OR Apache-2.0
//! The patches of a base and the levels that they lead to.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};
use vremount_util::{command, hash};

use crate::base::{Level, PreApplied};
use crate::series::error::Error;
use crate::series::step::{Step, StepKind};
use crate::series::work_tree::{TempWorktree, in_tree};
use crate::source::{Tree, git_command};

/// The steps from a source to all levels, in order: patches that the source already has are
/// reverted, fixes are applied, then the patches of the series, then a mutant.
#[derive(Debug)]
pub struct Series {
    steps: Vec<Step>,
    /// Number of steps before the first patch of the series. They are part of level 0.
    before: usize,
}

impl Series {
    /// Reads the series in `folder` (`0001-*.patch` and so on). `pre_applied` are the patches that
    /// the source already has, `fixes` are applied before the series. `mutant` is a diff on top of
    /// the series, which is part of the highest level.
    ///
    /// # Errors
    /// [`Error::Incomplete`] if a patch is missing, [`Error::Unreadable`] if one cannot be read.
    pub fn read(
        folder: &Path,
        fixes: &[PathBuf],
        pre_applied: PreApplied,
        mutant: Option<&Path>,
    ) -> Result<Self, Error> {
        let patches = if pre_applied == PreApplied::OtherImplementation { Vec::new() } else { list_patches(folder)? };
        let reverted = if let PreApplied::FirstPatches(count) = pre_applied { usize::from(count) } else { 0 };
        let of_kind = |kind| move |path: &PathBuf| (path.clone(), kind);
        let mut planned: Vec<_> = patches.iter().take(reverted).rev().map(of_kind(StepKind::Revert)).collect();
        planned.extend(fixes.iter().map(of_kind(StepKind::Mail)));
        let before = planned.len();
        planned.extend(patches.iter().map(of_kind(StepKind::Mail)));
        planned.extend(mutant.map(|path| (path.to_path_buf(), StepKind::Diff)));
        let mut hash = Sha256::new();
        let mut steps = Vec::new();
        for (patch, kind) in planned {
            if kind == StepKind::Revert {
                // The text is part of cache keys.
                hash.update("take out");
            }
            hash.update(fs::read(&patch).map_err(Error::unreadable(&patch))?);
            let state = hash::cache_key(hash.clone());
            steps.push(Step { patch, kind, state });
        }
        Ok(Series { steps, before })
    }

    /// Hash of all patches up to a level, `pristine` if there are none. Equal hashes mean equal
    /// patches.
    #[must_use]
    pub fn patches_hash(&self, level: Level) -> &str {
        self.last(level).map_or("pristine", |step| &step.state)
    }

    /// Number of steps up to a level.
    fn count(&self, level: Level) -> usize {
        match level {
            Level::FULL => self.steps.len(),
            _ => (self.before + usize::from(level.number())).min(self.steps.len()),
        }
    }

    /// Checks out a level in a work tree. Files that do not change keep their modification time, so
    /// that make only builds what differs.
    ///
    /// # Errors
    /// [`Error::DoesNotApply`] if a patch does not apply exactly, [`Error::Command`] if git fails.
    pub fn check_out(&self, pristine: &Tree, tree: &Path, level: Level) -> Result<(), Error> {
        let tag = self.commit_of_level(pristine, level)?;
        command::run("check out a level", in_tree(tree, ["checkout", "--quiet", "--force", "--detach"]).arg(tag))?;
        Ok(())
    }

    /// The tag of the commit of a level. Missing commits are made in a temporary work tree: to
    /// apply patches in the work tree of a build would change the modification time of files that
    /// do not differ from the last build.
    ///
    /// # Errors
    /// [`Error::DoesNotApply`] if a patch does not apply exactly, [`Error::Command`] if git fails.
    pub fn commit_of_level(&self, pristine: &Tree, level: Level) -> Result<String, Error> {
        let repository = &pristine.repository;
        let is_made = |steps: usize| steps == 0 || is_tagged(repository, &self.tag(pristine, steps));
        let done = (0..=self.count(level)).rev().find(|steps| is_made(*steps)).unwrap_or(0);
        let missing = &self.steps[done..self.count(level)];
        if !missing.is_empty() {
            let scratch = TempWorktree::new(pristine, &self.tag(pristine, done))?;
            for (number, step) in missing.iter().enumerate() {
                step.apply(scratch.path())?;
                let mut tag = in_tree(scratch.path(), ["tag", "--force"]);
                command::run("tag a level", tag.arg(self.tag(pristine, done + number + 1)))?;
            }
        }
        Ok(self.tag(pristine, self.count(level)))
    }

    /// Checks out level 0 with the last patch of a level, and without the patches before it.
    ///
    /// # Errors
    /// [`Error::DoesNotApply`] if the patch does not apply exactly, [`Error::Command`] if git fails.
    pub fn check_out_single_patch(&self, pristine: &Tree, tree: &Path, level: Level) -> Result<(), Error> {
        self.check_out(pristine, tree, Level::PRISTINE)?;
        self.last(level).map_or(Ok(()), |step| step.apply(tree))
    }

    /// The file of the last patch of a level; none at level 0 without fixes.
    #[must_use]
    pub fn patch_file(&self, level: Level) -> Option<&Path> {
        Some(&self.last(level)?.patch)
    }

    /// The subject of the last patch of a level.
    ///
    /// # Errors
    /// [`Error::DoesNotApply`] if a patch does not apply exactly, [`Error::Command`] if git fails.
    pub fn patch_subject(&self, pristine: &Tree, level: Level) -> Result<String, Error> {
        let mut show = git_command(&pristine.repository, ["show", "--no-patch", "--format=%s"]);
        let subject = command::run("read the subject of a patch", show.arg(self.commit_of_level(pristine, level)?))?;
        Ok(subject.trim().to_string())
    }

    fn last(&self, level: Level) -> Option<&Step> {
        self.count(level).checked_sub(1).and_then(|last| self.steps.get(last))
    }

    /// The paths that patches 2 and later change, one per line.
    ///
    /// # Errors
    /// [`Error::DoesNotApply`] if a patch does not apply exactly, [`Error::Command`] if git fails.
    pub fn paths_changed_after_first(&self, pristine: &Tree) -> Result<String, Error> {
        self.changes_between(pristine, Level::FIRST)
    }

    /// The paths that the series changes, one per line.
    ///
    /// # Errors
    /// [`Error::DoesNotApply`] if a patch does not apply exactly, [`Error::Command`] if git fails.
    pub fn changed_paths(&self, pristine: &Tree) -> Result<String, Error> {
        self.changes_between(pristine, Level::PRISTINE)
    }

    /// The diffstat of the series, in the format that `git format-patch` uses in a cover letter.
    ///
    /// # Errors
    /// [`Error::DoesNotApply`] if a patch does not apply exactly, [`Error::Command`] if git fails.
    pub fn diffstat(&self, pristine: &Tree) -> Result<String, Error> {
        let (from, to) =
            (self.commit_of_level(pristine, Level::PRISTINE)?, self.commit_of_level(pristine, Level::FULL)?);
        let mut diff = git_command(&pristine.repository, ["diff", "--stat=72"]);
        Ok(command::run("make a diffstat", diff.arg(from).arg(to))?)
    }

    fn changes_between(&self, pristine: &Tree, from: Level) -> Result<String, Error> {
        let (from, to) = (self.commit_of_level(pristine, from)?, self.commit_of_level(pristine, Level::FULL)?);
        let mut diff = git_command(&pristine.repository, ["diff", "--name-only"]);
        Ok(command::run("compare levels", diff.arg(from).arg(to))?)
    }

    /// The tag of the commit after a number of steps. It contains the source commit, because one
    /// repository has the levels of several sources.
    fn tag(&self, pristine: &Tree, steps: usize) -> String {
        match steps.checked_sub(1).and_then(|last| self.steps.get(last)) {
            Some(step) => format!("{}-series-{}", pristine.commit, step.state),
            None => pristine.commit.clone(),
        }
    }
}

/// File name of the cover letter in the folder of a series.
pub const COVER_LETTER: &str = "0000-cover-letter.patch";

/// The patches in the folder of a series, in order, without the cover letter.
///
/// # Errors
/// [`Error::Incomplete`] if there are not as many patches as levels, [`Error::Unreadable`] if the
/// folder cannot be read.
pub fn list_patches(folder: &Path) -> Result<Vec<PathBuf>, Error> {
    let is_patch = |path: &PathBuf| {
        let name = path.file_name().and_then(OsStr::to_str).unwrap_or_default();
        name.ends_with(".patch") && !name.starts_with("0000-")
    };
    let entries = command::sorted_entries(folder).map_err(Error::unreadable(folder))?;
    let paths: Vec<_> = entries.into_iter().filter(is_patch).collect();
    let expected = Level::FULL.number();
    match paths.len() == usize::from(expected) {
        true => Ok(paths),
        false => Err(Error::Incomplete { folder: folder.to_path_buf(), found: paths.len(), expected }),
    }
}

fn is_tagged(repository: &Path, tag: &str) -> bool {
    let mut parse = git_command(repository, ["rev-parse", "--quiet", "--verify"]);
    command::run("look for a level", parse.arg(format!("refs/tags/{tag}"))).is_ok()
}

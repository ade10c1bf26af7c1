// SPDX-License-Identifier: MIT OR Apache-2.0
//! Whether patches apply to a tree, without a work tree: in an index of its own, as `git am` would, exactly or not at all.

use std::fmt;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;
use vremount_util::command;

use crate::base::{Level, PreApplied};
use crate::series::{Error, apply_says_no};
use crate::source::{Tree, contains_text, git};

/// What every tree with a series says in its overlayfs when it refuses, whoever wrote that series.
const CONTRACT: &str = "volatile reuse refused: ";

/// The place where a tree is tried.
pub struct ApplyCheck<'a> {
    tree: &'a Tree,
    folder: TempDir,
}

/// Where a series stopped fitting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PatchFailure {
    pub patch: PathBuf,
    /// Of the first hunk that failed, as git says it.
    pub hunk: String,
}

impl<'a> ApplyCheck<'a> {
    /// # Errors
    /// If there is no room for an index.
    pub fn of(tree: &'a Tree) -> Result<Self, Error> {
        let folder = tempfile::tempdir().map_err(super::unreadable(&std::env::temp_dir()))?;
        Ok(ApplyCheck { tree, folder })
    }

    /// How a series fits: on the tree as it is, or on what is left when those of its patches that it carries are out.
    ///
    /// # Errors
    /// If git fails for another reason than that a patch does not apply.
    pub fn fits(&self, patches: &[PathBuf]) -> Result<Result<PreApplied, PatchFailure>, Error> {
        let mut closest = None;
        for carried in (0..=Level::FULL.number()).rev() {
            self.reset()?;
            let (inside, missing) = patches.split_at(usize::from(carried).min(patches.len()));
            if self.first_misfit(inside.iter().rev(), true)?.is_some() {
                continue;
            }
            match self.first_misfit(inside.iter().chain(missing), false)? {
                None if carried == 0 => return Ok(Ok(PreApplied::Nothing)),
                None => return Ok(Ok(PreApplied::First(carried))),
                Some(failure) => closest = closest.or(Some(failure)),
            }
        }
        // With no patch carried nothing has to be taken out, so that something was tried.
        Ok(closest.map_or(Ok(PreApplied::Nothing), Err))
    }

    /// Whether a patch applies to the tree as it is.
    ///
    /// # Errors
    /// If git fails for another reason.
    pub fn applies(&self, patch: &Path) -> Result<bool, Error> {
        self.reset()?;
        Ok(self.apply(patch, false)?.is_none())
    }

    /// Whether the tree has a patch already.
    ///
    /// # Errors
    /// If git fails for another reason.
    pub fn carries(&self, patch: &Path) -> Result<bool, Error> {
        self.reset()?;
        Ok(self.apply(patch, true)?.is_none())
    }

    /// Whether the tree has a series already, in whatever form.
    ///
    /// # Errors
    /// If git fails.
    pub fn carries_its_own(&self) -> Result<bool, Error> {
        Ok(contains_text(self.tree, CONTRACT, "fs/overlayfs")?)
    }

    fn first_misfit<'b>(
        &self,
        patches: impl Iterator<Item = &'b PathBuf>,
        take_out: bool,
    ) -> Result<Option<PatchFailure>, Error> {
        for patch in patches {
            if let Some(hunk) = self.apply(patch, take_out)? {
                return Ok(Some(PatchFailure { patch: patch.clone(), hunk }));
            }
        }
        Ok(None)
    }

    fn git(&self, args: &[&str]) -> Command {
        let mut command = git(&self.tree.repository, args);
        command.env("GIT_INDEX_FILE", self.folder.path().join("index")).env("LC_ALL", "C");
        command
    }

    fn reset(&self) -> Result<(), Error> {
        command::run("read a tree", &mut self.git(&["read-tree", &self.tree.commit]))?;
        Ok(())
    }

    /// Applies a patch as a whole; gives the hunk that does not.
    fn apply(&self, patch: &Path, take_out: bool) -> Result<Option<String>, Error> {
        let mut apply = self.git(&["apply", "--cached"]);
        if take_out {
            apply.arg("--reverse");
        }
        match command::run("try a patch", apply.arg(patch)) {
            Ok(_) => Ok(None),
            Err(command::Error::Failed { output, status, .. }) if apply_says_no(status) => {
                Ok(Some(first_hunk(&output).to_string()))
            }
            Err(error) => Err(error.into()),
        }
    }
}

/// `error: patch failed: FILE:LINE`, else what git said first, as of files that are not there.
fn first_hunk(output: &str) -> &str {
    let errors = || output.lines().filter_map(|line| line.strip_prefix("error: "));
    let hunk = errors().find_map(|line| line.strip_prefix("patch failed: "));
    hunk.or_else(|| errors().next()).unwrap_or_else(|| output.trim())
}

impl fmt::Display for PatchFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.patch.file_name().unwrap_or_default();
        write!(f, "{} fails at {}", name.display(), self.hunk)
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::super::tests::Toy;
    use super::*;

    #[rstest]
    #[case("error: patch failed: fs/a.c:12\nerror: fs/a.c: patch does not apply\n", "fs/a.c:12")]
    #[case("warning: x\nerror: fs/b.c: does not exist in index\nerror: patch failed: fs/c.c:1\n", "fs/c.c:1")]
    #[case("error: fs/b.c: does not exist in index\n", "fs/b.c: does not exist in index")]
    #[case("fatal: odd\n", "fatal: odd")]
    fn the_first_hunk_is_told(#[case] output: &str, #[case] expected: &str) {
        assert_eq!(first_hunk(output), expected);
    }

    #[rstest]
    #[case("base", PreApplied::Nothing)]
    #[case("two", PreApplied::First(2))]
    #[case("HEAD", PreApplied::First(4))]
    fn a_series_fits_where_all_of_it_can_be_taken_out_and_put_in(#[case] commit: &str, #[case] expected: PreApplied) {
        let toy = Toy::new();
        let (tree, patches) = (toy.with(commit), crate::series::patches(&toy.patches).unwrap());
        let trial = ApplyCheck::of(&tree).unwrap();
        assert_eq!(trial.fits(&patches).unwrap(), Ok(expected));
        assert_eq!(trial.applies(&patches[0]).unwrap(), commit == "base");
        // With others on top of it, it cannot be taken out by itself.
        assert_eq!(trial.carries(&patches[0]).unwrap(), commit == "two");
        // One that is not there is not tried.
        assert!(trial.applies(Path::new("no.patch")).is_err() && trial.carries(Path::new("no.patch")).is_err());
        assert!(!trial.carries_its_own().unwrap());
    }

    #[test]
    fn a_series_of_somebody_else_is_known_by_its_words() {
        assert!(ApplyCheck::of(&Toy::new().with("own")).unwrap().carries_its_own().unwrap());
    }

    #[test]
    fn a_patch_that_is_missing_in_the_middle_is_told_by_the_next() {
        let toy = Toy::new();
        let patches = crate::series::patches(&toy.patches).unwrap();
        let told = ApplyCheck::of(&toy.pristine).unwrap().fits(&[patches[0].clone(), patches[3].clone()]).unwrap();
        let told = told.map_err(|failure| failure.to_string());
        assert_eq!(told, Err("0004-patch-4.patch fails at fs/overlayfs/a.c:1".to_string()));
    }
}

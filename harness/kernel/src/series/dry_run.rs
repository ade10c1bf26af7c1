// SPDX-License-Identifier: MIT OR Apache-2.0
//! Checks whether patches apply to a tree, in an index and without a work tree. As with `git am`, a
//! patch applies exactly or not at all.

use std::fmt;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;
use vremount_util::command;

use crate::base::{Level, PreApplied};
use crate::series::error::Error;
use crate::series::step::is_apply_failure;
use crate::source::{Tree, contains_text, git_command};

/// Start of the kernel message of a refused reuse. Every implementation of the series has it.
const REFUSAL_MESSAGE: &str = "volatile reuse refused: ";

/// Checks patches against one tree, in a temporary index.
pub struct ApplyCheck<'a> {
    tree: &'a Tree,
    folder: TempDir,
}

/// The patch of a series that does not apply.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PatchFailure {
    /// The file of the patch.
    pub patch: PathBuf,
    /// The first hunk that failed, as `FILE:LINE`, or the first error message of git.
    pub hunk: String,
}

impl<'a> ApplyCheck<'a> {
    /// Prepares a temporary index.
    ///
    /// # Errors
    /// [`Error::Unreadable`] if no temporary folder can be created.
    pub fn new(tree: &'a Tree) -> Result<Self, Error> {
        let folder = tempfile::tempdir().map_err(Error::unreadable(&std::env::temp_dir()))?;
        Ok(ApplyCheck { tree, folder })
    }

    /// Finds out how many of the first patches the tree already has: so many that they can be
    /// reverted and then all patches be applied. The inner error is the failure of the attempt that
    /// came closest.
    ///
    /// # Errors
    /// [`Error`] if git fails for another reason than that a patch does not apply.
    pub fn find_pre_applied(&self, patches: &[PathBuf]) -> Result<Result<PreApplied, PatchFailure>, Error> {
        let mut closest = None;
        for count in (0..=Level::FULL.number()).rev() {
            self.reset()?;
            let present = &patches[..usize::from(count).min(patches.len())];
            if self.first_failure(present.iter().rev(), true)?.is_some() {
                continue;
            }
            match self.first_failure(patches.iter(), false)? {
                None if count == 0 => return Ok(Ok(PreApplied::None)),
                None => return Ok(Ok(PreApplied::FirstPatches(count))),
                Some(failure) => closest = closest.or(Some(failure)),
            }
        }
        // With count 0 nothing is reverted, so that at least one attempt has a result.
        Ok(closest.map_or(Ok(PreApplied::None), Err))
    }

    /// Whether a patch applies to the tree.
    ///
    /// # Errors
    /// [`Error`] if git fails for another reason than that the patch does not apply.
    pub fn can_apply(&self, patch: &Path) -> Result<bool, Error> {
        self.reset()?;
        Ok(self.apply(patch, false)?.is_none())
    }

    /// Whether the tree already has a patch, which means that it can be reverted.
    ///
    /// # Errors
    /// [`Error`] if git fails for another reason than that the patch cannot be reverted.
    pub fn has_patch(&self, patch: &Path) -> Result<bool, Error> {
        self.reset()?;
        Ok(self.apply(patch, true)?.is_none())
    }

    /// Whether the tree has any implementation of the series, by the message of a refused reuse.
    ///
    /// # Errors
    /// [`Error::Command`] if git fails.
    pub fn has_other_implementation(&self) -> Result<bool, Error> {
        Ok(contains_text(self.tree, REFUSAL_MESSAGE, "fs/overlayfs")?)
    }

    /// Applies or reverts patches one after the other, and returns the first failure.
    fn first_failure<'b>(
        &self,
        patches: impl Iterator<Item = &'b PathBuf>,
        revert: bool,
    ) -> Result<Option<PatchFailure>, Error> {
        for patch in patches {
            if let Some(hunk) = self.apply(patch, revert)? {
                return Ok(Some(PatchFailure { patch: patch.clone(), hunk }));
            }
        }
        Ok(None)
    }

    fn git(&self, args: &[&str]) -> Command {
        let mut command = git_command(&self.tree.repository, args);
        command.env("GIT_INDEX_FILE", self.folder.path().join("index"));
        command
    }

    /// Resets the index to the tree.
    fn reset(&self) -> Result<(), Error> {
        command::run("read a tree", &mut self.git(&["read-tree", &self.tree.commit]))?;
        Ok(())
    }

    /// Applies or reverts a patch. Returns the first hunk that fails; none if all apply.
    fn apply(&self, patch: &Path, revert: bool) -> Result<Option<String>, Error> {
        let mut apply = self.git(&["apply", "--cached"]);
        if revert {
            apply.arg("--reverse");
        }
        match command::run("check a patch", apply.arg(patch)) {
            Ok(_) => Ok(None),
            Err(command::Error::Failed { output, status, .. }) if is_apply_failure(status) => {
                Ok(Some(first_hunk(&output).to_string()))
            }
            Err(error) => Err(error.into()),
        }
    }
}

/// The hunk in `error: patch failed: FILE:LINE`, else the first error message, for example about a
/// missing file.
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
    #[case::hunk("error: patch failed: fs/a.c:12\nerror: fs/a.c: patch does not apply\n", "fs/a.c:12")]
    #[case::hunk_after_missing_file(
        "warning: x\nerror: fs/b.c: does not exist in index\nerror: patch failed: fs/c.c:1\n",
        "fs/c.c:1"
    )]
    #[case::missing_file("error: fs/b.c: does not exist in index\n", "fs/b.c: does not exist in index")]
    #[case::other_message("fatal: odd\n", "fatal: odd")]
    fn first_failed_hunk_is_parsed(#[case] output: &str, #[case] expected: &str) {
        assert_eq!(first_hunk(output), expected);
    }

    #[rstest]
    #[case::none("base", PreApplied::None)]
    #[case::two_patches("two", PreApplied::FirstPatches(2))]
    #[case::all_patches("HEAD", PreApplied::FirstPatches(4))]
    fn patches_that_a_tree_already_has_are_counted(#[case] commit: &str, #[case] expected: PreApplied) {
        let toy = Toy::new();
        let (tree, patches) = (toy.with(commit), crate::series::list_patches(&toy.patches).unwrap());
        let check = ApplyCheck::new(&tree).unwrap();
        assert_eq!(check.find_pre_applied(&patches).unwrap(), Ok(expected));
        assert_eq!(check.can_apply(&patches[0]).unwrap(), commit == "base");
        // A patch below others cannot be reverted alone.
        assert_eq!(check.has_patch(&patches[0]).unwrap(), commit == "two");
        // A missing file is an error, not a patch that does not apply.
        assert!(check.can_apply(Path::new("no.patch")).is_err() && check.has_patch(Path::new("no.patch")).is_err());
        assert!(!check.has_other_implementation().unwrap());
    }

    #[test]
    fn other_implementation_is_recognized_by_its_message() {
        assert!(ApplyCheck::new(&Toy::new().with("own")).unwrap().has_other_implementation().unwrap());
    }

    #[test]
    fn missing_patch_in_the_middle_makes_the_next_one_fail() {
        let toy = Toy::new();
        let patches = crate::series::list_patches(&toy.patches).unwrap();
        let result = ApplyCheck::new(&toy.pristine)
            .unwrap()
            .find_pre_applied(&[patches[0].clone(), patches[3].clone()])
            .unwrap();
        let result = result.map_err(|failure| failure.to_string());
        assert_eq!(result, Err("0004-patch-4.patch fails at fs/overlayfs/a.c:1".to_string()));
    }
}

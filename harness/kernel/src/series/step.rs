// SPDX-License-Identifier: MIT OR Apache-2.0
//! The steps that take a tree from one level to the next: patches that are applied or reverted.

use std::path::{Path, PathBuf};
use std::process::ExitStatus;

use vremount_util::command;

use crate::series::error::Error;
use crate::series::work_tree::in_tree;

/// A patch that is applied or reverted.
#[derive(Debug)]
pub struct Step {
    /// The file of the patch.
    pub patch: PathBuf,
    /// How it is applied.
    pub kind: StepKind,
    /// Hash of this step and all steps before it.
    pub state: String,
}

/// How a patch is applied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StepKind {
    /// Reverts a patch that the tree has already.
    Revert,
    /// Applies a mail with `git am`.
    Mail,
    /// Applies a plain diff, such as a mutant, on top of the series.
    Diff,
}

impl Step {
    /// Applies or reverts the patch in a work tree, and commits the result.
    ///
    /// # Errors
    /// [`Error::DoesNotApply`] if it does not apply exactly; the work tree is then as before.
    pub fn apply(&self, tree: &Path) -> Result<(), Error> {
        let name = self.patch.file_name().unwrap_or_default().display();
        let (args, message): (&[&str], _) = match self.kind {
            StepKind::Mail => (&["am", "--quiet", "--no-3way", "--committer-date-is-author-date"], None),
            StepKind::Revert => (&["apply", "--index", "--reverse"], Some(format!("Revert {name}"))),
            StepKind::Diff => (&["apply", "--index"], Some(format!("Apply {name} on top of the series"))),
        };
        match (command::run("apply a patch", in_tree(tree, args).arg(&self.patch)), message) {
            (Ok(_), Some(message)) => {
                // --allow-empty: a diff that changes nothing is not refused here. What it does
                // shows in the claims.
                let commit = ["commit", "--quiet", "--allow-empty", "--message", &message];
                command::run("commit a patch", &mut in_tree(tree, commit))?;
                Ok(())
            }
            (Ok(_), None) => Ok(()),
            (Err(command::Error::Failed { output, status, .. }), _) if self.does_not_apply(status, &output) => {
                if self.kind == StepKind::Mail {
                    command::run("abort git am", &mut in_tree(tree, ["am", "--abort"]))?;
                }
                Err(Error::DoesNotApply { patch: self.patch.clone(), output })
            }
            (Err(error), _) => Err(error.into()),
        }
    }

    /// Whether git failed because the patch does not apply, and not for another reason. `git am`
    /// has no exit status for that, only a message.
    fn does_not_apply(&self, status: ExitStatus, output: &str) -> bool {
        match self.kind {
            StepKind::Mail => {
                let contains = |text| output.contains(text);
                status.code().is_some() && contains("Patch failed at ") && !contains("No space left on device")
            }
            StepKind::Revert | StepKind::Diff => is_apply_failure(status),
        }
    }
}

/// Whether `git apply` failed because a patch does not apply. It has another exit status for all
/// other failures.
pub fn is_apply_failure(status: ExitStatus) -> bool {
    status.code() == Some(1)
}

// SPDX-License-Identifier: MIT OR Apache-2.0
//! Why a series cannot be read or applied.

use std::io;
use std::path::{Path, PathBuf};

use vremount_util::command;

/// Why a series cannot be read or applied.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A patch or a folder cannot be read, or a temporary folder cannot be created.
    #[error("failed to read {path}: {cause}", path = path.display())]
    Unreadable {
        /// The file or folder.
        path: PathBuf,
        /// The error of the system call.
        #[source]
        cause: io::Error,
    },
    /// A folder has not as many patches as there are levels.
    #[error("failed to find a series of {expected} patches in {folder}: it has {found}; restore the missing patches",
        folder = folder.display())]
    Incomplete {
        /// The folder.
        folder: PathBuf,
        /// Number of patches in the folder.
        found: usize,
        /// Number of patches that a series has.
        expected: u8,
    },
    /// A patch does not apply to the tree.
    #[error(
        "failed to apply {patch} on top of the patches before it; port it to this base (patches/README.md)\n{output}",
        patch = patch.display()
    )]
    DoesNotApply {
        /// The patch.
        patch: PathBuf,
        /// Output of git.
        output: String,
    },
    /// A program failed.
    #[error(transparent)]
    Command(#[from] command::Error),
}

impl Error {
    /// Whether the kernel is the cause, and not this machine: another kernel may work.
    #[must_use]
    pub fn is_kernel_failure(&self) -> bool {
        matches!(self, Error::DoesNotApply { .. })
    }

    /// Adds the path to an [`io::Error`].
    pub(super) fn unreadable(path: &Path) -> impl FnOnce(io::Error) -> Error {
        let path = path.to_path_buf();
        |cause| Error::Unreadable { path, cause }
    }
}

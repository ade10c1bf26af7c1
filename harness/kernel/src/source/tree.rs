// SPDX-License-Identifier: MIT OR Apache-2.0
//! The pristine tree of a kernel source: a commit of a bare repository in the cache.

use std::path::PathBuf;

use vremount_util::command;

use crate::source::git_command::git_command;

/// The pristine tree of a kernel source.
#[derive(Debug)]
pub struct Tree {
    /// A bare git repository.
    pub repository: PathBuf,
    /// The commit: its id, or the name of a tag.
    pub commit: String,
}

/// Whether a file, or any file below a folder, of a tree contains a text.
///
/// # Errors
/// [`command::Error`] if git fails.
pub fn contains_text(tree: &Tree, words: &str, path: &str) -> Result<bool, command::Error> {
    let mut grep = git_command(&tree.repository, ["grep", "--quiet", "--fixed-strings", "-e", words]);
    match command::run("search a tree", grep.args([&tree.commit, "--", path])) {
        Ok(_) => Ok(true),
        Err(command::Error::Failed { status, .. }) if status.code() == Some(1) => Ok(false),
        Err(error) => Err(error),
    }
}

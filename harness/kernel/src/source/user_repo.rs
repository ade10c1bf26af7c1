// SPDX-License-Identifier: MIT OR Apache-2.0
//! A git work tree of the user, which is only read.

use std::fs;
use std::path::{Path, PathBuf};

use vremount_util::command;

use crate::source::error::Error;
use crate::source::git_cache::explain_rejection;
use crate::source::git_command::as_user;
use crate::source::user_path;

/// A git work tree of the user and the files of its repository that a snapshot needs.
pub struct UserRepo {
    /// The top folder of the work tree.
    pub top: PathBuf,
    /// The id of the commit that is checked out.
    pub head: String,
    /// The folder with the objects of the repository.
    pub objects: PathBuf,
    /// The index of the work tree; it need not exist.
    pub index: PathBuf,
    /// The file with the boundary of a shallow clone; it need not exist.
    pub shallow: PathBuf,
}

impl UserRepo {
    /// The work tree that a folder is in.
    ///
    /// # Errors
    /// [`Error::NoWorkTree`] if the folder does not exist, is in no work tree, or the work tree has
    /// no commit; [`Error::UnsupportedPath`] if the path has a control character.
    pub fn find(folder: &Path) -> Result<Self, Error> {
        let no_work_tree = |reason: String| Error::NoWorkTree { folder: folder.to_path_buf(), reason };
        user_path::absolute(folder, no_work_tree)?;
        if !folder.is_dir() {
            return Err(no_work_tree("it is not a folder".to_string()));
        }
        let rev_parse = |args: &[&str]| command::run("read a work tree", as_user(folder).arg("rev-parse").args(args));
        let path = |args: &[&str]| {
            let output = rev_parse(args).map_err(|error| explain_rejection(error, no_work_tree))?;
            let path = user_path::from_output(&output);
            user_path::supported(&path)?;
            Ok::<_, Error>(path)
        };
        let git_path = |name: &str| path(&["--path-format=absolute", "--git-path", name]);
        let top = path(&["--show-toplevel"])?;
        let head = match rev_parse(&["--quiet", "--verify", "HEAD^{commit}"]) {
            Err(command::Error::Failed { status, .. }) if status.code() == Some(1) => {
                return Err(no_work_tree("it has no commit yet".to_string()));
            }
            head => head?.trim().to_string(),
        };
        let (objects, index, shallow) = (git_path("objects")?, git_path("index")?, git_path("shallow")?);
        Ok(UserRepo { top, head, objects, index, shallow })
    }

    /// The shared index files of a split index (git-update-index(1)), also unused ones: git updates
    /// the modification time of the used one when it is asked for it.
    pub(super) fn shared_indexes(&self) -> Result<Vec<PathBuf>, Error> {
        let Some(folder) = self.index.parent() else { return Ok(Vec::new()) };
        let entries = fs::read_dir(folder).map_err(Error::io("list", folder))?;
        let paths = entries.filter_map(|entry| Some(entry.ok()?.path()));
        let is_shared = |path: &PathBuf| {
            let name = path.file_name().unwrap_or_default();
            name.to_string_lossy().starts_with("sharedindex.")
        };
        Ok(paths.filter(is_shared).collect())
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::missing("nowhere", "it does not exist")]
    #[case::file("file", "it is not a folder")]
    #[case::no_repository(".", "it is not in a git repository")]
    #[case::bare("bare", "the repository has no work tree")]
    #[case::no_commit("new", "it has no commit yet")]
    fn folder_that_is_no_work_tree_is_bad_usage(#[case] name: &str, #[case] expected: &str) {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("file"), "").unwrap();
        for args in [["init", "--quiet", "--bare", "bare"].as_slice(), &["init", "--quiet", "new"]] {
            command::run("prepare", as_user(folder.path()).args(args)).unwrap();
        }
        let error = UserRepo::find(&folder.path().join(name)).err().unwrap();
        assert!(error.to_string().contains(expected), "{error}");
        assert!(error.is_usage());
    }

    #[rstest]
    #[case::apostrophe("it's a tree", true)]
    #[case::quotes("\"tree\" #1", true)]
    #[case::newline("new\nline", false)]
    #[case::newline_at_the_end("tree\n", false)]
    fn path_of_a_work_tree_is_supported_or_refused(#[case] name: &str, #[case] is_supported: bool) {
        let folder = tempfile::tempdir().unwrap();
        let top = folder.path().join(name);
        command::run("prepare", as_user(folder.path()).args(["init", "--quiet", name])).unwrap();
        let commit =
            ["-c", "user.name=t", "-c", "user.email=t@localhost", "commit", "--quiet", "--allow-empty", "-m", "m"];
        command::run("prepare", as_user(&top).args(commit)).unwrap();
        match UserRepo::find(&top) {
            Ok(repo) => assert!(is_supported && repo.top == top.canonicalize().unwrap(), "{}", repo.top.display()),
            Err(error) => assert!(!is_supported && matches!(error, Error::UnsupportedPath { .. }), "{error}"),
        }
    }
}

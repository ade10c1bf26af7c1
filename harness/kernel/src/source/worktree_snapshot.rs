// SPDX-License-Identifier: MIT OR Apache-2.0
//! A snapshot of a work tree of the user: its last commit with the uncommitted changes to tracked
//! files. The work tree and its repository are only read. git writes index and objects to a scratch
//! repository, which is removed afterwards.

use std::fs;
use std::path::Path;
use std::process::Command;

use vremount_util::{command, progress};

use crate::base::Git;
use crate::source::error::Error;
use crate::source::git_cache::{GitCache, LOCK};
use crate::source::git_command::git_command;
use crate::source::user_repo::UserRepo;
use crate::workspace::Workspace;

/// A snapshot of a work tree, in the cache.
pub struct Snapshot {
    /// The commit of the snapshot. Its `git` is the top folder of the work tree.
    pub git: Git,
    /// Number of files that differ from the commit that is checked out.
    pub changed_files: usize,
}

/// Takes a snapshot of the work tree that a folder is in.
///
/// # Errors
/// [`Error::NoWorkTree`] or [`Error::UnsupportedPath`] if the folder is not in a work tree that git
/// accepts; another [`Error`] if git fails or the cache cannot be written.
pub fn take_snapshot(workspace: &Workspace, folder: &Path) -> Result<Snapshot, Error> {
    let user_repo = UserRepo::find(folder)?;
    let cache = GitCache::open(workspace)?;
    let _lock = workspace.lock(LOCK)?;
    let _progress = progress::start(format!("taking a snapshot of {}", user_repo.top.display()));
    let trees = workspace.cache.join("tree");
    let scratch_folder = tempfile::tempdir_in(&trees).map_err(Error::io("create a folder in", &trees))?;
    let scratch = ScratchRepo::new(&user_repo, scratch_folder.path())?;
    let tree = scratch.write_tree()?;
    let head_tree = scratch.read(&["log", "-1", "--format=%T", &user_repo.head, "--"])?;
    let repository = scratch_folder.path().to_string_lossy();
    // The commit itself is fetched too, so that the next snapshot only costs the objects that
    // differ.
    let mut commit = cache.fetch(&repository, &user_repo.head)?;
    let mut changed = 0;
    if tree != head_tree {
        let id = scratch.read(&["commit-tree", &tree, "-p", &user_repo.head, "-m", "Uncommitted changes"])?;
        changed = scratch.read(&["diff-tree", "-r", "--name-only", &head_tree, &tree])?.lines().count();
        commit = cache.fetch(&repository, &id)?;
    }
    let git = Git { git: user_repo.top.to_string_lossy().into_owned(), commit, tree: Some(tree) };
    Ok(Snapshot { git, changed_files: changed })
}

/// A repository with a copy of the index of the user. After [`ScratchRepo::write_tree`] it also has
/// all objects of the user's repository.
struct ScratchRepo<'a> {
    user_repo: &'a UserRepo,
    repository: &'a Path,
}

impl<'a> ScratchRepo<'a> {
    fn new(user_repo: &'a UserRepo, repository: &'a Path) -> Result<Self, Error> {
        command::run("create a repository", git_command(repository, ["init", "--quiet", "--bare"]).arg(repository))?;
        // The objects only move to the cache on the same machine: strong compression costs more
        // than it saves.
        for (name, value) in [("pack.window", "0"), ("core.compression", "1")] {
            command::run("configure a repository", &mut git_command(repository, ["config", name, value]))?;
        }
        for (from, to) in [(&user_repo.index, "index"), (&user_repo.shallow, "shallow")] {
            if from.exists() {
                fs::copy(from, repository.join(to)).map_err(Error::io("copy", from))?;
            }
        }
        for shared in user_repo.shared_indexes()? {
            let to = repository.join(shared.file_name().unwrap_or_default());
            fs::copy(&shared, to).map_err(Error::io("copy", &shared))?;
        }
        Ok(ScratchRepo { user_repo, repository })
    }

    fn git(&self) -> Command {
        let mut command = git_command(self.repository, Vec::<&str>::new());
        command.env("GIT_WORK_TREE", &self.user_repo.top).env("GIT_INDEX_FILE", self.repository.join("index"));
        // A file system monitor of the work tree must not see the copy of the index.
        command.args(["-c", "core.fsmonitor=false", "-c", "core.splitIndex=false"]).current_dir(&self.user_repo.top);
        command
    }

    fn read(&self, args: &[&str]) -> Result<String, Error> {
        let output = command::run("read a work tree", self.git().args(args))?;
        Ok(output.trim().to_string())
    }

    /// Writes the tree of a commit of all tracked files, and returns its id. Only then are the
    /// objects of the user's repository made visible: git would update the times of objects that it
    /// finds there, instead of writing them here.
    fn write_tree(&self) -> Result<String, Error> {
        self.read(&["add", "--update", "."])?;
        let tree = self.read(&["write-tree", "--missing-ok"])?;
        let alternates = self.repository.join("objects/info/alternates");
        let objects = format!("{}\n", self.user_repo.objects.display());
        fs::write(&alternates, objects).map_err(Error::io("write", &alternates))?;
        Ok(tree)
    }
}

// SPDX-License-Identifier: MIT OR Apache-2.0
//! A developer's own work tree as it is now: its last commit, with the changes to tracked files that are not committed.
//! It is only read. Index and objects that it takes are written beside it, in a repository that is gone afterwards.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use vremount_util::{command, progress};

use crate::base::Git;
use crate::source::Error;
use crate::source::git_cache::{GitCache, LOCK, as_user};
use crate::source::import::git;
use crate::workspace::Workspace;

/// What a work tree was at one moment, in the cache.
pub struct Snapshot {
    pub git: Git,
    /// Files that differ from the last commit.
    pub changed: usize,
}

pub fn snapshot(workspace: &Workspace, folder: &Path) -> Result<Snapshot, Error> {
    let theirs = UserRepo::find(folder)?;
    let commits = GitCache::open(workspace)?;
    let _lock = workspace.lock(LOCK)?;
    let _progress = progress::start(format!("taking a snapshot of {}", theirs.top.display()));
    let scratch = tempfile::tempdir_in(workspace.cache.join("tree"));
    let scratch = scratch.map_err(Error::io("create a folder in", &workspace.cache.join("tree")))?;
    let beside = ScratchRepo::new(&theirs, scratch.path())?;
    let tree = beside.tree()?;
    let head_tree = beside.read(&["log", "-1", "--format=%T", &theirs.head, "--"])?;
    let repository = scratch.path().to_string_lossy();
    // By itself too: then the next snapshot costs only what differs.
    let mut commit = commits.fetch(&repository, &theirs.head)?;
    let mut changed = 0;
    if tree != head_tree {
        let id = beside.read(&["commit-tree", &tree, "-p", &theirs.head, "-m", "What is not committed"])?;
        changed = beside.read(&["diff-tree", "-r", "--name-only", &head_tree, &tree])?.lines().count();
        commit = commits.fetch(&repository, &id)?;
    }
    let git = Git { git: theirs.top.to_string_lossy().into_owned(), commit, tree: Some(tree) };
    Ok(Snapshot { git, changed })
}

/// The developer's.
pub struct UserRepo {
    /// The top folder of the work tree.
    pub top: PathBuf,
    head: String,
    pub objects: PathBuf,
    index: PathBuf,
    pub shallow: PathBuf,
}

impl UserRepo {
    /// The work tree that a folder is in.
    ///
    /// # Errors
    /// If it is in none, or that one has no commit.
    pub fn find(folder: &Path) -> Result<Self, Error> {
        let ask = |args: &[&str]| {
            let output = command::run("look at a work tree", as_user(folder).args(args));
            output.map(|output| output.trim_end_matches('\n').to_string())
        };
        if !folder.is_dir() {
            return Err(Error::NoWorkTree {
                folder: folder.to_path_buf(),
                output: "there is no such folder".to_string(),
            });
        }
        let top = match ask(&["rev-parse", "--show-toplevel"]) {
            Ok(top) => PathBuf::from(top),
            Err(command::Error::Failed { output, .. }) => {
                return Err(Error::NoWorkTree { folder: folder.to_path_buf(), output });
            }
            Err(error) => return Err(error.into()),
        };
        let path = |name: &str| {
            let path = ask(&["rev-parse", "--path-format=absolute", "--git-path", name])?;
            Ok::<_, Error>(PathBuf::from(path))
        };
        let head = ask(&["rev-parse", "--verify", "HEAD^{commit}"])?;
        let (objects, index, shallow) = (path("objects")?, path("index")?, path("shallow")?);
        Ok(UserRepo { top, head, objects, index, shallow })
    }

    /// What a split index (git-update-index(1)) keeps the most of, beside itself; perhaps more of them than it needs: git would
    /// touch the one that it tells.
    fn shared_indexes(&self) -> Result<Vec<PathBuf>, Error> {
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

/// A repository with a copy of the index, and in the end with all objects.
struct ScratchRepo<'a> {
    theirs: &'a UserRepo,
    repository: &'a Path,
}

impl<'a> ScratchRepo<'a> {
    fn new(theirs: &'a UserRepo, repository: &'a Path) -> Result<Self, Error> {
        command::run("make a repository", git(repository, ["init", "--quiet", "--bare"]).arg(repository))?;
        // What is sent from here goes no further than the cache: not worth much compression.
        for (name, value) in [("pack.window", "0"), ("core.compression", "1")] {
            command::run("configure a repository", &mut git(repository, ["config", name, value]))?;
        }
        for (from, to) in [(&theirs.index, "index"), (&theirs.shallow, "shallow")] {
            if from.exists() {
                fs::copy(from, repository.join(to)).map_err(Error::io("copy", from))?;
            }
        }
        for shared in theirs.shared_indexes()? {
            let to = repository.join(shared.file_name().unwrap_or_default());
            fs::copy(&shared, to).map_err(Error::io("copy", &shared))?;
        }
        Ok(ScratchRepo { theirs, repository })
    }

    fn git(&self) -> Command {
        let mut command = git(self.repository, Vec::<&str>::new());
        command.env("GIT_WORK_TREE", &self.theirs.top).env("GIT_INDEX_FILE", self.repository.join("index"));
        // A work tree's own helpers have no business with our index.
        command.args(["-c", "core.fsmonitor=false", "-c", "core.splitIndex=false"]).current_dir(&self.theirs.top);
        command
    }

    fn read(&self, args: &[&str]) -> Result<String, Error> {
        let output = command::run("read a work tree", self.git().args(args))?;
        Ok(output.trim().to_string())
    }

    /// The tree that a commit of everything tracked would have. From here on it has all objects of the other repository
    /// too, and not before: git would touch those that it finds there in place of writing them.
    fn tree(&self) -> Result<String, Error> {
        self.read(&["add", "--update", "."])?;
        let tree = self.read(&["write-tree", "--missing-ok"])?;
        let alternates = self.repository.join("objects/info/alternates");
        let objects = format!("{}\n", self.theirs.objects.display());
        fs::write(&alternates, objects).map_err(Error::io("write", &alternates))?;
        Ok(tree)
    }
}

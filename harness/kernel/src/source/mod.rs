// SPDX-License-Identifier: MIT OR Apache-2.0
//! The source of a base becomes a pristine tree: a commit of a bare git repository in the cache.

mod apt;
mod git_cache;
mod import;
mod tarball;
mod tarball_cache;
mod worktree_snapshot;

use std::path::{Path, PathBuf};

pub use apt::{newest, pin, versions};
pub use git_cache::{commit_in, resolve as resolve_git};
pub use import::git;
pub use tarball::resolve as resolve_tarball;
use vremount_util::command;
pub use worktree_snapshot::{Snapshot, UserRepo, snapshot};

use crate::base::Source;
use crate::workspace::{self, Workspace};

/// Why a source could not be had. Every case has its own way out.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("failed to find a Debian mirror: apt has no source of {codename} main; add one and run `apt-get update`")]
    NoMirror { codename: String },
    #[error("failed to reach {from}: is there a network?\n{output}")]
    NoNetwork { from: String, output: String },
    #[error(
        "failed to find {package} {version} in {suite}: the mirror does not have that version (any more); {hint}\n{output}"
    )]
    Gone { package: String, version: String, suite: String, hint: String, output: String },
    #[error("failed to fetch {url}; try again, or see what was said\n{output}")]
    NotFetched { url: String, output: String },
    #[error(
        "failed to find commit {commit} in {url}; give all 40 digits of it, or a branch or tag of that repository\n{output}"
    )]
    NoCommit { url: String, commit: String, output: String },
    #[error(
        "failed to verify commit {commit}: its tree is {found}, ci/bases.toml says {expected}; nothing is built from it"
    )]
    WrongTree { commit: String, found: String, expected: String },
    #[error(
        "failed to find a git work tree in {folder}; name the folder of a kernel that git knows, or a tarball with \
         --base tarball:PATH\n{output}", folder = folder.display()
    )]
    NoWorkTree { folder: PathBuf, output: String },
    #[error("failed to fetch {package} with apt-get; try again, or see what it says\n{output}")]
    Apt { package: String, output: String },
    #[error("failed to write to {path}: no space left; make room and try again", path = .0.display())]
    DiskFull(PathBuf),
    #[error(
        "failed to verify {file}: its SHA-256 is {found}, it should be {expected}; \
         it was not kept, and nothing is built from it"
    )]
    WrongHash { file: String, found: String, expected: String },
    #[error("failed to {what} {path}: {cause}", path = path.display())]
    Io { what: &'static str, path: PathBuf, cause: std::io::Error },
    #[error(transparent)]
    Tool(#[from] command::Error),
    #[error(transparent)]
    Project(#[from] workspace::Error),
}

impl Error {
    fn io(what: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> Error {
        let path = path.to_path_buf();
        move |cause| match cause.kind() {
            std::io::ErrorKind::StorageFull => Error::DiskFull(path),
            _ => Error::Io { what, path, cause },
        }
    }
}

/// The pristine tree of a source.
#[derive(Debug)]
pub struct Tree {
    /// Bare.
    pub repository: PathBuf,
    /// What git finds it by.
    pub commit: String,
}

/// The pristine tree of a source; what is there already is not fetched again.
///
/// # Errors
/// If it cannot be fetched, is not what it should be, or cannot be unpacked.
pub fn obtain(workspace: &Workspace, source: &Source) -> Result<Tree, Error> {
    let name = source.to_string();
    match source {
        Source::Git(source) => git_cache::obtain(workspace, source),
        Source::Package(source) => unpacked(workspace, &name, &source.sha256, || apt::obtain(workspace, source)),
        Source::Tarball(source) => unpacked(workspace, &name, &source.sha256, || tarball::obtain(workspace, source)),
    }
}

/// Whether there are such words in a file or folder of a tree.
///
/// # Errors
/// If git fails.
pub fn contains_text(tree: &Tree, words: &str, path: &str) -> Result<bool, command::Error> {
    let mut grep = git(&tree.repository, ["grep", "--quiet", "--fixed-strings", "-e", words]);
    match command::run("look for words in a tree", grep.args([&tree.commit, "--", path])) {
        Ok(_) => Ok(true),
        Err(command::Error::Failed { status, .. }) if status.code() == Some(1) => Ok(false),
        Err(error) => Err(error),
    }
}

/// What stands for the content of a source: the same, the same kernel.
///
/// # Errors
/// If only the source itself can tell, and it cannot be had.
pub fn content_id(workspace: &Workspace, source: &Source) -> Result<String, Error> {
    match source {
        Source::Package(source) => Ok(source.sha256.clone()),
        Source::Tarball(source) => Ok(source.sha256.clone()),
        Source::Git(source) => match &source.tree {
            Some(tree) => Ok(tree.clone()),
            None => {
                let Tree { commit, .. } = git_cache::obtain(workspace, source)?;
                git_cache::GitCache::open(workspace)?.tree_of(&commit)
            }
        },
    }
}

/// The one commit of a repository that is named after its tarball.
fn unpacked(
    workspace: &Workspace,
    name: &str,
    sha256: &str,
    tarball: impl FnOnce() -> Result<PathBuf, Error>,
) -> Result<Tree, Error> {
    let repository = workspace.cache.join("tree").join(format!("{sha256}.git"));
    if !repository.exists() {
        let _lock = workspace.lock(&format!("source-{}", sha256.get(..16).unwrap_or(sha256)))?;
        if !repository.exists() {
            import::unpack(&tarball()?, name, &repository)?;
        }
    }
    Ok(Tree { repository, commit: import::TAG.to_string() })
}

// SPDX-License-Identifier: MIT OR Apache-2.0
//! Obtains the source of a base: a pristine tree, which is a commit of a bare git repository in the
//! cache.

mod apt;
mod error;
mod git_cache;
mod git_command;
mod import;
mod tarball;
mod tarball_cache;
mod tree;
mod user_path;
mod user_repo;
mod worktree_snapshot;

use std::path::PathBuf;

pub use apt::{find_newest, list_versions, pin_package};
pub use error::Error;
pub use git_cache::{resolve as resolve_git, resolve_commit};
pub use git_command::git_command;
pub use tarball::resolve as resolve_tarball;
pub use tree::{Tree, contains_text};
pub use user_repo::UserRepo;
pub use worktree_snapshot::{Snapshot, take_snapshot};

use crate::base::Source;
use crate::workspace::Workspace;

/// The pristine tree of a source. A source that is in the cache is not fetched again.
///
/// # Errors
/// [`Error`] if the source cannot be fetched, is not the pinned one, or cannot be unpacked.
pub fn obtain(workspace: &Workspace, source: &Source) -> Result<Tree, Error> {
    let name = source.to_string();
    match source {
        Source::Git(source) => git_cache::obtain(workspace, source),
        Source::Package(source) => unpacked(workspace, &name, &source.sha256, || apt::obtain(workspace, source)),
        Source::Tarball(source) => unpacked(workspace, &name, &source.sha256, || tarball::obtain(workspace, source)),
    }
}

/// An id of the content of a source: the SHA-256 of a tarball, or the id of a git tree. Sources
/// with equal ids have the same content.
///
/// # Errors
/// [`Error`] if the id is not pinned and the commit cannot be fetched.
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

/// The tree of a tarball: the single commit of a repository that is named after the hash of the
/// tarball. `tarball` obtains the tarball if there is no such repository yet.
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

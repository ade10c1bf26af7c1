// SPDX-License-Identifier: MIT OR Apache-2.0
//! Why a kernel source cannot be obtained.

use std::io;
use std::path::{Path, PathBuf};

use vremount_util::command;

use crate::workspace;

/// Why a kernel source cannot be obtained. Each variant has its own remedy.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// apt has no source of the release that this machine runs.
    #[error("failed to find a Debian mirror: apt has no source of {codename} main; add one and run `apt-get update`")]
    NoMirror {
        /// `VERSION_CODENAME` of /etc/os-release.
        codename: String,
    },
    /// A host cannot be reached.
    #[error("failed to reach {from}; check the network connection\n{output}")]
    NoNetwork {
        /// URL of the mirror or of the source.
        from: String,
        /// Output of apt, git or curl.
        output: String,
    },
    /// The mirror does not have the pinned version of a package.
    #[error("failed to find {release} in {suite}: the mirror does not have that version; {hint}\n{output}")]
    VersionGone {
        /// Name and version of the source package.
        release: String,
        /// Debian suite.
        suite: String,
        /// What to do, with the versions that the mirror has.
        hint: String,
        /// Output of apt.
        output: String,
    },
    /// A download failed for another reason.
    #[error("failed to fetch {url}; correct the cause or try again\n{output}")]
    NotFetched {
        /// URL or path.
        url: String,
        /// Output of git or curl.
        output: String,
    },
    /// The path that the user named as a repository is none. Bad usage.
    #[error(
        "failed to find a git repository in {path:?}: {reason}; use --base git:PATH#COMMIT with a repository, or \
             --base tarball:PATH"
    )]
    NoRepository {
        /// The path.
        path: String,
        /// Why it is no repository.
        reason: String,
    },
    /// The commit that the user named does not exist in its repository. Bad usage.
    #[error(
        "failed to find commit {commit} in {url}; use all 40 digits of a commit, or a branch or tag of that repository"
    )]
    NoCommit {
        /// URL or path of the repository.
        url: String,
        /// The commit as the user named it.
        commit: String,
    },
    /// A repository does not have, or does not serve, a pinned commit.
    #[error(
        "failed to fetch commit {commit} from {url}: the repository does not have or does not serve it; \
             pin another commit in ci/bases.toml\n{output}"
    )]
    CommitGone {
        /// URL or path of the repository.
        url: String,
        /// The pinned commit.
        commit: String,
        /// Output of git.
        output: String,
    },
    /// The tree of a pinned commit is not the pinned tree.
    #[error(
        "failed to verify commit {commit}: its tree is {found}, but ci/bases.toml has {expected}; \
             it is not built; correct `tree` in ci/bases.toml if the commit is right"
    )]
    WrongTree {
        /// The pinned commit.
        commit: String,
        /// Id of the tree of that commit.
        found: String,
        /// Id of the tree in ci/bases.toml.
        expected: String,
    },
    /// The folder that the user named is not in a git work tree. Bad usage.
    #[error(
        "failed to find a git work tree in {folder}: {reason}; use --tree with a git work tree of a kernel, or \
         --base tarball:PATH", folder = folder.display()
    )]
    NoWorkTree {
        /// The folder as the user named it.
        folder: PathBuf,
        /// Why it is in no work tree.
        reason: String,
    },
    /// What the user named as a tarball does not exist or is none. Bad usage.
    #[error(
        "failed to unpack {name:?}: {reason}; use --base tarball:PATH-OR-URL with a tar archive of a kernel source"
    )]
    NoTarball {
        /// Path or URL.
        name: String,
        /// Why it is no tarball.
        reason: String,
    },
    /// The SHA-256 that the user named is not one. Bad usage.
    #[error("failed to parse SHA-256 {text:?}: it must have 64 hexadecimal digits; `sha256sum FILE` prints it")]
    MalformedHash {
        /// The text behind `#`.
        text: String,
    },
    /// A path that the user named cannot be passed to git. Bad usage.
    #[error("failed to use {path:?}: paths with a control character or invalid UTF-8 are not supported; rename it")]
    UnsupportedPath {
        /// The path.
        path: PathBuf,
    },
    /// apt failed for another reason.
    #[error("failed to fetch {package} with apt-get; correct the cause or try again\n{output}")]
    Apt {
        /// Name of the source package.
        package: String,
        /// Output of apt.
        output: String,
    },
    /// The filesystem of the cache is full.
    #[error("failed to write to {path}: no space left; free some space and try again", path = .0.display())]
    DiskFull(
        /// The folder or file that was written.
        PathBuf,
    ),
    /// A tarball is not the pinned one.
    #[error(
        "failed to verify {file}: its SHA-256 is {found}, it should be {expected}; \
         it is neither kept nor built; correct the hash if the file is right"
    )]
    WrongHash {
        /// Name of the file.
        file: String,
        /// SHA-256 of the file.
        found: String,
        /// SHA-256 that is pinned.
        expected: String,
    },
    /// A file operation failed.
    #[error("failed to {what} {path}: {cause}", path = path.display())]
    Io {
        /// The operation, as a verb.
        what: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// The error of the system call.
        #[source]
        cause: io::Error,
    },
    /// A program failed.
    #[error(transparent)]
    Command(#[from] command::Error),
    /// The cache cannot be locked.
    #[error(transparent)]
    Workspace(#[from] workspace::Error),
}

impl Error {
    /// Whether the command line is the cause: it names something that does not exist or is of the
    /// wrong kind.
    #[must_use]
    pub fn is_usage(&self) -> bool {
        matches!(
            self,
            Error::NoRepository { .. }
                | Error::NoCommit { .. }
                | Error::NoWorkTree { .. }
                | Error::NoTarball { .. }
                | Error::MalformedHash { .. }
                | Error::UnsupportedPath { .. }
        )
    }

    /// Adds the operation and the path to an [`io::Error`]; a full disk becomes
    /// [`Error::DiskFull`].
    pub(super) fn io(what: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Error {
        let path = path.to_path_buf();
        move |cause| match cause.kind() {
            io::ErrorKind::StorageFull => Error::DiskFull(path),
            _ => Error::Io { what, path, cause },
        }
    }
}

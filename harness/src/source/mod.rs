// SPDX-License-Identifier: MIT OR Apache-2.0
//! A base becomes a pristine tree: a bare git repository in the cache, its one commit tagged `base`.

mod apt;
mod tree;

use std::path::{Path, PathBuf};

pub use tree::git;

use crate::base::Base;
use crate::project::{self, Project};
use crate::tool;

/// Why a source could not be had. Every case has its own way out.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("failed to find a Debian mirror: apt has no source of {codename} main; add one and run `apt-get update`")]
    NoMirror { codename: String },
    #[error("failed to reach {mirror}: is there a network?\n{output}")]
    NoNetwork { mirror: String, output: String },
    #[error(
        "failed to find {package} {version} in {suite}: the mirror does not have that version (any more); \
         pin another in ci/bases.toml, `apt-cache showsrc {package}` lists what there is\n{output}"
    )]
    Gone { package: String, version: String, suite: String, output: String },
    #[error("failed to fetch {package} with apt-get; try again, or see what it says\n{output}")]
    Apt { package: String, output: String },
    #[error("failed to write to {path}: no space left; make room and try again", path = .0.display())]
    DiskFull(PathBuf),
    #[error(
        "failed to verify {file}: its SHA-256 is {found}, ci/bases.toml says {expected}; \
         it was not kept, and nothing is built from it"
    )]
    WrongHash { file: String, found: String, expected: String },
    #[error("failed to {what} {path}: {cause}", path = path.display())]
    Io { what: &'static str, path: PathBuf, cause: std::io::Error },
    #[error(transparent)]
    Tool(#[from] tool::Error),
    #[error(transparent)]
    Project(#[from] project::Error),
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

/// The repository with the pristine tree of a base; what is there already is not fetched again.
///
/// # Errors
/// If it cannot be fetched, is not what it should be, or cannot be unpacked.
pub fn obtain(project: &Project, base: &Base) -> Result<PathBuf, Error> {
    let repository = project.cache.join("tree").join(format!("{}.git", base.source.sha256));
    if repository.exists() {
        return Ok(repository);
    }
    let _lock = project.lock("source")?;
    if !repository.exists() {
        let tarball = apt::obtain(project, &base.source)?;
        tree::unpack(&tarball, base, &repository)?;
    }
    Ok(repository)
}

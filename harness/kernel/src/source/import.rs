// SPDX-License-Identifier: MIT OR Apache-2.0
//! A tarball becomes a git repository.

use std::ffi::OsStr;
use std::path::Path;
use std::process::Command;
use std::{env, fs};

use vremount_util::{command, progress};

use crate::source::Error;

/// Its one commit.
pub const TAG: &str = "base";

/// When everything we commit was committed: the same input gives the same commit.
const DATE: &str = "2000-01-01T00:00:00Z";

/// Unpacks the tarball and commits all of it; the repository appears whole or not at all.
pub fn unpack(tarball: &Path, name: &str, repository: &Path) -> Result<(), Error> {
    let _progress = progress::start(format!("unpacking {name}"));
    let folder = repository.parent().unwrap_or(repository);
    fs::create_dir_all(folder).map_err(Error::io("create", folder))?;
    let aside = tempfile::tempdir_in(folder).map_err(Error::io("create a folder in", folder))?;
    let (bare, tree) = (aside.path().join("git"), aside.path().join("tree"));
    fs::create_dir(&tree).map_err(Error::io("create", &tree))?;
    let mut tar = Command::new("tar");
    tar.args(["--extract", "--strip-components=1", "--file"]).arg(tarball).arg("--directory").arg(&tree);
    command::run("unpack a kernel source", &mut tar)?;
    command::run("make a repository", git(&bare, ["init", "--quiet", "--bare"]).arg(&bare))?;
    let in_tree = |args: &[&str]| {
        let mut command = git(&bare, ["--work-tree"]);
        command.arg(&tree).args(args);
        command::run("commit a kernel source", &mut command)
    };
    // Also what the kernel's own .gitignore would leave out.
    in_tree(&["add", "--all", "--force", "."])?;
    in_tree(&["commit", "--quiet", "--message", name])?;
    in_tree(&["tag", TAG])?;
    command::rename_into_place(&bare, repository).map_err(Error::io("rename to", repository))
}

/// git on a repository, as nobody in particular, whatever the user has configured.
pub fn git<S: AsRef<OsStr>>(repository: &Path, args: impl IntoIterator<Item = S>) -> Command {
    let mut command = Command::new("git");
    // Whoever calls us from a hook means another repository.
    for (name, _) in env::vars_os() {
        if name.as_encoded_bytes().starts_with(b"GIT_") {
            command.env_remove(name);
        }
    }
    command.env("GIT_DIR", repository);
    command.env("GIT_CONFIG_GLOBAL", "/dev/null").env("GIT_CONFIG_NOSYSTEM", "1");
    for who in ["AUTHOR", "COMMITTER"] {
        command.env(format!("GIT_{who}_NAME"), "vremount").env(format!("GIT_{who}_EMAIL"), "vremount@localhost");
        command.env(format!("GIT_{who}_DATE"), DATE);
    }
    command.args(["-c", "gc.auto=0", "-c", "advice.detachedHead=false"]).args(args);
    command
}

// SPDX-License-Identifier: MIT OR Apache-2.0
//! Imports a tarball into a git repository of its own.

use std::fs;
use std::path::Path;
use std::process::Command;

use vremount_util::atomic_file::rename_into_place;
use vremount_util::{command, progress};

use crate::source::error::Error;
use crate::source::git_command::git_command;

/// The tag of the single commit.
pub const TAG: &str = "base";

/// Messages of tar and of the programs that it decompresses with, in the C locale, about a file
/// that is no complete tar archive.
const NOT_A_TARBALL: [&str; 7] = [
    "does not look like a tar archive",
    "not in gzip format",
    "File format not recognized",
    "is not a bzip2 file",
    "nexpected end of",
    "Unexpected EOF in archive",
    "ompressed data is corrupt",
];

/// Unpacks the tarball and commits all of it. The repository appears completely or not at all.
pub fn unpack(tarball: &Path, name: &str, repository: &Path) -> Result<(), Error> {
    let _progress = progress::start(format!("unpacking {name}"));
    let folder = repository.parent().unwrap_or(repository);
    fs::create_dir_all(folder).map_err(Error::io("create", folder))?;
    let scratch = tempfile::tempdir_in(folder).map_err(Error::io("create a folder in", folder))?;
    let (bare, tree) = (scratch.path().join("git"), scratch.path().join("tree"));
    fs::create_dir(&tree).map_err(Error::io("create", &tree))?;
    extract(tarball, name, &tree)?;
    command::run("create a repository", git_command(&bare, ["init", "--quiet", "--bare"]).arg(&bare))?;
    let in_tree = |args: &[&str]| {
        let mut command = git_command(&bare, ["--work-tree"]);
        command.arg(&tree).args(args);
        command::run("commit a kernel source", &mut command)
    };
    // --force adds the files that the .gitignore of the kernel excludes.
    in_tree(&["add", "--all", "--force", "."])?;
    in_tree(&["commit", "--quiet", "--message", name])?;
    in_tree(&["tag", TAG])?;
    rename_into_place(&bare, repository).map_err(Error::io("rename to", repository))
}

/// Unpacks the tarball, without its top folder.
fn extract(tarball: &Path, name: &str, tree: &Path) -> Result<(), Error> {
    let no_tarball = |reason: &str| Error::NoTarball { name: name.to_string(), reason: reason.to_string() };
    let mut tar = Command::new("tar");
    // Without --force-local a name with a colon would be a file on another host.
    tar.args(["--extract", "--force-local", "--strip-components=1", "--file"]).arg(tarball);
    match command::run("unpack a kernel source", tar.arg("--directory").arg(tree).env("LC_ALL", "C")) {
        Ok(_) => {}
        Err(command::Error::Failed { output, .. }) if output.contains("No space left on device") => {
            return Err(Error::DiskFull(tree.to_path_buf()));
        }
        Err(command::Error::Failed { output, .. }) if NOT_A_TARBALL.iter().any(|text| output.contains(text)) => {
            return Err(no_tarball("it is not a complete tar archive"));
        }
        Err(error) => return Err(error.into()),
    }
    // tar takes an empty file for an empty archive.
    let mut entries = fs::read_dir(tree).map_err(Error::io("read", tree))?;
    if entries.next().is_none() { Err(no_tarball("it has no folder with files")) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::text(b"hello, this is no archive\n")]
    #[case::empty(b"")]
    #[case::zeros(&[0; 10240])]
    #[case::cut_gzip(&[0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3, 1])]
    #[case::cut_xz(&[0xfd, 0x37, 0x7a, 0x58, 0x5a, 0])]
    fn file_that_is_no_tarball_is_refused(#[case] content: &[u8]) {
        let folder = tempfile::tempdir().unwrap();
        for name in ["linux.tar.xz", "linux.tar.gz", "linux"] {
            let (file, repository) = (folder.path().join(name), folder.path().join("linux.git"));
            fs::write(&file, content).unwrap();
            let error = unpack(&file, name, &repository).unwrap_err();
            assert!(matches!(error, Error::NoTarball { .. }), "{error}");
            assert!(!repository.exists());
        }
    }

    #[rstest]
    #[case("it's a \"kernel\".tar")]
    #[case("host:linux.tar")]
    #[case("-linux.tar")]
    fn name_of_the_tarball_may_have_special_characters(#[case] name: &str) {
        let folder = tempfile::tempdir().unwrap();
        let (file, repository) = (folder.path().join(name), folder.path().join("it's a.git"));
        fs::create_dir(folder.path().join("linux")).unwrap();
        fs::write(folder.path().join("linux/Makefile"), "VERSION = 1\n").unwrap();
        let mut tar = Command::new("tar");
        tar.args(["--create", "--force-local", "--file"]).arg(&file).arg("linux").current_dir(folder.path());
        command::run("create a tarball", &mut tar).unwrap();
        unpack(&file, name, &repository).unwrap();
        let shown = command::run("show", &mut git_command(&repository, ["show", "base:Makefile"])).unwrap();
        assert_eq!(shown, "VERSION = 1\n");
    }
}

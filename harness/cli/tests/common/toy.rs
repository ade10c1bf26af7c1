// SPDX-License-Identifier: MIT OR Apache-2.0
//! A checkout with a kernel of four files, and an apt and a make that can be told to fail. git, gcc, tar and the
//! rest of the world are real.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use sha2::{Digest, Sha256};
use vremount_util::hash;

use super::{checkout, script};

pub struct Toy {
    folder: tempfile::TempDir,
}

impl Toy {
    pub fn new() -> Self {
        let toy = Toy { folder: tempfile::tempdir().unwrap() };
        let at = toy.path();
        for program in ["apt-get", "apt-cache", "make"] {
            let text = fs::read_to_string(fixture(program)).unwrap();
            let text = text.replacen("set -eu", &format!("set -eu\nTOY={}", at.display()), 1);
            fs::create_dir_all(at.join("bin")).unwrap();
            script(&at.join("bin").join(program), &text);
        }
        assert!(Command::new("sh").arg(fixture("source")).current_dir(at).status().unwrap().success());
        let root = toy.root();
        fs::create_dir_all(root.join("ci")).unwrap();
        fs::create_dir_all(root.join("patches")).unwrap();
        fs::rename(at.join("patches"), root.join("patches/toy")).unwrap();
        let fragments = root.join("vm-images/config");
        fs::create_dir_all(&fragments).unwrap();
        fs::write(fragments.join("base.config"), "CONFIG_OVERLAY_FS=m\n").unwrap();
        fs::write(fragments.join("x86_64.config"), "CONFIG_64BIT=y\n").unwrap();
        fs::write(fragments.join("um.config"), "CONFIG_SSL=y\n").unwrap();
        let tarball = fs::read(at.join("linux_0.1.orig.tar.gz")).unwrap();
        let sha256 = hash::hex(&Sha256::digest(&tarball));
        let bases = format!(
            "default = \"0.1\"\n[bases.\"0.1\"]\nseries = \"toy\"\n[bases.\"0.1\".source]\npackage = \"linux\"\n\
             version = \"0.1-1\"\nsuite = \"bullseye\"\nfile = \"linux_0.1.orig.tar.gz\"\nsha256 = \"{sha256}\"\n"
        );
        fs::write(root.join("ci/bases.toml"), bases).unwrap();
        fs::copy(checkout().join("ci/matrix.toml"), root.join("ci/matrix.toml")).unwrap();
        toy
    }

    /// A repository with the source and, on top of it, the four patches.
    pub fn linux(&self) -> PathBuf {
        self.path().join("linux")
    }

    /// git in that repository.
    pub fn git(&self, args: &[&str]) -> String {
        let mut git = Command::new("git");
        git.args(["-c", "user.name=toy", "-c", "user.email=toy@localhost"]).args(args).current_dir(self.linux());
        let output = git.output().unwrap();
        assert!(output.status.success(), "{args:?}: {}", super::stderr(&output));
        super::stdout(&output).trim().to_string()
    }

    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    pub fn root(&self) -> PathBuf {
        self.path().join("checkout")
    }

    pub fn cache(&self) -> PathBuf {
        self.path().join("cache/vremount")
    }

    /// The patch with that number.
    pub fn patch(&self, number: u8) -> PathBuf {
        let entries = fs::read_dir(self.root().join("patches/toy")).unwrap();
        let starts = format!("000{number}-");
        entries
            .map(|entry| entry.unwrap().path())
            .find(|path| path.file_name().unwrap().to_str().unwrap().starts_with(&starts))
            .unwrap()
    }

    /// Makes `program` fail that way from now on; the empty word stops that.
    pub fn fails(&self, program: &str, how: &str) {
        fs::write(self.path().join(format!("{program}-fails")), how).unwrap();
    }

    /// `vremount kernel` in this world.
    pub fn kernel(&self, more: &[&str]) -> Output {
        self.command(more).output().unwrap()
    }

    /// The same, not run yet.
    pub fn command(&self, more: &[&str]) -> Command {
        self.vremount(&[&["kernel"], more].concat())
    }

    /// Any command in this world.
    pub fn vremount(&self, args: &[&str]) -> Command {
        let path = format!("{}:{}", self.path().join("bin").display(), std::env::var("PATH").unwrap());
        let mut command = super::vremount(args);
        command.current_dir(self.root()).env("PATH", path);
        command.env("XDG_CACHE_HOME", self.path().join("cache"));
        command
    }

    /// What apt-get and make were asked since the last time.
    pub fn calls(&self) -> Vec<String> {
        let path = self.path().join("calls");
        let text = fs::read_to_string(&path).unwrap_or_default();
        let _ = fs::remove_file(path);
        text.lines().map(ToString::to_string).collect()
    }
}

fn fixture(name: &str) -> PathBuf {
    checkout().join("harness/cli/tests/toy").join(name)
}

// SPDX-License-Identifier: MIT OR Apache-2.0
//! A checkout with a kernel source of four files, and scripts in place of apt and make that can be
//! made to fail. All other tools, such as git, gcc and tar, are real.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use sha2::{Digest, Sha256};
use vremount_util::hash;

use super::{checkout, write_script};

/// A checkout with fake programs; removed when it is dropped.
pub struct FakeToolchain {
    folder: tempfile::TempDir,
}

impl FakeToolchain {
    /// Writes the fake programs, the kernel source and the checkout.
    pub fn new() -> Self {
        let fake = FakeToolchain { folder: tempfile::tempdir().unwrap() };
        let folder = fake.path();
        for program in ["apt-get", "apt-cache", "make"] {
            let text = fs::read_to_string(fixture(program)).unwrap();
            let text = text.replacen("set -eu", &format!("set -eu\nFAKE={}", folder.display()), 1);
            fs::create_dir_all(folder.join("bin")).unwrap();
            write_script(&folder.join("bin").join(program), &text);
        }
        assert!(Command::new("sh").arg(fixture("source")).current_dir(folder).status().unwrap().success());
        let root = fake.root();
        fs::create_dir_all(root.join("ci")).unwrap();
        fs::create_dir_all(root.join("patches")).unwrap();
        fs::rename(folder.join("patches"), root.join("patches/toy")).unwrap();
        let fragments = root.join("vm-images/config");
        fs::create_dir_all(&fragments).unwrap();
        fs::write(fragments.join("base.config"), "CONFIG_OVERLAY_FS=m\n").unwrap();
        fs::write(fragments.join("x86_64.config"), "CONFIG_64BIT=y\n").unwrap();
        fs::write(fragments.join("um.config"), "CONFIG_SSL=y\n").unwrap();
        let tarball = fs::read(folder.join("linux_0.1.orig.tar.gz")).unwrap();
        let sha256 = hash::hex(&Sha256::digest(&tarball));
        let bases = format!(
            "default = \"0.1\"\n[bases.\"0.1\"]\nseries = \"toy\"\n[bases.\"0.1\".source]\npackage = \"linux\"\n\
             version = \"0.1-1\"\nsuite = \"bullseye\"\nfile = \"linux_0.1.orig.tar.gz\"\nsha256 = \"{sha256}\"\n"
        );
        fs::write(root.join("ci/bases.toml"), bases).unwrap();
        fs::copy(checkout().join("ci/matrix.toml"), root.join("ci/matrix.toml")).unwrap();
        fake
    }

    /// Repository with the kernel source and a commit for each of the four patches.
    pub fn linux(&self) -> PathBuf {
        self.path().join("linux")
    }

    /// Runs git in the repository of the kernel source and returns its output.
    pub fn git(&self, args: &[&str]) -> String {
        let mut git = Command::new("git");
        git.args(["-c", "user.name=toy", "-c", "user.email=toy@localhost"]).args(args).current_dir(self.linux());
        let output = git.output().unwrap();
        assert!(output.status.success(), "{args:?}: {}", super::stderr(&output));
        super::stdout(&output).trim().to_string()
    }

    /// Directory that holds everything.
    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Root of the checkout.
    pub fn root(&self) -> PathBuf {
        self.path().join("checkout")
    }

    /// Cache directory of vremount.
    pub fn cache(&self) -> PathBuf {
        self.path().join("cache/vremount")
    }

    /// Path of the patch with a number.
    pub fn patch(&self, number: u8) -> PathBuf {
        let entries = fs::read_dir(self.root().join("patches/toy")).unwrap();
        let prefix = format!("000{number}-");
        entries
            .map(|entry| entry.unwrap().path())
            .find(|path| path.file_name().unwrap().to_str().unwrap().starts_with(&prefix))
            .unwrap()
    }

    /// Makes `program` fail in a way that its script knows; an empty failure makes it succeed
    /// again.
    pub fn set_failure(&self, program: &str, failure: &str) {
        fs::write(self.path().join(format!("{program}-fails")), failure).unwrap();
    }

    /// Runs `vremount kernel`.
    pub fn run_kernel_command(&self, args: &[&str]) -> Output {
        self.kernel_command(args).output().unwrap()
    }

    /// Command `vremount kernel`, not started.
    pub fn kernel_command(&self, args: &[&str]) -> Command {
        self.vremount(&[&["kernel"], args].concat())
    }

    /// Any command of vremount in the checkout, with the fake programs; not started.
    pub fn vremount(&self, args: &[&str]) -> Command {
        let path = format!("{}:{}", self.path().join("bin").display(), std::env::var("PATH").unwrap());
        let mut command = super::vremount(args);
        command.current_dir(self.root()).env("PATH", path);
        command.env("XDG_CACHE_HOME", self.path().join("cache"));
        command
    }

    /// Command lines of the fake programs since the last call of this function.
    pub fn take_calls(&self) -> Vec<String> {
        let path = self.path().join("calls");
        let text = fs::read_to_string(&path).unwrap_or_default();
        let _ = fs::remove_file(path);
        text.lines().map(ToString::to_string).collect()
    }
}

fn fixture(name: &str) -> PathBuf {
    checkout().join("harness/cli/tests/fake_toolchain").join(name)
}

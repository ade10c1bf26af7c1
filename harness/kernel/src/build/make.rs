// SPDX-License-Identifier: MIT OR Apache-2.0
//! The kernel's make, with everything fixed that would make two builds of the same differ.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::{env, thread};

use vremount_util::process_group::Group;
use vremount_util::{command, io_error};

use crate::base::Base;
use crate::build::{Arch, Error};

pub struct Make<'a> {
    base: &'a Base,
    arch: Arch,
    tree: &'a Path,
    objects: &'a Path,
    log: PathBuf,
}

impl<'a> Make<'a> {
    pub fn new(base: &'a Base, arch: Arch, tree: &'a Path, objects: &'a Path, log: PathBuf) -> Self {
        Make { base, arch, tree, objects, log }
    }

    pub fn objects(&self) -> &Path {
        self.objects
    }

    /// Makes the targets; `what` is what they are, for an error.
    pub fn run(&self, what: &str, targets: &[&str]) -> Result<(), Error> {
        let log = File::create(&self.log).map_err(io_error("create", &self.log))?;
        let errors = log.try_clone().map_err(io_error("open", &self.log))?;
        let jobs = thread::available_parallelism().map_or(1, usize::from);
        let mut command = Command::new("make");
        command.arg("-C").arg(self.tree).arg(format!("O={}", self.objects.display()));
        command.arg(format!("ARCH={}", self.arch.name())).arg(format!("-j{jobs}")).args(&self.base.make).args(targets);
        // What is in the environment of a kernel developer, CROSS_COMPILE, LLVM, KCFLAGS and our own make's MAKEFLAGS, would
        // build another kernel under the same name.
        command.env_clear();
        for name in ["PATH", "HOME", "TMPDIR"] {
            command.envs(env::var_os(name).map(|value| (name, value)));
        }
        // A level must not show in the version, or its module would not load.
        command.env("LC_ALL", "C").env("LOCALVERSION", "");
        command.env("KBUILD_BUILD_TIMESTAMP", "2000-01-01").env("KBUILD_BUILD_VERSION", "1");
        command.env("KBUILD_BUILD_USER", "vremount").env("KBUILD_BUILD_HOST", "localhost");
        command.stdin(Stdio::null()).stdout(log).stderr(errors);
        let not_run = |cause| command::Error::NotRun { program: "make".to_string(), cause };
        let status = Group::start(&mut command).and_then(|mut make| make.wait()).map_err(not_run)?;
        if status.success() {
            return Ok(());
        }
        let text = fs::read_to_string(&self.log).unwrap_or_default();
        let first = first_error(&text).unwrap_or("make says nothing more").to_string();
        Err(Error::Build { what: what.to_string(), first, log: self.log.clone() })
    }
}

/// The line that started it: a compiler's or linker's first, else make's own.
fn first_error(log: &str) -> Option<&str> {
    let find = |signs: &[&str]| log.lines().find(|line| signs.iter().any(|sign| line.contains(sign)));
    find(&[" error: ", "undefined reference", "fatal error", "No space left on device", "not found"])
        .or_else(|| find(&["***"]))
        .or_else(|| log.lines().last())
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::compiler(
        "  CC      fs/a.o\nfs/a.c:1:2: error: 'x' undeclared\nfs/b.c:1:2: error: late\nmake: *** [a.o] Error 1\n",
        Some("fs/a.c:1:2: error: 'x' undeclared")
    )]
    #[case::make(
        "make[1]: *** No rule to make target 'x'.  Stop.\n",
        Some("make[1]: *** No rule to make target 'x'.  Stop.")
    )]
    #[case::anything("something odd\n", Some("something odd"))]
    #[case::nothing("", None)]
    fn shows_the_first_error(#[case] log: &str, #[case] expected: Option<&str>) {
        assert_eq!(first_error(log), expected);
    }
}

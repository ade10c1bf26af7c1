// SPDX-License-Identifier: MIT OR Apache-2.0
//! Runs the make of a kernel in a fixed environment, so that two builds of the same source are
//! identical.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::{env, thread};

use vremount_util::process_group::Group;
use vremount_util::{command, io_error};

use crate::base::Base;
use crate::build::arch::Arch;
use crate::build::error::Error;

/// The make command for one source tree and one folder of objects.
pub struct Make<'a> {
    base: &'a Base,
    arch: Arch,
    tree: &'a Path,
    objects: &'a Path,
    log: PathBuf,
}

impl<'a> Make<'a> {
    /// Prepares make. `tree` is the source, `objects` the output folder, `log` the file for the
    /// output of make. Nothing runs yet.
    #[must_use]
    pub fn new(base: &'a Base, arch: Arch, tree: &'a Path, objects: &'a Path, log: PathBuf) -> Self {
        Make { base, arch, tree, objects, log }
    }

    /// The output folder.
    #[must_use]
    pub fn objects(&self) -> &Path {
        self.objects
    }

    /// Builds targets, with one job per processor. `what` describes them for an error.
    ///
    /// # Errors
    /// [`Error::MakeFailed`] if make fails, [`Error::Command`] if it cannot be run, [`Error::Io`] if the
    /// log cannot be written.
    pub fn run(&self, what: &str, targets: &[&str]) -> Result<(), Error> {
        let log = File::create(&self.log).map_err(io_error("create", &self.log))?;
        let errors = log.try_clone().map_err(io_error("open", &self.log))?;
        let jobs = thread::available_parallelism().map_or(1, usize::from);
        let mut command = Command::new("make");
        command.arg("-C").arg(self.tree).arg(format!("O={}", self.objects.display()));
        command
            .arg(format!("ARCH={}", self.arch.name()))
            .arg(format!("-j{jobs}"))
            .args(&self.base.make_args)
            .args(targets);
        // CROSS_COMPILE, LLVM, KCFLAGS or the MAKEFLAGS of a calling make would build another
        // kernel under the same cache key.
        command.env_clear();
        for name in ["PATH", "HOME", "TMPDIR"] {
            command.envs(env::var_os(name).map(|value| (name, value)));
        }
        // The version must not depend on the level, because the modules of all levels load into one
        // image.
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
        let first = first_error(&text).unwrap_or("make printed nothing").to_string();
        Err(Error::MakeFailed { what: what.to_string(), first, log: self.log.clone() })
    }
}

/// The first error in the output of make: of compiler or linker, else of make itself, else the last
/// line.
fn first_error(log: &str) -> Option<&str> {
    let find = |texts: &[&str]| log.lines().find(|line| texts.iter().any(|text| line.contains(text)));
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
    #[case::unknown("something odd\n", Some("something odd"))]
    #[case::empty("", None)]
    fn first_error_of_make_is_found(#[case] log: &str, #[case] expected: Option<&str>) {
        assert_eq!(first_error(log), expected);
    }
}

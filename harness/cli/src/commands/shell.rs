// SPDX-License-Identifier: MIT OR Apache-2.0
//! `vremount shell`

use std::collections::BTreeMap;
use std::fs::remove_file;
use std::io::{self, IsTerminal, Read};

use clap::Args;
use vremount_claims::exit::Exit;
use vremount_kernel::workspace::Workspace;
use vremount_machine::image::{DiskSetup, Fs, MODULE_PATH};
use vremount_machine::{ExecutorChoice, MachineConfig, image};
use vremount_protocol::{Disk, GuestTask, Program};
use vremount_runner::testbed::{RunSpec, TestBed};
use vremount_util::io_error;

use crate::args;
use crate::commands::KernelArgs;
use crate::error::Error;

/// The machine is gone when the shell ends, and so is everything in it. With a standard input that is no terminal, the shell
/// runs that as a script.
#[derive(Args)]
pub struct Options {
    #[command(flatten)]
    which: KernelArgs,
    /// Upper filesystem
    #[arg(long, value_name = "NAME", default_value = "ext4")]
    fs: Fs,
    /// What the machine runs on
    #[arg(long, value_parser = args::executor(), default_value = "auto")]
    executor: ExecutorChoice,
}

pub fn run(options: &Options) -> Result<Exit, Error> {
    let workspace = Workspace::find()?;
    let _cache = workspace.lock_cache_shared()?;
    let Options { which, fs, executor: wanted } = options;
    let base = which.base(&workspace)?;
    let kernel = which.kernel(&base);
    let run_spec = RunSpec::new(kernel, &[], *wanted);
    let testbed = TestBed::new(&workspace, &run_spec)?;
    let guest = image::build_guest(&workspace.root)?;
    let files = image::shell_files(script()?)?;
    let disk_setup = DiskSetup::obtain(*fs, &workspace.cache, &guest, &testbed.kernel.module.path, files)?;
    let program = Program {
        work: GuestTask::Shell,
        module: MODULE_PATH.to_string(),
        disks: BTreeMap::from([(Disk::A, disk_setup.backing())]),
        fs: fs.filesystem(),
        // Nobody listens.
        channel: "/dev/null".to_string(),
        shutdown: testbed.executor.shutdown(),
    };
    let path = testbed.logs.join("shell.initramfs");
    disk_setup.initramfs.write(&program, &path)?;
    let console = testbed.logs.join("shell.console");
    let limits = testbed.executor.limits().scale(testbed.kernel.slowdown());
    let ended = testbed.executor.interact(&MachineConfig::new(&testbed.kernel, &path, &console, limits));
    remove_file(&path).map_err(io_error("remove", &path))?;
    let status = ended?;
    Ok(if status.success() { Exit::Success } else { Exit::CannotTell })
}

fn script() -> Result<Option<Vec<u8>>, Error> {
    if io::stdin().is_terminal() {
        return Ok(None);
    }
    let mut script = Vec::new();
    io::stdin().read_to_end(&mut script).map_err(io_error("read", "the standard input"))?;
    Ok(Some(script))
}

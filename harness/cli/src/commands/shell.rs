// SPDX-License-Identifier: MIT OR Apache-2.0
//! `vremount shell`

use std::collections::BTreeMap;
use std::fs::remove_file;
use std::io::{self, IsTerminal, Read};

use clap::Args;
use vremount_claims::exit::Exit;
use vremount_machine::image::{DiskSetup, MODULE_PATH};
use vremount_machine::{MachineConfig, image};
use vremount_protocol::{Disk, GuestTask, Program};
use vremount_runner::testbed::RunSpec;
use vremount_util::io_error;

use crate::args::{ExecutorArg, FsArg, KernelArgs};
use crate::commands::{CANNOT_TELL, WRONG_COMMAND_LINE, exit_codes};
use crate::error::Error;
use crate::run_setup::RunSetup;

/// Open a shell in a machine
///
/// Boots the kernel. An upper filesystem is mounted at /mnt/a. `exit` stops the machine, and
/// everything in it is lost. If standard input is not a terminal, the shell runs it as a script.
#[derive(Args)]
#[command(after_long_help = exit_codes(&[
    (0, "the machine has stopped"),
    (2, WRONG_COMMAND_LINE),
    (125, CANNOT_TELL),
]))]
pub struct Options {
    #[command(flatten)]
    kernel: KernelArgs,
    #[command(flatten)]
    fs: FsArg,
    #[command(flatten)]
    executor: ExecutorArg<false>,
}

pub fn run(options: &Options) -> Result<Exit, Error> {
    let setup = RunSetup::open(options.kernel.spec().as_ref())?;
    let (workspace, fs) = (&setup.workspace, options.fs.fs);
    let run_spec = RunSpec::new(options.kernel.kernel(&setup.base), &[], options.executor.executor);
    let testbed = setup.testbed(&run_spec)?;
    let guest = image::build_guest(&workspace.root)?;
    let files = image::shell_files(read_script()?)?;
    let disk_setup = DiskSetup::obtain(fs, &workspace.cache, &guest, &testbed.kernel.module.path, files)?;
    let program = Program {
        task: GuestTask::Shell,
        module: MODULE_PATH.to_string(),
        disks: BTreeMap::from([(Disk::A, disk_setup.backing())]),
        fs: fs.filesystem(),
        // A shell reports nothing to the host.
        channel: "/dev/null".to_string(),
        shutdown: testbed.executor.shutdown(),
    };
    let initramfs = testbed.run_dir.join("shell.initramfs");
    disk_setup.initramfs.write(&program, &initramfs)?;
    let console = testbed.run_dir.join("shell.console");
    let limits = testbed.executor.timeouts().scale(testbed.kernel.slowdown());
    let ended = testbed.executor.interact(&MachineConfig::new(&testbed.kernel, &initramfs, &console, limits));
    remove_file(&initramfs).map_err(io_error("remove", &initramfs))?;
    let status = ended?;
    Ok(if status.success() { Exit::Success } else { Exit::CannotTell })
}

/// Reads the script from standard input; none if standard input is a terminal.
fn read_script() -> Result<Option<Vec<u8>>, Error> {
    if io::stdin().is_terminal() {
        return Ok(None);
    }
    let mut script = Vec::new();
    io::stdin().read_to_end(&mut script).map_err(io_error("read", "standard input"))?;
    Ok(Some(script))
}

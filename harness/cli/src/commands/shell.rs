// SPDX-License-Identifier: MIT OR Apache-2.0
//! `vremount shell`

use std::collections::BTreeMap;
use std::fs::remove_file;
use std::io::{self, IsTerminal, Read};

use clap::Args;
use vremount_claims::exit::Exit;
use vremount_kernel::workspace::Project;
use vremount_machine::image::{Fs, MODULE_PATH, Medium};
use vremount_machine::{Boot, Wanted, image};
use vremount_protocol::{Disk, Program, Work};
use vremount_runner::testbed::{Lab, Order};
use vremount_util::io_error;

use crate::args;
use crate::commands::Which;
use crate::error::Error;

/// The machine is gone when the shell ends, and so is everything in it. With a standard input that is no terminal, the shell
/// runs that as a script.
#[derive(Args)]
pub struct Options {
    #[command(flatten)]
    which: Which,
    /// Upper filesystem
    #[arg(long, value_name = "NAME", default_value = "ext4")]
    fs: Fs,
    /// What the machine runs on
    #[arg(long, value_parser = args::executor(), default_value = "auto")]
    executor: Wanted,
}

pub fn run(options: &Options) -> Result<Exit, Error> {
    let project = Project::find()?;
    let _cache = project.use_cache()?;
    let Options { which, fs, executor: wanted } = options;
    let base = which.base(&project)?;
    let kernel = which.kernel(&base);
    let order = Order::new(kernel, &[], *wanted);
    let lab = Lab::new(&project, &order)?;
    let guest = image::build_guest(&project.root)?;
    let files = image::shell_files(script()?)?;
    let medium = Medium::obtain(*fs, &project.cache, &guest, &lab.kernel.module.path, files)?;
    let program = Program {
        work: Work::Shell,
        module: MODULE_PATH.to_string(),
        disks: BTreeMap::from([(Disk::A, medium.backing())]),
        fs: fs.filesystem(),
        // Nobody listens.
        channel: "/dev/null".to_string(),
        shutdown: lab.executor.shutdown(),
    };
    let path = lab.logs.join("shell.initramfs");
    medium.initramfs.write(&program, &path)?;
    let ended = lab.executor.interact(&Boot {
        image: &lab.kernel.image,
        initramfs: &path,
        disk: None,
        memory_mib: lab.kernel.memory_mib(),
        processors: 1,
        console_log: &lab.logs.join("shell.console"),
        limits: lab.executor.limits().times(lab.kernel.slower()),
        kernels: 1,
        power_cut: false,
    });
    remove_file(&path).map_err(io_error("remove", &path))?;
    let status = ended?;
    Ok(if status.success() { Exit::Holds } else { Exit::CannotTell })
}

fn script() -> Result<Option<Vec<u8>>, Error> {
    if io::stdin().is_terminal() {
        return Ok(None);
    }
    let mut script = Vec::new();
    io::stdin().read_to_end(&mut script).map_err(io_error("read", "the standard input"))?;
    Ok(Some(script))
}

// SPDX-License-Identifier: MIT OR Apache-2.0
//! A shell on the console, with an upper filesystem ready to be mounted on.

use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::symlink;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};

use nix::errno::Errno;
use nix::sys::wait::wait;
use nix::unistd::{Pid, setsid};
use vremount_protocol::{DeviceStack, Disk, LayerSet, Mode, Op, Outcome, Program, SCRIPT_PATH};

use crate::error::{Failure, context};
use crate::interpreter::Runner;
use crate::overlay::{Overlay, merged};
use crate::{init_system, ioctl};

/// Where there is a tool that busybox has too, its users know that better.
pub const PATH: &str = "/usr/bin:/usr/sbin:/bin:/sbin";
const CONSOLE: &str = "/dev/console";
const BUSYBOX: &str = "/bin/busybox";

pub fn run(program: &Program) -> Result<(), Failure> {
    prepare(program)?;
    let example = Overlay::of(Disk::A, Mode::Volatile).data("");
    println!("\nThe upper filesystem is at /mnt/a, on /dev/dm-0 (device-mapper \"a\"), on a loop device. Try:");
    println!("  mount -t overlay overlay -o {example} /merged/a");
    println!("  getfattr -d -m - -e hex /mnt/a/work/work/incompat/volatile");
    println!("  umount /merged/a; dmesg | tail\n`exit` stops the machine.\n");
    let shell = start()?;
    // Everything that loses its parent becomes a child of PID 1.
    loop {
        match wait() {
            Ok(ended) if ended.pid() == Some(shell) => return Ok(()),
            // Also PID 1 may be sent a signal that it does not die of.
            Ok(_) | Err(Errno::EINTR) => {}
            Err(errno) => return context("wait for", BUSYBOX, Err(errno)),
        }
    }
}

fn prepare(program: &Program) -> Result<(), Failure> {
    let disk = Disk::A;
    let mut runner = Runner::new(program)?;
    for op in [Op::Attach { disk, on: DeviceStack::Plain }, Op::MountUpper { disk, options: String::new() }] {
        let report = runner.step(0, &op)?;
        if report.outcome != Outcome::Done {
            return Err(Failure::new(format!("{op:?} came out as {:?}", report.outcome)));
        }
    }
    let merged = merged(disk, LayerSet::First);
    context("create", &merged, fs::create_dir_all(&merged))?;
    install_busybox(program)
}

/// What commands need: busybox under all its names, places for what is temporary, and a module that modprobe(8) finds.
pub fn install_busybox(program: &Program) -> Result<(), Failure> {
    if Path::new(BUSYBOX).exists() {
        let installed = Command::new(BUSYBOX).args(["--install", "-s", "/bin"]).status();
        context("install the commands of", BUSYBOX, installed)?;
    }
    for folder in ["/run", "/tmp"] {
        context("create", folder, fs::create_dir_all(folder))?;
    }
    let modules = Path::new("/lib/modules").join(init_system::release()?);
    context("create", &modules, fs::create_dir_all(&modules))?;
    let (module, list) = (modules.join("overlay.ko"), modules.join("modules.dep"));
    context("link", &module, symlink(&program.module, &module))?;
    context("write", &list, fs::write(&list, "overlay.ko:\n"))
}

/// The shell leads a session of its own and owns the terminal, so that ^C reaches what it runs.
fn start() -> Result<Pid, Failure> {
    let terminal = || context("open", CONSOLE, OpenOptions::new().read(true).write(true).open(CONSOLE));
    let own = terminal()?;
    let mut command = Command::new("/bin/sh");
    command.env("PATH", PATH).env("HOME", "/").env("TERM", "linux").env("PS1", "vremount# ");
    let input = match File::open(SCRIPT_PATH) {
        Ok(script) => script,
        Err(_) => terminal()?,
    };
    command.stdin(Stdio::from(input)).stdout(Stdio::from(terminal()?)).stderr(Stdio::from(terminal()?));
    let lead = move || {
        setsid()?;
        ioctl::take_terminal(&own)
    };
    // SAFETY: between fork and exec only two system calls are made; neither allocates nor locks.
    unsafe { command.pre_exec(lead) };
    let child = context("start", "/bin/sh", command.spawn())?;
    Ok(Pid::from_raw(i32::try_from(child.id()).map_err(Failure::new)?))
}

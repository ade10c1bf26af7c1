// SPDX-License-Identifier: MIT OR Apache-2.0
//! The task "shell": an interactive shell on the console, with the upper filesystem of disk A
//! mounted.

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
use crate::init::init_system;
use crate::interpreter::Interpreter;
use crate::ops::overlay::Overlay;
use crate::ops::{ioctl, paths};

/// `PATH` of shells and scripts. Other packages precede busybox, whose commands have fewer options.
pub const PATH: &str = "/usr/bin:/usr/sbin:/bin:/sbin";
const CONSOLE: &str = "/dev/console";
const BUSYBOX: &str = "/bin/busybox";

/// Runs a shell until it exits. It reads commands from [`SCRIPT_PATH`], if that exists, otherwise
/// from the console.
pub fn run(program: &Program) -> Result<(), Failure> {
    prepare(program)?;
    let example = Overlay::new(Disk::A, Mode::Volatile).mount_data("");
    println!(
        "\nThe upper filesystem is mounted at /mnt/a. It is on /dev/dm-0 (device-mapper \"a\") and a loop device. Try:"
    );
    println!("  mount -t overlay overlay -o {example} /merged/a");
    println!("  getfattr -d -m - -e hex /mnt/a/work/work/incompat/volatile");
    println!("  umount /merged/a; dmesg | tail\n`exit` stops the machine.\n");
    let shell = spawn_shell()?;
    // PID 1 is the parent of all orphans and must reap them.
    loop {
        match wait() {
            Ok(status) if status.pid() == Some(shell) => return Ok(()),
            Ok(_) | Err(Errno::EINTR) => {}
            Err(errno) => return context("wait for", BUSYBOX, Err(errno)),
        }
    }
}

/// Mounts the upper filesystem of disk A and makes commands available.
fn prepare(program: &Program) -> Result<(), Failure> {
    let disk = Disk::A;
    let mut interpreter = Interpreter::new(program)?;
    for op in [Op::Attach { disk, stack: DeviceStack::Loop }, Op::MountUpper { disk, options: String::new() }] {
        let report = interpreter.run_step(0, &op)?;
        if report.outcome != Outcome::Done {
            return Err(Failure::new(format!("failed to prepare the shell: {op:?} returned {:?}", report.outcome)));
        }
    }
    let mount_point = paths::merged(disk, LayerSet::First);
    context("create", &mount_point, fs::create_dir_all(&mount_point))?;
    install_busybox(program)
}

/// Installs the commands of busybox, creates directories for temporary files, and makes modprobe(8)
/// find overlay.
pub fn install_busybox(program: &Program) -> Result<(), Failure> {
    if Path::new(BUSYBOX).exists() {
        let installed = Command::new(BUSYBOX).args(["--install", "-s", "/bin"]).status();
        context("install the commands of", BUSYBOX, installed)?;
    }
    for dir in ["/run", "/tmp"] {
        context("create", dir, fs::create_dir_all(dir))?;
    }
    let modules = Path::new("/lib/modules").join(init_system::release()?);
    context("create", &modules, fs::create_dir_all(&modules))?;
    let (module, dependencies) = (modules.join("overlay.ko"), modules.join("modules.dep"));
    context("create the symbolic link", &module, symlink(&program.module, &module))?;
    context("write", &dependencies, fs::write(&dependencies, "overlay.ko:\n"))
}

/// Starts the shell in a new session with the console as controlling terminal, so that ^C
/// interrupts its commands.
fn spawn_shell() -> Result<Pid, Failure> {
    let open_console = || context("open", CONSOLE, OpenOptions::new().read(true).write(true).open(CONSOLE));
    let terminal = open_console()?;
    let mut command = Command::new("/bin/sh");
    command.env("PATH", PATH).env("HOME", "/").env("TERM", "linux").env("PS1", "vremount# ");
    let input = match File::open(SCRIPT_PATH) {
        Ok(script) => script,
        Err(_) => open_console()?,
    };
    command.stdin(Stdio::from(input)).stdout(Stdio::from(open_console()?)).stderr(Stdio::from(open_console()?));
    let become_session_leader = move || {
        setsid()?;
        ioctl::set_controlling_terminal(&terminal)
    };
    // SAFETY: between fork and exec only two system calls are made; neither allocates nor locks.
    unsafe { command.pre_exec(become_session_leader) };
    let child = context("start", "/bin/sh", command.spawn())?;
    Ok(Pid::from_raw(i32::try_from(child.id()).map_err(Failure::new)?))
}

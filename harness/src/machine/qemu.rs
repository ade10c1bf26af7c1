// SPDX-License-Identifier: MIT OR Apache-2.0
//! QEMU: its command line, and what a guest must know about its machine.

use std::io::{self, PipeReader};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::time::Duration;

use command_fds::{CommandFdExt, FdMapping};
use nix::sys::termios::{SetArg, tcgetattr, tcsetattr};
use vremount_wire::Shutdown;

use super::accel::Accel;
use super::process::Group;
use super::run::{Limits, Run, watch};

/// The child's end of the channel.
const CHANNEL_FD: i32 = 3;
/// Where the guest finds its end: the first port of the first virtio device.
const CHANNEL_DEVICE: &str = "/dev/vport0p1";
const DISK_DEVICE: &str = "/dev/vda";

/// `reboot=t`: a microvm has neither keyboard controller nor ACPI, only a triple fault resets it. `panic=-1` and
/// `-no-reboot` make that the end of the process.
const KERNEL_ARGS: &str = "console=ttyS0 reboot=t panic=-1 oops=panic";

/// Why QEMU could not be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("failed to run {program}: {cause}; install the Debian package qemu-system-x86 (`make deps` does)",
        program = program.display())]
    Missing { program: PathBuf, cause: io::Error },
    #[error("failed to set up the terminal of the shell: {0}")]
    Terminal(io::Error),
}

/// What a machine is made of.
pub struct Boot<'a> {
    pub image: &'a Path,
    pub initramfs: &'a Path,
    /// A disk that outlives the machine.
    pub disk: Option<&'a Path>,
    pub memory_mib: u32,
    pub console_log: &'a Path,
    pub limits: Limits,
    /// Kill the machine as soon as the guest said its last word.
    pub power_cut: bool,
}

/// QEMU with a way of running guest code.
#[derive(Debug, Clone)]
pub struct Qemu {
    pub program: PathBuf,
    pub accel: Accel,
}

impl Qemu {
    #[must_use]
    pub fn new(program: &Path, accel: Accel) -> Self {
        Qemu { program: program.to_path_buf(), accel }
    }

    #[must_use]
    pub fn channel_device(&self) -> &'static str {
        CHANNEL_DEVICE
    }

    #[must_use]
    pub fn disk_device(&self) -> &'static str {
        DISK_DEVICE
    }

    #[must_use]
    pub fn shutdown(&self) -> Shutdown {
        Shutdown::Restart
    }

    /// The clocks of a machine that works off a claim, a hundred times what it takes.
    #[must_use]
    pub fn limits(&self) -> Limits {
        let factor = match self.accel {
            Accel::Kvm => 1,
            Accel::Tcg => 4,
        };
        Limits { silence: Duration::from_secs(15 * factor), total: Duration::from_secs(60 * factor) }
    }

    /// First line of `--version`.
    ///
    /// # Errors
    /// If QEMU is not installed.
    pub fn version(program: &Path) -> Result<String, Error> {
        let output = Command::new(program)
            .arg("--version")
            .output()
            .map_err(|cause| Error::Missing { program: program.to_path_buf(), cause })?;
        Ok(String::from_utf8_lossy(&output.stdout).lines().next().unwrap_or_default().to_string())
    }

    /// Runs a machine from its start to its end.
    #[must_use]
    pub fn run(&self, boot: &Boot<'_>) -> Run {
        match self.start(boot) {
            Ok((group, console, channel)) => {
                watch(group, console, channel, boot.console_log, boot.limits, boot.power_cut)
            }
            Err(cause) => Run::not_started(format!("failed to run {}: {cause}", self.program.display())),
        }
    }

    /// The machine, its console, and our end of its channel. What QEMU itself has to say is part of the console.
    fn start(&self, boot: &Boot<'_>) -> io::Result<(Group, PipeReader, UnixStream)> {
        let (ours, theirs) = UnixStream::pair()?;
        let (console, output) = io::pipe()?;
        let mut command = Command::new(&self.program);
        command.arg("-chardev").arg(format!("socket,id=wire,fd={CHANNEL_FD}"));
        command.args(["-device", "virtio-serial-device", "-device", "virtserialport,chardev=wire,name=vremount"]);
        command.args(["-serial", "stdio"]);
        self.describe(boot, &mut command);
        command.stdin(Stdio::null()).stdout(output.try_clone()?).stderr(output);
        let mapping = FdMapping { parent_fd: OwnedFd::from(theirs), child_fd: CHANNEL_FD };
        command.fd_mappings(vec![mapping]).map_err(io::Error::other)?;
        Ok((Group::start(&mut command)?, console, ours))
    }

    /// Runs a machine whose console is our terminal, for as long as its user likes.
    ///
    /// # Errors
    /// If QEMU cannot be started or the terminal not restored.
    pub fn interact(&self, boot: &Boot<'_>) -> Result<ExitStatus, Error> {
        // QEMU makes the terminal raw, and if it is killed, leaves it so.
        let terminal = tcgetattr(io::stdin()).ok();
        let mut command = Command::new(&self.program);
        self.describe(boot, &mut command);
        command.args(["-chardev", "stdio,id=console,signal=off", "-serial", "chardev:console"]);
        let ended = command.status().map_err(|cause| Error::Missing { program: self.program.clone(), cause });
        if let Some(terminal) = terminal {
            tcsetattr(io::stdin(), SetArg::TCSANOW, &terminal).map_err(|errno| Error::Terminal(errno.into()))?;
        }
        ended
    }

    /// What all machines have. Virtio devices are numbered in the order in which they are named.
    fn describe(&self, boot: &Boot<'_>, command: &mut Command) {
        command.args(["-M", "microvm,acpi=off", "-accel", self.accel.name(), "-smp", "1"]);
        command.args(["-nodefaults", "-no-user-config", "-display", "none", "-no-reboot"]);
        command.arg("-m").arg(boot.memory_mib.to_string());
        command.arg("-kernel").arg(boot.image).arg("-initrd").arg(boot.initramfs).args(["-append", KERNEL_ARGS]);
        command.args(["-device", "virtio-rng-device"]);
        if let Some(disk) = boot.disk {
            // What the guest has written survives the machine, because the host has it.
            command.arg("-drive").arg(format!("if=none,id=disk,format=raw,cache=writeback,file={}", disk.display()));
            command.args(["-device", "virtio-blk-device,drive=disk"]);
        }
    }
}

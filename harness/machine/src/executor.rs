// SPDX-License-Identifier: MIT OR Apache-2.0
//! What every way of running a machine has in common.

use std::io::{self, PipeReader, PipeWriter};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};

use command_fds::{CommandFdExt, FdMapping};
use nix::fcntl::{FcntlArg, fcntl};
use nix::sys::termios::{SetArg, tcgetattr, tcsetattr};
use vremount_kernel::build::Arch;
use vremount_protocol::{Backing, Shutdown};
use vremount_util::process_group::{Group, run_in_foreground};

use crate::monitor::{MachineOutput, watch};
use crate::timeouts::Timeouts;

/// The machine's end of the channel.
pub(super) const CHANNEL_FD: i32 = 3;

/// A hundred times what a claim makes a machine say; all pipes of a user may hold 64 MiB.
const PIPE_BYTES: i32 = 1 << 18;

/// Why no machine can be run.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("failed to run {program}: {cause}; install the Debian package qemu-system-x86 (`make deps` does)",
        program = program.display())]
    NoQemu { program: PathBuf, cause: io::Error },
    #[error("failed to run a User Mode Linux kernel here: {0}; use --executor qemu")]
    NoUml(String),
    #[error("failed to start a machine for the shell: {0}")]
    NoShell(io::Error),
    #[error("failed to set up the terminal of the shell: {0}")]
    Terminal(io::Error),
}

/// What a machine is made of.
pub struct MachineConfig<'a> {
    pub image: &'a Path,
    pub initramfs: &'a Path,
    /// A disk that outlives the machine.
    pub disk: Option<&'a Path>,
    pub memory_mib: u32,
    /// As many as its program can make use of: more make a machine slower. User Mode Linux has one.
    pub processors: u8,
    pub console_log: &'a Path,
    pub limits: Timeouts,
    /// How many kernels it has, one after the other: each has a last word.
    pub kernels: usize,
    /// Kill the machine as soon as the guest said its last word.
    pub power_cut: bool,
}

/// A way of running machines.
pub trait Executor: Sync {
    /// As command line and reports spell it.
    fn name(&self) -> &'static str;

    /// What its kernels are built for.
    fn arch(&self) -> Arch;

    /// The program with the arguments of a machine, console and channel aside.
    fn command(&self, boot: &MachineConfig<'_>) -> Command;

    /// Adds the channel at [`CHANNEL_FD`], and a console that is the standard output.
    fn connect(&self, command: &mut Command);

    /// Adds a console that is the terminal.
    fn attach_terminal(&self, command: &mut Command);

    /// Where the guest finds its end of the channel.
    fn channel_device(&self) -> &'static str;

    /// How the guest reaches a disk that outlives the machine.
    fn backing(&self, disk: &Path) -> Backing;

    /// How the guest ends the machine.
    fn shutdown(&self) -> Shutdown;

    /// Whether a machine boots faster than an old one can be made as good as new.
    fn boots_fast(&self) -> bool;

    /// The clocks of a machine that works off a claim: a hundred times what it takes.
    fn limits(&self) -> Timeouts;

    /// Takes away what a machine that was killed leaves behind.
    fn clean_up(&self, _boot: &MachineConfig<'_>) {}

    /// Runs a machine from its start to its end.
    fn run(&self, boot: &MachineConfig<'_>) -> MachineOutput {
        let run = match start(self, boot) {
            Ok((group, console, channel)) => watch(group, console, channel, boot),
            Err(cause) => MachineOutput::not_started(format!("failed to run {}: {cause}", self.name())),
        };
        self.clean_up(boot);
        run
    }

    /// Runs a machine whose console is our terminal, for as long as its user likes.
    ///
    /// # Errors
    /// If it cannot be started or the terminal not restored.
    fn interact(&self, boot: &MachineConfig<'_>) -> Result<ExitStatus, Error> {
        // The machine makes the terminal raw, and if it is killed, leaves it so.
        let terminal = tcgetattr(io::stdin()).ok();
        let mut command = self.command(boot);
        self.attach_terminal(&mut command);
        if terminal.is_none() {
            command.stdin(Stdio::null());
        }
        let ended = run_in_foreground(&mut command).map_err(Error::NoShell);
        if let Some(terminal) = terminal {
            tcsetattr(io::stdin(), SetArg::TCSANOW, &terminal).map_err(|errno| Error::Terminal(errno.into()))?;
        }
        ended
    }
}

/// The machine, its console, and our end of its channel. What its program has to say is part of the console.
fn start<E: Executor + ?Sized>(executor: &E, boot: &MachineConfig<'_>) -> io::Result<(Group, PipeReader, PipeReader)> {
    let (channel, theirs) = pipe()?;
    let (console, output) = pipe()?;
    let mut command = executor.command(boot);
    executor.connect(&mut command);
    command.stdin(Stdio::null()).stdout(output.try_clone()?).stderr(output);
    let mapping = FdMapping { parent_fd: OwnedFd::from(theirs), child_fd: CHANNEL_FD };
    command.fd_mappings(vec![mapping]).map_err(io::Error::other)?;
    Ok((Group::start(&mut command)?, console, channel))
}

/// A machine on User Mode Linux is interrupted when there is room again where it writes, and that is at a time of the host. A
/// pipe tells it so only after it was full, a socket each time we read from it; and a large one is never full.
fn pipe() -> io::Result<(PipeReader, PipeWriter)> {
    let (ours, theirs) = io::pipe()?;
    // Without it the machine runs as well, and repeats itself unless we are very slow.
    let _ = fcntl(&theirs, FcntlArg::F_SETPIPE_SZ(PIPE_BYTES));
    Ok((ours, theirs))
}

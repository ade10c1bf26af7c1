// SPDX-License-Identifier: MIT OR Apache-2.0
//! The interface of the executors, and the code that QEMU and User Mode Linux share.

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

use crate::machine_config::MachineConfig;
use crate::monitor::watch;
use crate::output::MachineOutput;
use crate::timeouts::Timeouts;

/// File descriptor of the event channel in the executor's process.
pub(crate) const CHANNEL_FD: i32 = 3;

/// Capacity of a pipe, bytes: about a hundred times the output of a claim. The kernel limits all
/// pipes of an unprivileged user to 64 MiB.
const PIPE_BYTES: i32 = 1 << 18;

/// Reasons why no machine can run on this host.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// QEMU cannot be run.
    #[error("failed to run {program}: {cause}; install the Debian package qemu-system-x86 (`make deps` does)",
        program = program.display())]
    NoQemu {
        /// The program.
        program: PathBuf,
        /// Why it cannot be run.
        #[source]
        cause: io::Error,
    },
    /// A kernel for User Mode Linux does not boot on this host. The text says how far it got.
    #[error("failed to run a User Mode Linux kernel here: {0}; use --executor qemu")]
    NoUml(String),
    /// The machine of an interactive shell cannot be started.
    #[error("failed to start the machine of the shell: {0}")]
    NoShell(#[source] io::Error),
    /// The terminal cannot be restored after an interactive shell.
    #[error("failed to restore the terminal after the shell: {0}; run `stty sane`")]
    Terminal(#[source] io::Error),
}

/// A program that runs machines.
pub trait Executor: Sync {
    /// Name as the command line and the reports spell it: `qemu` or `uml`.
    fn name(&self) -> &'static str;

    /// Architecture that kernels for this executor are built for.
    fn arch(&self) -> Arch;

    /// The command that runs a machine, without the arguments for console and event channel.
    fn command(&self, config: &MachineConfig<'_>) -> Command;

    /// Adds the arguments that connect the console to standard output and the event channel to file
    /// descriptor 3.
    fn connect(&self, command: &mut Command);

    /// Adds the arguments that connect the console to the terminal. There is no event channel.
    fn attach_terminal(&self, command: &mut Command);

    /// Path of the event channel in the guest.
    fn channel_device(&self) -> &'static str;

    /// How the guest accesses `disk`, an image of the host whose content outlives the machine.
    fn backing(&self, disk: &Path) -> Backing;

    /// How the guest shuts the machine down.
    fn shutdown(&self) -> Shutdown;

    /// Whether booting a machine is cheaper than resetting a used one. If so, each claim gets its
    /// own machine.
    fn boots_fast(&self) -> bool;

    /// Timeouts of a machine that runs a claim: about a hundred times the usual duration.
    fn timeouts(&self) -> Timeouts;

    /// Removes files that a killed machine leaves on the host.
    fn clean_up(&self, _config: &MachineConfig<'_>) {}

    /// Runs a machine until it ends or a timeout expires. Never fails: if the machine cannot be
    /// started, the exit reason is [`NotStarted`](crate::ExitReason::NotStarted).
    fn run(&self, config: &MachineConfig<'_>) -> MachineOutput {
        let output = match start(self, config) {
            Ok((group, console, channel)) => watch(group, console, channel, config),
            Err(cause) => MachineOutput::not_started(format!("failed to run {}: {cause}", self.name())),
        };
        self.clean_up(config);
        output
    }

    /// Runs a machine with its console on the terminal of this process, without a timeout.
    ///
    /// # Errors
    /// [`Error::NoShell`] if the machine cannot be started, [`Error::Terminal`] if the terminal
    /// cannot be restored.
    fn interact(&self, config: &MachineConfig<'_>) -> Result<ExitStatus, Error> {
        // The executor puts the terminal into raw mode and does not restore it when it is killed.
        let terminal = tcgetattr(io::stdin()).ok();
        let mut command = self.command(config);
        self.attach_terminal(&mut command);
        if terminal.is_none() {
            command.stdin(Stdio::null());
        }
        let status = run_in_foreground(&mut command).map_err(Error::NoShell);
        if let Some(terminal) = terminal {
            tcsetattr(io::stdin(), SetArg::TCSANOW, &terminal).map_err(|errno| Error::Terminal(errno.into()))?;
        }
        status
    }
}

/// Starts a machine. Returns its processes and the read ends of console and event channel. The
/// standard error of the executor is part of the console.
fn start<E: Executor + ?Sized>(
    executor: &E,
    config: &MachineConfig<'_>,
) -> io::Result<(Group, PipeReader, PipeReader)> {
    let (channel_reader, channel_writer) = pipe()?;
    let (console_reader, console_writer) = pipe()?;
    let mut command = executor.command(config);
    executor.connect(&mut command);
    command.stdin(Stdio::null()).stdout(console_writer.try_clone()?).stderr(console_writer);
    let mapping = FdMapping { parent_fd: OwnedFd::from(channel_writer), child_fd: CHANNEL_FD };
    command.fd_mappings(vec![mapping]).map_err(io::Error::other)?;
    Ok((Group::start(&mut command)?, console_reader, channel_reader))
}

/// Creates a pipe that is large enough never to fill up.
///
/// The host interrupts a User Mode Linux kernel when a descriptor becomes writable again. The time
/// of that interrupt depends on the host, so that two runs would differ. A pipe becomes writable
/// only after it was full, a socket each time that its peer reads.
fn pipe() -> io::Result<(PipeReader, PipeWriter)> {
    let (reader, writer) = io::pipe()?;
    // If the size cannot be set, the machine works and is reproducible as long as this process
    // reads fast enough.
    let _ = fcntl(&writer, FcntlArg::F_SETPIPE_SZ(PIPE_BYTES));
    Ok((reader, writer))
}

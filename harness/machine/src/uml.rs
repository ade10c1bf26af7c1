// SPDX-License-Identifier: MIT OR Apache-2.0
//! Runs machines with User Mode Linux, a kernel that is a program of the host.
//!
//! With time travel, the guest's clock jumps to the next timer when all tasks sleep. Waiting takes
//! no time on the host, and the time of the host does not influence the guest.

use std::ffi::OsStr;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::time::Duration;
use std::{env, fs};

use nix::sys::personality::{self, Persona};
use nix::sys::statvfs::{FsFlags, statvfs};
use vremount_kernel::build::{Arch, MAX_MEMORY_MIB};
use vremount_protocol::{Backing, Shutdown};
use vremount_util::command;

use crate::executor::{CHANNEL_FD, Executor};
use crate::machine_config::MachineConfig;
use crate::timeouts::Timeouts;

/// Kernel command line.
///
/// `norandmaps`: without address space randomization, the guest's programs use the same number of
/// pages in each run. Otherwise the kernel behaves differently when memory is short.
const KERNEL_ARGS: [&str; 5] = ["panic=-1", "oops=panic", "con=null", "ssl=null", "norandmaps"];

/// Number of machines whose whole memory must fit into the directory of their memory files. More
/// may run in parallel, because few use all of their memory.
const MACHINES: u64 = 4;

/// User Mode Linux. The kernel image is the program.
#[derive(Debug, Clone, Copy)]
pub struct Uml;

impl Executor for Uml {
    fn name(&self) -> &'static str {
        "uml"
    }

    fn arch(&self) -> Arch {
        Arch::Um
    }

    fn command(&self, config: &MachineConfig<'_>) -> Command {
        let mut command = Command::new(config.kernel_image);
        command.arg(format!("mem={}M", config.memory_mib)).arg(format!("initrd={}", config.initramfs.display()));
        command.args(KERNEL_ARGS);
        if let Some((folder, id)) = instance_dir(config) {
            command.arg(format!("uml_dir={}/", folder.display())).arg(format!("umid={}", id.display()));
        }
        command.env("TMPDIR", memory_dir());
        disable_address_randomization(&mut command);
        command
    }

    fn connect(&self, command: &mut Command) {
        // Not in `command`: with time travel, the clock of a machine that waits for its user would
        // run ahead.
        command.arg("time-travel=inf-cpu");
        command.arg("con0=null,fd:1").arg(format!("ssl0=null,fd:{CHANNEL_FD}"));
    }

    fn attach_terminal(&self, command: &mut Command) {
        command.arg("con0=fd:0,fd:1");
    }

    fn channel_device(&self) -> &'static str {
        "/dev/ttyS0"
    }

    /// A file of the host through hostfs. Each request is a system call of the kernel and complete
    /// when it returns. A block device (ubd) completes by an interrupt whose time depends on the
    /// host.
    fn backing(&self, disk: &Path) -> Backing {
        Backing::HostFile(disk.display().to_string())
    }

    fn clean_up(&self, config: &MachineConfig<'_>) {
        if let Some((folder, id)) = instance_dir(config) {
            // It exists only if the machine was killed.
            let _ = fs::remove_dir_all(folder.join(id));
        }
    }

    /// Power off: a restart would execute the program again.
    fn shutdown(&self) -> Shutdown {
        Shutdown::PowerOff
    }

    fn boots_fast(&self) -> bool {
        true
    }

    fn timeouts(&self) -> Timeouts {
        Timeouts { silence: Duration::from_secs(15), total: Duration::from_secs(60) }
    }
}

/// The directory in which the kernel stores its process id: parent and name. It is next to the
/// console log.
fn instance_dir<'a>(config: &MachineConfig<'a>) -> Option<(&'a Path, &'a OsStr)> {
    Some((config.console_log.parent()?, config.console_log.file_stem()?))
}

/// Disables address space randomization for the kernel's process. The layout of the kernel's memory
/// depends on the addresses of its program and must be the same in each run.
fn disable_address_randomization(command: &mut Command) {
    let set_personality = || {
        personality::set(personality::get()? | Persona::ADDR_NO_RANDOMIZE)?;
        Ok(())
    };
    // SAFETY: between fork and exec, the closure makes two system calls and neither allocates nor
    // locks.
    unsafe { command.pre_exec(set_personality) };
}

/// Directory in which a machine creates the file that backs its memory: /dev/shm if it has enough
/// space and permits execution, otherwise the directory for temporary files.
///
/// In a container, /dev/shm can be too small, and a machine is killed when it uses memory that the
/// file cannot hold. The kernel prints the path, so it is determined once and is the same for all
/// machines of this process.
fn memory_dir() -> &'static Path {
    static DIR: OnceLock<PathBuf> = OnceLock::new();
    DIR.get_or_init(|| {
        let shared = Path::new("/dev/shm");
        match command::ensure_free_space("run a machine", shared, MACHINES * u64::from(MAX_MEMORY_MIB)) {
            Ok(()) if permits_execution(shared) => shared.to_path_buf(),
            _ => env::temp_dir(),
        }
    })
}

fn permits_execution(folder: &Path) -> bool {
    statvfs(folder).is_ok_and(|stat| !stat.flags().contains(FsFlags::ST_NOEXEC))
}

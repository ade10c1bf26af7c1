// SPDX-License-Identifier: MIT OR Apache-2.0
//! User Mode Linux: a kernel that is a program. Its time is its own: when all its tasks sleep it jumps to the next timer, so
//! waiting costs nothing, and nothing of the host's time shows in what it does.

use std::ffi::OsStr;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::time::Duration;
use std::{env, fs};

use nix::sys::personality::{self, Persona};
use nix::sys::statvfs::{FsFlags, statvfs};
use vremount_kernel::build::{Arch, MOST_MEMORY_MIB};
use vremount_protocol::{Backing, Shutdown};
use vremount_util::command;

use crate::executor::{CHANNEL_FD, Executor, MachineConfig};
use crate::timeouts::Timeouts;

/// Without random addresses the guest's programs take the same pages each time: when memory is short, that is seen in what its
/// kernel does, and when.
const KERNEL_ARGS: [&str; 5] = ["panic=-1", "oops=panic", "con=null", "ssl=null", "norandmaps"];

/// Room for this many machines' memory is room for all that run side by side: few use all of theirs.
const MACHINES: u64 = 4;

#[derive(Debug, Clone, Copy)]
pub struct Uml;

impl Executor for Uml {
    fn name(&self) -> &'static str {
        "uml"
    }

    fn arch(&self) -> Arch {
        Arch::Um
    }

    fn command(&self, boot: &MachineConfig<'_>) -> Command {
        let mut command = Command::new(boot.image);
        command.arg(format!("mem={}M", boot.memory_mib)).arg(format!("initrd={}", boot.initramfs.display()));
        command.args(KERNEL_ARGS);
        if let Some((folder, id)) = id_folder(boot) {
            command.arg(format!("uml_dir={}/", folder.display())).arg(format!("umid={}", id.display()));
        }
        command.env("TMPDIR", memory_folder());
        repeatable(&mut command);
        command
    }

    fn connect(&self, command: &mut Command) {
        // The clock of an idle machine races ahead: right for one that works alone, wrong for one with a user.
        command.arg("time-travel=inf-cpu");
        command.arg("con0=null,fd:1").arg(format!("ssl0=null,fd:{CHANNEL_FD}"));
    }

    fn attach_terminal(&self, command: &mut Command) {
        command.arg("con0=fd:0,fd:1");
    }

    fn channel_device(&self) -> &'static str {
        "/dev/ttyS0"
    }

    /// A file of the host through hostfs: every request is a system call of the kernel's own, finished when it returns,
    /// where a block device would be interrupted by the host at times of the host.
    fn backing(&self, disk: &Path) -> Backing {
        Backing::HostFile(disk.display().to_string())
    }

    /// A restart would run the program again.
    fn clean_up(&self, boot: &MachineConfig<'_>) {
        if let Some((folder, id)) = id_folder(boot) {
            // It is there only after a kill.
            let _ = fs::remove_dir_all(folder.join(id));
        }
    }

    fn shutdown(&self) -> Shutdown {
        Shutdown::PowerOff
    }

    fn boots_fast(&self) -> bool {
        true
    }

    fn limits(&self) -> Timeouts {
        Timeouts { silence: Duration::from_secs(15), total: Duration::from_secs(60) }
    }
}

/// The folder with the process id of a machine goes where everything of its run is: the parent, and its name there.
fn id_folder<'a>(boot: &MachineConfig<'a>) -> Option<(&'a Path, &'a OsStr)> {
    Some((boot.console_log.parent()?, boot.console_log.file_stem()?))
}

/// The kernel's memory is laid out around the program's, which must not lie somewhere else each time.
fn repeatable(command: &mut Command) {
    let fix_addresses = || {
        personality::set(personality::get()? | Persona::ADDR_NO_RANDOMIZE)?;
        Ok(())
    };
    // SAFETY: between fork and exec only two system calls are made; nothing allocates or locks.
    unsafe { command.pre_exec(fix_addresses) };
}

/// Where the file that is the machine's memory is made; it has no name from the start. A container's /dev/shm can be too
/// small for it, and a machine that finds out when it uses its memory is killed. The machine says where it is, so it is the same
/// for all, however much the others take by then.
fn memory_folder() -> &'static Path {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    FOLDER.get_or_init(|| {
        let shared = Path::new("/dev/shm");
        match command::ensure_free_space("run a machine", shared, MACHINES * u64::from(MOST_MEMORY_MIB)) {
            Ok(()) if may_execute(shared) => shared.to_path_buf(),
            _ => env::temp_dir(),
        }
    })
}

fn may_execute(folder: &Path) -> bool {
    statvfs(folder).is_ok_and(|stat| !stat.flags().contains(FsFlags::ST_NOEXEC))
}

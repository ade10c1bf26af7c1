// SPDX-License-Identifier: MIT OR Apache-2.0
//! QEMU: its command line, and what a guest must know about its machine.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use vremount_kernel::build::Arch;
use vremount_protocol::{Backing, Shutdown};

use crate::accel::Accel;
use crate::executor::{CHANNEL_FD, Error, Executor, MachineConfig};
use crate::timeouts::Timeouts;
use crate::tsc;

/// `no_timer_check`: under emulation on a busy host the check of the timer fails now and then, and that is a panic.
/// `reboot=t`: a microvm has neither keyboard controller nor ACPI, only a triple fault resets it. `panic=-1` and
/// `-no-reboot` make that the end of the process.
const KERNEL_ARGS: &str = "console=ttyS0 reboot=t panic=-1 oops=panic no_timer_check";

/// QEMU with a way of running guest code.
#[derive(Debug, Clone)]
pub struct Qemu {
    program: PathBuf,
    accel: Accel,
    /// Most bytes that a disk moves in a second, where a machine is to be measured in.
    disk_speed: Option<u64>,
}

impl Qemu {
    #[must_use]
    pub fn new(program: &Path, accel: Accel) -> Self {
        Qemu { program: program.to_path_buf(), accel, disk_speed: None }
    }

    /// For a machine to measure in. Its disk is the same everywhere: it moves so many bytes in a second, and flushes cost it
    /// nothing, so that nothing of the host's own disk shows; a real one would make whoever flushes wait longer. And an
    /// emulated kernel is told how fast its clock is, which it may fail to find out.
    #[must_use]
    pub fn to_measure(self, bytes_per_second: u64) -> Self {
        Qemu { disk_speed: Some(bytes_per_second), ..self }
    }

    /// First line of `--version`.
    ///
    /// # Errors
    /// If QEMU is not installed.
    pub fn version(program: &Path) -> Result<String, Error> {
        let output = Command::new(program)
            .arg("--version")
            .output()
            .map_err(|cause| Error::NoQemu { program: program.to_path_buf(), cause })?;
        Ok(String::from_utf8_lossy(&output.stdout).lines().next().unwrap_or_default().to_string())
    }
}

impl Qemu {
    fn kernel_args(&self) -> String {
        let khz = (self.disk_speed.is_some() && self.accel == Accel::Tcg).then(tsc::khz).flatten();
        let clock = khz.map(|khz| format!(" tsc=reliable tsc_early_khz={khz}"));
        format!("{KERNEL_ARGS}{}", clock.unwrap_or_default())
    }
}

impl Executor for Qemu {
    fn name(&self) -> &'static str {
        "qemu"
    }

    fn arch(&self) -> Arch {
        Arch::X86_64
    }

    /// Virtio devices are numbered in the order in which they are named: the channel's comes first.
    fn command(&self, boot: &MachineConfig<'_>) -> Command {
        let mut command = Command::new(&self.program);
        command.args(["-M", "microvm,acpi=off", "-accel", self.accel.name()]);
        command.arg("-smp").arg(boot.processors.to_string());
        command.args(["-nodefaults", "-no-user-config", "-display", "none", "-no-reboot"]);
        command.arg("-m").arg(boot.memory_mib.to_string());
        command
            .arg("-kernel")
            .arg(boot.image)
            .arg("-initrd")
            .arg(boot.initramfs)
            .arg("-append")
            .arg(self.kernel_args());
        command.args(["-device", "virtio-serial-device", "-device", "virtio-rng-device"]);
        if let Some(disk) = boot.disk {
            // What the guest has written survives the machine, because the host has it.
            let file = disk.display().to_string().replace(',', ",,");
            let kind = match self.disk_speed {
                Some(speed) => format!("cache=unsafe,throttling.bps-total={speed}"),
                None => "cache=writeback".to_string(),
            };
            command.arg("-drive").arg(format!("if=none,id=disk,format=raw,{kind},file={file}"));
            command.args(["-device", "virtio-blk-device,drive=disk"]);
        }
        command
    }

    fn connect(&self, command: &mut Command) {
        command.arg("-chardev").arg(format!("file,id=wire,path=/dev/fd/{CHANNEL_FD}"));
        command.args(["-device", "virtserialport,chardev=wire,name=vremount", "-serial", "stdio"]);
    }

    fn attach_terminal(&self, command: &mut Command) {
        command.args(["-chardev", "stdio,id=console,signal=off", "-serial", "chardev:console"]);
    }

    /// The first port of the first virtio device.
    fn channel_device(&self) -> &'static str {
        "/dev/vport0p1"
    }

    fn backing(&self, _disk: &Path) -> Backing {
        Backing::Device("/dev/vda".to_string())
    }

    fn shutdown(&self) -> Shutdown {
        Shutdown::Restart
    }

    fn boots_fast(&self) -> bool {
        self.accel == Accel::Kvm
    }

    fn limits(&self) -> Timeouts {
        let factor = match self.accel {
            Accel::Kvm => 1,
            Accel::Tcg => 4,
        };
        Timeouts { silence: Duration::from_secs(15 * factor), total: Duration::from_secs(60 * factor) }
    }
}

// SPDX-License-Identifier: MIT OR Apache-2.0
//! Runs machines with QEMU, as `microvm`.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use vremount_kernel::build::Arch;
use vremount_protocol::{Backing, Shutdown};

use crate::accel::Accel;
use crate::executor::{CHANNEL_FD, Error, Executor};
use crate::machine_config::MachineConfig;
use crate::timeouts::Timeouts;
use crate::tsc;

/// Kernel command line.
///
/// `no_timer_check`: with emulation on a busy host, the timer check sometimes fails, and the kernel
/// panics. `reboot=t`: a microvm has no keyboard controller and no ACPI, so only a triple fault
/// resets it. With `panic=-1` and QEMU's `-no-reboot`, a panic ends the process.
const KERNEL_ARGS: &str = "console=ttyS0 reboot=t panic=-1 oops=panic no_timer_check";

/// QEMU with an accelerator.
#[derive(Debug, Clone)]
pub struct Qemu {
    program: PathBuf,
    accel: Accel,
    /// Throughput limit of the disk, bytes per second; set for benchmarks.
    disk_speed: Option<u64>,
}

impl Qemu {
    /// Uses the QEMU binary `program` with `accel`.
    #[must_use]
    pub fn new(program: &Path, accel: Accel) -> Self {
        Qemu { program: program.to_path_buf(), accel, disk_speed: None }
    }

    /// The same executor for benchmarks, with a disk that does not depend on the host's.
    ///
    /// The throughput of the disk is limited to `bytes_per_second`, and flushes are not passed on
    /// to the host; on a real disk, a flush takes longer. With emulation, the kernel gets the
    /// frequency of the time stamp counter on its command line, because it may fail to calibrate
    /// it.
    #[must_use]
    pub fn for_benchmark(self, bytes_per_second: u64) -> Self {
        Qemu { disk_speed: Some(bytes_per_second), ..self }
    }

    /// The first line that `program --version` prints.
    ///
    /// # Errors
    /// [`Error::NoQemu`] if `program` cannot be run.
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

    /// Virtio devices are numbered in the order of the arguments: that of the event channel must
    /// come first.
    fn command(&self, config: &MachineConfig<'_>) -> Command {
        let mut command = Command::new(&self.program);
        command.args(["-M", "microvm,acpi=off", "-accel", self.accel.name()]);
        command.arg("-smp").arg(config.processors.to_string());
        command.args(["-nodefaults", "-no-user-config", "-display", "none", "-no-reboot"]);
        command.arg("-m").arg(config.memory_mib.to_string());
        command
            .arg("-kernel")
            .arg(config.kernel_image)
            .arg("-initrd")
            .arg(config.initramfs)
            .arg("-append")
            .arg(self.kernel_args());
        command.args(["-device", "virtio-serial-device", "-device", "virtio-rng-device"]);
        if let Some(disk) = config.disk {
            // Data that the guest has written survives a kill of QEMU: it is in the page cache of
            // the host.
            let file = disk.display().to_string().replace(',', ",,");
            let cache = match self.disk_speed {
                Some(speed) => format!("cache=unsafe,throttling.bps-total={speed}"),
                None => "cache=writeback".to_string(),
            };
            command.arg("-drive").arg(format!("if=none,id=disk,format=raw,{cache},file={file}"));
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

    /// The first port of the first virtio-serial device.
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

    fn timeouts(&self) -> Timeouts {
        let factor = match self.accel {
            Accel::Kvm => 1,
            Accel::Tcg => 4,
        };
        Timeouts { silence: Duration::from_secs(15 * factor), total: Duration::from_secs(60 * factor) }
    }
}

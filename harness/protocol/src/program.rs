// SPDX-License-Identifier: MIT OR Apache-2.0
//! The program of a guest, which the harness puts into the initramfs, and the paths of other files
//! there.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::op::Op;
use crate::types::Disk;

/// Path of the [`Program`] in the initramfs, as JSON.
pub const PROGRAM_PATH: &str = "/vremount/program.json";

/// Path of a script in the initramfs. [`GuestTask::Shell`] reads commands from it, if it exists,
/// instead of the console.
pub const SCRIPT_PATH: &str = "/vremount/script";

/// Path in the initramfs of the kernel that [`Shutdown::Kexec`] starts.
pub const NEXT_KERNEL_PATH: &str = "/vremount/next/kernel";
/// Path in the initramfs of the initramfs for that kernel.
pub const NEXT_INITRAMFS_PATH: &str = "/vremount/next/initramfs";

/// All input of a guest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Program {
    /// What the guest runs.
    #[serde(rename = "work")]
    pub task: GuestTask,
    /// Path in the initramfs of the overlay module, which the guest loads first.
    pub module: String,
    /// Backing of each disk that the program uses.
    pub disks: BTreeMap<Disk, Backing>,
    /// Filesystem on all disks.
    pub fs: Filesystem,
    /// Path of the device to which the guest writes events.
    pub channel: String,
    /// How the guest stops the machine.
    pub shutdown: Shutdown,
}

/// Arguments of mount(2) for an upper filesystem.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Filesystem {
    /// Filesystem type.
    pub kind: String,
    /// Options of every mount, separated by commas.
    pub options: String,
    /// Name of a btrfs subvolume to mount instead of the top-level one. The guest creates it if it
    /// does not exist.
    pub subvolume: Option<String>,
}

/// What the guest runs after the module is loaded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum GuestTask {
    /// Executes these operations in order and reports each with a [`crate::StepReport`].
    Steps(Vec<Op>),
    /// Mounts the upper filesystem of disk A, then runs a shell on the console, or on
    /// [`SCRIPT_PATH`], until it exits.
    Shell,
    /// Runs [`SCRIPT_PATH`] with this interpreter, reports its output and what it leaves behind.
    Script(String),
}

/// What stores the data of a disk. See [`crate::DeviceStack`] for the devices on top of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Backing {
    /// A disk image in guest memory, unpacked from this file of the initramfs (see
    /// [`crate::extents`]). It is lost when the machine stops.
    Extents(String),
    /// A block device of the machine, for example `/dev/vda`. It outlives the machine.
    Device(String),
    /// No device: the filesystem is in memory.
    Memory,
    /// A file of the host, which a User Mode Linux kernel accesses through hostfs. It outlives the
    /// machine, except for data that was written and not flushed.
    HostFile(String),
}

/// How the guest stops the machine. Executors differ in what they support.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Shutdown {
    /// `RB_AUTOBOOT`. QEMU with `-no-reboot` exits, with or without ACPI.
    Restart,
    /// `RB_POWER_OFF`.
    PowerOff,
    /// Starts another kernel with the same command line (`kexec_file_load(2)`, `RB_KEXEC`).
    Kexec,
    /// Spins until the host kills the machine. If the guest slept, the kernel would continue to
    /// write back, much of it under time travel of User Mode Linux.
    Spin,
}

// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a guest is told before it starts.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{Disk, Op};

/// Where the guest finds its [`Program`].
pub const PROGRAM_PATH: &str = "/vremount/program.json";

/// What a shell runs instead of what its user types, if it is there.
pub const SCRIPT_PATH: &str = "/vremount/script";

/// Where the guest finds the kernel that is to take over, and its initramfs.
pub const NEXT_KERNEL_PATH: &str = "/vremount/next/kernel";
pub const NEXT_INITRAMFS_PATH: &str = "/vremount/next/initramfs";

/// Everything a guest needs to know; it decides nothing itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Program {
    pub work: GuestTask,
    /// The overlay module to load, a path in the initramfs.
    pub module: String,
    /// What each disk of the program is made of.
    pub disks: BTreeMap<Disk, Backing>,
    /// What is on them.
    pub fs: Filesystem,
    /// Device the events are written to.
    pub channel: String,
    pub shutdown: Shutdown,
}

/// An upper filesystem, as mount(2) needs to know it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Filesystem {
    /// Its type.
    pub kind: String,
    /// Options of every mount, `,`-separated.
    pub options: String,
    /// A btrfs subvolume to mount instead of the whole; made when it is not there yet.
    pub subvolume: Option<String>,
}

/// What to do once the guest is up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum GuestTask {
    /// Work off these operations, one [`crate::StepReport`] each, then stop.
    Steps(Vec<Op>),
    /// Prepare disk A and its layers, then run a shell on the console, or on [`SCRIPT_PATH`], until it ends.
    Shell,
    /// Run [`SCRIPT_PATH`] with this program, tell all that it says, and what it leaves behind.
    Script(String),
}

/// What holds the bytes of a disk. A loop device and a device-mapper device go on top of either.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Backing {
    /// A file unpacked from the image's non-zero extents at this path of the initramfs; gone with the machine.
    Extents(String),
    /// A block device of the machine, such as `/dev/vda`; outlives it.
    Device(String),
    /// Nothing: the filesystem is in memory, and has no device.
    Memory,
    /// A file of the host that a User Mode Linux kernel reaches through hostfs; outlives it, but for what was written
    /// and not flushed.
    HostFile(String),
}

/// How this machine is switched off: not every machine listens to every verb.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Shutdown {
    /// `RB_AUTOBOOT`; ends a QEMU started with `-no-reboot`, whether or not it has ACPI.
    Restart,
    /// `RB_POWER_OFF`.
    PowerOff,
    /// Not at all: another kernel takes it over, with the same command line (`kexec_file_load(2)`, `RB_KEXEC`).
    Kexec,
    /// Not at all: it spins until it is killed. A machine that slept would go on writing back, and under time travel a lot.
    Spin,
}

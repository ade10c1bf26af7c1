// SPDX-License-Identifier: MIT OR Apache-2.0
//! The parameters of one machine.

use std::path::Path;

use vremount_kernel::build::Kernel;

use crate::timeouts::Timeouts;

/// Parameters of one machine.
pub struct MachineConfig<'a> {
    /// The kernel: a bzImage for QEMU, an executable for User Mode Linux.
    pub kernel_image: &'a Path,
    /// The initramfs, with the program of the guest.
    pub initramfs: &'a Path,
    /// A disk image of the host whose content outlives the machine. Default: none.
    pub disk: Option<&'a Path>,
    /// Memory, MiB.
    pub memory_mib: u32,
    /// Number of processors. Default: 1. More than the program can use make a machine slower. User
    /// Mode Linux always has one.
    pub processors: u8,
    /// File for the console output. It is overwritten.
    pub console_log: &'a Path,
    /// Deadlines after which the machine counts as hung and is killed.
    pub timeouts: Timeouts,
    /// Number of kernels that run in the machine, one after the other by kexec. Each sends an end
    /// record. Default: 1.
    pub kernel_count: usize,
    /// Kill the machine as soon as the guest has sent its last end record. Default: no.
    pub power_cut: bool,
}

impl<'a> MachineConfig<'a> {
    /// A machine with one processor and without a disk that runs `kernel` with the memory that this
    /// kernel needs, and shuts itself down.
    #[must_use]
    pub fn new(kernel: &'a Kernel, initramfs: &'a Path, console_log: &'a Path, limits: Timeouts) -> Self {
        MachineConfig {
            kernel_image: &kernel.image,
            initramfs,
            disk: None,
            memory_mib: kernel.memory_mib(),
            processors: 1,
            console_log,
            timeouts: limits,
            kernel_count: 1,
            power_cut: false,
        }
    }
}

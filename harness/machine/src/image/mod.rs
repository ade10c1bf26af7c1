// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a machine boots besides its kernel: guest, overlay module, upper filesystem and program, in
//! one initramfs.

mod disk_setup;
mod error;
mod fs;
mod guest_binary;
mod initramfs;
mod packed_disk;
mod shell;

pub use disk_setup::DiskSetup;
pub use error::Error;
pub use fs::{Fs, Mkfs, UnknownFs};
pub use guest_binary::build_guest;
pub use initramfs::{CpioEntry, EXTENTS_PATH, Initramfs, MODULE_PATH};
pub use packed_disk::{PackedDisk, unpack_disk};
pub use shell::{TOOLS, shell_files};

// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a machine boots besides its kernel: the guest, the overlay module, the upper filesystem and the program, in one
//! initramfs.

mod disk_setup;
mod fs;
mod guest_binary;
mod initramfs;
mod packed_disk;
mod shell;

use std::io;
use std::process::ExitStatus;

pub use disk_setup::DiskSetup;
pub use fs::{Fs, Mkfs, UnknownFs};
pub use guest_binary::build as build_guest;
pub use initramfs::{CpioEntry, EXTENTS_PATH, Initramfs, MODULE_PATH};
pub use packed_disk::{PackedDisk, unpack};
pub use shell::{TOOLS, files as shell_files};
use vremount_util::IoError;

/// Why an image could not be made.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file operation failed.
    #[error(transparent)]
    Io(#[from] IoError),
    #[error("failed to run {program}: {cause}; install the Debian package {package} (`make deps` does)")]
    Missing { program: &'static str, package: &'static str, cause: io::Error },
    #[error("failed to run cargo: {0}; install Rust 1.89 or newer (https://rustup.rs)")]
    NoCargo(io::Error),
    #[error("failed to {what} with {program} ({status}): {output}")]
    Tool { what: &'static str, program: &'static str, status: ExitStatus, output: String },
    #[error("failed to make the program of a machine: {0}")]
    Program(#[from] serde_json::Error),
}

impl Error {}

// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a machine boots besides its kernel: the guest, the overlay module, the upper filesystem and the program, in one
//! initramfs.

mod fs;
mod guest;
mod initramfs;
mod medium;
mod shell;
mod upper;

use std::io;
use std::path::PathBuf;
use std::process::ExitStatus;

pub use fs::{Fs, Mkfs, UnknownFs};
pub use guest::build as build_guest;
pub use initramfs::{EXTENTS_PATH, Entry, Initramfs, MODULE_PATH};
pub use medium::Medium;
pub use shell::{TOOLS, files as shell_files};
pub use upper::{Upper, unpack};

/// Why an image could not be made.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("failed to {what} {path}: {cause}")]
    Io { what: &'static str, path: PathBuf, cause: io::Error },
    #[error("failed to run {program}: {cause}; install the Debian package {package} (`make deps` does)")]
    Missing { program: &'static str, package: &'static str, cause: io::Error },
    #[error("failed to run cargo: {0}; install Rust 1.89 or newer (https://rustup.rs)")]
    NoCargo(io::Error),
    #[error("failed to {what} with {program} ({status}): {output}")]
    Tool { what: &'static str, program: &'static str, status: ExitStatus, output: String },
    #[error("failed to make the program of a machine: {0}")]
    Program(#[from] serde_json::Error),
}

impl Error {
    fn io(what: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Error {
        let path = path.into();
        move |cause| Error::Io { what, path, cause }
    }
}

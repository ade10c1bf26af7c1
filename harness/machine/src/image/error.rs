// SPDX-License-Identifier: MIT OR Apache-2.0
//! The error of this module.

use std::io;
use std::process::ExitStatus;

use vremount_util::IoError;

/// Reasons why an initramfs or a disk image cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file operation failed.
    #[error(transparent)]
    Io(#[from] IoError),
    /// A tool of the host cannot be run.
    #[error("failed to run {program}: {cause}; install the Debian package {package} (`make deps` does)")]
    Missing {
        /// The tool.
        program: &'static str,
        /// The Debian package that contains it.
        package: &'static str,
        /// Why it cannot be run.
        #[source]
        cause: io::Error,
    },
    /// cargo cannot be run.
    #[error("failed to run cargo: {0}; install Rust 1.89 or newer (https://rustup.rs)")]
    NoCargo(#[source] io::Error),
    /// A tool failed.
    #[error("failed to {what} with {program} ({status}): {output}")]
    Tool {
        /// What it was run for, as a verb with its object: `build the guest`.
        what: &'static str,
        /// The tool.
        program: &'static str,
        /// How it ended.
        status: ExitStatus,
        /// Its standard error.
        output: String,
    },
    /// The program of a machine has no JSON form.
    #[error("failed to encode the program of a machine: {0}")]
    Program(#[from] serde_json::Error),
}

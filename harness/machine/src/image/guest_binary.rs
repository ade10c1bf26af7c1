// SPDX-License-Identifier: MIT OR Apache-2.0
//! Builds the guest binary, PID 1 of every machine. It is linked statically because the initramfs
//! contains no libraries.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::image::error::Error;

/// Target of the build. It is named although it is the host's: without `--target`, cargo applies
/// RUSTFLAGS also to procedural macros, which cannot be linked statically.
const TARGET: &str = "x86_64-unknown-linux-gnu";

/// Builds the guest of the checkout `root` with cargo, which does nothing if it is up to date.
/// Returns the path of the binary.
///
/// # Errors
/// [`Error::NoCargo`] if cargo cannot be run, [`Error::Tool`] if the guest does not compile.
pub fn build_guest(root: &Path) -> Result<PathBuf, Error> {
    let target_dir = root.join("target/guest");
    let output = Command::new("cargo")
        .args(["build", "--quiet", "--locked", "--profile", "guest", "--package", "vremount-guest", "--target", TARGET])
        .arg("--target-dir")
        .arg(&target_dir)
        .env("RUSTFLAGS", "-Ctarget-feature=+crt-static")
        // It takes precedence over RUSTFLAGS.
        .env_remove("CARGO_ENCODED_RUSTFLAGS")
        .current_dir(root)
        .output()
        .map_err(Error::NoCargo)?;
    if !output.status.success() {
        return Err(Error::Tool {
            what: "build the guest",
            program: "cargo",
            status: output.status,
            output: String::from_utf8_lossy(&output.stderr).into_owned(),
        });
    }
    Ok(target_dir.join(TARGET).join("guest/vremount-guest"))
}

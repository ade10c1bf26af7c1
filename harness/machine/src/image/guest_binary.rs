// SPDX-License-Identifier: MIT OR Apache-2.0
//! The guest binary: PID 1 of every machine, linked statically, because there is nothing else in the machine.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::image::Error;

/// Cargo must be told the target even though it is the host's: otherwise the flags reach procedural macros too, and
/// those cannot be static.
const TARGET: &str = "x86_64-unknown-linux-gnu";

/// Builds the guest; cargo does nothing when nothing has changed.
///
/// # Errors
/// If cargo cannot be run or the guest does not compile.
pub fn build(root: &Path) -> Result<PathBuf, Error> {
    let target_dir = root.join("target/guest");
    let output = Command::new("cargo")
        .args(["build", "--quiet", "--locked", "--profile", "guest", "--package", "vremount-guest", "--target", TARGET])
        .arg("--target-dir")
        .arg(&target_dir)
        .env("RUSTFLAGS", "-Ctarget-feature=+crt-static")
        // It would be heard instead.
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

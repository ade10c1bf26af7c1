// SPDX-License-Identifier: MIT OR Apache-2.0
//! Memory leaks of kernels with `CONFIG_DEBUG_KMEMLEAK`. Documentation/dev-tools/kmemleak.rst.

use std::fs;
use std::thread::sleep;
use std::time::Duration;

use super::init_system;
use crate::error::{Failure, context};

const PATH: &str = "/sys/kernel/debug/kmemleak";
/// A scan ignores objects that are younger than 5 s (`MSECS_MIN_AGE`).
const MIN_AGE: Duration = Duration::from_secs(6);

/// Whether this kernel detects leaks.
pub fn is_enabled() -> bool {
    fs::exists(PATH).unwrap_or_default()
}

/// Scans for leaks and prints them to the console. The first line matches a pattern that the
/// harness classifies as a kernel failure.
pub fn report_leaks() -> Result<(), Failure> {
    if !is_enabled() {
        return Ok(());
    }
    sleep(MIN_AGE);
    // One scan also reports objects that moved between lists while it ran.
    for _ in 0..2 {
        init_system::write_setting(PATH, "scan")?;
    }
    let leaks = context("read", PATH, fs::read_to_string(PATH))?;
    if !leaks.is_empty() {
        eprintln!("BUG: memory leak\n{leaks}");
    }
    Ok(())
}

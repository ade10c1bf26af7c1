// SPDX-License-Identifier: MIT OR Apache-2.0
//! Memory of the kernel that nobody points to any more, on kernels that keep count (CONFIG_DEBUG_KMEMLEAK).

use std::fs;
use std::thread::sleep;
use std::time::Duration;

use crate::error::{Failure, context};
use crate::init_system;

const PATH: &str = "/sys/kernel/debug/kmemleak";
/// What is younger than five seconds is not looked at.
const AGE: Duration = Duration::from_secs(6);

/// Whether this kernel keeps count.
pub fn are_counted() -> bool {
    fs::exists(PATH).unwrap_or_default()
}

/// Tells the console of every leak, in words by which the harness knows that the kernel is not well.
pub fn tell() -> Result<(), Failure> {
    if !are_counted() {
        return Ok(());
    }
    sleep(AGE);
    // The first scan also takes for a leak what was on its way from one list to another.
    for _ in 0..2 {
        init_system::set(PATH, "scan")?;
    }
    let leaks = context("read", PATH, fs::read_to_string(PATH))?;
    if !leaks.is_empty() {
        eprintln!("BUG: memory leak\n{leaks}");
    }
    Ok(())
}

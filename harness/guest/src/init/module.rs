// SPDX-License-Identifier: MIT OR Apache-2.0
//! Loads and unloads the overlay module.

use std::fs::{self, File};

use nix::kmod::{DeleteModuleFlags, ModuleInitFlags, delete_module, finit_module};
use sha2::{Digest, Sha256};

use super::init_system::hex;
use crate::error::{Failure, context};

/// Loads the module from a file. Returns the SHA-256 of the file, hexadecimal.
pub fn load(path: &str) -> Result<String, Failure> {
    let content = context("read", path, fs::read(path))?;
    let file = context("open", path, File::open(path))?;
    context("load module", path, finit_module(file, c"", ModuleInitFlags::empty()))?;
    Ok(hex(&Sha256::digest(&content)))
}

/// Unloads overlay and loads the module from a file. Fails while an overlay is mounted.
pub fn reload(path: &str) -> Result<(), Failure> {
    context("unload module", "overlay", delete_module(c"overlay", DeleteModuleFlags::O_NONBLOCK))?;
    load(path).map(drop)
}

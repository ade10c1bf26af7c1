// SPDX-License-Identifier: MIT OR Apache-2.0
//! Fixtures for the tests of this crate and of crates that use it.

use std::path::{Path, PathBuf};

use crate::base::Level;
use crate::build::{Kernel, Module};

/// A kernel whose paths are empty.
#[must_use]
pub fn kernel() -> Kernel {
    let no_path = PathBuf::new;
    Kernel {
        base: "toy".to_string(),
        series: "s".to_string(),
        level: Level::FULL,
        fragment: None,
        image: no_path(),
        vmlinux: no_path(),
        config: no_path(),
        build_id: "k".to_string(),
        module: Module { path: no_path(), sha256: "m".to_string(), notes: no_path() },
    }
}

/// The root of this checkout.
#[must_use]
pub fn checkout() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

// SPDX-License-Identifier: MIT OR Apache-2.0
//! Fixtures for tests of this crate and of those that use it.

use std::path::{Path, PathBuf};

use crate::base::Level;
use crate::build::{Kernel, Module};

/// A kernel without files.
#[must_use]
pub fn kernel() -> Kernel {
    let nowhere = PathBuf::new;
    Kernel {
        base: "toy".to_string(),
        series: "s".to_string(),
        level: Level::FULL,
        fragment: None,
        image: nowhere(),
        vmlinux: nowhere(),
        config: nowhere(),
        build_id: "k".to_string(),
        module: Module { path: nowhere(), sha256: "m".to_string(), notes: nowhere() },
    }
}

/// The root of this checkout.
#[must_use]
pub fn checkout() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

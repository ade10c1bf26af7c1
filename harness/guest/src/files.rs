// SPDX-License-Identifier: MIT OR Apache-2.0
//! Files of an overlay: what is known of them, and what overlayfs keeps about them in the upperdir.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

use vremount_protocol::Outcome;

use crate::error::{Failure, context};

const MODE_BITS: u32 = 0o7777;

pub fn set_mode(path: &Path, mode: u32) -> Result<(), Failure> {
    context("change the mode of", path, fs::set_permissions(path, fs::Permissions::from_mode(mode)))
}

pub fn has_mode(path: &Path, mode: u32) -> Result<Outcome, Failure> {
    let seen = context("look at", path, fs::symlink_metadata(path))?.mode() & MODE_BITS;
    Ok(if seen == mode {
        Outcome::Done
    } else {
        Outcome::Differs { what: format!("{} has mode {seen:o}, not {mode:o}", path.display()) }
    })
}

pub fn rename(from: &Path, to: &Path) -> Result<(), Failure> {
    context("rename", from, fs::rename(from, to))
}

pub fn inode(path: &Path) -> Result<u64, Failure> {
    Ok(context("look at", path, fs::symlink_metadata(path))?.ino())
}

pub fn has_overlay_xattr(path: &Path, name: &str) -> Result<(), Failure> {
    let name = format!("trusted.overlay.{name}");
    let value = context(&format!("read {name} of"), path, xattr::get(path, &name))?;
    let none = || Failure { errno: libc::ENODATA, what: format!("failed to find {name} of {}", path.display()) };
    value.map(drop).ok_or_else(none)
}

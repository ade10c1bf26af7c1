// SPDX-License-Identifier: MIT OR Apache-2.0
//! Attributes and xattrs of files.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

use vremount_protocol::Outcome;

use crate::error::{Failure, context};

const PERMISSION_BITS: u32 = 0o7777;

/// chmod(2).
pub fn set_mode(path: &Path, mode: u32) -> Result<(), Failure> {
    context("change the mode of", path, fs::set_permissions(path, fs::Permissions::from_mode(mode)))
}

/// Compares the permission bits of a file.
pub fn compare_mode(path: &Path, mode: u32) -> Result<Outcome, Failure> {
    let found = context("stat", path, fs::symlink_metadata(path))?.mode() & PERMISSION_BITS;
    Ok(if found == mode {
        Outcome::Done
    } else {
        Outcome::Differs { difference: format!("{} has mode {found:o} instead of {mode:o}", path.display()) }
    })
}

/// rename(2).
pub fn rename(from: &Path, to: &Path) -> Result<(), Failure> {
    context("rename", from, fs::rename(from, to))
}

/// Inode number of a file.
pub fn inode_number(path: &Path) -> Result<u64, Failure> {
    Ok(context("stat", path, fs::symlink_metadata(path))?.ino())
}

/// Fails with `ENODATA` if the file does not have the xattr `trusted.overlay.<name>`.
pub fn check_overlay_xattr(path: &Path, name: &str) -> Result<(), Failure> {
    let name = format!("trusted.overlay.{name}");
    let value = context(&format!("read {name} of"), path, xattr::get(path, &name))?;
    let missing = || Failure::from_errno(libc::ENODATA, format!("failed to find {name} of {}", path.display()));
    value.map(drop).ok_or_else(missing)
}

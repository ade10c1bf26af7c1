// SPDX-License-Identifier: MIT OR Apache-2.0
//! The marker that a volatile mount leaves in its work directory, and the checkpoint in an xattr of
//! it.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use nix::sys::stat::{Mode, SFlag, mknod};
use vremount_protocol::{CHECKPOINT_XATTR, CheckpointTamper, MarkerReplacement, XattrLocation};

use super::paths;
use crate::error::{Failure, context};

/// Path of the marker in `workdir`.
pub fn path(workdir: &Path) -> PathBuf {
    workdir.join("work/incompat/volatile")
}

/// Removes the marker.
pub fn remove(workdir: &Path) -> Result<(), Failure> {
    let marker = path(workdir);
    context("remove", &marker, fs::remove_dir_all(&marker))
}

/// Tampers with the checkpoint.
pub fn apply_tamper(workdir: &Path, tamper: CheckpointTamper) -> Result<(), Failure> {
    let marker = path(workdir);
    let stored = read_checkpoint(&marker)?;
    if let Some(forged) = tamper.forge(stored.as_deref().unwrap_or_default()) {
        return write_checkpoint(&marker, &forged);
    }
    match (tamper, stored) {
        (CheckpointTamper::CopyFrom(disk, layers), _) => {
            let other = path(&paths::workdir_of_layers(disk, layers));
            write_checkpoint(&marker, &read_checkpoint(&other)?.unwrap_or_default())
        }
        (CheckpointTamper::MoveTo(location), Some(stored)) => {
            let destination = match location {
                XattrLocation::Dirty => marker.join("dirty"),
                XattrLocation::Incompat => workdir.join("work/incompat"),
            };
            remove_checkpoint(&marker)?;
            write_checkpoint(&destination, &stored)
        }
        (CheckpointTamper::Remove, Some(_)) => remove_checkpoint(&marker),
        _ => Ok(()),
    }
}

/// Reads the xattr. None if it does not exist or the filesystem does not support xattrs.
fn read_checkpoint(marker: &Path) -> Result<Option<Vec<u8>>, Failure> {
    match xattr::get(marker, CHECKPOINT_XATTR) {
        Err(error) if error.raw_os_error() == Some(libc::EOPNOTSUPP) => Ok(None),
        value => context("read the checkpoint of", marker, value),
    }
}

fn remove_checkpoint(marker: &Path) -> Result<(), Failure> {
    context("remove the checkpoint of", marker, xattr::remove(marker, CHECKPOINT_XATTR))
}

/// Stores a value in the checkpoint xattr of an inode.
pub fn write_checkpoint(inode: &Path, value: &[u8]) -> Result<(), Failure> {
    context("write the checkpoint of", inode, xattr::set(inode, CHECKPOINT_XATTR, value))
}

/// Reads the stored checkpoint. Fails with `ENODATA` if there is none.
pub fn stored_checkpoint(workdir: &Path) -> Result<Vec<u8>, Failure> {
    let marker = path(workdir);
    let missing =
        || Failure::from_errno(libc::ENODATA, format!("failed to find the checkpoint of {}", marker.display()));
    read_checkpoint(&marker)?.ok_or_else(missing)
}

/// Replaces the marker by another object, which receives the checkpoint if there is one.
pub fn replace(workdir: &Path, replacement: MarkerReplacement) -> Result<(), Failure> {
    let (marker, aside) = (path(workdir), workdir.join("aside"));
    let checkpoint = read_checkpoint(&marker)?;
    context("rename", &marker, fs::rename(&marker, &aside))?;
    match replacement {
        MarkerReplacement::IncompatFile => {
            let incompat = workdir.join("work/incompat");
            context("remove", &incompat, fs::remove_dir_all(&incompat))?;
            context("create", &incompat, fs::write(&incompat, ""))?;
            return context("remove", &aside, fs::remove_dir_all(&aside));
        }
        MarkerReplacement::UpperCase => {
            let name = marker.with_file_name("VOLATILE");
            return context("rename the marker to", &name, fs::rename(&aside, &name));
        }
        MarkerReplacement::File => {
            context("create", &marker, fs::write(&marker, ""))?;
            context("make executable", &marker, fs::set_permissions(&marker, fs::Permissions::from_mode(0o755)))?;
        }
        MarkerReplacement::Symlink => context("create the symbolic link", &marker, symlink(&aside, &marker))?,
        MarkerReplacement::Fifo => context("create", &marker, mknod(&marker, SFlag::S_IFIFO, Mode::S_IRWXU, 0))?,
        MarkerReplacement::Device => context("create", &marker, mknod(&marker, SFlag::S_IFCHR, Mode::S_IRWXU, 0))?,
    }
    checkpoint.map_or(Ok(()), |value| write_checkpoint(&marker, &value))
}

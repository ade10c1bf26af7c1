// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a volatile mount leaves in its work directory: the marker, and the checkpoint in an xattr of it.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use nix::sys::stat::{Mode, SFlag, mknod};
use vremount_protocol::{CheckpointTamper, Field, MarkerReplacement, Prng, XattrLocation};

use crate::error::{Failure, context};
use crate::mounts;

const CHECKPOINT: &str = "trusted.overlay.volatile";
/// Boot id, instance id, errseq.
const CHECKPOINT_BYTES: usize = 16 + 8 + 4;

/// The marker in `workdir`.
pub fn path(workdir: &Path) -> PathBuf {
    workdir.join("work/incompat/volatile")
}

pub fn remove(workdir: &Path) -> Result<(), Failure> {
    let marker = path(workdir);
    context("remove", &marker, fs::remove_dir_all(&marker))
}

pub fn forge(workdir: &Path, forgery: CheckpointTamper) -> Result<(), Failure> {
    let marker = path(workdir);
    let there = read(&marker)?;
    let forged = match forgery {
        CheckpointTamper::Remove => {
            return match there {
                Some(_) => context("remove the checkpoint of", &marker, xattr::remove(&marker, CHECKPOINT)),
                None => Ok(()),
            };
        }
        CheckpointTamper::Length(length) => {
            let mut bytes = there.unwrap_or_default();
            bytes.resize(length, 0);
            bytes
        }
        CheckpointTamper::Random { seed } => {
            let mut bytes = vec![0; CHECKPOINT_BYTES];
            Prng::of(seed).fill(&mut bytes);
            bytes
        }
        CheckpointTamper::All(byte) => vec![byte; CHECKPOINT_BYTES],
        CheckpointTamper::Next(field) => next(there.unwrap_or_default(), field),
        CheckpointTamper::Of(disk, layers) => read(&path(&mounts::workdir_of(disk, layers)))?.unwrap_or_default(),
        CheckpointTamper::MoveTo(elsewhere) => {
            let to = match elsewhere {
                XattrLocation::Dirty => marker.join("dirty"),
                XattrLocation::Incompat => workdir.join("work/incompat"),
            };
            let Some(there) = there else { return Ok(()) };
            context("remove the checkpoint of", &marker, xattr::remove(&marker, CHECKPOINT))?;
            return set(&to, &there);
        }
    };
    set(&marker, &forged)
}

/// None where the filesystem has no xattrs either.
fn read(marker: &Path) -> Result<Option<Vec<u8>>, Failure> {
    match xattr::get(marker, CHECKPOINT) {
        Err(error) if error.raw_os_error() == Some(libc::EOPNOTSUPP) => Ok(None),
        read => context("read the checkpoint of", marker, read),
    }
}

/// The checkpoint as it is.
pub fn checkpoint(workdir: &Path) -> Result<Vec<u8>, Failure> {
    let marker = path(workdir);
    let none =
        || Failure { errno: libc::ENODATA, what: format!("failed to find a checkpoint of {}", marker.display()) };
    read(&marker)?.ok_or_else(none)
}

pub fn set(marker: &Path, bytes: &[u8]) -> Result<(), Failure> {
    context("write the checkpoint of", marker, xattr::set(marker, CHECKPOINT, bytes))
}

/// Counts one of the fields up, the least byte first as all our machines do; a field that is not there stays away.
pub fn next(mut bytes: Vec<u8>, field: Field) -> Vec<u8> {
    let place = match field {
        Field::BootId => 0..16,
        Field::InstanceId => 16..24,
        Field::Errseq => 24..28,
    };
    if let Some(field) = bytes.get_mut(place) {
        for byte in field {
            *byte = byte.wrapping_add(1);
            if *byte != 0 {
                break;
            }
        }
    }
    bytes
}

/// Puts something else in the marker's place, with its checkpoint if it has one.
pub fn replace(workdir: &Path, with: MarkerReplacement) -> Result<(), Failure> {
    let (marker, aside) = (path(workdir), workdir.join("aside"));
    let checkpoint = read(&marker)?;
    context("rename", &marker, fs::rename(&marker, &aside))?;
    match with {
        MarkerReplacement::IncompatFile => {
            let incompat = workdir.join("work/incompat");
            context("remove", &incompat, fs::remove_dir_all(&incompat))?;
            context("create", &incompat, fs::write(&incompat, ""))?;
            return context("remove", &aside, fs::remove_dir_all(&aside));
        }
        MarkerReplacement::UpperCase => {
            let name = marker.with_file_name("VOLATILE");
            return context("rename to", &name, fs::rename(&aside, &name));
        }
        MarkerReplacement::File => {
            context("create", &marker, fs::write(&marker, ""))?;
            context("make executable", &marker, fs::set_permissions(&marker, fs::Permissions::from_mode(0o755)))?;
        }
        MarkerReplacement::Symlink => context("link", &marker, symlink(&aside, &marker))?,
        MarkerReplacement::Fifo => context("create", &marker, mknod(&marker, SFlag::S_IFIFO, Mode::S_IRWXU, 0))?,
        MarkerReplacement::Device => context("create", &marker, mknod(&marker, SFlag::S_IFCHR, Mode::S_IRWXU, 0))?,
    }
    checkpoint.map_or(Ok(()), |bytes| set(&marker, &bytes))
}

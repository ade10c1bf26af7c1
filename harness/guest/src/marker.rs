// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a volatile mount leaves in its work directory: the marker, and the checkpoint in an xattr of it.

use std::fs;
use std::path::{Path, PathBuf};

use vremount_wire::Forgery;

use crate::data::Bytes;
use crate::error::{Failure, context};

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

pub fn forge(workdir: &Path, forgery: Forgery) -> Result<(), Failure> {
    let marker = path(workdir);
    let there = context("read the checkpoint of", &marker, xattr::get(&marker, CHECKPOINT))?;
    let forged = match forgery {
        Forgery::Remove => {
            return match there {
                Some(_) => context("remove the checkpoint of", &marker, xattr::remove(&marker, CHECKPOINT)),
                None => Ok(()),
            };
        }
        Forgery::Length(length) => {
            let mut bytes = there.unwrap_or_default();
            bytes.resize(length, 0);
            bytes
        }
        Forgery::Random { seed } => {
            let mut bytes = vec![0; CHECKPOINT_BYTES];
            Bytes::of(seed).fill(&mut bytes);
            bytes
        }
    };
    context("write the checkpoint of", &marker, xattr::set(&marker, CHECKPOINT, &forged))
}

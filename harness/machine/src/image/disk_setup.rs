// SPDX-License-Identifier: MIT OR Apache-2.0
//! An upper filesystem as machines get it: its image, if it is on a disk, and the initramfs that carries it.

use std::path::Path;

use vremount_protocol::Backing;

use crate::image::initramfs::CpioEntry;
use crate::image::{EXTENTS_PATH, Error, Fs, Initramfs, PackedDisk};

pub struct DiskSetup {
    pub fs: Fs,
    /// None if it is not on a disk.
    pub upper: Option<PackedDisk>,
    pub initramfs: Initramfs,
}

impl DiskSetup {
    /// # Errors
    /// If the image cannot be made, or guest or module cannot be read.
    pub fn obtain(fs: Fs, cache: &Path, guest: &Path, module: &Path, more: Vec<CpioEntry>) -> Result<Self, Error> {
        let upper = PackedDisk::obtain(fs, cache)?;
        let initramfs = Initramfs::new(guest, module, upper.as_ref(), more)?;
        Ok(DiskSetup { fs, upper, initramfs })
    }

    /// What holds the bytes of a disk that is gone with its machine.
    #[must_use]
    pub fn backing(&self) -> Backing {
        self.upper.as_ref().map_or(Backing::Memory, |_| Backing::Extents(EXTENTS_PATH.to_string()))
    }
}

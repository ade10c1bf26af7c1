// SPDX-License-Identifier: MIT OR Apache-2.0
//! The disk and the initramfs of machines that test one upper filesystem.

use std::path::Path;

use vremount_protocol::Backing;

use crate::image::error::Error;
use crate::image::fs::Fs;
use crate::image::initramfs::{CpioEntry, EXTENTS_PATH, Initramfs};
use crate::image::packed_disk::PackedDisk;

/// An upper filesystem, its disk image, and the initramfs that contains the image.
pub struct DiskSetup {
    /// The filesystem.
    pub fs: Fs,
    /// The disk image; none for a filesystem in memory.
    pub packed_disk: Option<PackedDisk>,
    /// The initramfs, without a program.
    pub initramfs: Initramfs,
}

impl DiskSetup {
    /// Obtains the disk image from `cache`, or makes it, and builds the initramfs from it, the
    /// guest binary `guest`, the overlay module `module`, and the files `more`.
    ///
    /// # Errors
    /// Any [`Error`] of [`PackedDisk::obtain`] and [`Initramfs::new`].
    pub fn obtain(fs: Fs, cache: &Path, guest: &Path, module: &Path, more: Vec<CpioEntry>) -> Result<Self, Error> {
        let packed_disk = PackedDisk::obtain(fs, cache)?;
        let initramfs = Initramfs::new(guest, module, packed_disk.as_ref(), more)?;
        Ok(DiskSetup { fs, packed_disk, initramfs })
    }

    /// How the guest accesses a disk whose content is lost with the machine.
    #[must_use]
    pub fn backing(&self) -> Backing {
        self.packed_disk.as_ref().map_or(Backing::Memory, |_| Backing::Extents(EXTENTS_PATH.to_string()))
    }
}

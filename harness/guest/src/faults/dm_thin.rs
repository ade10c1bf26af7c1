// SPDX-License-Identifier: MIT OR Apache-2.0
//! Thin volumes with a read-only external origin. Writes allocate from a pool of fixed size.
//! Documentation/admin-guide/device-mapper/thin-provisioning.rst.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use super::dm;
use super::dm_table::{SECTOR, Target};
use super::loop_device::Loop;
use crate::error::{Failure, context};

/// Allocation unit of the pool in sectors: 64 KiB.
const BLOCK: u64 = 128;
/// Metadata device of the pool in sectors: 2 MiB.
const METADATA: u64 = 4096;
/// Data device of the pool in sectors: 24 MiB.
const DATA: u64 = 49152;
/// Id in the pool of the volume with the upper filesystem.
const VOLUME: u32 = 0;
/// Id in the pool of the volume that exhausts it.
const OTHER_VOLUME: u32 = 1;

/// A thin volume and its pool.
pub struct Thin {
    name: String,
    pool: PathBuf,
    /// Path of the device node of the volume.
    pub volume: PathBuf,
    /// Loop devices of the metadata and data of the pool.
    pool_devices: [Loop; 2],
}

impl Thin {
    /// Creates a pool in files next to `image`, and a volume in it. Blocks that were not written
    /// are read from `origin` (`major:minor`).
    pub fn create(name: &str, origin: &str, sectors: u64, image: &Path) -> Result<Self, Failure> {
        let [metadata, data] = [("meta", METADATA), ("data", DATA)].map(|(part, size)| {
            let file = image.with_file_name(part);
            let created = File::create(&file).and_then(|file| file.set_len(size * SECTOR));
            context("create", &file, created)?;
            Loop::attach(&file)
        });
        let (metadata, data) = (metadata?, data?);
        let pool_name = format!("{name}-pool");
        // Metadata of zeros is formatted as empty. With `error_if_no_space` writes to a full pool
        // fail immediately.
        let params = format!("{} {} {BLOCK} 0 1 error_if_no_space", metadata.path.display(), data.path.display());
        let pool = dm::create(&pool_name, &[Target { start: 0, length: DATA, kind: "thin-pool", params }])?;
        dm::send_message(&pool_name, &format!("create_thin {VOLUME}"))?;
        let params = format!("{} {VOLUME} {origin}", pool.display());
        let target = Target { start: 0, length: sectors, kind: "thin", params };
        let volume = dm::create(&format!("{name}-thin"), &[target])?;
        Ok(Thin { name: name.to_string(), pool, volume, pool_devices: [metadata, data] })
    }

    /// Creates another volume and writes to it until the pool is full.
    pub fn exhaust_pool(&self) -> Result<(), Failure> {
        let other = format!("{}-neighbour", self.name);
        dm::send_message(&format!("{}-pool", self.name), &format!("create_thin {OTHER_VOLUME}"))?;
        let params = format!("{} {OTHER_VOLUME}", self.pool.display());
        let device = dm::create(&other, &[Target { start: 0, length: 2 * DATA, kind: "thin", params }])?;
        let filled = write_until_full(&device);
        dm::remove(&other)?;
        filled
    }

    /// Removes the volume and the pool.
    pub fn remove(self) -> Result<(), Failure> {
        for part in ["thin", "pool"] {
            dm::remove(&format!("{}-{part}", self.name))?;
        }
        self.pool_devices.into_iter().try_for_each(Loop::detach)
    }
}

fn write_until_full(device: &Path) -> Result<(), Failure> {
    let opened = OpenOptions::new().write(true).custom_flags(libc::O_SYNC).open(device);
    let mut file = context("open", device, opened)?;
    let block = vec![1; usize::try_from(SECTOR * BLOCK).map_err(Failure::new)?];
    loop {
        match file.write_all(&block) {
            Ok(()) => {}
            Err(error) if matches!(error.raw_os_error(), Some(libc::ENOSPC | libc::EIO)) => return Ok(()),
            Err(error) => return context("fill", device, Err(error)),
        }
    }
}

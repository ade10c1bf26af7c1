// SPDX-License-Identifier: MIT OR Apache-2.0
//! A thin volume over a device that is only read: what is written goes to a pool of fixed size, which others use too.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use crate::dm;
use crate::error::{Failure, context};
use crate::fault::Line;
use crate::loop_device::Loop;

/// The pool hands out space in pieces of so many sectors: 64 KiB.
const PIECE: u64 = 128;
/// Metadata and data of the pool, sectors: 2 MiB and 24 MiB.
const META: u64 = 4096;
const POOL: u64 = 49152;
/// Thin volumes of the pool.
const OURS: u32 = 0;
const NEIGHBOURS: u32 = 1;

pub struct Thin {
    name: String,
    pool: PathBuf,
    /// The thin volume.
    pub volume: PathBuf,
    /// What holds metadata and data of the pool.
    parts: [Loop; 2],
}

impl Thin {
    /// A pool in files beside the image, and a volume of it that reads from `origin` what nobody has written.
    pub fn over(name: &str, origin: &str, sectors: u64, image: &Path) -> Result<Self, Failure> {
        let part = |part: &str| format!("{name}-{part}");
        let [meta, data] = [("meta", META), ("data", POOL)].map(|(part, size)| {
            let file = image.with_file_name(part);
            let created = File::create(&file).and_then(|file| file.set_len(size * 512));
            context("create", &file, created)?;
            Loop::over(&file)
        });
        let parts = [meta?, data?];
        let pool = Line {
            start: 0,
            length: POOL,
            target: "thin-pool",
            // A new pool must be told that its metadata is empty, which it sees by the zeros; one that is full says so at once.
            params: format!("{} {} {PIECE} 0 1 error_if_no_space", parts[0].path.display(), parts[1].path.display()),
        };
        let pool = dm::create(&part("pool"), &[pool])?;
        dm::message(&part("pool"), &format!("create_thin {OURS}"))?;
        let volume =
            Line { start: 0, length: sectors, target: "thin", params: format!("{} {OURS} {origin}", pool.display()) };
        let volume = dm::create(&part("thin"), &[volume])?;
        Ok(Thin { name: name.to_string(), pool, volume, parts })
    }

    /// A neighbour takes all that the pool has left.
    pub fn use_up(&self) -> Result<(), Failure> {
        let neighbour = format!("{}-neighbour", self.name);
        dm::message(&format!("{}-pool", self.name), &format!("create_thin {NEIGHBOURS}"))?;
        let volume = Line {
            start: 0,
            length: 2 * POOL,
            target: "thin",
            params: format!("{} {NEIGHBOURS}", self.pool.display()),
        };
        let device = dm::create(&neighbour, &[volume])?;
        let filled = fill(&device);
        dm::remove(&neighbour)?;
        filled
    }

    pub fn remove(self) -> Result<(), Failure> {
        for part in ["thin", "pool"] {
            dm::remove(&format!("{}-{part}", self.name))?;
        }
        self.parts.into_iter().try_for_each(Loop::detach)
    }
}

/// Writes until nothing more fits.
fn fill(device: &Path) -> Result<(), Failure> {
    let opened = OpenOptions::new().write(true).custom_flags(libc::O_SYNC).open(device);
    let mut file = context("open", device, opened)?;
    let piece = vec![1; 512 * usize::try_from(PIECE).map_err(Failure::new)?];
    loop {
        match file.write_all(&piece) {
            Ok(()) => {}
            Err(error) if matches!(error.raw_os_error(), Some(libc::ENOSPC | libc::EIO)) => return Ok(()),
            Err(error) => return context("fill", device, Err(error)),
        }
    }
}

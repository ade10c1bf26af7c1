// SPDX-License-Identifier: MIT OR Apache-2.0
//! The devices of a disk: a loop device over its backing, a device-mapper device over that.

use std::fs::{self, File};
use std::io::BufReader;
use std::path::{Path, PathBuf};

use devicemapper::{DM, DevId, DmFlags, DmName, DmOptions};
use loopdev::{LoopControl, LoopDevice};
use vremount_wire::{Backing, Disk as Id, Fault, Io, extents};

use crate::error::{Failure, context};
use crate::fault::{self, Line};
use crate::ioctl;
use crate::mounts;

const IMAGES: &str = "/images";

pub struct Disk {
    name: String,
    /// What the loop device is over.
    backing: PathBuf,
    /// The loop device as device-mapper names it, `major:minor`.
    below: String,
    looped: LoopDevice,
    loop_name: String,
    /// The device-mapper device.
    pub device: PathBuf,
    sectors: u64,
    counted_from: Io,
}

impl Disk {
    pub fn attach(id: Id, backing: &Backing) -> Result<Self, Failure> {
        let backing = match backing {
            Backing::Extents(packed) => unpack(id, packed)?,
            Backing::Device(device) => PathBuf::from(device),
            Backing::HostFile(file) => mounts::host_file(Path::new(file))?,
            Backing::Memory => return Err(Failure::new(format!("disk {id} is in memory and has no device"))),
        };
        let looped = attach_loop(&backing)?;
        let path = looped.path().ok_or_else(|| Failure::new("failed to find the path of a loop device"))?;
        let loop_name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let below = format!(
            "{}:{}",
            context("ask for the number of", &path, looped.major())?,
            context("ask for the number of", &path, looped.minor())?
        );
        let size = format!("/sys/block/{loop_name}/size");
        let sectors = context("read", &size, fs::read_to_string(&size))?.trim().parse().map_err(Failure::new)?;
        let name = id.to_string();
        let device = map(&name, &fault::healthy(sectors, &below))?;
        let mut disk = Disk {
            name,
            backing,
            below,
            looped,
            loop_name,
            device,
            sectors,
            counted_from: Io { writes: 0, flushes: 0 },
        };
        disk.count()?;
        Ok(disk)
    }

    /// Breaks the disk; `upper` is where the files of a data fault are.
    pub fn break_with(&self, fault: &Fault, upper: &Path) -> Result<(), Failure> {
        let table = match fault {
            Fault::Everything => fault::everything(self.sectors),
            Fault::Flush => fault::flush(self.sectors, &self.below),
            Fault::Data { file } => {
                let path = upper.join(file);
                let file = context("open", &path, File::open(&path))?;
                let extents = context("ask for the blocks of", &path, ioctl::fiemap(&file))?;
                fault::data(self.sectors, &self.below, &extents)
                    .map_err(|why| Failure::new(format!("failed to break {}: {why}", path.display())))?
            }
        };
        self.reload(&table)
    }

    pub fn heal(&self) -> Result<(), Failure> {
        self.reload(&fault::healthy(self.sectors, &self.below))
    }

    /// Replaces the table under a mounted filesystem. Neither is the filesystem frozen, which would sync it, nor is
    /// I/O waited for that a broken disk may never finish.
    fn reload(&self, table: &[Line]) -> Result<(), Failure> {
        let dm = control()?;
        let name = dm_name(&self.name)?;
        let id = DevId::Name(name);
        load(&dm, &id, table)?;
        let quick = DmFlags::DM_SUSPEND | DmFlags::DM_NOFLUSH | DmFlags::DM_SKIP_LOCKFS;
        let suspended = dm.device_suspend(&id, DmOptions::default().set_flags(quick));
        suspended.map_err(|error| Failure::new(format!("failed to suspend {}: {error}", self.name)))?;
        resume(&dm, &id)
    }

    /// Takes the devices down, and removes an image that was unpacked for them.
    pub fn detach(self) -> Result<(), Failure> {
        let removed = control()?.device_remove(&DevId::Name(dm_name(&self.name)?), DmOptions::default());
        removed.map_err(|error| Failure::new(format!("failed to remove device {}: {error}", self.name)))?;
        context("detach", &self.loop_name, self.looped.detach())?;
        if self.backing.starts_with(IMAGES) {
            context("remove", &self.backing, fs::remove_file(&self.backing))?;
        }
        Ok(())
    }

    /// Writes to the disk are in the page cache of what the loop device is over until somebody syncs that.
    pub fn settle(&self) -> Result<(), Failure> {
        let file = context("open", &self.backing, File::open(&self.backing))?;
        context("sync", &self.backing, file.sync_all())
    }

    pub fn count(&mut self) -> Result<(), Failure> {
        self.counted_from = self.asked()?;
        Ok(())
    }

    pub fn counted(&self) -> Result<Io, Failure> {
        let now = self.asked()?;
        Ok(Io { writes: now.writes - self.counted_from.writes, flushes: now.flushes - self.counted_from.flushes })
    }

    /// Counted at the loop device, where a flush is a request of its own.
    fn asked(&self) -> Result<Io, Failure> {
        let path = format!("/sys/block/{}/stat", self.loop_name);
        let stat = context("read", &path, fs::read_to_string(&path))?;
        io_of(&stat).ok_or_else(|| Failure::new(format!("failed to understand {path}: {stat:?}")))
    }
}

/// Documentation/block/stat.rst: the fifth number counts writes, the sixteenth flushes.
fn io_of(stat: &str) -> Option<Io> {
    let number = |at| stat.split_whitespace().nth(at)?.parse().ok();
    Some(Io { writes: number(4)?, flushes: number(15)? })
}

fn unpack(id: Id, packed: &str) -> Result<PathBuf, Failure> {
    context("create", IMAGES, fs::create_dir_all(IMAGES))?;
    let image = Path::new(IMAGES).join(format!("{id}.img"));
    let mut from = BufReader::new(context("open", packed, File::open(packed))?);
    let mut to = context("create", &image, File::create(&image))?;
    context("unpack", &image, extents::unpack(&mut from, &mut to))?;
    Ok(image)
}

/// Another may take the free device between the question and the answer's use: ask again.
fn attach_loop(backing: &Path) -> Result<LoopDevice, Failure> {
    let control = context("open", "/dev/loop-control", LoopControl::open())?;
    loop {
        let device = context("find a loop device for", backing, control.next_free())?;
        match device.with().attach(backing) {
            Err(error) if error.raw_os_error() == Some(libc::EBUSY) => {}
            attached => return context("attach a loop device to", backing, attached).map(|()| device),
        }
    }
}

fn control() -> Result<DM, Failure> {
    DM::new().map_err(|error| Failure::new(format!("failed to open device-mapper: {error}")))
}

fn dm_name(name: &str) -> Result<&DmName, Failure> {
    DmName::new(name).map_err(Failure::new)
}

fn load(dm: &DM, id: &DevId<'_>, table: &[Line]) -> Result<(), Failure> {
    let lines: Vec<_> =
        table.iter().map(|line| (line.start, line.length, line.target.to_string(), line.params.clone())).collect();
    dm.table_load(id, &lines, DmOptions::default())
        .map(drop)
        .map_err(|error| Failure::new(format!("failed to load the table {table:?}: {error}")))
}

fn resume(dm: &DM, id: &DevId<'_>) -> Result<(), Failure> {
    dm.device_suspend(id, DmOptions::default())
        .map(drop)
        .map_err(|error| Failure::new(format!("failed to resume a device: {error}")))
}

/// A new device-mapper device; there is no udev, so its node is the kernel's own.
fn map(name: &str, table: &[Line]) -> Result<PathBuf, Failure> {
    let dm = control()?;
    let dm_name = dm_name(name)?;
    let created = dm.device_create(dm_name, None, DmOptions::default());
    let info = created.map_err(|error| Failure::new(format!("failed to create device {name}: {error}")))?;
    let id = DevId::Name(dm_name);
    load(&dm, &id, table)?;
    resume(&dm, &id)?;
    Ok(PathBuf::from(format!("/dev/dm-{}", info.device().minor)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_writes_and_flushes() {
        let stat = "  11 0 88 1  22 3 176 4  0 5 6  0 0 0 0  33 7\n";
        assert_eq!(io_of(stat), Some(Io { writes: 22, flushes: 33 }));
        assert_eq!(io_of("1 2 3"), None);
    }
}

// SPDX-License-Identifier: MIT OR Apache-2.0
//! The devices of a disk: a loop device over its backing, a device-mapper device over that, perhaps a thin volume between.

use std::fs::{self, File};
use std::io::{BufReader, Write};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};

use sys_mount::Mount;
use vremount_protocol::{Backing, DeviceStack, Disk as Id, Fault, Io, extents};

use crate::dm_thin::Thin;
use crate::error::{Failure, context};
use crate::loop_device::Loop;
use crate::{dm, fault, ioctl, marker, mounts};

/// Each image is on a tmpfs of its own, which can be filled up.
const IMAGES: &str = "/images";
/// A disk is copied in pieces of this size.
const CHUNK: usize = 64 * 1024;
/// What fills it up.
const FILLER: &str = "filler";

pub struct Disk {
    name: String,
    /// What the loop device is over, if there is one.
    backing: PathBuf,
    /// The loop device, or what is there in its place.
    lowest: PathBuf,
    looped: Option<Loop>,
    thin: Option<Thin>,
    /// What the device-mapper device is over, `major:minor`.
    below: String,
    /// The device-mapper device.
    pub device: PathBuf,
    sectors: u64,
    counted_from: Io,
}

impl Disk {
    pub fn attach(id: Id, backing: &Backing, on: DeviceStack) -> Result<Self, Failure> {
        let backing = match backing {
            Backing::Extents(packed) => unpack(id, packed)?,
            Backing::Device(device) => PathBuf::from(device),
            Backing::HostFile(file) => mounts::host_file(Path::new(file))?,
            Backing::Memory => return Err(Failure::new(format!("disk {id} is in memory and has no device"))),
        };
        let looped = match on {
            DeviceStack::Device => None,
            DeviceStack::Plain | DeviceStack::Thin => Some(Loop::over(&backing)?),
        };
        let lowest = looped.as_ref().map_or(&backing, |looped| &looped.path).clone();
        let size = format!("/sys/block/{}/size", name_in_sysfs(&lowest));
        let sectors = context("read", &size, fs::read_to_string(&size))?.trim().parse().map_err(Failure::new)?;
        let name = id.to_string();
        let origin = number_of(&lowest)?;
        let thin = match on {
            DeviceStack::Plain | DeviceStack::Device => None,
            DeviceStack::Thin => Some(Thin::over(&name, &origin, sectors, &backing)?),
        };
        let below = match &thin {
            Some(thin) => number_of(&thin.volume)?,
            None => origin,
        };
        let device = dm::create(&name, &fault::healthy(sectors, &below))?;
        let nothing = Io { writes: 0, bytes: 0, flushes: 0 };
        let mut disk = Disk { name, backing, lowest, looped, thin, below, device, sectors, counted_from: nothing };
        disk.count()?;
        Ok(disk)
    }

    /// Breaks the disk; `upper` and `work` are where the files are that a fault is about.
    pub fn break_with(&self, fault: &Fault, upper: &Path, work: &Path) -> Result<(), Failure> {
        let data = |path: &Path, extents: Vec<ioctl::Extent>, ms| {
            fault::data(self.sectors, &self.below, &extents, ms)
                .map_err(|why| Failure::new(format!("failed to break {}: {why}", path.display())))
        };
        let blocks = |file: &str, ms| {
            let path = upper.join(file);
            let opened = context("open", &path, File::open(&path))?;
            data(&path, context("ask for the blocks of", &path, ioctl::fiemap(&opened))?, ms)
        };
        let table = match fault {
            Fault::Everything => fault::everything(self.sectors),
            Fault::Writes => fault::writes(self.sectors, &self.below),
            Fault::Flush => fault::flush(self.sectors, &self.below),
            Fault::SlowReads { ms } => fault::slow(self.sectors, &self.below, *ms),
            Fault::Data { file } => blocks(file, 0)?,
            Fault::DataAndSlowReads { file, ms } => blocks(file, *ms)?,
            Fault::Checkpoint => {
                let path = marker::path(work);
                let opened = context("open", &path, File::open(&path))?;
                data(&path, context("ask for the xattr block of", &path, ioctl::fiemap_xattr(&opened))?, 0)?
            }
            Fault::Reads => return self.dust(),
            Fault::NoSpace => return self.fill(),
            Fault::PoolFull => {
                let thin = self.thin.as_ref();
                return thin.ok_or_else(|| Failure::new("there is no pool to use up"))?.use_up();
            }
        };
        dm::reload(&self.name, &table)
    }

    /// All of it to another, which must be as large. Both began as the same image, so that little is left to write.
    pub fn copy_to(&self, other: &Disk) -> Result<(), Failure> {
        if self.sectors != other.sectors {
            return Err(Failure::new(format!("disk {} is not as large as disk {}", other.name, self.name)));
        }
        let from = context("open", &self.device, File::open(&self.device))?;
        let to = context("open", &other.device, File::options().read(true).write(true).open(&other.device))?;
        let (mut wanted, mut there) = (vec![0; CHUNK], vec![0; CHUNK]);
        let bytes = self.sectors * fault::SECTOR;
        for at in (0..bytes).step_by(CHUNK) {
            let length = usize::try_from(bytes - at).unwrap_or(CHUNK).min(CHUNK);
            let (wanted, there) = (&mut wanted[..length], &mut there[..length]);
            context("read", &self.device, from.read_exact_at(wanted, at))?;
            context("read", &other.device, to.read_exact_at(there, at))?;
            if wanted != there {
                context("write", &other.device, to.write_all_at(wanted, at))?;
            }
        }
        context("sync", &other.device, to.sync_all())
    }

    /// Every block becomes bad.
    fn dust(&self) -> Result<(), Failure> {
        dm::reload(&self.name, &fault::dusty(self.sectors, &self.below))?;
        for block in 0..self.sectors / fault::DUST_SECTORS {
            dm::message(&self.name, &format!("addbadblock {block}"))?;
        }
        dm::message(&self.name, "enable")
    }

    /// Nothing is left for the image to grow into.
    fn fill(&self) -> Result<(), Failure> {
        let path = self.folder()?.join(FILLER);
        let mut file = context("create", &path, File::create(&path))?;
        let chunk = [1; 64 * 1024];
        loop {
            match file.write(&chunk) {
                Ok(_) => {}
                Err(error) if error.raw_os_error() == Some(libc::ENOSPC) => return Ok(()),
                Err(error) => return context("fill", &path, Err(error)),
            }
        }
    }

    /// Where its image was unpacked, if it was.
    pub fn folder(&self) -> Result<&Path, Failure> {
        let folder = self.backing.parent().filter(|folder| folder.starts_with(IMAGES));
        folder.ok_or_else(|| Failure::new(format!("{} is not ours to fill", self.backing.display())))
    }

    pub fn heal(&self) -> Result<(), Failure> {
        if let Ok(folder) = self.folder() {
            let filler = folder.join(FILLER);
            if filler.exists() {
                context("remove", &filler, fs::remove_file(&filler))?;
            }
        }
        dm::reload(&self.name, &fault::healthy(self.sectors, &self.below))
    }

    /// Takes the devices down, and removes an image that was unpacked for them.
    pub fn detach(self) -> Result<(), Failure> {
        let folder = self.folder().ok().map(Path::to_path_buf);
        dm::remove(&self.name)?;
        self.thin.map_or(Ok(()), Thin::remove)?;
        self.looped.map_or(Ok(()), Loop::detach)?;
        folder.map_or(Ok(()), |folder| mounts::unmount_at(&folder))
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
        Ok(since(self.asked()?, self.counted_from))
    }

    /// All it was ever asked to do, counted at its lowest device, where a flush is a request of its own.
    pub fn asked(&self) -> Result<Io, Failure> {
        let path = format!("/sys/block/{}/stat", name_in_sysfs(&self.lowest));
        let stat = context("read", &path, fs::read_to_string(&path))?;
        io_of(&stat).ok_or_else(|| Failure::new(format!("failed to understand {path}: {stat:?}")))
    }
}

/// What came on top.
pub fn since(now: Io, then: Io) -> Io {
    Io { writes: now.writes - then.writes, bytes: now.bytes - then.bytes, flushes: now.flushes - then.flushes }
}

/// Documentation/block/stat.rst: the fifth number counts writes, the seventh sectors written, the sixteenth flushes.
fn io_of(stat: &str) -> Option<Io> {
    let number = |at| stat.split_whitespace().nth(at)?.parse::<u64>().ok();
    Some(Io { writes: number(4)?, bytes: number(6)?.checked_mul(512)?, flushes: number(15)? })
}

fn unpack(id: Id, packed: &str) -> Result<PathBuf, Failure> {
    let folder = Path::new(IMAGES).join(id.to_string());
    context("create", &folder, fs::create_dir_all(&folder))?;
    let mounted = Mount::builder().fstype("tmpfs").data("size=128m").mount("none", &folder);
    context("mount a tmpfs at", &folder, mounted)?;
    let image = folder.join("image");
    let mut from = BufReader::new(context("open", packed, File::open(packed))?);
    let mut to = context("create", &image, File::create(&image))?;
    context("unpack", &image, extents::unpack(&mut from, &mut to))?;
    Ok(image)
}

/// A device as /sys/block spells it.
fn name_in_sysfs(device: &Path) -> String {
    device.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// `major:minor` of a device, as device-mapper takes it.
fn number_of(device: &Path) -> Result<String, Failure> {
    let number = context("look at", device, fs::metadata(device))?.rdev();
    Ok(format!("{}:{}", nix::sys::stat::major(number), nix::sys::stat::minor(number)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_writes_and_flushes() {
        let stat = "  11 0 88 1  22 3 176 4  0 5 6  0 0 0 0  33 7\n";
        assert_eq!(io_of(stat), Some(Io { writes: 22, bytes: 176 * 512, flushes: 33 }));
        assert_eq!(io_of("1 2 3"), None);
        assert_eq!(io_of(&"18446744073709551615 ".repeat(17)), None);
    }
}

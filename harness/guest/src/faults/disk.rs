// SPDX-License-Identifier: MIT OR Apache-2.0
//! The devices of a disk: a loop device over its backing, optionally a thin volume, and a
//! device-mapper device on top, whose table is replaced to inject a fault.

use std::fs::{self, File};
use std::io::{BufReader, Write};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};

use sys_mount::Mount;
use vremount_protocol::{Backing, DeviceStack, Disk as Id, Fault, IoCounts, extents};

use super::dm;
use super::dm_table::{self, SECTOR, Target};
use super::dm_thin::Thin;
use super::loop_device::Loop;
use crate::error::{Failure, context};
use crate::ops::{ioctl, marker, mount_table, mounts};

/// Directory of unpacked images. Each image is on a tmpfs of its own, which a fault can fill.
const IMAGES: &str = "/images";
/// Bytes per read when a disk is copied.
const CHUNK: usize = 64 * 1024;
/// Name of the file that fills the tmpfs of an image.
const FILLER: &str = "filler";

/// An attached disk.
pub struct Disk {
    name: String,
    /// The file or device that stores the data.
    backing: PathBuf,
    /// The lowest block device: the loop device, or the backing if there is none.
    lowest: PathBuf,
    loop_device: Option<Loop>,
    thin: Option<Thin>,
    /// The device below the device-mapper device, `major:minor`.
    below: String,
    /// Path of the device-mapper device.
    pub device: PathBuf,
    sectors: u64,
    /// Reading of the counters when counting started.
    io_at_start: IoCounts,
}

impl Disk {
    /// Creates the devices of a disk. Fails if the filesystem is in memory.
    pub fn attach(id: Id, backing: &Backing, stack: DeviceStack) -> Result<Self, Failure> {
        let backing = match backing {
            Backing::Extents(packed) => unpack_image(id, packed)?,
            Backing::Device(device) => PathBuf::from(device),
            Backing::HostFile(file) => mounts::mount_host_file(Path::new(file))?,
            Backing::Memory => {
                return Err(Failure::new(format!("failed to attach disk {id}: its filesystem is in memory")));
            }
        };
        let loop_device = match stack {
            DeviceStack::Direct => None,
            DeviceStack::Loop | DeviceStack::Thin => Some(Loop::attach(&backing)?),
        };
        let lowest = loop_device.as_ref().map_or(&backing, |loop_device| &loop_device.path).clone();
        let size = format!("/sys/block/{}/size", sysfs_name(&lowest));
        let sectors = context("read", &size, fs::read_to_string(&size))?.trim().parse().map_err(Failure::new)?;
        let name = id.to_string();
        let origin = device_number(&lowest)?;
        let thin = match stack {
            DeviceStack::Loop | DeviceStack::Direct => None,
            DeviceStack::Thin => Some(Thin::create(&name, &origin, sectors, &backing)?),
        };
        let below = match &thin {
            Some(thin) => device_number(&thin.volume)?,
            None => origin,
        };
        let device = dm::create(&name, &dm_table::healthy(sectors, &below))?;
        let io_at_start = IoCounts { writes: 0, bytes: 0, flushes: 0 };
        let mut disk = Disk { name, backing, lowest, loop_device, thin, below, device, sectors, io_at_start };
        disk.start_io_count()?;
        Ok(disk)
    }

    /// Injects a fault. `upperdir` and `workdir` contain the files that some faults apply to.
    pub fn inject_fault(&self, fault: &Fault, upperdir: &Path, workdir: &Path) -> Result<(), Failure> {
        let table = match fault {
            Fault::Everything => dm_table::everything(self.sectors),
            Fault::Writes => dm_table::writes(self.sectors, &self.below),
            Fault::Flush => dm_table::flush(self.sectors, &self.below),
            Fault::SlowReads { ms } => dm_table::slow_reads(self.sectors, &self.below, *ms),
            Fault::Data { file } => self.failing_data(&upperdir.join(file), 0)?,
            Fault::DataAndSlowReads { file, ms } => self.failing_data(&upperdir.join(file), *ms)?,
            Fault::Checkpoint => {
                let path = marker::path(workdir);
                let opened = context("open", &path, File::open(&path))?;
                let extents = context("find the xattr blocks of", &path, ioctl::fiemap_xattr(&opened))?;
                self.failing_extents(&path, &extents, 0)?
            }
            Fault::Reads => return self.fail_all_reads(),
            Fault::NoSpace => return self.fill_image_filesystem(),
            Fault::PoolFull => {
                let missing = || Failure::new(format!("failed to exhaust the pool of disk {}: it has none", self.name));
                return self.thin.as_ref().ok_or_else(missing)?.exhaust_pool();
            }
        };
        dm::replace_table(&self.name, &table)
    }

    /// Table in which the data blocks of a file fail.
    fn failing_data(&self, path: &Path, read_ms: u32) -> Result<Vec<Target>, Failure> {
        let opened = context("open", path, File::open(path))?;
        let extents = context("find the blocks of", path, ioctl::fiemap(&opened))?;
        self.failing_extents(path, &extents, read_ms)
    }

    fn failing_extents(&self, path: &Path, extents: &[ioctl::Extent], read_ms: u32) -> Result<Vec<Target>, Failure> {
        dm_table::extents(self.sectors, &self.below, extents, read_ms)
            .map_err(|reason| Failure::new(format!("failed to inject a fault into {}: {reason}", path.display())))
    }

    /// Makes every block bad.
    fn fail_all_reads(&self) -> Result<(), Failure> {
        dm::replace_table(&self.name, &dm_table::dust(self.sectors, &self.below))?;
        for block in 0..self.sectors / dm_table::DUST_SECTORS {
            dm::send_message(&self.name, &format!("addbadblock {block}"))?;
        }
        dm::send_message(&self.name, "enable")
    }

    /// Fills the tmpfs, so that no blocks can be allocated to the sparse image.
    fn fill_image_filesystem(&self) -> Result<(), Failure> {
        let path = self.image_dir()?.join(FILLER);
        let mut file = context("create", &path, File::create(&path))?;
        let chunk = [1; CHUNK];
        loop {
            match file.write(&chunk) {
                Ok(_) => {}
                Err(error) if error.raw_os_error() == Some(libc::ENOSPC) => return Ok(()),
                Err(error) => return context("fill", &path, Err(error)),
            }
        }
    }

    /// The mount point of the tmpfs with the unpacked image. Fails if the backing is not an
    /// unpacked image.
    pub fn image_dir(&self) -> Result<&Path, Failure> {
        let dir = self.backing.parent().filter(|dir| dir.starts_with(IMAGES));
        dir.ok_or_else(|| {
            Failure::new(format!("failed to find a tmpfs of disk {}: it has no image in memory", self.name))
        })
    }

    /// Removes a fault.
    pub fn remove_fault(&self) -> Result<(), Failure> {
        if let Ok(dir) = self.image_dir() {
            let filler = dir.join(FILLER);
            if filler.exists() {
                context("remove", &filler, fs::remove_file(&filler))?;
            }
        }
        dm::replace_table(&self.name, &dm_table::healthy(self.sectors, &self.below))
    }

    /// Copies all data to a disk of the same size. Writes only chunks that differ: the copies of an
    /// image share most.
    pub fn copy_to(&self, other: &Disk) -> Result<(), Failure> {
        if self.sectors != other.sectors {
            return Err(Failure::new(format!(
                "failed to copy disk {} to disk {}: they have {} and {} sectors",
                self.name, other.name, self.sectors, other.sectors
            )));
        }
        let source = context("open", &self.device, File::open(&self.device))?;
        let destination = context("open", &other.device, File::options().read(true).write(true).open(&other.device))?;
        let (mut new, mut old) = (vec![0; CHUNK], vec![0; CHUNK]);
        let bytes = self.sectors * SECTOR;
        for offset in (0..bytes).step_by(CHUNK) {
            let length = usize::try_from(bytes - offset).unwrap_or(CHUNK).min(CHUNK);
            let (new, old) = (&mut new[..length], &mut old[..length]);
            context("read", &self.device, source.read_exact_at(new, offset))?;
            context("read", &other.device, destination.read_exact_at(old, offset))?;
            if new != old {
                context("write", &other.device, destination.write_all_at(new, offset))?;
            }
        }
        context("sync", &other.device, destination.sync_all())
    }

    /// Removes the devices and the unpacked image.
    pub fn detach(self) -> Result<(), Failure> {
        let image_dir = self.image_dir().ok().map(Path::to_path_buf);
        dm::remove(&self.name)?;
        self.thin.map_or(Ok(()), Thin::remove)?;
        self.loop_device.map_or(Ok(()), Loop::detach)?;
        image_dir.map_or(Ok(()), |dir| mount_table::unmount_at(&dir))
    }

    /// Syncs the backing: completed writes to the disk may be only in the page cache of the file
    /// below the loop device.
    pub fn sync_backing(&self) -> Result<(), Failure> {
        let file = context("open", &self.backing, File::open(&self.backing))?;
        context("sync", &self.backing, file.sync_all())
    }

    /// Starts counting requests.
    pub fn start_io_count(&mut self) -> Result<(), Failure> {
        self.io_at_start = self.io_counters()?;
        Ok(())
    }

    /// Number of requests since counting started.
    pub fn io_since_start(&self) -> Result<IoCounts, Failure> {
        Ok(io_difference(self.io_counters()?, self.io_at_start))
    }

    /// Number of requests since the device was created. The lowest device counts, because only
    /// there a flush is a request of its own.
    pub fn io_counters(&self) -> Result<IoCounts, Failure> {
        let path = format!("/sys/block/{}/stat", sysfs_name(&self.lowest));
        let stat = context("read", &path, fs::read_to_string(&path))?;
        parse_block_stat(&stat).ok_or_else(|| Failure::new(format!("failed to parse {path}: {stat:?}")))
    }
}

/// Requests between two readings of the counters.
pub fn io_difference(now: IoCounts, before: IoCounts) -> IoCounts {
    IoCounts {
        writes: now.writes - before.writes,
        bytes: now.bytes - before.bytes,
        flushes: now.flushes - before.flushes,
    }
}

/// Documentation/block/stat.rst: field 5 counts writes, field 7 sectors written, field 16 flushes.
fn parse_block_stat(stat: &str) -> Option<IoCounts> {
    let number = |index| stat.split_whitespace().nth(index)?.parse::<u64>().ok();
    Some(IoCounts { writes: number(4)?, bytes: number(6)?.checked_mul(SECTOR)?, flushes: number(15)? })
}

/// Unpacks a disk image to a tmpfs of its own. Returns the path of the image.
fn unpack_image(id: Id, packed: &str) -> Result<PathBuf, Failure> {
    let dir = Path::new(IMAGES).join(id.to_string());
    context("create", &dir, fs::create_dir_all(&dir))?;
    let mounted = Mount::builder().fstype("tmpfs").data("size=128m").mount("none", &dir);
    context("mount a tmpfs at", &dir, mounted)?;
    let image = dir.join("image");
    let mut source = BufReader::new(context("open", packed, File::open(packed))?);
    let mut destination = context("create", &image, File::create(&image))?;
    context("unpack", &image, extents::unpack(&mut source, &mut destination))?;
    Ok(image)
}

/// Name of a device in /sys/block.
fn sysfs_name(device: &Path) -> String {
    device.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// `major:minor` of a device, as device-mapper tables contain it.
fn device_number(device: &Path) -> Result<String, Failure> {
    let number = context("stat", device, fs::metadata(device))?.rdev();
    Ok(format!("{}:{}", nix::sys::stat::major(number), nix::sys::stat::minor(number)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn block_stat_is_parsed() {
        let stat = "  11 0 88 1  22 3 176 4  0 5 6  0 0 0 0  33 7\n";
        assert_eq!(parse_block_stat(stat), Some(IoCounts { writes: 22, bytes: 176 * SECTOR, flushes: 33 }));
        assert_eq!(parse_block_stat("1 2 3"), None);
        assert_eq!(parse_block_stat(&"18446744073709551615 ".repeat(17)), None);
    }
}

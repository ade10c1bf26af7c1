// SPDX-License-Identifier: MIT OR Apache-2.0
//! One stop and start of a container. What is timed is system calls; what is checked and made ready around them is not.

use std::fs;
use std::time::Instant;

use nix::sys::statvfs::{FsFlags, statvfs};
use nix::unistd::syncfs;
use vremount_protocol::{Disk as Id, Mode, Turn, Way};

use super::content;
use super::spot::{Spot, filesystem};
use crate::disk::{self, Disk};
use crate::error::{Failure, context};
use crate::{marker, mounts};

pub fn turn(id: Id, disk: &Disk, way: Way, files: u32) -> Result<Turn, Failure> {
    let spot = match way {
        Way::First | Way::Plain => Spot::floor(id).anew()?,
        Way::Reuse | Way::Sync | Way::Rebuild | Way::Durable => Spot::container(id),
    };
    let mode = match way {
        Way::Durable | Way::Plain => Mode::Durable,
        Way::Reuse | Way::Sync | Way::Rebuild | Way::First => Mode::Volatile,
    };
    if way == Way::Plain {
        // What making its directories left dirty is not its to write, nor is it the first to run the code.
        spot.mount(mode)?;
        spot.unmount()?;
        sync(id)?;
    }
    let before = disk.asked()?;
    let (mut unmount, mut between, mut mount) = (0, 0, 0);
    match way {
        Way::First | Way::Plain => {
            mount = timed(|| spot.mount(mode))?;
            check(&spot, mode)?;
            unmount = timed(|| spot.unmount())?;
        }
        Way::Reuse | Way::Sync | Way::Rebuild | Way::Durable => {
            unmount += timed(|| spot.unmount())?;
            between += timed(|| make_safe(id, way, files))?;
            mount += timed(|| spot.mount(mode))?;
        }
    }
    let io = disk::since(disk.asked()?, before);
    if matches!(way, Way::Reuse | Way::Sync | Way::Rebuild | Way::Durable) {
        check(&spot, mode)?;
    }
    Ok(Turn { unmount, between, mount, io })
}

/// What has to be done before the next mount.
fn make_safe(id: Id, way: Way, files: u32) -> Result<(), Failure> {
    match way {
        Way::Sync => {
            sync(id)?;
            marker::remove(&mounts::workdir(id))
        }
        Way::Rebuild => {
            for folder in [mounts::upperdir(id), mounts::workdir(id)] {
                context("remove", &folder, fs::remove_dir_all(&folder))?;
            }
            mounts::make_layers(id)?;
            content::fill(&mounts::upperdir(id), files)
        }
        Way::Reuse | Way::Durable | Way::First | Way::Plain => Ok(()),
    }
}

fn sync(id: Id) -> Result<(), Failure> {
    let at = filesystem(id);
    let opened = context("open", &at, fs::File::open(&at))?;
    context("syncfs", &at, syncfs(&opened))
}

/// A mount that came out read-only, or not volatile, is none to compare with. To read the table of mounts would leave the caches of
/// the processor cold, the more the longer it is.
fn check(spot: &Spot, mode: Mode) -> Result<(), Failure> {
    let flags = context("look at", &spot.at, statvfs(&spot.at))?.flags();
    let volatile = marker::path(&spot.workdir).exists();
    match flags.contains(FsFlags::ST_RDONLY) || volatile != (mode == Mode::Volatile) {
        true => Err(Failure::new(format!("{} came out read-only, or not {mode:?}", spot.at.display()))),
        false => Ok(()),
    }
}

fn timed(act: impl FnOnce() -> Result<(), Failure>) -> Result<u64, Failure> {
    let started = Instant::now();
    act()?;
    Ok(u64::try_from(started.elapsed().as_nanos()).unwrap_or(u64::MAX))
}

// SPDX-License-Identifier: MIT OR Apache-2.0
//! One stop and start of a container. What is timed is system calls; what is checked and made ready around them is not.

use std::fs;
use std::time::Instant;

use nix::sys::statvfs::{FsFlags, statvfs};
use nix::unistd::syncfs;
use vremount_protocol::{Disk as Id, Mode, RestartCycle, RestartStrategy};

use super::bench_overlay::{Spot, filesystem};
use super::fill;
use crate::disk::{self, Disk};
use crate::error::{Failure, context};
use crate::{marker, mounts};

pub fn turn(id: Id, disk: &Disk, way: RestartStrategy, files: u32) -> Result<RestartCycle, Failure> {
    let spot = match way {
        RestartStrategy::First | RestartStrategy::Plain => Spot::floor(id).anew()?,
        RestartStrategy::Reuse | RestartStrategy::Sync | RestartStrategy::Rebuild | RestartStrategy::Durable => {
            Spot::container(id)
        }
    };
    let mode = match way {
        RestartStrategy::Durable | RestartStrategy::Plain => Mode::Durable,
        RestartStrategy::Reuse | RestartStrategy::Sync | RestartStrategy::Rebuild | RestartStrategy::First => {
            Mode::Volatile
        }
    };
    if way == RestartStrategy::Plain {
        // What making its directories left dirty is not its to write, nor is it the first to run the code.
        spot.mount(mode)?;
        spot.unmount()?;
        sync(id)?;
    }
    let before = disk.asked()?;
    let (mut unmount, mut between, mut mount) = (0, 0, 0);
    match way {
        RestartStrategy::First | RestartStrategy::Plain => {
            mount = timed(|| spot.mount(mode))?;
            check(&spot, mode)?;
            unmount = timed(|| spot.unmount())?;
        }
        RestartStrategy::Reuse | RestartStrategy::Sync | RestartStrategy::Rebuild | RestartStrategy::Durable => {
            unmount += timed(|| spot.unmount())?;
            between += timed(|| make_safe(id, way, files))?;
            mount += timed(|| spot.mount(mode))?;
        }
    }
    let io = disk::since(disk.asked()?, before);
    if matches!(
        way,
        RestartStrategy::Reuse | RestartStrategy::Sync | RestartStrategy::Rebuild | RestartStrategy::Durable
    ) {
        check(&spot, mode)?;
    }
    Ok(RestartCycle { unmount, between, mount, io })
}

/// What has to be done before the next mount.
fn make_safe(id: Id, way: RestartStrategy, files: u32) -> Result<(), Failure> {
    match way {
        RestartStrategy::Sync => {
            sync(id)?;
            marker::remove(&mounts::workdir(id))
        }
        RestartStrategy::Rebuild => {
            for folder in [mounts::upperdir(id), mounts::workdir(id)] {
                context("remove", &folder, fs::remove_dir_all(&folder))?;
            }
            mounts::make_layers(id)?;
            fill::fill(&mounts::upperdir(id), files)
        }
        RestartStrategy::Reuse | RestartStrategy::Durable | RestartStrategy::First | RestartStrategy::Plain => Ok(()),
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

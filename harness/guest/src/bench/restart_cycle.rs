// SPDX-License-Identifier: MIT OR Apache-2.0
//! Restarts of a container. The durations contain the system calls and what makes the mount safe;
//! checks and preparation are outside of them.

use std::fs;
use std::time::Instant;

use nix::sys::statvfs::{FsFlags, statvfs};
use nix::unistd::syncfs;
use vremount_protocol::{Disk as Id, Mode, RestartCycle, RestartStrategy};

use super::bench_overlay::{BenchOverlay, upper_filesystem};
use super::fill;
use crate::error::{Failure, context};
use crate::faults::disk::{self, Disk};
use crate::ops::{marker, paths, simple_ops};

/// Restarts the container with a strategy, or measures a baseline. `files` is the number of files
/// that `Rebuild` creates.
pub fn run(id: Id, disk: &Disk, strategy: RestartStrategy, files: u32) -> Result<RestartCycle, Failure> {
    match strategy {
        RestartStrategy::First => measure_baseline(id, disk, Mode::Volatile),
        RestartStrategy::Plain => measure_baseline(id, disk, Mode::Durable),
        RestartStrategy::Durable => restart(id, disk, strategy, Mode::Durable, files),
        RestartStrategy::Reuse | RestartStrategy::Sync | RestartStrategy::Rebuild => {
            restart(id, disk, strategy, Mode::Volatile, files)
        }
    }
}

/// Mounts an empty overlay and unmounts it.
fn measure_baseline(id: Id, disk: &Disk, mode: Mode) -> Result<RestartCycle, Failure> {
    let overlay = BenchOverlay::baseline(id).recreate()?;
    if mode == Mode::Durable {
        // A durable unmount syncs the filesystem. Sync here what the new directories made dirty,
        // and run the code once.
        overlay.mount(mode)?;
        overlay.unmount()?;
        sync(id)?;
    }
    let before = disk.io_counters()?;
    let mount = measure(|| overlay.mount(mode))?;
    check_mount(&overlay, mode)?;
    let unmount = measure(|| overlay.unmount())?;
    let io = disk::io_difference(disk.io_counters()?, before);
    Ok(RestartCycle { unmount, make_safe: 0, mount, io })
}

/// Unmounts the container, makes its upper safe to mount, and mounts it.
fn restart(id: Id, disk: &Disk, strategy: RestartStrategy, mode: Mode, files: u32) -> Result<RestartCycle, Failure> {
    let overlay = BenchOverlay::container(id);
    let before = disk.io_counters()?;
    let unmount = measure(|| overlay.unmount())?;
    let between = measure(|| make_safe(id, strategy, files))?;
    let mount = measure(|| overlay.mount(mode))?;
    let io = disk::io_difference(disk.io_counters()?, before);
    check_mount(&overlay, mode)?;
    Ok(RestartCycle { unmount, make_safe: between, mount, io })
}

/// Does what a strategy requires between unmount and mount.
fn make_safe(id: Id, strategy: RestartStrategy, files: u32) -> Result<(), Failure> {
    match strategy {
        RestartStrategy::Sync => {
            sync(id)?;
            marker::remove(&paths::workdir(id))
        }
        RestartStrategy::Rebuild => {
            simple_ops::recreate_upper(id)?;
            fill::create_files(&paths::upperdir(id), files)
        }
        RestartStrategy::Reuse | RestartStrategy::Durable | RestartStrategy::First | RestartStrategy::Plain => Ok(()),
    }
}

fn sync(id: Id) -> Result<(), Failure> {
    let mount_point = upper_filesystem(id);
    let opened = context("open", &mount_point, fs::File::open(&mount_point))?;
    context("syncfs", &mount_point, syncfs(&opened))
}

/// Fails if the mount is read-only or not of the requested mode. It does not read mountinfo,
/// because a long table evicts the caches of the processor and would slow down the next
/// measurement.
fn check_mount(overlay: &BenchOverlay, mode: Mode) -> Result<(), Failure> {
    let flags = context("statvfs", &overlay.mount_point, statvfs(&overlay.mount_point))?.flags();
    let volatile = marker::path(&overlay.workdir).exists();
    match flags.contains(FsFlags::ST_RDONLY) || volatile != (mode == Mode::Volatile) {
        true => Err(Failure::new(format!(
            "failed to measure the mount at {}: it is read-only or not {mode:?}",
            overlay.mount_point.display()
        ))),
        false => Ok(()),
    }
}

/// Duration of a function, nanoseconds.
fn measure(function: impl FnOnce() -> Result<(), Failure>) -> Result<u64, Failure> {
    let started = Instant::now();
    function()?;
    Ok(u64::try_from(started.elapsed().as_nanos()).unwrap_or(u64::MAX))
}

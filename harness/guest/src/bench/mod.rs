// SPDX-License-Identifier: MIT OR Apache-2.0
//! Operations of benchmarks. They measure durations around the system calls, and requests at the
//! disk.

mod background_load;
mod bench_overlay;
mod fill;
mod restart_cycle;
mod trace;

use std::collections::BTreeMap;
use std::fs;

use background_load::Restarts;
use bench_overlay::{BenchOverlay, CONTAINER};
use vremount_protocol::{BenchOp, Disk as Id, Measurement, Mode, Outcome, Writer};

use crate::error::{Failure, context};
use crate::faults::disk::Disk;
use crate::init::{init_system, module};
use crate::ops::{mount_table, paths};

const CLOCK_SOURCE: &str = "/sys/devices/system/clocksource/clocksource0/current_clocksource";

/// Executes an operation.
pub fn run(op: &BenchOp, disks: &BTreeMap<Id, Disk>) -> Result<Outcome, Failure> {
    match op {
        BenchOp::Restart { disk, strategy: way, files } => {
            let restart = restart_cycle::run(*disk, find(disks, *disk)?, *way, *files)?;
            return Ok(Outcome::Measured(Measurement::Restart(restart)));
        }
        BenchOp::BackgroundLoad { disk, strategy: way, seconds, dirty_bytes: dirty, files } => {
            let sample = background_load::run(&Restarts {
                id: *disk,
                disk: find(disks, *disk)?,
                strategy: *way,
                seconds: *seconds,
                dirty_bytes: *dirty,
                files: *files,
            })?;
            return Ok(Outcome::Measured(Measurement::BackgroundLoad(sample)));
        }
        BenchOp::Traced => return trace::stop().map(Measurement::Calls).map(Outcome::Measured),
        BenchOp::Clock => {
            let name = context("read", CLOCK_SOURCE, fs::read_to_string(CLOCK_SOURCE))?;
            return Ok(Outcome::Measured(Measurement::Clock(name.trim().to_string())));
        }
        BenchOp::WarmUp { disk } => {
            let container = BenchOverlay::container(*disk);
            container.unmount()?;
            container.mount(Mode::Volatile)?;
        }
        BenchOp::Fill { disk, files } => fill::create_files(&paths::upperdir(*disk), *files)?,
        BenchOp::Dirty { disk, writer: Writer::Own, bytes } => {
            fill::write_dirty(&paths::merged(*disk, CONTAINER).join("dirty"), *bytes)?;
        }
        BenchOp::Dirty { disk, writer: Writer::Other, bytes } => {
            fill::write_dirty(&bench_overlay::upper_filesystem(*disk).join("dirty-of-the-neighbour"), *bytes)?;
        }
        BenchOp::MountOthers { disk, count } => {
            for number in 1..=*count {
                BenchOverlay::other(*disk, number).recreate()?.mount(Mode::Volatile)?;
            }
        }
        BenchOp::UnmountOthers { disk } => {
            let mount_points = mount_table::mount_points()?;
            for mount_point in mount_points.iter().filter(|mount_point| bench_overlay::is_other(*disk, mount_point)) {
                mount_table::unmount_at(mount_point)?;
            }
        }
        BenchOp::Writeback { enabled: by_itself } => set_periodic_writeback(*by_itself)?,
        BenchOp::SwapOverlay { module } => module::reload(module)?,
        BenchOp::Trace { function } => trace::start(function)?,
    }
    Ok(Outcome::Done)
}

fn find(disks: &BTreeMap<Id, Disk>, id: Id) -> Result<&Disk, Failure> {
    disks.get(&id).ok_or_else(|| Failure::new(format!("failed to use disk {id}: it is not attached")))
}

/// Sets the defaults of the kernel, or values with which nothing is written back without a sync.
/// Documentation/admin-guide/sysctl/vm.rst; for the log worker of xfs,
/// Documentation/admin-guide/xfs.rst.
fn set_periodic_writeback(enabled: bool) -> Result<(), Failure> {
    let [dirty_ratio, background_ratio, interval, xfs_interval] =
        if enabled { ["20", "10", "500", "3000"] } else { ["90", "80", "0", "720000"] };
    init_system::write_setting("/proc/sys/vm/dirty_ratio", dirty_ratio)?;
    init_system::write_setting("/proc/sys/vm/dirty_background_ratio", background_ratio)?;
    init_system::write_setting(init_system::WRITEBACK_INTERVAL, interval)?;
    init_system::write_setting("/proc/sys/fs/xfs/xfssyncd_centisecs", xfs_interval)
}

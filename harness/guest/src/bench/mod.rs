// SPDX-License-Identifier: MIT OR Apache-2.0
//! The operations of a bench. Each measures where it happens: around the system calls themselves, and at the disk.

mod background_load;
mod bench_overlay;
mod fill;
mod restart_cycle;
mod trace;

use std::collections::BTreeMap;
use std::fs;

use bench_overlay::Spot;
use vremount_protocol::{BenchOp, Disk as Id, Measurement, Outcome, Writer};

use crate::disk::Disk;
use crate::error::{Failure, context};
use crate::overlay::{self, merged};
use crate::{init_system, module, mounts};

const CLOCK: &str = "/sys/devices/system/clocksource/clocksource0/current_clocksource";

pub fn run(op: &BenchOp, disks: &BTreeMap<Id, Disk>) -> Result<Outcome, Failure> {
    let find = |id: &Id| disks.get(id).ok_or_else(|| Failure::new(format!("disk {id} is not attached")));
    match op {
        BenchOp::Turn { disk, way, files } => {
            return restart_cycle::turn(*disk, find(disk)?, *way, *files).map(Measurement::Turn).map(Outcome::Measured);
        }
        BenchOp::Neighbour { disk, way, seconds, dirty, files } => {
            let (way, seconds, dirty, files) = (*way, *seconds, *dirty, *files);
            let seen = background_load::beside(&background_load::Turns {
                id: *disk,
                disk: find(disk)?,
                way,
                seconds,
                dirty,
                files,
            })?;
            return Ok(Outcome::Measured(Measurement::Neighbour(seen)));
        }
        BenchOp::Traced => return trace::take().map(Measurement::Calls).map(Outcome::Measured),
        BenchOp::Clock => {
            let clock = context("read", CLOCK, fs::read_to_string(CLOCK))?;
            return Ok(Outcome::Measured(Measurement::Clock(clock.trim().to_string())));
        }
        BenchOp::WarmUp { disk } => {
            let container = Spot::container(*disk);
            container.unmount()?;
            container.mount(vremount_protocol::Mode::Volatile)?;
        }
        BenchOp::Fill { disk, files } => fill::fill(&mounts::upperdir(*disk), *files)?,
        BenchOp::Dirty { disk, whose: Writer::Own, bytes } => {
            fill::dirty(&merged(*disk, overlay::CONTAINER).join("dirty"), *bytes)?;
        }
        BenchOp::Dirty { disk, whose: Writer::Neighbour, bytes } => {
            fill::dirty(&bench_overlay::filesystem(*disk).join("dirty-of-the-neighbour"), *bytes)?;
        }
        BenchOp::MountOthers { disk, count } => {
            for number in 1..=*count {
                Spot::other(*disk, number).anew()?.mount(vremount_protocol::Mode::Volatile)?;
            }
        }
        BenchOp::UnmountOthers { disk } => {
            for at in mounts::all()?.iter().filter(|at| bench_overlay::is_other(*disk, at)) {
                mounts::unmount_at(at)?;
            }
        }
        BenchOp::Writeback { by_itself } => {
            // Documentation/admin-guide/sysctl/vm.rst and, for the clock that xfs has of its own, Documentation/admin-guide/xfs.rst
            let [ratio, background, interval, xfs] =
                if *by_itself { ["20", "10", "500", "3000"] } else { ["90", "80", "0", "720000"] };
            init_system::set("/proc/sys/vm/dirty_ratio", ratio)?;
            init_system::set("/proc/sys/vm/dirty_background_ratio", background)?;
            init_system::set(init_system::WRITEBACK_INTERVAL, interval)?;
            init_system::set("/proc/sys/fs/xfs/xfssyncd_centisecs", xfs)?;
        }
        BenchOp::SwapOverlay { module } => module::reload(module)?,
        BenchOp::Trace { function } => trace::start(function)?,
    }
    Ok(Outcome::Done)
}

// SPDX-License-Identifier: MIT OR Apache-2.0
//! The operations of a bench. Each measures where it happens: around the system calls themselves, and at the disk.

mod content;
mod neighbour;
mod spot;
mod trace;
mod turn;

use std::collections::BTreeMap;
use std::fs;

use spot::Spot;
use vremount_protocol::{BenchOp, Disk as Id, Measured, Outcome, Whose};

use crate::disk::Disk;
use crate::error::{Failure, context};
use crate::overlay::{self, merged};
use crate::{module, mounts, system};

const CLOCK: &str = "/sys/devices/system/clocksource/clocksource0/current_clocksource";

pub fn run(op: &BenchOp, disks: &BTreeMap<Id, Disk>) -> Result<Outcome, Failure> {
    let find = |id: &Id| disks.get(id).ok_or_else(|| Failure::new(format!("disk {id} is not attached")));
    match op {
        BenchOp::Turn { disk, way, files } => {
            return turn::turn(*disk, find(disk)?, *way, *files).map(Measured::Turn).map(Outcome::Measured);
        }
        BenchOp::Neighbour { disk, way, seconds, dirty, files } => {
            let (way, seconds, dirty, files) = (*way, *seconds, *dirty, *files);
            let seen =
                neighbour::beside(&neighbour::Turns { id: *disk, disk: find(disk)?, way, seconds, dirty, files })?;
            return Ok(Outcome::Measured(Measured::Neighbour(seen)));
        }
        BenchOp::Traced => return trace::take().map(Measured::Calls).map(Outcome::Measured),
        BenchOp::Clock => {
            let clock = context("read", CLOCK, fs::read_to_string(CLOCK))?;
            return Ok(Outcome::Measured(Measured::Clock(clock.trim().to_string())));
        }
        BenchOp::WarmUp { disk } => {
            let container = Spot::container(*disk);
            container.unmount()?;
            container.mount(vremount_protocol::Mode::Volatile)?;
        }
        BenchOp::Fill { disk, files } => content::fill(&mounts::upperdir(*disk), *files)?,
        BenchOp::Dirty { disk, whose: Whose::Own, bytes } => {
            content::dirty(&merged(*disk, overlay::CONTAINER).join("dirty"), *bytes)?;
        }
        BenchOp::Dirty { disk, whose: Whose::Neighbour, bytes } => {
            content::dirty(&spot::filesystem(*disk).join("dirty-of-the-neighbour"), *bytes)?;
        }
        BenchOp::MountOthers { disk, count } => {
            for number in 1..=*count {
                Spot::other(*disk, number).anew()?.mount(vremount_protocol::Mode::Volatile)?;
            }
        }
        BenchOp::UnmountOthers { disk } => {
            for at in mounts::all()?.iter().filter(|at| spot::is_other(*disk, at)) {
                mounts::unmount_at(at)?;
            }
        }
        BenchOp::Writeback { by_itself } => {
            // Documentation/admin-guide/sysctl/vm.rst and, for the clock that xfs has of its own, Documentation/admin-guide/xfs.rst
            let [ratio, background, interval, xfs] =
                if *by_itself { ["20", "10", "500", "3000"] } else { ["90", "80", "0", "720000"] };
            system::set("/proc/sys/vm/dirty_ratio", ratio)?;
            system::set("/proc/sys/vm/dirty_background_ratio", background)?;
            system::set(system::WRITEBACK_INTERVAL, interval)?;
            system::set("/proc/sys/fs/xfs/xfssyncd_centisecs", xfs)?;
        }
        BenchOp::SwapOverlay { module } => module::reload(module)?,
        BenchOp::Trace { function } => trace::start(function)?,
    }
    Ok(Outcome::Done)
}

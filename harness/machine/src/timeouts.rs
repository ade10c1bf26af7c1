// SPDX-License-Identifier: MIT OR Apache-2.0
//! Deadlines after which a machine counts as hung.

use std::time::Duration;

use nix::sys::sysinfo::sysinfo;
use nix::unistd::{SysconfVar, sysconf};

/// Upper limit of the factor by which timeouts are extended on a busy host.
const MAX_LOAD_FACTOR: f64 = 8.0;

/// The two deadlines of a machine. On a busy host, both are extended by its load per core, up to
/// eight times.
#[derive(Debug, Clone, Copy)]
pub struct Timeouts {
    /// Longest time without any data on console and event channel.
    pub silence: Duration,
    /// Longest time from start to end.
    pub total: Duration,
}

impl Timeouts {
    /// Multiplies both timeouts, for a kernel that is slower by this factor.
    #[must_use]
    pub fn scale(self, slower: u32) -> Self {
        Timeouts { silence: self.silence * slower, total: self.total * slower }
    }

    /// Extends both timeouts by `time`, for a program that sleeps or works for so long without any
    /// output.
    #[must_use]
    pub fn extend(self, time: Duration) -> Self {
        Timeouts { silence: self.silence + time, total: self.total + time }
    }
}

/// Factor by which a machine is slower now because other processes use the host: load per core,
/// from 1 to [`MAX_LOAD_FACTOR`].
pub(crate) fn host_load_factor() -> f64 {
    let load = sysinfo().map_or(0.0, |info| info.load_average().0);
    let cores = sysconf(SysconfVar::_NPROCESSORS_ONLN).ok().flatten().unwrap_or(1);
    (load / cores as f64).clamp(1.0, MAX_LOAD_FACTOR)
}

// SPDX-License-Identifier: MIT OR Apache-2.0
//! How long a machine may take before it counts as hung.

use std::time::Duration;

use nix::sys::sysinfo::sysinfo;
use nix::unistd::{SysconfVar, sysconf};

/// How many times as long machines may take at most because the host is busy.
const MOST_BUSY: f64 = 8.0;

/// The two clocks of a machine.
#[derive(Debug, Clone, Copy)]
pub struct Timeouts {
    /// Longest time in which neither console nor channel says anything.
    pub silence: Duration,
    /// Longest time from start to end.
    pub total: Duration,
}

impl Timeouts {
    /// For a kernel that may take so many times as long.
    #[must_use]
    pub fn scale(self, slower: u32) -> Self {
        Timeouts { silence: self.silence * slower, total: self.total * slower }
    }

    /// For a guest that may be silent for so long besides, which may cost no time at all.
    #[must_use]
    pub fn and_silent(self, time: Duration) -> Self {
        Timeouts { silence: self.silence + time, total: self.total + time }
    }
}

/// How many times as long a machine takes now for want of a core, by the load of the host.
pub(super) fn slower_by_others() -> f64 {
    let load = sysinfo().map_or(0.0, |info| info.load_average().0);
    let cores = sysconf(SysconfVar::_NPROCESSORS_ONLN).ok().flatten().unwrap_or(1);
    (load / cores as f64).clamp(1.0, MOST_BUSY)
}

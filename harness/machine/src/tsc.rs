// SPDX-License-Identifier: MIT OR Apache-2.0
//! The time stamp counter. An emulated processor shows the host's, and a kernel that cannot find out how fast it counts, as on
//! a busy host, falls back to a clock that ticks every four milliseconds.

use std::thread::sleep;
use std::time::{Duration, Instant};

const WAIT: Duration = Duration::from_millis(200);
const TRIES: usize = 16;

/// How fast it counts, kHz; none where there is none.
pub fn khz() -> Option<u64> {
    let (then, first) = reading()?;
    sleep(WAIT);
    let (now, last) = reading()?;
    let ticks = u128::from(last.wrapping_sub(first));
    u64::try_from(ticks * 1_000_000 / now.duration_since(then).as_nanos().max(1)).ok().filter(|khz| *khz > 0)
}

/// The clock and the counter at the same time: of many tries the one that was interrupted least.
fn reading() -> Option<(Instant, u64)> {
    let reading = || {
        let before = ticks()?;
        let now = Instant::now();
        let after = ticks()?;
        Some((after.wrapping_sub(before), now, before))
    };
    let best = (0..TRIES).filter_map(|_| reading()).min_by_key(|(took, ..)| *took)?;
    Some((best.1, best.2))
}

#[cfg(target_arch = "x86_64")]
fn ticks() -> Option<u64> {
    // SAFETY: every x86_64 has it, and Linux lets programs read it.
    Some(unsafe { core::arch::x86_64::_rdtsc() })
}

#[cfg(not(target_arch = "x86_64"))]
fn ticks() -> Option<u64> {
    None
}

#[cfg(all(test, target_arch = "x86_64"))]
mod tests {
    use super::*;

    #[test]
    fn it_counts_as_fast_the_second_time() {
        let (first, second) = (khz().unwrap(), khz().unwrap());
        assert!(first.abs_diff(second) * 50 < first, "{first} kHz, then {second}");
    }
}

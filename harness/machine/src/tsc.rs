// SPDX-License-Identifier: MIT OR Apache-2.0
//! Measures the frequency of the host's time stamp counter.
//!
//! An emulated processor passes the counter of the host through. A kernel that fails to calibrate
//! it, as happens on a busy host, falls back to a clock with a resolution of four milliseconds,
//! which is too coarse for benchmarks.

use std::thread::sleep;
use std::time::{Duration, Instant};

/// Time between the two samples.
const INTERVAL: Duration = Duration::from_millis(200);
/// Number of attempts for one sample.
const ATTEMPTS: usize = 16;

/// Frequency of the time stamp counter, kHz; none on an architecture without one. Takes 200 ms.
pub fn khz() -> Option<u64> {
    let (start, first) = sample()?;
    sleep(INTERVAL);
    let (end, last) = sample()?;
    let ticks = u128::from(last.wrapping_sub(first));
    u64::try_from(ticks * 1_000_000 / end.duration_since(start).as_nanos().max(1)).ok().filter(|khz| *khz > 0)
}

/// Reads clock and counter at the same time. Of several attempts, returns the one in which the two
/// reads were closest.
fn sample() -> Option<(Instant, u64)> {
    let attempt = || {
        let before = ticks()?;
        let now = Instant::now();
        let after = ticks()?;
        Some((after.wrapping_sub(before), now, before))
    };
    let best = (0..ATTEMPTS).filter_map(|_| attempt()).min_by_key(|(took, ..)| *took)?;
    Some((best.1, best.2))
}

#[cfg(target_arch = "x86_64")]
fn ticks() -> Option<u64> {
    // SAFETY: every x86_64 processor has RDTSC, and Linux permits it in user mode.
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
    fn two_measurements_agree_within_two_percent() {
        let (first, second) = (khz().unwrap(), khz().unwrap());
        assert!(first.abs_diff(second) * 50 < first, "first {first} kHz, then {second} kHz");
    }
}

// SPDX-License-Identifier: MIT OR Apache-2.0
//! Concurrent volatile mounts of the same layers.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Barrier;
use std::thread;
use std::time::Instant;

use vremount_protocol::{Disk, Mode, Outcome};

use super::tally::Tally;
use crate::error::{Failure, context};
use crate::ops::overlay::Overlay;

/// Mounts the overlay in `count` threads that start together, each at a mount point of its own.
pub fn run(disk: Disk, count: u32) -> Result<Outcome, Failure> {
    let start = Barrier::new(usize::try_from(count).map_err(Failure::new)?);
    let mount_points: Vec<PathBuf> = (0..count).map(|number| PathBuf::from(format!("/race/{disk}-{number}"))).collect();
    let mount = |mount_point: &Path| {
        let created = context("create", mount_point, fs::create_dir_all(mount_point));
        start.wait();
        let began = Instant::now();
        let outcome = created.and_then(|()| Overlay::new(disk, Mode::Volatile).mount_at(mount_point))?;
        Ok((outcome, (began, Instant::now())))
    };
    let outcomes: Vec<Result<_, Failure>> = thread::scope(|scope| {
        let threads: Vec<_> = mount_points.iter().map(|mount_point| scope.spawn(|| mount(mount_point))).collect();
        let panicked = |_| Err(Failure::new("a mounting thread panicked"));
        threads.into_iter().map(|thread| thread.join().unwrap_or_else(panicked)).collect()
    });
    let mut tally = Tally::default();
    let mut intervals = Vec::new();
    for (mount_point, outcome) in mount_points.iter().zip(outcomes) {
        let (outcome, interval) = outcome?;
        tally.count_and_unmount(&outcome, mount_point)?;
        intervals.push(interval);
    }
    // If all mounts were refused, their order did not matter.
    if tally.mounted > 0 && !any_overlap(&intervals) {
        return Err(Failure::new("failed to mount concurrently: no two mounts overlapped in time"));
    }
    match tally.read_only {
        0 => Ok(Outcome::Raced { mounted: tally.mounted, refused: tally.refused }),
        count => Ok(Outcome::Differs { difference: format!("{count} mounts became read-only") }),
    }
}

/// Whether two of the intervals (start, end) overlap.
fn any_overlap<T: Ord + Copy>(intervals: &[(T, T)]) -> bool {
    let mut intervals = intervals.to_vec();
    intervals.sort();
    intervals.windows(2).any(|pair| pair[1].0 < pair[0].1)
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::empty(&[], false)]
    #[case::single(&[(1, 5)], false)]
    #[case::adjacent(&[(5, 9), (1, 5)], false)]
    #[case::overlapping(&[(4, 9), (1, 5)], true)]
    #[case::contained(&[(1, 9), (2, 3)], true)]
    #[case::last_two_overlap(&[(1, 2), (3, 9), (4, 5)], true)]
    fn overlap_is_detected(#[case] intervals: &[(u32, u32)], #[case] expected: bool) {
        assert_eq!(any_overlap(intervals), expected);
    }
}

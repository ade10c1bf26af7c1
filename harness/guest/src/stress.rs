// SPDX-License-Identifier: MIT OR Apache-2.0
//! Many mounts: at the same time, and short of memory.

use std::collections::BTreeMap;
use std::ffi::CString;
use std::fs::{self, File};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Barrier;
use std::thread;
use std::time::Instant;

use nix::mount::{MsFlags, mount};
use vremount_protocol::{Disk, Mode, Outcome};

use crate::error::{Failure, context};
use crate::overlay::{self, Overlay, merged};
use crate::{init_system, mounts};

/// Mounts in so many threads, which start together.
pub fn race(disk: Disk, mounts: u32) -> Result<Outcome, Failure> {
    let start = Barrier::new(usize::try_from(mounts).map_err(Failure::new)?);
    let places: Vec<PathBuf> = (0..mounts).map(|number| PathBuf::from(format!("/race/{disk}-{number}"))).collect();
    let run = |at: &Path| {
        let made = context("create", at, fs::create_dir_all(at));
        start.wait();
        let began = Instant::now();
        let outcome = made.and_then(|()| Overlay::of(disk, Mode::Volatile).mount_at(at))?;
        Ok((outcome, (began, Instant::now())))
    };
    let outcomes: Vec<Result<_, Failure>> = thread::scope(|scope| {
        let threads: Vec<_> = places.iter().map(|at| scope.spawn(|| run(at))).collect();
        let panicked = |_| Err(Failure::new("a thread panicked"));
        threads.into_iter().map(|thread| thread.join().unwrap_or_else(panicked)).collect()
    });
    let mut tally = Tally::default();
    let mut times = Vec::new();
    for (at, outcome) in places.iter().zip(outcomes) {
        let (outcome, time) = outcome?;
        tally.count(&outcome, at)?;
        times.push(time);
    }
    // Where none was mounted, no order would have let one in.
    if tally.mounted > 0 && !overlap(&times) {
        return Err(Failure::new("the mounts came one after the other, and so none had to race"));
    }
    match tally.read_only {
        0 => Ok(Outcome::Raced { mounted: tally.mounted, refused: tally.refused }),
        count => Ok(Outcome::Differs { what: format!("{count} mounts became read-only") }),
    }
}

/// Whether two of the times, from and to, have a moment in common.
fn overlap<T: Ord + Copy>(times: &[(T, T)]) -> bool {
    let mut times = times.to_vec();
    times.sort();
    times.windows(2).any(|pair| pair[1].0 < pair[0].1)
}

/// What came of many mounts.
#[derive(Default)]
struct Tally {
    mounted: u32,
    read_only: u32,
    refused: BTreeMap<i32, u32>,
}

impl Tally {
    /// Unmounts what was mounted.
    fn count(&mut self, outcome: &Outcome, at: &Path) -> Result<(), Failure> {
        match outcome {
            Outcome::Mounted { read_only, .. } => {
                *(if *read_only { &mut self.read_only } else { &mut self.mounted }) += 1;
                mounts::unmount_at(at)
            }
            Outcome::Refused { errno } => {
                *self.refused.entry(*errno).or_default() += 1;
                Ok(())
            }
            other => Err(Failure::new(format!("a mount came out as {other:?}"))),
        }
    }
}

const FAIL_NTH: &str = "/proc/thread-self/fail-nth";
const FAILSLAB: &str = "/sys/kernel/debug/failslab";

/// Mounts again and again, each time with one allocation later that fails; if it is to be the first mount, then again at ease.
pub fn starve(disk: Disk, first: bool) -> Result<Outcome, Failure> {
    // As many as a mount makes, by far.
    const MOST: u32 = 5000;
    set_up_failslab()?;
    let at = merged(disk, vremount_protocol::LayerSet::First);
    context("create", &at, fs::create_dir_all(&at))?;
    let allocations = Allocations::of_this_thread()?;
    let mut tally = Tally::default();
    let workdir = mounts::workdir(disk);
    let left = workdir.join("work/left-behind");
    for nth in 1..=MOST {
        if first {
            forget(&workdir)?;
        }
        context("write", &left, fs::write(&left, ""))?;
        // Who looks for it allocates.
        init_system::drop_caches(init_system::Caches::Names)?;
        let Some(outcome) = allocations.mount(nth, &at, &Overlay::of(disk, Mode::Volatile).data(""))? else {
            return Ok(Outcome::Starved { mounted: tally.mounted, read_only: tally.read_only, refused: tally.refused });
        };
        if outcome == (Outcome::Mounted { volatile: true, read_only: false }) && left.exists() {
            mounts::unmount_at(&at)?;
            return Ok(Outcome::Differs {
                what: format!("mounted over {}, with allocation {nth} failing", left.display()),
            });
        }
        if first {
            if let Outcome::Mounted { .. } = outcome {
                mounts::unmount_at(&at)?;
            }
            tally.count(&Overlay::of(disk, Mode::Volatile).mount_at(&at)?, &at)?;
        } else {
            tally.count(&outcome, &at)?;
        }
    }
    Err(Failure::new(format!("a mount makes more than {MOST} allocations")))
}

/// Has the next mount be the first: a `work` with no marker in it.
fn forget(workdir: &Path) -> Result<(), Failure> {
    let work = workdir.join("work");
    if work.exists() {
        context("remove", &work, fs::remove_dir_all(&work))?;
    }
    context("create", &work, fs::create_dir(&work))
}

fn set_up_failslab() -> Result<(), Failure> {
    // Allocations that may wait fail too, and no stack is printed for each.
    for (name, value) in [("ignore-gfp-wait", "N"), ("verbose", "0")] {
        init_system::set(Path::new(FAILSLAB).join(name), value)?;
    }
    Ok(())
}

/// The switch that lets an allocation of this thread fail. It is opened before, because that allocates as well.
struct Allocations(File);

impl Allocations {
    fn of_this_thread() -> Result<Self, Failure> {
        let opened = File::options().read(true).write(true).open(FAIL_NTH);
        Ok(Allocations(context("open", FAIL_NTH, opened)?))
    }

    /// Mounts an overlay whose nth allocation fails; none if it made fewer, and then it is not mounted.
    fn mount(&self, nth: u32, at: &Path, data: &str) -> Result<Option<Outcome>, Failure> {
        let [target, options] = [at.as_os_str().as_bytes(), data.as_bytes()].map(CString::new);
        let (target, options) = (target.map_err(Failure::new)?, options.map_err(Failure::new)?);
        let mut left = [0; 16];
        self.set(nth)?;
        let overlay = Some(c"overlay");
        let mounted = mount(overlay, target.as_c_str(), overlay, MsFlags::empty(), Some(options.as_c_str()));
        let length = self.0.read_at(&mut left, 0);
        self.set(0)?;
        let left = String::from_utf8_lossy(&left[..context("read", FAIL_NTH, length)?]).into_owned();
        let all_made = left.trim() != "0";
        match mounted {
            Ok(()) if all_made => mounts::unmount_at(at).map(|()| None),
            Ok(()) => overlay::outcome(Ok(()), at).map(Some),
            Err(errno) if all_made => {
                Err(Failure { errno: errno as i32, what: "failed to mount without a fault".into() })
            }
            Err(errno) => Ok(Some(Outcome::Refused { errno: errno as i32 })),
        }
    }

    fn set(&self, nth: u32) -> Result<(), Failure> {
        context("write", FAIL_NTH, self.0.write_all_at(nth.to_string().as_bytes(), 0))
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::nothing(&[], false)]
    #[case::alone(&[(1, 5)], false)]
    #[case::one_after_the_other(&[(5, 9), (1, 5)], false)]
    #[case::at_once(&[(4, 9), (1, 5)], true)]
    #[case::within(&[(1, 9), (2, 3)], true)]
    #[case::the_last_two(&[(1, 2), (3, 9), (4, 5)], true)]
    fn mounts_race_if_they_overlap(#[case] times: &[(u32, u32)], #[case] expected: bool) {
        assert_eq!(overlap(times), expected);
    }
}

// SPDX-License-Identifier: MIT OR Apache-2.0
//! Many mounts: at the same time, short of memory, over forged checkpoints.

use std::collections::BTreeMap;
use std::ffi::CString;
use std::fs::{self, File};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Barrier;
use std::thread;

use nix::mount::{MsFlags, mount};
use vremount_wire::{Bytes, Disk, Field, Mode, Outcome};

use crate::error::{Failure, context};
use crate::kernel_log::KernelLog;
use crate::marker;
use crate::mounts;
use crate::overlay::{self, Overlay, merged};

/// Mounts in so many threads, which start together.
pub fn race(disk: Disk, mounts: u32) -> Result<Outcome, Failure> {
    let start = Barrier::new(usize::try_from(mounts).map_err(Failure::new)?);
    let places: Vec<PathBuf> = (0..mounts).map(|number| PathBuf::from(format!("/race/{disk}-{number}"))).collect();
    let run = |at: &Path| {
        let made = context("create", at, fs::create_dir_all(at));
        start.wait();
        made.and_then(|()| Overlay::of(disk, Mode::Volatile).mount_at(at))
    };
    let outcomes: Vec<Result<Outcome, Failure>> = thread::scope(|scope| {
        let threads: Vec<_> = places.iter().map(|at| scope.spawn(|| run(at))).collect();
        let panicked = |_| Err(Failure::new("a thread panicked"));
        threads.into_iter().map(|thread| thread.join().unwrap_or_else(panicked)).collect()
    });
    let mut tally = Tally::default();
    for (at, outcome) in places.iter().zip(outcomes) {
        tally.count(&outcome?, at)?;
    }
    match tally.read_only {
        0 => Ok(Outcome::Raced { mounted: tally.mounted, refused: tally.refused }),
        count => Ok(Outcome::Differs { what: format!("{count} mounts became read-only") }),
    }
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

/// Mounts again and again, each time with one allocation later that fails.
pub fn starve(disk: Disk) -> Result<Outcome, Failure> {
    // As many as a mount makes, by far.
    const MOST: u32 = 5000;
    set_up_failslab()?;
    let at = merged(disk, vremount_wire::Layers::First);
    context("create", &at, fs::create_dir_all(&at))?;
    let allocations = Allocations::of_this_thread()?;
    let mut tally = Tally::default();
    for nth in 1..=MOST {
        let Some(outcome) = allocations.mount(nth, &at, &Overlay::of(disk, Mode::Volatile).data(""))? else {
            return Ok(Outcome::Starved { mounted: tally.mounted, read_only: tally.read_only, refused: tally.refused });
        };
        tally.count(&outcome, &at)?;
    }
    Err(Failure::new(format!("a mount makes more than {MOST} allocations")))
}

fn set_up_failslab() -> Result<(), Failure> {
    // Allocations that may wait fail too, and no stack is printed for each.
    for (name, value) in [("ignore-gfp-wait", "N"), ("verbose", "0")] {
        let path = Path::new(FAILSLAB).join(name);
        context("write", &path, fs::write(&path, value))?;
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

/// Forges as many checkpoints and mounts over each.
pub fn forge_many(disk: Disk, seed: u64, times: u32, log: &mut KernelLog) -> Result<Outcome, Failure> {
    /// What a leak of one smallest object in every tenth mount would come to, and more than caches breathe.
    const TOLERATED_KIB: u64 = 128;
    let workdir = mounts::workdir(disk);
    let marker = marker::path(&workdir);
    let real = marker::checkpoint(&workdir)?;
    let mut forger = Forger { seed, real: &real, drawn: 0 };
    let quiet = Quiet::new()?;
    let mut before = 0;
    log.read()?;
    for number in 0..times {
        // The first ones fill caches.
        if number == times / 10 {
            before = unreclaimable_kib()?;
        }
        marker::set(&marker, &forger.next())?;
        match Overlay::of(disk, Mode::Volatile).mount()? {
            Outcome::Refused { errno: libc::EINVAL } => {}
            other => return Ok(Outcome::Differs { what: format!("forgery {number} of seed {seed}: {other:?}") }),
        }
        let logged = log.read()?;
        match logged.as_slice() {
            [line] if line.starts_with("overlayfs: volatile reuse refused: ") => {}
            lines => {
                return Ok(Outcome::Differs { what: format!("forgery {number} of seed {seed}: logged {lines:?}") });
            }
        }
    }
    let grown = unreclaimable_kib()?.saturating_sub(before);
    quiet.end()?;
    marker::set(&marker, &real)?;
    match grown {
        0..=TOLERATED_KIB => Ok(Outcome::Done),
        _ => Ok(Outcome::Differs { what: format!("the kernel's memory grew by {grown} KiB") }),
    }
}

/// Checkpoints that none of our kernels wrote here, from a seed.
struct Forger<'a> {
    seed: u64,
    real: &'a [u8],
    drawn: u64,
}

impl Forger<'_> {
    fn next(&mut self) -> Vec<u8> {
        loop {
            self.drawn += 1;
            let mut random = [0; 64];
            Bytes::of(self.seed.wrapping_add(self.drawn)).fill(&mut random);
            let (choice, place, random) = (random[0] % 8, usize::from(random[1]), &random[2..]);
            let (mut bytes, length) = (self.real.to_vec(), self.real.len());
            match choice {
                0 => bytes = random[..length].to_vec(),
                1 => bytes = random[..place % random.len()].to_vec(),
                2 => bytes.truncate(place % length),
                3 => bytes.extend(&random[..1 + place % 32]),
                // A bit, a byte, a field.
                4 => bytes[place % length] ^= 1 << (random[0] % 8),
                5 => bytes[place % length] = random[0],
                6 => bytes = marker::next(bytes, [Field::BootId, Field::InstanceId, Field::Errseq][place % 3]),
                _ => bytes[16..].copy_from_slice(&random[..length - 16]),
            }
            if bytes != self.real {
                return bytes;
            }
        }
    }
}

/// The console, kept from thousands of lines that are read anyway.
struct Quiet(String);

const PRINTK: &str = "/proc/sys/kernel/printk";

impl Quiet {
    fn new() -> Result<Self, Failure> {
        let levels = context("read", PRINTK, fs::read_to_string(PRINTK))?;
        context("write", PRINTK, fs::write(PRINTK, "1"))?;
        Ok(Quiet(levels))
    }

    fn end(self) -> Result<(), Failure> {
        context("write", PRINTK, fs::write(PRINTK, &self.0))
    }
}

/// Memory of the kernel's own objects that no cache would give back.
fn unreclaimable_kib() -> Result<u64, Failure> {
    let path = "/proc/meminfo";
    let table = context("read", path, fs::read_to_string(path))?;
    let line = table.lines().find_map(|line| line.strip_prefix("SUnreclaim:"));
    let number = line.and_then(|line| line.trim().trim_end_matches(" kB").parse().ok());
    number.ok_or_else(|| Failure::new(format!("failed to find SUnreclaim in {path}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forgeries_are_many_and_never_real() {
        let real: Vec<u8> = (0..28).collect();
        let mut forger = Forger { seed: 7, real: &real, drawn: 0 };
        let forged: std::collections::BTreeSet<_> = (0..1000).map(|_| forger.next()).collect();
        assert!(forged.len() > 700);
        assert!(!forged.contains(&real));
        let mut again = Forger { seed: 7, real: &real, drawn: 0 };
        assert!(forged.contains(&again.next()));
    }
}

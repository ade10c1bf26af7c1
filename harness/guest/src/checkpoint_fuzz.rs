// SPDX-License-Identifier: MIT OR Apache-2.0
//! Checkpoints that none of our kernels wrote here, and mounts over each of them.

use std::fs;
use std::thread::sleep;
use std::time::Duration;

use vremount_protocol::{Disk, Field, LOST, Mode, Outcome, Prng, classify};

use crate::error::{Failure, context};
use crate::kernel_log::KernelLog;
use crate::overlay::Overlay;
use crate::{init_system, kmemleak, marker, mounts};

/// More than what slabs keep half empty from one time to another (88 on tmpfs), and less than what a leak of 16 bytes in every
/// mount comes to. Smaller ones are for kmemleak to find.
const TOLERATED_KIB: u64 = 128;

/// So often nothing is done for so long: what is freed when everybody has let go of it (RCU) must not pile up, and the clock of
/// User Mode Linux stands still meanwhile.
const RESTS: u32 = 100;
const REST: Duration = Duration::from_millis(40);

/// Forges as many checkpoints and mounts over each. The real one is there again afterwards.
pub fn mount_over(disk: Disk, seed: u64, times: u32, log: &mut KernelLog) -> Result<Outcome, Failure> {
    let marker = marker::path(&mounts::workdir(disk));
    let real = marker::checkpoint(&mounts::workdir(disk))?;
    let quiet = Quiet::new()?;
    let told = siege(disk, &real, Forger { seed, real: &real, drawn: 0 }, times, log);
    quiet.end()?;
    marker::set(&marker, &real)?;
    Ok(told?.map_or(Outcome::Done, |what| Outcome::Differs { what: format!("seed {seed}: {what}") }))
}

/// What was not as it must be, if anything.
fn siege(
    disk: Disk,
    real: &[u8],
    mut forger: Forger<'_>,
    times: u32,
    log: &mut KernelLog,
) -> Result<Option<String>, Failure> {
    let marker = marker::path(&mounts::workdir(disk));
    let mut before = 0;
    log.read()?;
    for number in 0..times {
        // The first ones fill caches.
        if number == times / 10 {
            before = kernel_kib()?;
            // That dentries were dropped is logged too.
            log.read()?;
        }
        if number % RESTS == 0 {
            sleep(REST);
        }
        let forged = forger.next();
        marker::set(&marker, &forged)?;
        match Overlay::of(disk, Mode::Volatile).mount()? {
            Outcome::Refused { errno: libc::EINVAL } => {}
            other => return Ok(Some(format!("forgery {number}: {other:?}"))),
        }
        let mut logged = log.read()?;
        logged.retain(|line| is_of_the_mount(line));
        let reason = format!("overlayfs: volatile reuse refused: {}: ", reason(real, &forged));
        match logged.as_slice() {
            [line] if line.starts_with(&reason) => {}
            lines => return Ok(Some(format!("forgery {number}: expected {reason:?}, logged {lines:?}"))),
        }
    }
    // A kernel that counts leaks has slabs for that, which grow too, and tells of leaks itself.
    if kmemleak::are_counted() {
        return Ok(None);
    }
    let mut grown = 0;
    // What leaked stays.
    for _ in 0..LOOKS {
        grown = kernel_kib()?.saturating_sub(before);
        if grown <= TOLERATED_KIB {
            return Ok(None);
        }
    }
    Ok(Some(format!("the kernel's memory grew by {grown} KiB")))
}

/// Others may log at any time, that the clock was switched, say; but what the kernel complains of is nowhere else, for the console
/// is quiet.
fn is_of_the_mount(line: &str) -> bool {
    ["overlay", LOST].iter().any(|start| line.starts_with(start)) || classify(line).is_some()
}

/// Why a forgery is refused: the first thing that is wrong with it.
fn reason(real: &[u8], forged: &[u8]) -> &'static str {
    let same = |from: usize, to: usize| real.get(from..to) == forged.get(from..to);
    // A random UUID says so in two places, and instances are numbered from 1.
    let possible =
        || forged[6] & 0xf0 == 0x40 && forged[8] & 0xc0 == 0x80 && forged[16..24].iter().any(|byte| *byte != 0);
    match () {
        () if forged.len() != real.len() || !possible() => "bad-checkpoint",
        () if !same(0, 16) => "other-boot",
        () if !same(16, 24) => "upper-remounted",
        () => "writeback-error",
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
            Prng::of(self.seed.wrapping_add(self.drawn)).fill(&mut random);
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
        init_system::set(PRINTK, "1")?;
        Ok(Quiet(levels))
    }

    fn end(self) -> Result<(), Failure> {
        init_system::set(PRINTK, &self.0)
    }
}

/// What is freed may wait for everybody to have let go of it (RCU), and a machine that is busy makes it wait.
const GRACE: Duration = Duration::from_secs(2);
const LOOKS: u32 = 10;

/// Memory of the kernel's own objects, but for those that a cache gives back.
fn kernel_kib() -> Result<u64, Failure> {
    init_system::drop_caches(init_system::Caches::Names)?;
    sleep(GRACE);
    let path = "/proc/meminfo";
    let table = context("read", path, fs::read_to_string(path))?;
    let line = table.lines().find_map(|line| line.strip_prefix("Slab:"));
    let number = line.and_then(|line| line.trim().trim_end_matches(" kB").parse().ok());
    number.ok_or_else(|| Failure::new(format!("failed to find Slab in {path}")))
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use vremount_protocol::Op;

    use super::*;

    /// The harness waits for that long.
    #[test]
    fn it_rests_no_longer_than_it_may_be_silent() {
        let times = 10_000_u32;
        let rests = times.div_ceil(RESTS) * REST + (1 + LOOKS) * GRACE;
        let op = Op::ForgeMany { disk: Disk::A, seed: 0, times };
        assert!(rests <= op.max_silence(), "{rests:?}");
    }

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

    #[rstest]
    #[case::refusal("overlayfs: volatile reuse refused: other-boot: so it is", true)]
    #[case::lost(LOST, true)]
    #[case::splat("WARNING: CPU: 0 PID: 1 at fs/overlayfs/super.c:1 ovl_fill_super+0x1/0x2 [overlay]", true)]
    #[case::slab("BUG kmalloc-64 (Not tainted): Poison overwritten", true)]
    #[case::clock("clocksource: Switched to clocksource tsc", false)]
    fn what_the_kernel_complains_of_is_not_lost(#[case] line: &str, #[case] expected: bool) {
        assert_eq!(is_of_the_mount(line), expected);
    }

    #[rstest]
    #[case::short(27, &[], "bad-checkpoint")]
    #[case::no_random_uuid(28, &[(6, 0x10)], "bad-checkpoint")]
    #[case::no_instance(28, &[(16, 0)], "bad-checkpoint")]
    #[case::boot_id(28, &[(0, 99)], "other-boot")]
    #[case::all_fields(28, &[(0, 99), (16, 99), (24, 99)], "other-boot")]
    #[case::instance(28, &[(17, 99)], "upper-remounted")]
    #[case::sample(28, &[(27, 99)], "writeback-error")]
    fn the_first_thing_that_is_wrong_is_the_reason(
        #[case] length: usize,
        #[case] changed: &[(usize, u8)],
        #[case] expected: &str,
    ) {
        let mut real: Vec<u8> = (1..29).collect();
        (real[6], real[8]) = (0x41, 0x81);
        real[17..24].fill(0);
        let mut forged = real.clone();
        forged.truncate(length);
        changed.iter().for_each(|(at, byte)| forged[*at] = *byte);
        assert_eq!(reason(&real, &forged), expected);
    }
}

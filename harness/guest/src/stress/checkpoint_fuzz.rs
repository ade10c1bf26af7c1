// SPDX-License-Identifier: MIT OR Apache-2.0
//! Fuzzes the checkpoint: stores forged values and mounts the overlay over each.

use std::fs;
use std::thread::sleep;
use std::time::Duration;

use vremount_protocol::{Checkpoint, CheckpointField, Disk, MESSAGES_LOST, Mode, Outcome, Prng, classify};

use crate::error::{Failure, context};
use crate::init::init_system::{self, Caches};
use crate::init::kernel_log::KernelLog;
use crate::init::kmemleak;
use crate::ops::overlay::Overlay;
use crate::ops::{marker, paths};

/// Growth of the slabs in KiB that is not a failure. More than the normal variation (88 on tmpfs),
/// less than a leak of 16 bytes in each of 10,000 mounts. kmemleak detects smaller leaks.
const TOLERATED_KIB: u64 = 128;

/// Every `MOUNTS_PER_PAUSE` mounts there is a pause of this length. It lets RCU free objects, which
/// would otherwise accumulate. It also lets time advance in User Mode Linux, where it stands still
/// while the guest is busy.
const PAUSE: Duration = Duration::from_millis(40);
const MOUNTS_PER_PAUSE: u32 = 100;

/// Sleep before each measurement of the slabs. Freed objects count until an RCU grace period has
/// passed, which takes longer on a loaded host.
const SETTLE: Duration = Duration::from_secs(2);
/// The number of measurements of which one must be within the tolerance.
const MEASUREMENTS: u32 = 10;

/// Stores `count` forged checkpoints and mounts over each, then restores the stored checkpoint.
pub fn run(disk: Disk, seed: u64, count: u32, log: &mut KernelLog) -> Result<Outcome, Failure> {
    let marker = marker::path(&paths::workdir(disk));
    let stored = marker::stored_checkpoint(&paths::workdir(disk))?;
    let quiet_console = QuietConsole::new()?;
    let result = mount_over_forgeries(disk, &stored, Forger { seed, stored: &stored, drawn: 0 }, count, log);
    quiet_console.restore()?;
    marker::write_checkpoint(&marker, &stored)?;
    Ok(result?.map_or(Outcome::Done, |what| Outcome::Differs { difference: format!("seed {seed}: {what}") }))
}

/// Returns the first deviation from the expected behaviour, if there is one.
fn mount_over_forgeries(
    disk: Disk,
    stored: &[u8],
    mut forger: Forger<'_>,
    count: u32,
    log: &mut KernelLog,
) -> Result<Option<String>, Failure> {
    let marker = marker::path(&paths::workdir(disk));
    let mut kib_before = 0;
    log.read()?;
    for number in 0..count {
        // The first tenth of the mounts fills caches.
        if number == count / 10 {
            kib_before = slab_kib()?;
            // The kernel logs a write to drop_caches.
            log.read()?;
        }
        if number % MOUNTS_PER_PAUSE == 0 {
            sleep(PAUSE);
        }
        let forged = forger.next();
        let describe = || format!("forged checkpoint {number} ({})", Checkpoint::format_xattr(&forged));
        marker::write_checkpoint(&marker, &forged)?;
        match Overlay::new(disk, Mode::Volatile).mount()? {
            Outcome::Refused { errno: libc::EINVAL } => {}
            other => return Ok(Some(format!("{}: the mount returned {other:?} instead of EINVAL", describe()))),
        }
        let mut logged = log.read()?;
        logged.retain(|line| is_relevant(line));
        let message = format!("overlayfs: volatile reuse refused: {}: ", expected_reason(stored, &forged));
        match logged.as_slice() {
            [line] if line.starts_with(&message) => {}
            lines => return Ok(Some(format!("{}: the kernel logged {lines:?} instead of {message:?}", describe()))),
        }
    }
    // kmemleak allocates a slab object for each object that it tracks, and reports leaks itself.
    if kmemleak::is_enabled() {
        return Ok(None);
    }
    let mut growth = 0;
    for _ in 0..MEASUREMENTS {
        growth = slab_kib()?.saturating_sub(kib_before);
        if growth <= TOLERATED_KIB {
            return Ok(None);
        }
    }
    Ok(Some(format!("the slabs of the kernel grew by {growth} KiB, more than {TOLERATED_KIB} KiB")))
}

/// Whether a kernel message must be compared. Other parts of the kernel may log at any time, for
/// example a change of the clock source. Messages that report a kernel failure count, because the
/// quiet console does not show them to the harness.
fn is_relevant(line: &str) -> bool {
    ["overlay", MESSAGES_LOST].iter().any(|prefix| line.starts_with(prefix)) || classify(line).is_some()
}

/// The reason with which the kernel must refuse a forged checkpoint: that of the first check that
/// fails.
fn expected_reason(stored: &[u8], forged: &[u8]) -> &'static str {
    const BAD: &str = "bad-checkpoint";
    if forged.len() != stored.len() {
        return BAD;
    }
    match (Checkpoint::from_xattr(stored), Checkpoint::from_xattr(forged)) {
        (Ok(stored), Ok(forged)) if forged.is_well_formed() => {
            if forged.boot_id != stored.boot_id {
                "other-boot"
            } else if forged.instance_id != stored.instance_id {
                "upper-remounted"
            } else {
                "writeback-error"
            }
        }
        _ => BAD,
    }
}

/// A generator of forged checkpoints. The values depend only on the seed and the stored checkpoint,
/// and differ from it.
struct Forger<'a> {
    seed: u64,
    stored: &'a [u8],
    /// Number of values drawn, including those that equal the stored checkpoint.
    drawn: u64,
}

impl Forger<'_> {
    fn next(&mut self) -> Vec<u8> {
        loop {
            self.drawn += 1;
            let mut random = [0; 64];
            Prng::new(self.seed.wrapping_add(self.drawn)).fill(&mut random);
            let (kind, position, random) = (random[0] % 8, usize::from(random[1]), &random[2..]);
            let (mut value, length) = (self.stored.to_vec(), self.stored.len());
            match kind {
                // Random bytes: of the right length, and of any length.
                0 => value = random[..length].to_vec(),
                1 => value = random[..position % random.len()].to_vec(),
                // Truncated, and extended.
                2 => value.truncate(position % length),
                3 => value.extend(&random[..1 + position % 32]),
                // One bit, one byte, one field.
                4 => value[position % length] ^= 1 << (random[0] % 8),
                5 => value[position % length] = random[0],
                6 => {
                    let field =
                        [CheckpointField::BootId, CheckpointField::InstanceId, CheckpointField::Errseq][position % 3];
                    Checkpoint::increment_in_xattr(&mut value, field);
                }
                // Everything except the boot id.
                _ => value[CheckpointField::BootId.range().end..]
                    .copy_from_slice(&random[..length - CheckpointField::BootId.range().end]),
            }
            if value != self.stored {
                return value;
            }
        }
    }
}

/// Keeps thousands of refusals off the console. The guest reads them from the kernel log.
struct QuietConsole {
    /// Console log levels to restore.
    levels: String,
}

const PRINTK: &str = "/proc/sys/kernel/printk";

impl QuietConsole {
    fn new() -> Result<Self, Failure> {
        let levels = context("read", PRINTK, fs::read_to_string(PRINTK))?;
        init_system::write_setting(PRINTK, "1")?;
        Ok(QuietConsole { levels })
    }

    fn restore(self) -> Result<(), Failure> {
        init_system::write_setting(PRINTK, &self.levels)
    }
}

/// Size of all slabs after unused dentries and inodes were dropped, KiB.
fn slab_kib() -> Result<u64, Failure> {
    init_system::drop_caches(Caches::DentriesAndInodes)?;
    sleep(SETTLE);
    let path = "/proc/meminfo";
    let table = context("read", path, fs::read_to_string(path))?;
    let line = table.lines().find_map(|line| line.strip_prefix("Slab:"));
    let number = line.and_then(|line| line.trim().trim_end_matches(" kB").parse().ok());
    number.ok_or_else(|| Failure::new(format!("failed to find Slab in {path}")))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use rstest::rstest;
    use sha2::{Digest, Sha256};
    use vremount_protocol::Op;

    use super::*;
    use crate::init::init_system::hex;

    #[test]
    fn sleeps_are_shorter_than_the_permitted_silence() {
        let times = 10_000_u32;
        let sleeps = times.div_ceil(MOUNTS_PER_PAUSE) * PAUSE + (1 + MEASUREMENTS) * SETTLE;
        let op = Op::FuzzCheckpoint { disk: Disk::A, seed: 0, count: times };
        assert!(sleeps <= op.max_silence(), "{sleeps:?}");
    }

    #[test]
    fn forged_checkpoints_vary_and_differ_from_the_stored_one() {
        let stored: Vec<u8> = (0..28).collect();
        let mut forger = Forger { seed: 7, stored: &stored, drawn: 0 };
        let forged: BTreeSet<_> = (0..1000).map(|_| forger.next()).collect();
        assert!(forged.len() > 700);
        assert!(!forged.contains(&stored));
    }

    /// A failure report names seed and number, from which the value must be reproducible.
    #[rstest]
    #[case::complete(
        20_201_127,
        28,
        &[
            "0102030405060728090a0b0c0d0e0f101112131415161718191a1b1c",
            "f7191e9000ad0d9cd781fbb4614a7529541f746b416badabe4909ef7",
            "0102030405060708090a0b0c0d0e0b101112131415161718191a1b1c",
            "0102030405060708090a0b0c0d0e0f101112131415161718191a1b1c8d3ad345bf45860c22df",
            "0202030405060708090a0b0c0d0e0f101112131415161718191a1b1c",
            "1ef4debe4be36d2aab5bfcc0d30c4797926dd5f1dc9c5bfd986b837bdfdd999fdf9b369e",
            "0102030405060708090a0b0c0d0e0f1011121314151617181a1a1b1c",
            "0102030405060708090a0b0c0d0e0f",
            "9486cfa1a5ab",
            "0102030405060708090a0b0c0d0e0f101112131415161718191a1b1c5d665f958fc971fb7ad87cca1073f8422eedb12546de7a4505aa",
        ],
        "d7aca9ff0fb9bb278e62c4f22c308b0e39cf913806eb7fb83e86ef57fc5d0cc7"
    )]
    #[case::without_errseq(
        1,
        24,
        &[
            "0102030405060708090a0b0c0d0e0f101112531415161718",
            "0102030405060708090a0b0c0d0e0f101110131415161718",
            "a41a8db9a97d6aa20ad979cbdca158e0ce933246c16945af5cadc3a6f0bc42e6",
            "0102030405060708090a0b0c0d0e0f101112c01415161718",
            "6f81c7da0faef285a96b2170d6e459f56ce73d894cad45b0",
            "0102030405060708090a0b0c0d0e0f101112131415",
        ],
        "ed53581f201622b002a4bc88d5f4e6781fb3fdeb79a21346a82b1b115f6b51e4"
    )]
    fn forged_bytes_of_a_seed_do_not_change(
        #[case] seed: u64,
        #[case] length: u8,
        #[case] first: &[&str],
        #[case] sha256_of_next_2000: &str,
    ) {
        let stored: Vec<u8> = (1..=length).collect();
        let mut forger = Forger { seed, stored: &stored, drawn: 0 };
        let forged: Vec<_> = first.iter().map(|_| hex(&forger.next())).collect();
        assert_eq!(forged, first);
        let next: String = (0..2000).map(|_| format!("{}\n", hex(&forger.next()))).collect();
        assert_eq!(hex(&Sha256::digest(next.as_bytes())), sha256_of_next_2000);
    }

    #[rstest]
    #[case::refusal("overlayfs: volatile reuse refused: other-boot: so it is", true)]
    #[case::lost_messages(MESSAGES_LOST, true)]
    #[case::warning("WARNING: CPU: 0 PID: 1 at fs/overlayfs/super.c:1 ovl_fill_super+0x1/0x2 [overlay]", true)]
    #[case::slab_corruption("BUG kmalloc-64 (Not tainted): Poison overwritten", true)]
    #[case::clock_source("clocksource: Switched to clocksource tsc", false)]
    fn refusals_and_kernel_failures_are_relevant(#[case] line: &str, #[case] expected: bool) {
        assert_eq!(is_relevant(line), expected);
    }

    #[rstest]
    #[case::short(27, &[], "bad-checkpoint")]
    #[case::no_random_uuid(28, &[(6, 0x10)], "bad-checkpoint")]
    #[case::instance_id_0(28, &[(16, 0)], "bad-checkpoint")]
    #[case::boot_id(28, &[(0, 99)], "other-boot")]
    #[case::all_fields(28, &[(0, 99), (16, 99), (24, 99)], "other-boot")]
    #[case::instance_id(28, &[(17, 99)], "upper-remounted")]
    #[case::errseq(28, &[(27, 99)], "writeback-error")]
    fn reason_is_that_of_the_first_failing_check(
        #[case] length: usize,
        #[case] changed: &[(usize, u8)],
        #[case] expected: &str,
    ) {
        let mut stored: Vec<u8> = (1..29).collect();
        (stored[6], stored[8]) = (0x41, 0x81);
        stored[17..24].fill(0);
        let mut forged = stored.clone();
        forged.truncate(length);
        changed.iter().for_each(|(index, byte)| forged[*index] = *byte);
        assert_eq!(expected_reason(&stored, &forged), expected);
    }
}

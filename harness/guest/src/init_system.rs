// SPDX-License-Identifier: MIT OR Apache-2.0
//! The machine: what it is, how it starts, how it stops.

use std::fs;
use std::path::Path;
use std::time::Duration;

use nix::sys::reboot::{RebootMode, reboot};
use nix::sys::utsname::uname;
use nix::time::{ClockId, clock_gettime, clock_settime};
use sys_mount::Mount;
use vremount_protocol::Shutdown;

use crate::error::{Failure, context};

/// What every program needs to see.
pub fn mount_pseudo_filesystems() -> Result<(), Failure> {
    for (kind, at) in [("proc", "/proc"), ("sysfs", "/sys"), ("devtmpfs", "/dev")] {
        context("create", at, fs::create_dir_all(at))?;
        context("mount", at, Mount::builder().fstype(kind).mount(kind, at))?;
    }
    context("mount", "/sys/kernel/debug", Mount::builder().fstype("debugfs").mount("debugfs", "/sys/kernel/debug"))?;
    Ok(())
}

/// How often the kernel looks for data that is old enough to be written back.
pub const WRITEBACK_INTERVAL: &str = "/proc/sys/vm/dirty_writeback_centisecs";

/// Writes to a file that is a setting of the kernel.
pub fn set(path: impl AsRef<Path>, value: &str) -> Result<(), Failure> {
    context("write", &path, fs::write(&path, value))
}

/// What a kernel that is short of memory would take back first.
#[derive(Clone, Copy)]
pub enum Caches {
    /// Dentries and inodes that nobody uses.
    Names,
    /// Those, and clean pages.
    All,
}

pub fn drop_caches(what: Caches) -> Result<(), Failure> {
    let value = match what {
        Caches::Names => "2",
        Caches::All => "3",
    };
    set("/proc/sys/vm/drop_caches", value)
}

pub fn release() -> Result<String, Failure> {
    Ok(context("ask for the name of", "the kernel", uname())?.release().to_string_lossy().into_owned())
}

/// The GNU build id of the running kernel.
pub fn build_id() -> Result<String, Failure> {
    let path = "/sys/kernel/notes";
    let notes = context("read", path, fs::read(path))?;
    gnu_build_id(&notes).ok_or_else(|| Failure::new(format!("failed to find a build id in {path}")))
}

/// ELF notes: sizes of name and descriptor, type, then both, padded to four bytes.
fn gnu_build_id(mut notes: &[u8]) -> Option<String> {
    const NT_GNU_BUILD_ID: usize = 3;
    loop {
        let word = |at: usize| {
            let bytes = notes.get(at..at + 4)?.try_into().ok()?;
            usize::try_from(u32::from_ne_bytes(bytes)).ok()
        };
        let (name_size, size, kind) = (word(0)?, word(4)?, word(8)?);
        let at = 12 + name_size.next_multiple_of(4);
        if kind == NT_GNU_BUILD_ID && notes.get(12..12 + name_size)? == b"GNU\0" {
            return Some(hex(notes.get(at..at + size)?));
        }
        notes = notes.get(at + size.next_multiple_of(4)..)?;
    }
}

pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Has the clock begin with a second, the same on every machine. ext2 keeps whole seconds: where they change shows in what it
/// has to write, and User Mode Linux begins when its host did. Neither before what is on the disks, nor beyond their times.
pub fn set_clock() -> Result<(), Failure> {
    const YEAR_2030: Duration = Duration::from_secs(1_893_456_000);
    context("set", "the clock", clock_settime(ClockId::CLOCK_REALTIME, YEAR_2030.into()))
}

pub fn uptime_ms() -> Result<u64, Failure> {
    let now = context("read", "the clock", clock_gettime(ClockId::CLOCK_BOOTTIME))?;
    u64::try_from(Duration::from(now).as_millis()).map_err(Failure::new)
}

/// Ends the machine. Nothing is synced: what has not been written is lost, as the program wants it.
pub fn stop(shutdown: Shutdown) -> ! {
    let mode = match shutdown {
        Shutdown::Restart => RebootMode::RB_AUTOBOOT,
        Shutdown::PowerOff => RebootMode::RB_POWER_OFF,
        Shutdown::Kexec => RebootMode::RB_KEXEC,
        Shutdown::Spin => loop {
            std::hint::spin_loop();
        },
    };
    let Err(errno) = reboot(mode);
    eprintln!("vremount-guest: failed to stop the machine: {errno}");
    // PID 1 must not return; the harness has a clock.
    loop {
        std::thread::park();
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn note(name: &[u8], kind: u32, content: &[u8]) -> Vec<u8> {
        let mut note = Vec::new();
        for word in [name.len(), content.len()] {
            note.extend(u32::try_from(word).unwrap().to_ne_bytes());
        }
        note.extend(kind.to_ne_bytes());
        for part in [name, content] {
            note.extend(part);
            note.resize(note.len().next_multiple_of(4), 0);
        }
        note
    }

    #[rstest]
    #[case::alone(note(b"GNU\0", 3, &[0xab, 0xcd]), Some("abcd"))]
    #[case::behind_another([note(b"Linux\0", 257, b"\x01"), note(b"GNU\0", 3, &[1, 2, 3])].concat(), Some("010203"))]
    #[case::other_name(note(b"Xen\0", 3, &[1]), None)]
    #[case::cut_short(note(b"GNU\0", 3, &[1, 2, 3, 4])[..18].to_vec(), None)]
    #[case::nothing(vec![], None)]
    fn finds_the_build_id(#[case] notes: Vec<u8>, #[case] expected: Option<&str>) {
        assert_eq!(gnu_build_id(&notes).as_deref(), expected);
    }
}

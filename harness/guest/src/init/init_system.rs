// SPDX-License-Identifier: MIT OR Apache-2.0
//! Duties of PID 1, and identity and settings of the kernel.

use std::fs;
use std::path::Path;
use std::time::Duration;

use nix::sys::reboot::{RebootMode, reboot};
use nix::sys::utsname::uname;
use nix::time::{ClockId, clock_gettime, clock_settime};
use sys_mount::Mount;
use vremount_protocol::Shutdown;

use crate::error::{Failure, context};

/// Mounts proc, sysfs, devtmpfs and debugfs.
pub fn mount_pseudo_filesystems() -> Result<(), Failure> {
    for (kind, mount_point) in [("proc", "/proc"), ("sysfs", "/sys"), ("devtmpfs", "/dev")] {
        context("create", mount_point, fs::create_dir_all(mount_point))?;
        context("mount", mount_point, Mount::builder().fstype(kind).mount(kind, mount_point))?;
    }
    context("mount", "/sys/kernel/debug", Mount::builder().fstype("debugfs").mount("debugfs", "/sys/kernel/debug"))?;
    Ok(())
}

/// Interval of periodic writeback in units of 10 ms; 0 disables it.
pub const WRITEBACK_INTERVAL: &str = "/proc/sys/vm/dirty_writeback_centisecs";

/// Writes a file in procfs, sysfs or debugfs.
pub fn write_setting(path: impl AsRef<Path>, value: &str) -> Result<(), Failure> {
    context("write", &path, fs::write(&path, value))
}

/// Caches that the kernel can drop.
#[derive(Clone, Copy)]
pub enum Caches {
    /// Unused dentries and inodes.
    DentriesAndInodes,
    /// Unused dentries and inodes, and clean pages.
    All,
}

/// Drops caches. Documentation/admin-guide/sysctl/vm.rst.
pub fn drop_caches(caches: Caches) -> Result<(), Failure> {
    let value = match caches {
        Caches::DentriesAndInodes => "2",
        Caches::All => "3",
    };
    write_setting("/proc/sys/vm/drop_caches", value)
}

/// `uname -r`.
pub fn release() -> Result<String, Failure> {
    Ok(context("get the release of", "the kernel", uname())?.release().to_string_lossy().into_owned())
}

/// GNU build id of the running kernel, hexadecimal.
pub fn build_id() -> Result<String, Failure> {
    let path = "/sys/kernel/notes";
    let notes = context("read", path, fs::read(path))?;
    find_gnu_build_id(&notes).ok_or_else(|| Failure::new(format!("failed to find a build id in {path}")))
}

/// Finds the GNU build id in ELF notes. A note consists of name size, descriptor size and type,
/// followed by name and descriptor, each padded to four bytes.
fn find_gnu_build_id(mut notes: &[u8]) -> Option<String> {
    const NT_GNU_BUILD_ID: usize = 3;
    loop {
        let word = |offset: usize| {
            let bytes = notes.get(offset..offset + 4)?.try_into().ok()?;
            usize::try_from(u32::from_ne_bytes(bytes)).ok()
        };
        let (name_size, size, kind) = (word(0)?, word(4)?, word(8)?);
        let descriptor = 12 + name_size.next_multiple_of(4);
        if kind == NT_GNU_BUILD_ID && notes.get(12..12 + name_size)? == b"GNU\0" {
            return Some(hex(notes.get(descriptor..descriptor + size)?));
        }
        notes = notes.get(descriptor + size.next_multiple_of(4)..)?;
    }
}

/// Lowercase hexadecimal digits.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Sets the clock to the start of 2030 in every machine. ext2 stores times in seconds, so the
/// fraction at the start affects what it writes back, and User Mode Linux starts with the time of
/// the host. 2030 is later than all times on the disk images and within the range of all
/// filesystems.
pub fn set_clock() -> Result<(), Failure> {
    const YEAR_2030: Duration = Duration::from_secs(1_893_456_000);
    context("set", "the clock", clock_settime(ClockId::CLOCK_REALTIME, YEAR_2030.into()))
}

/// Time since boot, milliseconds.
pub fn uptime_ms() -> Result<u64, Failure> {
    let now = context("read", "the clock", clock_gettime(ClockId::CLOCK_BOOTTIME))?;
    u64::try_from(Duration::from(now).as_millis()).map_err(Failure::new)
}

/// Stops the machine without a sync, so that data which was not written back is lost.
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
    // PID 1 must not exit. The harness kills the machine after a timeout.
    loop {
        std::thread::park();
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn note(name: &[u8], kind: u32, descriptor: &[u8]) -> Vec<u8> {
        let mut note = Vec::new();
        for word in [name.len(), descriptor.len()] {
            note.extend(u32::try_from(word).unwrap().to_ne_bytes());
        }
        note.extend(kind.to_ne_bytes());
        for part in [name, descriptor] {
            note.extend(part);
            note.resize(note.len().next_multiple_of(4), 0);
        }
        note
    }

    #[rstest]
    #[case::single_note(note(b"GNU\0", 3, &[0xab, 0xcd]), Some("abcd"))]
    #[case::second_note([note(b"Linux\0", 257, b"\x01"), note(b"GNU\0", 3, &[1, 2, 3])].concat(), Some("010203"))]
    #[case::other_name(note(b"Xen\0", 3, &[1]), None)]
    #[case::truncated(note(b"GNU\0", 3, &[1, 2, 3, 4])[..18].to_vec(), None)]
    #[case::empty(vec![], None)]
    fn build_id_is_found(#[case] notes: Vec<u8>, #[case] expected: Option<&str>) {
        assert_eq!(find_gnu_build_id(&notes).as_deref(), expected);
    }
}

// SPDX-License-Identifier: MIT OR Apache-2.0
//! Mounts with failing memory allocations. Documentation/fault-injection/fault-injection.rst.

use std::ffi::CString;
use std::fs::{self, File};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::FileExt;
use std::path::Path;

use nix::mount::{MsFlags, mount};
use vremount_protocol::{Disk, LayerSet, Mode, Outcome};

use super::tally::Tally;
use crate::error::{Failure, context};
use crate::init::init_system::{self, Caches};
use crate::ops::overlay::{self, Overlay};
use crate::ops::{mount_table, paths};

const FAIL_NTH: &str = "/proc/thread-self/fail-nth";
const FAILSLAB: &str = "/sys/kernel/debug/failslab";

/// Mounts the overlay repeatedly; in mount n the n-th allocation fails. Ends with the first mount
/// in which none failed.
///
/// With `first_mount` there is no marker before each of these mounts, and each is followed by a
/// mount without failing allocations, whose outcome is counted instead.
pub fn run(disk: Disk, first_mount: bool) -> Result<Outcome, Failure> {
    // Far more than the allocations of one mount.
    const MAX_ALLOCATIONS: u32 = 5000;
    configure_failslab()?;
    let mount_point = paths::merged(disk, LayerSet::First);
    context("create", &mount_point, fs::create_dir_all(&mount_point))?;
    let fail_nth = FailNth::open()?;
    let mut tally = Tally::default();
    let workdir = paths::workdir(disk);
    let leftover = workdir.join("work/left-behind");
    let overlay = Overlay::new(disk, Mode::Volatile);
    for nth in 1..=MAX_ALLOCATIONS {
        if first_mount {
            recreate_work(&workdir)?;
        }
        context("write", &leftover, fs::write(&leftover, ""))?;
        // A mount that finds the leftover in the dentry cache makes fewer allocations.
        init_system::drop_caches(Caches::DentriesAndInodes)?;
        let Some(outcome) = fail_nth.mount(nth, &mount_point, &overlay.mount_data(""))? else {
            return Ok(Outcome::Starved { mounted: tally.mounted, read_only: tally.read_only, refused: tally.refused });
        };
        if outcome == (Outcome::Mounted { volatile: true, read_only: false }) && leftover.exists() {
            mount_table::unmount_at(&mount_point)?;
            let what = format!("mounted read-write over {} when allocation {nth} failed", leftover.display());
            return Ok(Outcome::Differs { difference: what });
        }
        if first_mount {
            if let Outcome::Mounted { .. } = outcome {
                mount_table::unmount_at(&mount_point)?;
            }
            tally.count_and_unmount(&overlay.mount_at(&mount_point)?, &mount_point)?;
        } else {
            tally.count_and_unmount(&outcome, &mount_point)?;
        }
    }
    Err(Failure::new(format!("failed to try all allocations: a mount makes more than {MAX_ALLOCATIONS}")))
}

/// Makes `work/work` an empty directory without a marker.
fn recreate_work(workdir: &Path) -> Result<(), Failure> {
    let work = workdir.join("work");
    if work.exists() {
        context("remove", &work, fs::remove_dir_all(&work))?;
    }
    context("create", &work, fs::create_dir(&work))
}

/// Includes allocations that may sleep, and disables the stack trace for each failure.
fn configure_failslab() -> Result<(), Failure> {
    for (name, value) in [("ignore-gfp-wait", "N"), ("verbose", "0")] {
        init_system::write_setting(Path::new(FAILSLAB).join(name), value)?;
    }
    Ok(())
}

/// `fail-nth` of this thread. It stays open, because opening it makes allocations too.
struct FailNth(File);

impl FailNth {
    fn open() -> Result<Self, Failure> {
        let opened = File::options().read(true).write(true).open(FAIL_NTH);
        Ok(FailNth(context("open", FAIL_NTH, opened)?))
    }

    /// Mounts an overlay while the nth allocation fails. If the mount makes fewer allocations,
    /// unmounts it and returns none.
    fn mount(&self, nth: u32, mount_point: &Path, data: &str) -> Result<Option<Outcome>, Failure> {
        let [target, data] = [mount_point.as_os_str().as_bytes(), data.as_bytes()].map(CString::new);
        let (target, data) = (target.map_err(Failure::new)?, data.map_err(Failure::new)?);
        let mut remaining = [0; 16];
        self.set(nth)?;
        let overlay = Some(c"overlay");
        let mounted = mount(overlay, target.as_c_str(), overlay, MsFlags::empty(), Some(data.as_c_str()));
        let length = self.0.read_at(&mut remaining, 0);
        self.set(0)?;
        let remaining = String::from_utf8_lossy(&remaining[..context("read", FAIL_NTH, length)?]).into_owned();
        let none_failed = remaining.trim() != "0";
        match mounted {
            Ok(()) if none_failed => mount_table::unmount_at(mount_point).map(|()| None),
            Ok(()) => overlay::mount_outcome(Ok(()), mount_point).map(Some),
            Err(errno) if none_failed => {
                Err(Failure::from_errno(errno as i32, "failed to mount although no allocation failed"))
            }
            Err(errno) => Ok(Some(Outcome::Refused { errno: errno as i32 })),
        }
    }

    fn set(&self, nth: u32) -> Result<(), Failure> {
        context("write", FAIL_NTH, self.0.write_all_at(nth.to_string().as_bytes(), 0))
    }
}

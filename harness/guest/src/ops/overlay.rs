// SPDX-License-Identifier: MIT OR Apache-2.0
//! Overlays: their lower layers, mounts, and the outcome of a mount.

use std::path::Path;
use std::{fs, io};

use sys_mount::{Mount, MountFlags};
use vremount_protocol::{AccessPath, Disk, LayerSet, Mode, Outcome};

use super::mount_table::{split_flags, superblock_options};
use super::paths::{LOWER, LOWERS, merged, upper_filesystem};
use crate::error::{Failure, context};

/// Creates the lower layer of all overlays: a directory to merge, a file with two hard links, and a
/// directory to rename. It is a tmpfs, because the initramfs does not support file handles.
pub fn make_lower() -> Result<(), Failure> {
    context("create", LOWER, fs::create_dir_all(LOWER))?;
    context("mount a tmpfs at", LOWER, Mount::builder().fstype("tmpfs").mount("none", LOWER))?;
    let dir = Path::new(LOWER).join("data");
    context("create", &dir, fs::create_dir_all(&dir))?;
    let (file, link) = (dir.join("lower-file"), dir.join("lower-link"));
    context("write", &file, fs::write(&file, "from the lower layer\n"))?;
    let other_dir = Path::new(LOWER).join("folder");
    context("create", &other_dir, fs::create_dir_all(&other_dir))?;
    let other_file = other_dir.join("lower-file");
    context("write", &other_file, fs::write(&other_file, "from the lower layer too\n"))?;
    context("create the hard link", &link, fs::hard_link(&file, &link))
}

/// Creates additional lower layers, numbered from 1, with one file each.
pub fn make_lowers(count: u32) -> Result<(), Failure> {
    for number in 1..=count {
        let dir = Path::new(LOWERS).join(number.to_string());
        context("create", &dir, fs::create_dir_all(&dir))?;
        let file = dir.join(format!("of-{number}"));
        context("write", &file, fs::write(&file, ""))?;
    }
    Ok(())
}

/// Parameters of an overlay mount.
#[derive(Clone, Copy)]
pub struct Overlay<'a> {
    /// Disk of the upper filesystem.
    pub disk: Disk,
    /// Layers.
    pub layers: LayerSet,
    /// With `volatile` or without.
    pub mode: Mode,
    /// Path by which upperdir and workdir are given.
    pub via: AccessPath,
    /// Further options. A later option overrides an earlier one; `ro` and `rw` are flags.
    pub options: &'a str,
}

impl Overlay<'_> {
    /// An overlay of the first layers without further options.
    pub fn new(disk: Disk, mode: Mode) -> Self {
        Overlay { disk, layers: LayerSet::First, mode, via: AccessPath::Mount, options: "" }
    }

    /// Mounts the overlay with mount(2) at the mount point of its layers.
    pub fn mount(&self) -> Result<Outcome, Failure> {
        self.mount_at(&merged(self.disk, self.layers))
    }

    /// Mounts the overlay with mount(2). Fails if the kernel ignored a requested feature.
    pub fn mount_at(&self, mount_point: &Path) -> Result<Outcome, Failure> {
        context("create", mount_point, fs::create_dir_all(mount_point))?;
        let (flags, options) = split_flags(self.options);
        let data = self.mount_data(&options);
        let mounted = Mount::builder().fstype("overlay").flags(flags).data(&data).mount("overlay", mount_point);
        let outcome = mount_outcome(mounted.map(drop), mount_point)?;
        match find_ignored_option(&options, mount_point, &outcome)? {
            Some(option) => Err(Failure::new(format!(
                "failed to mount the overlay with {option}: the kernel mounted it without this option"
            ))),
            None => Ok(outcome),
        }
    }

    /// The data argument of mount(2), with `options` appended.
    pub fn mount_data(&self, options: &str) -> String {
        let filesystem = upper_filesystem(self.disk, self.via);
        let upper_and_work =
            |suffix| format!("upperdir={0}/upper{suffix},workdir={0}/work{suffix}", filesystem.display());
        // Overlayfs checks each layer when it parses it, also one that a later option replaces.
        let lower = if options.contains("lowerdir=") { String::new() } else { format!("lowerdir={LOWER},") };
        let mut data = match self.layers {
            LayerSet::First | LayerSet::Second => format!("{lower}{}", upper_and_work("")),
            LayerSet::Other => format!("{lower}{}", upper_and_work("-other")),
            LayerSet::LowerOnly => format!("lowerdir={}/upper:{LOWER}", filesystem.display()),
        };
        if self.mode == Mode::Volatile {
            data += ",volatile";
        }
        if !options.is_empty() {
            data = format!("{data},{options}");
        }
        data
    }
}

/// `mount -o remount` of an overlay.
pub fn remount(mount_point: &Path, options: &str) -> Result<Outcome, Failure> {
    let (flags, data) = split_flags(options);
    let remount = Mount::builder().fstype("overlay").flags(flags | MountFlags::REMOUNT).data(&data);
    mount_outcome(remount.mount("overlay", mount_point).map(drop), mount_point)
}

/// Converts the result of a mount to an outcome.
pub fn mount_outcome(mounted: io::Result<()>, mount_point: &Path) -> Result<Outcome, Failure> {
    match mounted {
        Ok(()) => Ok(mounted_from_options(&superblock_options(mount_point)?)),
        Err(error) => Ok(Outcome::Refused { errno: error.raw_os_error().unwrap_or(0) }),
    }
}

/// Finds a requested option `<feature>=on` that the mounted overlay does not have. Overlayfs mounts
/// without a feature that the upper filesystem does not support.
fn find_ignored_option(options: &str, mount_point: &Path, outcome: &Outcome) -> Result<Option<String>, Failure> {
    if !matches!(outcome, Outcome::Mounted { .. }) {
        return Ok(None);
    }
    let present = superblock_options(mount_point)?;
    let requested = options.split(',').filter(|option| option.ends_with("=on"));
    Ok(requested.map(str::to_string).find(|option| !present.contains(option)))
}

/// Derives the outcome from the superblock options of an overlay. Linux 6.12.80 and later show
/// `fsync=volatile` instead of `volatile`.
fn mounted_from_options(options: &[String]) -> Outcome {
    let has = |wanted: &str| options.iter().any(|option| option == wanted);
    Outcome::Mounted { volatile: has("volatile") || has("fsync=volatile"), read_only: has("ro") }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::volatile("rw,lowerdir=/lower,upperdir=/mnt/a/upper,volatile", true, false)]
    #[case::read_only("ro,lowerdir=/lower", false, true)]
    #[case::durable("rw,lowerdir=/volatile", false, false)]
    #[case::fsync_option("rw,lowerdir=/lower,fsync=volatile", true, false)]
    fn outcome_is_derived_from_options(#[case] options: &str, #[case] volatile: bool, #[case] read_only: bool) {
        let options: Vec<_> = options.split(',').map(str::to_string).collect();
        assert_eq!(mounted_from_options(&options), Outcome::Mounted { volatile, read_only });
    }
}

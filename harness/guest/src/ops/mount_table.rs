// SPDX-License-Identifier: MIT OR Apache-2.0
//! The mount table `/proc/self/mountinfo`, unmounting, and mount options that are flags.

use std::fs;
use std::path::{Path, PathBuf};

use sys_mount::{MountFlags, UnmountFlags, unmount};

use crate::error::{Failure, context};

const MOUNTINFO: &str = "/proc/self/mountinfo";

/// All mount points, in the order in which they were mounted.
pub fn mount_points() -> Result<Vec<PathBuf>, Failure> {
    let table = context("read", MOUNTINFO, fs::read_to_string(MOUNTINFO))?;
    Ok(table.lines().filter_map(|line| line.split(' ').nth(4)).map(PathBuf::from).collect())
}

/// Options of the superblock that is mounted at `mount_point`.
pub fn superblock_options(mount_point: &Path) -> Result<Vec<String>, Failure> {
    let table = context("read", MOUNTINFO, fs::read_to_string(MOUNTINFO))?;
    let options = find_superblock_options(&table, mount_point)
        .ok_or_else(|| Failure::new(format!("failed to find {} in {MOUNTINFO}", mount_point.display())))?;
    Ok(options.split(',').map(str::to_string).collect())
}

/// Whether the superblock that is mounted at `mount_point` is read-only.
pub fn is_read_only(mount_point: &Path) -> Result<bool, Failure> {
    Ok(superblock_options(mount_point)?.iter().any(|option| option == "ro"))
}

/// Finds the superblock options of a mount point in the text of mountinfo. proc(5): the fifth field
/// is the mount point, the third field after the separator contains the options of the superblock.
/// If a mount point occurs repeatedly, the last line is the visible mount.
fn find_superblock_options<'a>(mountinfo: &'a str, mount_point: &Path) -> Option<&'a str> {
    let line = mountinfo.lines().rfind(|line| line.split(' ').nth(4).map(Path::new) == Some(mount_point))?;
    let (_, after_separator) = line.split_once(" - ")?;
    after_separator.split(' ').nth(2)
}

/// Splits mount options into the flags `ro` and `rw`, as mount(8) does, and the data for the
/// filesystem.
pub fn split_flags(options: &str) -> (MountFlags, String) {
    let (flags, data): (Vec<_>, Vec<_>) = options.split(',').partition(|option| ["ro", "rw"].contains(option));
    let flags = if flags.last() == Some(&"ro") { MountFlags::RDONLY } else { MountFlags::empty() };
    (flags, data.join(","))
}

/// umount(2).
pub fn unmount_at(mount_point: &Path) -> Result<(), Failure> {
    context("unmount", mount_point, unmount(mount_point, UnmountFlags::empty()))
}

/// umount2(2) with `MNT_DETACH`. Open files keep the superblock in use.
pub fn detach_at(mount_point: &Path) -> Result<(), Failure> {
    context("detach", mount_point, unmount(mount_point, UnmountFlags::DETACH))
}

/// Unmounts everything except `keep`, the last mount first.
pub fn unmount_all_except(keep: &[PathBuf]) -> Result<(), Failure> {
    for mount_point in mount_points()?.iter().rev().filter(|mount_point| !keep.contains(mount_point)) {
        unmount_at(mount_point)?;
    }
    match mount_points()?.iter().find(|mount_point| !keep.contains(mount_point)) {
        Some(left) => Err(Failure::new(format!("failed to unmount {}: it is still mounted", left.display()))),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rstest::rstest;

    use super::*;

    const TABLE: &str = "\
22 1 0:2 / /mnt/a rw,relatime - ext4 /dev/dm-0 rw
24 1 0:4 / /merged/b rw,relatime shared:1 - overlay overlay ro,lowerdir=/lower
25 1 0:5 / /merged/c rw,relatime - overlay overlay rw,lowerdir=/lower
26 1 0:6 / /merged/c rw,relatime - overlay overlay rw,volatile
";

    #[rstest]
    #[case::without_optional_fields("/mnt/a", Some("rw"))]
    #[case::with_optional_field("/merged/b", Some("ro,lowerdir=/lower"))]
    #[case::mounted_twice("/merged/c", Some("rw,volatile"))]
    #[case::not_mounted("/merged", None)]
    fn superblock_options_are_found(#[case] mount_point: &str, #[case] expected: Option<&str>) {
        assert_eq!(find_superblock_options(TABLE, Path::new(mount_point)), expected);
    }

    proptest! {
        #[test]
        fn last_mount_of_any_table_is_found(
            before in "(.*\n)*", tags in "( (shared|master):[0-9]+){0,2}", options in "[a-z,=/:+]+", after in "(.*\n)*"
        ) {
            let line = format!("99 1 0:9 / /merged/a rw{tags} - overlay overlay {options}");
            let table = format!("{before}{line}\n");
            prop_assert_eq!(find_superblock_options(&table, Path::new("/merged/a")), Some(options.as_str()));
            let table = format!("{line}\n{after}");
            let found = find_superblock_options(&table, Path::new("/merged/a"));
            prop_assert!(found.is_none_or(|options| table.contains(options)));
        }
    }

    #[rstest]
    #[case::empty("", MountFlags::empty(), "")]
    #[case::data_only("index=on,volatile", MountFlags::empty(), "index=on,volatile")]
    #[case::flag_and_data("ro,index=on", MountFlags::RDONLY, "index=on")]
    #[case::last_flag_counts("ro,rw", MountFlags::empty(), "")]
    fn flags_are_separated_from_data(#[case] options: &str, #[case] expected: MountFlags, #[case] data: &str) {
        assert_eq!(split_flags(options), (expected, data.to_string()));
    }
}

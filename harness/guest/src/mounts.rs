// SPDX-License-Identifier: MIT OR Apache-2.0
//! Upper filesystems: where they are, the ways to reach them, and mounts in general.

use std::fs;
use std::path::{Path, PathBuf};

use rustix::fs::{IFlags, ioctl_setflags};
use sys_mount::{Mount, MountFlags, UnmountFlags, unmount};
use vremount_protocol::{AccessPath, Disk, Filesystem, LayerSet};

use crate::error::{Failure, context};
use crate::{ioctl, overlay, userns};

/// The upper filesystem of a disk, as an overlay reaches it.
pub fn upper_filesystem(disk: Disk, via: AccessPath) -> PathBuf {
    match via {
        AccessPath::Mount => PathBuf::from(format!("/mnt/{disk}")),
        AccessPath::Bind => PathBuf::from(format!("/bind/{disk}")),
        AccessPath::Again => PathBuf::from(format!("/again/{disk}")),
        AccessPath::Moved => PathBuf::from(format!("/moved/{disk}")),
        AccessPath::Idmapped => PathBuf::from(format!("/idmapped/{disk}")),
    }
}

pub fn upperdir(disk: Disk) -> PathBuf {
    upper_filesystem(disk, AccessPath::Mount).join("upper")
}

pub fn workdir(disk: Disk) -> PathBuf {
    workdir_of(disk, LayerSet::First)
}

pub fn workdir_of(disk: Disk, layers: LayerSet) -> PathBuf {
    upper_filesystem(disk, AccessPath::Mount).join(if layers == LayerSet::Other { "work-other" } else { "work" })
}

/// Mounts the upper filesystem of a disk, with more options than it always has.
pub fn mount_upper(device: &Path, at: &Path, fs: &Filesystem, options: &str) -> Result<(), Failure> {
    context("create", at, fs::create_dir_all(at))?;
    let mut all = vec![fs.options.clone(), options.to_string()];
    if let Some(name) = &fs.subvolume {
        make_subvolume(device, at, &fs.kind, name)?;
        all.push(format!("subvol={name}"));
    }
    all.retain(|options| !options.is_empty());
    let mounted = Mount::builder().fstype(fs.kind.as_str()).data(&all.join(",")).mount(device, at);
    context("mount the upper filesystem at", at, mounted).map(drop)
}

/// The whole filesystem is mounted no longer than this takes.
fn make_subvolume(device: &Path, at: &Path, kind: &str, name: &str) -> Result<(), Failure> {
    context("mount the whole filesystem at", at, Mount::builder().fstype(kind).mount(device, at))?;
    if !at.join(name).exists() {
        let top = context("open", at, fs::File::open(at))?;
        context("make a subvolume in", at, ioctl::make_subvolume(&top, name))?;
    }
    unmount_at(at)
}

/// The upper and work directories, where they are missing.
pub fn make_layers(disk: Disk) -> Result<(), Failure> {
    let at = upper_filesystem(disk, AccessPath::Mount);
    for folder in ["upper", "work", "upper-other", "work-other"].map(|name| at.join(name)) {
        context("create", &folder, fs::create_dir_all(&folder))?;
    }
    Ok(())
}

/// Layers anew that ignore case, with a lower one beside them: all layers do, or none.
pub fn make_layers_that_ignore_case(disk: Disk) -> Result<(), Failure> {
    /// `FS_CASEFOLD_FL`
    const CASEFOLD: u32 = 0x4000_0000;
    let at = upper_filesystem(disk, AccessPath::Mount);
    for folder in ["upper", "work", "lower"].map(|name| at.join(name)) {
        if folder.exists() {
            context("remove", &folder, fs::remove_dir_all(&folder))?;
        }
        context("create", &folder, fs::create_dir(&folder))?;
        let opened = context("open", &folder, fs::File::open(&folder))?;
        context("make ignore case", &folder, ioctl_setflags(&opened, IFlags::from_bits_retain(CASEFOLD)))?;
    }
    let folder = at.join("lower/folder");
    context("create", &folder, fs::create_dir(&folder))
}

/// Where a file of the host is in the guest.
pub fn host_file(file: &Path) -> Result<PathBuf, Failure> {
    let at = Path::new("/host");
    let (Some(folder), Some(name)) = (file.parent(), file.file_name()) else {
        return Err(Failure::new(format!("{} is no file", file.display())));
    };
    context("create", at, fs::create_dir_all(at))?;
    let mounted = Mount::builder().fstype("hostfs").data(&folder.to_string_lossy()).mount("hostfs", at);
    context("mount the host's files at", at, mounted)?;
    Ok(at.join(name))
}

/// Makes an upper filesystem reachable another way.
pub fn reach(disk: Disk, via: AccessPath, device: &Path, fs: &Filesystem) -> Result<(), Failure> {
    let (from, to) = (upper_filesystem(disk, AccessPath::Mount), upper_filesystem(disk, via));
    context("create", &to, fs::create_dir_all(&to))?;
    let flags = match via {
        AccessPath::Mount => return Err(Failure::new(format!("{} is where it is", from.display()))),
        AccessPath::Again => return mount_upper(device, &to, fs, ""),
        AccessPath::Bind => MountFlags::BIND,
        AccessPath::Moved => MountFlags::MOVE,
        AccessPath::Idmapped => return userns::mount_idmapped(&from, &to),
    };
    context("mount the upper filesystem at", &to, Mount::builder().flags(flags).mount(&from, &to)).map(drop)
}

pub fn unreach(disk: Disk, via: AccessPath) -> Result<(), Failure> {
    let (at, back) = (upper_filesystem(disk, via), upper_filesystem(disk, AccessPath::Mount));
    match via {
        AccessPath::Moved => {
            context("move back", &at, Mount::builder().flags(MountFlags::MOVE).mount(&at, &back)).map(drop)
        }
        _ => unmount_at(&at),
    }
}

/// `mount -o remount` of the upper filesystem.
pub fn remount_upper(disk: Disk, kind: &str, options: &str) -> Result<(), Failure> {
    let at = upper_filesystem(disk, AccessPath::Mount);
    let (flags, data) = overlay::flags(options);
    let mounted = Mount::builder().fstype(kind).flags(flags | MountFlags::REMOUNT).data(&data).mount("none", &at);
    context("mount again with other options", &at, mounted).map(drop)
}

pub fn unmount_at(at: &Path) -> Result<(), Failure> {
    context("unmount", at, unmount(at, UnmountFlags::empty()))
}

/// Takes it away from here; what uses it may go on.
pub fn detach_at(at: &Path) -> Result<(), Failure> {
    context("detach", at, unmount(at, UnmountFlags::DETACH))
}

/// Every mount point, the last mounted last.
pub fn all() -> Result<Vec<PathBuf>, Failure> {
    let path = "/proc/self/mountinfo";
    let table = context("read", path, fs::read_to_string(path))?;
    Ok(table.lines().filter_map(|line| line.split(' ').nth(4)).map(PathBuf::from).collect())
}

/// Unmounts all but these.
pub fn unmount_all(but: &[PathBuf]) -> Result<(), Failure> {
    for at in all()?.iter().rev().filter(|at| !but.contains(at)) {
        unmount_at(at)?;
    }
    match all()?.iter().find(|at| !but.contains(at)) {
        Some(left) => Err(Failure::new(format!("failed to unmount {}: it is still mounted", left.display()))),
        None => Ok(()),
    }
}

/// Whether the superblock that is mounted there is read-only.
pub fn is_read_only(at: &Path) -> Result<bool, Failure> {
    Ok(superblock_options(at)?.iter().any(|option| option == "ro"))
}

/// The options of the superblock that is mounted there.
pub fn superblock_options(at: &Path) -> Result<Vec<String>, Failure> {
    let path = "/proc/self/mountinfo";
    let table = context("read", path, fs::read_to_string(path))?;
    let options = options_of(&table, at);
    let options = options.ok_or_else(|| Failure::new(format!("failed to find {} in {path}", at.display())))?;
    Ok(options.split(',').map(str::to_string).collect())
}

/// proc(5): the fifth field is the mount point, the third after the separator the options of the superblock. The last
/// line of a mount point is the one that is seen.
fn options_of<'a>(mountinfo: &'a str, at: &Path) -> Option<&'a str> {
    let line = mountinfo.lines().rfind(|line| line.split(' ').nth(4).map(Path::new) == Some(at))?;
    let (_, behind) = line.split_once(" - ")?;
    behind.split(' ').nth(2)
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
    #[case::plain("/mnt/a", Some("rw"))]
    #[case::with_a_tag("/merged/b", Some("ro,lowerdir=/lower"))]
    #[case::on_top("/merged/c", Some("rw,volatile"))]
    #[case::not_mounted("/merged", None)]
    fn reads_mountinfo(#[case] at: &str, #[case] expected: Option<&str>) {
        assert_eq!(options_of(TABLE, Path::new(at)), expected);
    }

    proptest! {
        #[test]
        fn of_a_table_the_last_mount_is_seen(
            before in "(.*\n)*", tags in "( (shared|master):[0-9]+){0,2}", options in "[a-z,=/:+]+", after in "(.*\n)*"
        ) {
            let line = format!("99 1 0:9 / /merged/a rw{tags} - overlay overlay {options}");
            let table = format!("{before}{line}\n");
            prop_assert_eq!(options_of(&table, Path::new("/merged/a")), Some(options.as_str()));
            let table = format!("{line}\n{after}");
            prop_assert!(options_of(&table, Path::new("/merged/a")).is_none_or(|options| table.contains(options)));
        }
    }
}

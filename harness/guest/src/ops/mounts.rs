// SPDX-License-Identifier: MIT OR Apache-2.0
//! Mounts of upper filesystems, and the directories in them.

use std::fs;
use std::path::{Path, PathBuf};

use rustix::fs::{IFlags, ioctl_setflags};
use sys_mount::{Mount, MountFlags};
use vremount_protocol::{AccessPath, Disk, Filesystem};

use super::mount_table::{split_flags, unmount_at};
use super::paths::upper_filesystem;
use super::{ioctl, userns};
use crate::error::{Failure, context};

/// Mounts an upper filesystem with `options` in addition to those of `fs`.
pub fn mount_upper(device: &Path, mount_point: &Path, fs: &Filesystem, options: &str) -> Result<(), Failure> {
    context("create", mount_point, fs::create_dir_all(mount_point))?;
    let mut all = vec![fs.options.clone(), options.to_string()];
    if let Some(name) = &fs.subvolume {
        make_subvolume(device, mount_point, &fs.kind, name)?;
        all.push(format!("subvol={name}"));
    }
    all.retain(|options| !options.is_empty());
    let mounted = Mount::builder().fstype(fs.kind.as_str()).data(&all.join(",")).mount(device, mount_point);
    context("mount the upper filesystem at", mount_point, mounted).map(drop)
}

/// Creates a btrfs subvolume if it does not exist. Mounts the top-level subvolume for this time.
fn make_subvolume(device: &Path, mount_point: &Path, kind: &str, name: &str) -> Result<(), Failure> {
    let mounted = Mount::builder().fstype(kind).mount(device, mount_point);
    context("mount the top-level subvolume at", mount_point, mounted)?;
    if !mount_point.join(name).exists() {
        let top = context("open", mount_point, fs::File::open(mount_point))?;
        context("create a subvolume in", mount_point, ioctl::make_subvolume(&top, name))?;
    }
    unmount_at(mount_point)
}

/// Creates the upper and work directories that do not exist.
pub fn make_layers(disk: Disk) -> Result<(), Failure> {
    let root = upper_filesystem(disk, AccessPath::Mount);
    for dir in ["upper", "work", "upper-other", "work-other"].map(|name| root.join(name)) {
        context("create", &dir, fs::create_dir_all(&dir))?;
    }
    Ok(())
}

/// Creates `upper`, `work` and `lower` again as case-insensitive directories. Overlayfs requires
/// the same case folding in all layers.
pub fn make_casefolded_layers(disk: Disk) -> Result<(), Failure> {
    /// `FS_CASEFOLD_FL`.
    const CASEFOLD: u32 = 0x4000_0000;
    let root = upper_filesystem(disk, AccessPath::Mount);
    for dir in ["upper", "work", "lower"].map(|name| root.join(name)) {
        if dir.exists() {
            context("remove", &dir, fs::remove_dir_all(&dir))?;
        }
        context("create", &dir, fs::create_dir(&dir))?;
        let opened = context("open", &dir, fs::File::open(&dir))?;
        context("enable case folding of", &dir, ioctl_setflags(&opened, IFlags::from_bits_retain(CASEFOLD)))?;
    }
    let dir = root.join("lower/folder");
    context("create", &dir, fs::create_dir(&dir))
}

/// Mounts the directory of a host file with hostfs (User Mode Linux). Returns the path of the file
/// in the guest.
pub fn mount_host_file(file: &Path) -> Result<PathBuf, Failure> {
    let mount_point = Path::new("/host");
    let (Some(dir), Some(name)) = (file.parent(), file.file_name()) else {
        return Err(Failure::new(format!("failed to mount a host file: {} has no file name", file.display())));
    };
    context("create", mount_point, fs::create_dir_all(mount_point))?;
    let mounted = Mount::builder().fstype("hostfs").data(&dir.to_string_lossy()).mount("hostfs", mount_point);
    context("mount hostfs at", mount_point, mounted)?;
    Ok(mount_point.join(name))
}

/// Mounts an upper filesystem at another path, in addition to or instead of its mount point.
pub fn add_access_path(disk: Disk, via: AccessPath, device: &Path, fs: &Filesystem) -> Result<(), Failure> {
    let (from, to) = (upper_filesystem(disk, AccessPath::Mount), upper_filesystem(disk, via));
    context("create", &to, fs::create_dir_all(&to))?;
    let flags = match via {
        AccessPath::Mount => return Err(Failure::new(format!("{} is mounted already", from.display()))),
        AccessPath::SecondMount => return mount_upper(device, &to, fs, ""),
        AccessPath::Bind => MountFlags::BIND,
        AccessPath::Moved => MountFlags::MOVE,
        AccessPath::Idmapped => return userns::mount_idmapped(&from, &to),
    };
    context("mount the upper filesystem at", &to, Mount::builder().flags(flags).mount(&from, &to)).map(drop)
}

/// Undoes [`add_access_path`].
pub fn remove_access_path(disk: Disk, via: AccessPath) -> Result<(), Failure> {
    let (from, to) = (upper_filesystem(disk, via), upper_filesystem(disk, AccessPath::Mount));
    match via {
        AccessPath::Moved => {
            context("move the mount", &from, Mount::builder().flags(MountFlags::MOVE).mount(&from, &to)).map(drop)
        }
        _ => unmount_at(&from),
    }
}

/// `mount -o remount` of the upper filesystem.
pub fn remount_upper(disk: Disk, kind: &str, options: &str) -> Result<(), Failure> {
    let mount_point = upper_filesystem(disk, AccessPath::Mount);
    let (flags, data) = split_flags(options);
    let remount = Mount::builder().fstype(kind).flags(flags | MountFlags::REMOUNT).data(&data);
    context("remount", &mount_point, remount.mount("none", &mount_point)).map(drop)
}

// SPDX-License-Identifier: MIT OR Apache-2.0
//! Upper filesystems and overlays: where they are, how they are mounted, what became of it.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use sys_mount::{Mount, MountFlags, UnmountFlags, unmount};
use vremount_wire::{Disk, Filesystem, Layers, Mode, Outcome, Via};

use crate::error::{Failure, context};
use crate::ioctl;

const LOWER: &str = "/lower";

/// The upper filesystem of a disk, as an overlay reaches it.
pub fn upper_filesystem(disk: Disk, via: Via) -> PathBuf {
    match via {
        Via::Mount => PathBuf::from(format!("/mnt/{disk}")),
        Via::Bind => PathBuf::from(format!("/bind/{disk}")),
    }
}

pub fn upperdir(disk: Disk) -> PathBuf {
    upper_filesystem(disk, Via::Mount).join("upper")
}

pub fn workdir(disk: Disk) -> PathBuf {
    upper_filesystem(disk, Via::Mount).join("work")
}

/// Where an overlay is mounted.
pub fn merged(disk: Disk, layers: Layers) -> PathBuf {
    match layers {
        Layers::First => PathBuf::from(format!("/merged/{disk}")),
        Layers::Second => PathBuf::from(format!("/merged/{disk}-second")),
    }
}

/// The lower layer all overlays share: a file to copy up and a directory to merge.
pub fn make_lower() -> Result<(), Failure> {
    let folder = Path::new(LOWER).join("data");
    context("create", &folder, fs::create_dir_all(&folder))?;
    let file = folder.join("lower-file");
    context("write", &file, fs::write(&file, "from the lower layer\n"))
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

/// `upper` and `work`, where they are missing.
pub fn make_layers(disk: Disk) -> Result<(), Failure> {
    for folder in [upperdir(disk), workdir(disk)] {
        context("create", &folder, fs::create_dir_all(&folder))?;
    }
    Ok(())
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

pub fn bind_upper(disk: Disk) -> Result<(), Failure> {
    let (from, to) = (upper_filesystem(disk, Via::Mount), upper_filesystem(disk, Via::Bind));
    context("create", &to, fs::create_dir_all(&to))?;
    context("bind-mount", &to, Mount::builder().flags(MountFlags::BIND).mount(&from, &to)).map(drop)
}

pub fn unmount_at(at: &Path) -> Result<(), Failure> {
    context("unmount", at, unmount(at, UnmountFlags::empty()))
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

/// mount(2) of an overlay.
pub fn mount_overlay(disk: Disk, layers: Layers, mode: Mode, via: Via, options: &str) -> Result<Outcome, Failure> {
    let at = merged(disk, layers);
    context("create", &at, fs::create_dir_all(&at))?;
    let data = overlay_options(disk, mode, via, options);
    match Mount::builder().fstype("overlay").data(&data).mount("overlay", &at) {
        Ok(_) => {
            let path = "/proc/self/mountinfo";
            let table = context("read", path, fs::read_to_string(path))?;
            outcome_of(&table, &at).ok_or_else(|| Failure::new(format!("failed to find {} in {path}", at.display())))
        }
        Err(error) => Ok(Outcome::Refused { errno: errno(&error) }),
    }
}

pub fn overlay_options(disk: Disk, mode: Mode, via: Via, options: &str) -> String {
    let filesystem = upper_filesystem(disk, via);
    let mut all = format!("lowerdir={LOWER},upperdir={0}/upper,workdir={0}/work", filesystem.display());
    if mode == Mode::Volatile {
        all += ",volatile";
    }
    if !options.is_empty() {
        all = format!("{all},{options}");
    }
    all
}

fn errno(error: &io::Error) -> i32 {
    error.raw_os_error().unwrap_or(0)
}

/// How an overlay is mounted, from the options of its superblock: since 6.12.80 `volatile` is shown in another form.
fn outcome_of(mountinfo: &str, at: &Path) -> Option<Outcome> {
    let options = superblock_options(mountinfo, at)?;
    let has = |wanted: &str| options.split(',').any(|option| option == wanted);
    Some(Outcome::Mounted { volatile: has("volatile") || has("fsync=volatile"), read_only: has("ro") })
}

/// Whether the superblock that is mounted there is read-only.
pub fn is_read_only(at: &Path) -> Result<bool, Failure> {
    let path = "/proc/self/mountinfo";
    let table = context("read", path, fs::read_to_string(path))?;
    let options = superblock_options(&table, at)
        .ok_or_else(|| Failure::new(format!("failed to find {} in {path}", at.display())))?;
    Ok(options.split(',').any(|option| option == "ro"))
}

/// proc(5): the fifth field is the mount point, the third after the separator the options of the superblock. The last
/// line of a mount point is the one that is seen.
fn superblock_options<'a>(mountinfo: &'a str, at: &Path) -> Option<&'a str> {
    let line = mountinfo.lines().rfind(|line| line.split(' ').nth(4).map(Path::new) == Some(at))?;
    let (_, behind) = line.split_once(" - ")?;
    behind.split(' ').nth(2)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    const TABLE: &str = "\
22 1 0:2 / /mnt/a rw,relatime - ext4 /dev/dm-0 rw
23 1 0:3 / /merged/a rw,relatime - overlay overlay rw,lowerdir=/lower,upperdir=/mnt/a/upper,volatile
24 1 0:4 / /merged/b rw,relatime shared:1 - overlay overlay ro,lowerdir=/lower
25 1 0:5 / /merged/c rw,relatime - overlay overlay rw,lowerdir=/volatile
26 1 0:6 / /merged/c rw,relatime - overlay overlay rw,lowerdir=/lower,fsync=volatile
";

    #[rstest]
    #[case::volatile("/merged/a", Some((true, false)))]
    #[case::read_only("/merged/b", Some((false, true)))]
    #[case::on_top("/merged/c", Some((true, false)))]
    #[case::not_mounted("/merged", None)]
    fn reads_mountinfo(#[case] at: &str, #[case] expected: Option<(bool, bool)>) {
        let expected = expected.map(|(volatile, read_only)| Outcome::Mounted { volatile, read_only });
        assert_eq!(outcome_of(TABLE, Path::new(at)), expected);
    }
}

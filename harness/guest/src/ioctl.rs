// SPDX-License-Identifier: MIT OR Apache-2.0
//! System calls that no crate wraps; each wrapper is the only place where its call is unsafe.

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;

/// A run of a file on its device, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Extent {
    pub start: u64,
    pub length: u64,
    /// `FIEMAP_EXTENT_*`.
    pub flags: u32,
}

const MOST_EXTENTS: usize = 256;

#[repr(C)]
#[derive(Clone, Copy, Default)]
struct FiemapExtent {
    logical: u64,
    physical: u64,
    length: u64,
    reserved64: [u64; 2],
    flags: u32,
    reserved: [u32; 3],
}

#[repr(C)]
struct Fiemap {
    start: u64,
    length: u64,
    flags: u32,
    mapped_extents: u32,
    extent_count: u32,
    reserved: u32,
    extents: [FiemapExtent; MOST_EXTENTS],
}

nix::ioctl_readwrite_bad!(fs_ioc_fiemap, 0xC020_660B, Fiemap);

/// `FS_IOC_FIEMAP`: where a file is on its device.
pub fn fiemap(file: &File) -> io::Result<Vec<Extent>> {
    let mut map = Fiemap {
        start: 0,
        length: u64::MAX,
        flags: 0,
        mapped_extents: 0,
        extent_count: 256,
        reserved: 0,
        extents: [FiemapExtent::default(); MOST_EXTENTS],
    };
    // SAFETY: the kernel writes at most `extent_count` extents, and the structure has room for as many.
    unsafe { fs_ioc_fiemap(file.as_raw_fd(), &raw mut map) }?;
    let mapped = &map.extents[..map.mapped_extents as usize];
    Ok(mapped.iter().map(|e| Extent { start: e.physical, length: e.length, flags: e.flags }).collect())
}

/// `sync_file_range(2)` of the whole file: writes its data back and waits for it.
pub fn write_back(file: &File) -> io::Result<()> {
    let all = libc::SYNC_FILE_RANGE_WAIT_BEFORE | libc::SYNC_FILE_RANGE_WRITE | libc::SYNC_FILE_RANGE_WAIT_AFTER;
    // SAFETY: takes no pointers.
    nix::errno::Errno::result(unsafe { libc::sync_file_range(file.as_raw_fd(), 0, 0, all) })?;
    Ok(())
}

/// `struct btrfs_ioctl_vol_args`.
#[repr(C)]
struct Volume {
    fd: i64,
    name: [u8; 4088],
}

nix::ioctl_write_ptr!(btrfs_ioc_subvol_create, 0x94, 14, Volume);

/// `BTRFS_IOC_SUBVOL_CREATE`: makes a subvolume in a folder.
pub fn make_subvolume(folder: &File, name: &str) -> io::Result<()> {
    let mut volume = Volume { fd: 0, name: [0; 4088] };
    let room = volume.name.get_mut(..name.len()).ok_or(io::ErrorKind::InvalidFilename)?;
    room.copy_from_slice(name.as_bytes());
    // SAFETY: the kernel reads the structure, whose name ends in a zero because it is shorter than its room.
    unsafe { btrfs_ioc_subvol_create(folder.as_raw_fd(), &raw const volume) }?;
    Ok(())
}

nix::ioctl_write_int_bad!(tiocsctty, libc::TIOCSCTTY);

/// `TIOCSCTTY`: makes a terminal the one that ^C comes from.
pub fn take_terminal(terminal: &File) -> io::Result<()> {
    // SAFETY: the argument is a number.
    unsafe { tiocsctty(terminal.as_raw_fd(), 0) }?;
    Ok(())
}

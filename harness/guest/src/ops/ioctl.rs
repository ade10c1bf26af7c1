// SPDX-License-Identifier: MIT OR Apache-2.0
//! ioctl(2) requests and system calls that no crate wraps. Each wrapper is the only unsafe use of
//! its call.

use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

/// A contiguous range of a file on its device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Extent {
    /// Offset on the device, bytes.
    pub start: u64,
    /// Length, bytes.
    pub length: u64,
    /// `FIEMAP_EXTENT_*`.
    pub flags: u32,
}

const MAX_EXTENTS: usize = 256;

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
    extents: [FiemapExtent; MAX_EXTENTS],
}

nix::ioctl_readwrite_bad!(fs_ioc_fiemap, 0xC020_660B, Fiemap);

/// `FS_IOC_FIEMAP`: the extents of a file.
pub fn fiemap(file: &File) -> io::Result<Vec<Extent>> {
    fiemap_with(file, 0)
}

/// `FS_IOC_FIEMAP` with `FIEMAP_FLAG_XATTR`: the extents of the xattrs of a file. Filesystems
/// return no extent, or one marked as inline, for xattrs in the inode.
pub fn fiemap_xattr(file: &File) -> io::Result<Vec<Extent>> {
    const XATTR: u32 = 0x2;
    fiemap_with(file, XATTR)
}

fn fiemap_with(file: &File, flags: u32) -> io::Result<Vec<Extent>> {
    let mut map = Fiemap {
        start: 0,
        length: u64::MAX,
        flags,
        mapped_extents: 0,
        extent_count: 256,
        reserved: 0,
        extents: [FiemapExtent::default(); MAX_EXTENTS],
    };
    // SAFETY: the kernel writes at most `extent_count` extents, which is the length of the array.
    unsafe { fs_ioc_fiemap(file.as_raw_fd(), &raw mut map) }?;
    let mapped = &map.extents[..map.mapped_extents as usize];
    Ok(mapped.iter().map(|e| Extent { start: e.physical, length: e.length, flags: e.flags }).collect())
}

/// sync_file_range(2) of the whole file: writes its data back and waits.
pub fn write_back(file: &File) -> io::Result<()> {
    let all = libc::SYNC_FILE_RANGE_WAIT_BEFORE | libc::SYNC_FILE_RANGE_WRITE | libc::SYNC_FILE_RANGE_WAIT_AFTER;
    // SAFETY: the call takes no pointers.
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

/// `BTRFS_IOC_SUBVOL_CREATE`: creates a subvolume in a directory.
pub fn make_subvolume(dir: &File, name: &str) -> io::Result<()> {
    let mut volume = Volume { fd: 0, name: [0; 4088] };
    let destination = volume.name.get_mut(..name.len()).ok_or(io::ErrorKind::InvalidFilename)?;
    destination.copy_from_slice(name.as_bytes());
    // SAFETY: the kernel reads the structure. Its name is shorter than the array and therefore ends
    // with a zero byte.
    unsafe { btrfs_ioc_subvol_create(dir.as_raw_fd(), &raw const volume) }?;
    Ok(())
}

nix::ioctl_readwrite!(fifreeze, b'X', 119, libc::c_int);
nix::ioctl_readwrite!(fithaw, b'X', 120, libc::c_int);
nix::ioctl_read!(fs_ioc_shutdown, b'X', 125, u32);

nix::ioctl_none!(blkflsbuf, 0x12, 97);

/// `BLKFLSBUF`: writes back and drops the page cache of a block device.
pub fn flush_buffers(device: &File) -> io::Result<()> {
    // SAFETY: the request takes no argument.
    unsafe { blkflsbuf(device.as_raw_fd()) }?;
    Ok(())
}

/// `FIFREEZE`: freezes a filesystem.
pub fn freeze(filesystem: &File) -> io::Result<()> {
    let mut unused = 0;
    // SAFETY: the kernel ignores the argument.
    unsafe { fifreeze(filesystem.as_raw_fd(), &raw mut unused) }?;
    Ok(())
}

/// `FITHAW`: thaws a filesystem.
pub fn thaw(filesystem: &File) -> io::Result<()> {
    let mut unused = 0;
    // SAFETY: the kernel ignores the argument.
    unsafe { fithaw(filesystem.as_raw_fd(), &raw mut unused) }?;
    Ok(())
}

/// `FS_IOC_SHUTDOWN` of ext4, xfs and f2fs, without a flush of the log (`NOLOGFLUSH`).
pub fn shut_down(filesystem: &File) -> io::Result<()> {
    let mut no_flush = 2;
    // SAFETY: the kernel reads an integer, although the direction encoded in the request is the
    // opposite.
    unsafe { fs_ioc_shutdown(filesystem.as_raw_fd(), &raw mut no_flush) }?;
    Ok(())
}

/// mount_setattr(2) with `MOUNT_ATTR_IDMAP`: makes a detached mount idmapped with the mapping of a
/// user namespace.
pub fn set_idmap(mount: BorrowedFd<'_>, userns: BorrowedFd<'_>) -> io::Result<()> {
    let attributes = libc::mount_attr {
        attr_set: libc::MOUNT_ATTR_IDMAP,
        attr_clr: 0,
        propagation: 0,
        userns_fd: u64::try_from(userns.as_raw_fd()).map_err(io::Error::other)?,
    };
    // SAFETY: the path is a valid string, and the structure has the stated size and lives until the
    // call returns.
    let result = unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            mount.as_raw_fd(),
            c"".as_ptr(),
            libc::AT_EMPTY_PATH,
            &raw const attributes,
            size_of::<libc::mount_attr>(),
        )
    };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

nix::ioctl_write_int_bad!(tiocsctty, libc::TIOCSCTTY);

/// `TIOCSCTTY`: makes a terminal the controlling terminal of the session.
pub fn set_controlling_terminal(terminal: &File) -> io::Result<()> {
    // SAFETY: the argument is an integer.
    unsafe { tiocsctty(terminal.as_raw_fd(), 0) }?;
    Ok(())
}

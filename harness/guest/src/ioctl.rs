// SPDX-License-Identifier: MIT OR Apache-2.0
//! System calls that no crate wraps; each wrapper is the only place where its call is unsafe.

use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

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
    fiemap_with(file, 0)
}

/// The same for the xattrs of a file, where they are not kept in its inode.
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

nix::ioctl_readwrite!(fifreeze, b'X', 119, libc::c_int);
nix::ioctl_readwrite!(fithaw, b'X', 120, libc::c_int);
nix::ioctl_read!(fs_ioc_shutdown, b'X', 125, u32);

nix::ioctl_none!(blkflsbuf, 0x12, 97);

/// `BLKFLSBUF`: writes back and forgets what the page cache knows of a block device.
pub fn flush_buffers(device: &File) -> io::Result<()> {
    // SAFETY: takes no argument.
    unsafe { blkflsbuf(device.as_raw_fd()) }?;
    Ok(())
}

/// `FIFREEZE`
pub fn freeze(filesystem: &File) -> io::Result<()> {
    let mut unused = 0;
    // SAFETY: the kernel does not look at the argument.
    unsafe { fifreeze(filesystem.as_raw_fd(), &raw mut unused) }?;
    Ok(())
}

/// `FITHAW`
pub fn thaw(filesystem: &File) -> io::Result<()> {
    let mut unused = 0;
    // SAFETY: the kernel does not look at the argument.
    unsafe { fithaw(filesystem.as_raw_fd(), &raw mut unused) }?;
    Ok(())
}

/// `FS_IOC_SHUTDOWN`, as ext4, xfs and f2fs know it: without a flush of the log.
pub fn shut_down(filesystem: &File) -> io::Result<()> {
    let mut no_flush = 2;
    // SAFETY: the kernel reads a number, in spite of the direction that the request's number tells.
    unsafe { fs_ioc_shutdown(filesystem.as_raw_fd(), &raw mut no_flush) }?;
    Ok(())
}

/// mount_setattr(2) with `MOUNT_ATTR_IDMAP`: shows the users of a mount that is not attached yet as a user namespace maps
/// them.
pub fn map_users(mount: BorrowedFd<'_>, users: BorrowedFd<'_>) -> io::Result<()> {
    let attributes = libc::mount_attr {
        attr_set: libc::MOUNT_ATTR_IDMAP,
        attr_clr: 0,
        propagation: 0,
        userns_fd: u64::try_from(users.as_raw_fd()).map_err(io::Error::other)?,
    };
    // SAFETY: the path is empty, and the structure of the size that is given lives until the call returns.
    let done = unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            mount.as_raw_fd(),
            c"".as_ptr(),
            libc::AT_EMPTY_PATH,
            &raw const attributes,
            size_of::<libc::mount_attr>(),
        )
    };
    if done == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

nix::ioctl_write_int_bad!(tiocsctty, libc::TIOCSCTTY);

/// `TIOCSCTTY`: makes a terminal the one that ^C comes from.
pub fn take_terminal(terminal: &File) -> io::Result<()> {
    // SAFETY: the argument is a number.
    unsafe { tiocsctty(terminal.as_raw_fd(), 0) }?;
    Ok(())
}

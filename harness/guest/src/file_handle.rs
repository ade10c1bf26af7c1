// SPDX-License-Identifier: MIT OR Apache-2.0
//! File handles: names of files that outlive the mount they were asked for.

use std::ffi::CString;
use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// The most that a handle may hold (`MAX_HANDLE_SZ`).
const MOST_BYTES: usize = 128;

/// `struct file_handle` with room for what follows it.
#[repr(C)]
#[derive(Clone)]
pub struct Handle {
    bytes: u32,
    kind: i32,
    content: [u8; MOST_BYTES],
}

/// name_to_handle_at(2)
pub fn of(path: &Path) -> io::Result<Handle> {
    let name = CString::new(path.as_os_str().as_bytes())?;
    let mut handle = Handle { bytes: 128, kind: 0, content: [0; MOST_BYTES] };
    let mut mount = 0_i32;
    // SAFETY: the name ends in a zero, the handle has the room that it says, and the kernel writes one number more.
    let result = unsafe {
        libc::syscall(libc::SYS_name_to_handle_at, libc::AT_FDCWD, name.as_ptr(), &raw mut handle, &raw mut mount, 0)
    };
    nix::errno::Errno::result(result)?;
    Ok(handle)
}

/// open_by_handle_at(2), for reading.
pub fn open(mount: &File, handle: &Handle) -> io::Result<File> {
    let mut handle = handle.clone();
    // SAFETY: the kernel reads the handle, which is as long as it says.
    let result =
        unsafe { libc::syscall(libc::SYS_open_by_handle_at, mount.as_raw_fd(), &raw mut handle, libc::O_RDONLY) };
    let descriptor = i32::try_from(nix::errno::Errno::result(result)?).map_err(io::Error::other)?;
    // SAFETY: it is new, and nobody else has it.
    Ok(unsafe { File::from_raw_fd(descriptor) })
}

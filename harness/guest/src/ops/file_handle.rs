// SPDX-License-Identifier: MIT OR Apache-2.0
//! File handles: identifiers of files that remain valid after an unmount.

use std::ffi::CString;
use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// `MAX_HANDLE_SZ`.
const MAX_BYTES: usize = 128;

/// `struct file_handle` with the largest possible content.
#[repr(C)]
#[derive(Clone)]
pub struct Handle {
    bytes: u32,
    kind: i32,
    content: [u8; MAX_BYTES],
}

impl Handle {
    /// name_to_handle_at(2).
    pub fn from_path(path: &Path) -> io::Result<Self> {
        let name = CString::new(path.as_os_str().as_bytes())?;
        let mut handle = Handle { bytes: 128, kind: 0, content: [0; MAX_BYTES] };
        let mut mount = 0_i32;
        // SAFETY: the name ends with a zero byte, `content` has as many bytes as the handle states,
        // and the kernel writes one more integer, `mount`.
        let result = unsafe {
            libc::syscall(
                libc::SYS_name_to_handle_at,
                libc::AT_FDCWD,
                name.as_ptr(),
                &raw mut handle,
                &raw mut mount,
                0,
            )
        };
        nix::errno::Errno::result(result)?;
        Ok(handle)
    }

    /// open_by_handle_at(2), for reading. `mount` is any open file of the mount.
    pub fn open(&self, mount: &File) -> io::Result<File> {
        let mut handle = self.clone();
        // SAFETY: the kernel reads the handle, which has as many bytes as it states.
        let result =
            unsafe { libc::syscall(libc::SYS_open_by_handle_at, mount.as_raw_fd(), &raw mut handle, libc::O_RDONLY) };
        let descriptor = i32::try_from(nix::errno::Errno::result(result)?).map_err(io::Error::other)?;
        // SAFETY: the kernel has just returned the descriptor, and nothing else owns it.
        Ok(unsafe { File::from_raw_fd(descriptor) })
    }
}

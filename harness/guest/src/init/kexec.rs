// SPDX-License-Identifier: MIT OR Apache-2.0
//! Loads the kernel that a kexec starts.

use std::ffi::CString;
use std::fs::{self, File};
use std::io;
use std::os::fd::AsRawFd;

use vremount_protocol::{NEXT_INITRAMFS_PATH, NEXT_KERNEL_PATH};

use crate::error::{Failure, context};

const COMMAND_LINE: &str = "/proc/cmdline";

/// Loads the next kernel and its initramfs. It gets the command line of the running kernel.
pub fn load() -> Result<(), Failure> {
    let kernel = context("open", NEXT_KERNEL_PATH, File::open(NEXT_KERNEL_PATH))?;
    let initramfs = context("open", NEXT_INITRAMFS_PATH, File::open(NEXT_INITRAMFS_PATH))?;
    let line = context("read", COMMAND_LINE, fs::read_to_string(COMMAND_LINE))?;
    let line = CString::new(line.trim_end()).map_err(Failure::new)?;
    context("load for kexec", NEXT_KERNEL_PATH, kexec_file_load(&kernel, &initramfs, &line))
}

/// kexec_file_load(2), which no crate wraps.
fn kexec_file_load(kernel: &File, initramfs: &File, line: &CString) -> io::Result<()> {
    let bytes = line.as_bytes_with_nul();
    let no_flags: libc::c_ulong = 0;
    // SAFETY: both descriptors are open, and the kernel reads `bytes.len()` bytes, which outlive
    // the call.
    let result = unsafe {
        libc::syscall(
            libc::SYS_kexec_file_load,
            kernel.as_raw_fd(),
            initramfs.as_raw_fd(),
            bytes.len(),
            bytes.as_ptr(),
            no_flags,
        )
    };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

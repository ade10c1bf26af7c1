// SPDX-License-Identifier: MIT OR Apache-2.0
//! Loop devices.

use std::path::{Path, PathBuf};

use loopdev::{LoopControl, LoopDevice};

use crate::error::{Failure, context};

/// A loop device that is bound to a file or device.
pub struct Loop {
    device: LoopDevice,
    /// Path of the device node.
    pub path: PathBuf,
}

impl Loop {
    /// Binds a free loop device to `backing`.
    pub fn attach(backing: &Path) -> Result<Self, Failure> {
        let control = context("open", "/dev/loop-control", LoopControl::open())?;
        loop {
            let device = context("find a loop device for", backing, control.next_free())?;
            match device.with().attach(backing) {
                // Another process has bound the device since it was found: find another one.
                Err(error) if error.raw_os_error() == Some(libc::EBUSY) => {}
                attached => {
                    context("attach a loop device to", backing, attached)?;
                    let path = device.path().ok_or_else(|| Failure::new("failed to find the path of a loop device"))?;
                    return Ok(Loop { device, path });
                }
            }
        }
    }

    /// Unbinds the loop device. Since Linux 6.11 it remains bound until its last user closes it.
    pub fn detach(self) -> Result<(), Failure> {
        context("detach", &self.path, self.device.detach())
    }
}

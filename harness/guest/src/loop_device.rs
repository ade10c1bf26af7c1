// SPDX-License-Identifier: MIT OR Apache-2.0
//! Loop devices.

use std::path::{Path, PathBuf};

use loopdev::{LoopControl, LoopDevice};

use crate::error::{Failure, context};

pub struct Loop {
    device: LoopDevice,
    pub path: PathBuf,
}

impl Loop {
    /// Another may take the free device between the question and the answer's use: ask again.
    pub fn over(backing: &Path) -> Result<Self, Failure> {
        let control = context("open", "/dev/loop-control", LoopControl::open())?;
        loop {
            let device = context("find a loop device for", backing, control.next_free())?;
            match device.with().attach(backing) {
                Err(error) if error.raw_os_error() == Some(libc::EBUSY) => {}
                attached => {
                    context("attach a loop device to", backing, attached)?;
                    let path = device.path().ok_or_else(|| Failure::new("failed to find the path of a loop device"))?;
                    return Ok(Loop { device, path });
                }
            }
        }
    }

    /// Since Linux 6.11 it lets go of what it is over when the last who has it open closes it.
    pub fn detach(self) -> Result<(), Failure> {
        context("detach", &self.path, self.device.detach())
    }
}

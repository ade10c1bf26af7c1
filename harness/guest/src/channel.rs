// SPDX-License-Identifier: MIT OR Apache-2.0
//! The way out: one frame a line to a device that carries nothing else.

use std::fs::{File, OpenOptions};
use std::io::{IsTerminal, Write};
use std::thread::sleep;
use std::time::Duration;

use nix::sys::termios::{SetArg, cfmakeraw, tcgetattr, tcsetattr};
use vremount_protocol::{Event, encode};

use crate::error::{Failure, context};

pub struct Channel {
    device: File,
    path: String,
}

impl Channel {
    /// The device may turn up a little later than the guest.
    pub fn open(path: &str) -> Result<Self, Failure> {
        const TRIES: u32 = 200;
        let open = || OpenOptions::new().write(true).open(path);
        let mut device = open();
        for _ in 0..TRIES {
            if device.is_ok() {
                break;
            }
            sleep(Duration::from_millis(10));
            device = open();
        }
        let device = context("open channel", path, device)?;
        if device.is_terminal() {
            context("set up channel", path, set_raw(&device))?;
        }
        Ok(Channel { device, path: path.to_string() })
    }

    pub fn send(&mut self, event: &Event) -> Result<(), Failure> {
        let frame = encode(event).map_err(Failure::new)?;
        context("write to channel", &self.path, self.device.write_all(frame.as_bytes()))
    }
}

/// A serial line is a terminal, which would change what is written.
fn set_raw(device: &File) -> nix::Result<()> {
    let mut settings = tcgetattr(device)?;
    cfmakeraw(&mut settings);
    tcsetattr(device, SetArg::TCSANOW, &settings)
}

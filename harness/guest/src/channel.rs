// SPDX-License-Identifier: MIT OR Apache-2.0
//! The event channel: a device that carries one frame per line and nothing else.

use std::fs::{File, OpenOptions};
use std::io::{IsTerminal, Write};
use std::thread::sleep;
use std::time::Duration;

use nix::sys::termios::{SetArg, cfmakeraw, tcgetattr, tcsetattr};
use vremount_protocol::{Event, encode};

use crate::error::{Failure, context};

/// An open event channel.
pub struct Channel {
    device: File,
    path: String,
}

impl Channel {
    /// Opens the device. Waits up to 2 s, because its driver may create it after the guest has
    /// started.
    pub fn open(path: &str) -> Result<Self, Failure> {
        const ATTEMPTS: u32 = 200;
        const INTERVAL: Duration = Duration::from_millis(10);
        let open = || OpenOptions::new().write(true).open(path);
        let mut device = open();
        for _ in 0..ATTEMPTS {
            if device.is_ok() {
                break;
            }
            sleep(INTERVAL);
            device = open();
        }
        let device = context("open the event channel", path, device)?;
        if device.is_terminal() {
            context("set raw mode of the event channel", path, set_raw_mode(&device))?;
        }
        Ok(Channel { device, path: path.to_string() })
    }

    /// Writes an event.
    pub fn send(&mut self, event: &Event) -> Result<(), Failure> {
        let frame = encode(event).map_err(Failure::new)?;
        context("write to the event channel", &self.path, self.device.write_all(frame.as_bytes()))
    }
}

/// A serial line is a terminal, whose default mode converts newlines.
fn set_raw_mode(device: &File) -> nix::Result<()> {
    let mut settings = tcgetattr(device)?;
    cfmakeraw(&mut settings);
    tcsetattr(device, SetArg::TCSANOW, &settings)
}

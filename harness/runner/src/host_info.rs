// SPDX-License-Identifier: MIT OR Apache-2.0
//! The host and the command line of this process, for logs and reports.

use std::process::Command;
use std::{fmt, fs};

use serde::{Deserialize, Serialize};
use vremount_util::redact::strip_credentials;
use vremount_util::{command, io_error};

use crate::error::Error;

/// The host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Host {
    /// Model name of the processor as in /proc/cpuinfo, or `unknown`.
    pub processor: String,
    /// Number of processors that this process may use.
    pub processors: usize,
    /// Release of the kernel as `uname -r` prints it.
    pub kernel: String,
}

impl Host {
    /// Reads the properties of the host.
    ///
    /// # Errors
    /// [`Error::Kernel`] if /proc/cpuinfo cannot be read or `uname` fails.
    pub fn current() -> Result<Self, Error> {
        let cpuinfo = fs::read_to_string("/proc/cpuinfo").map_err(io_error("read", "/proc/cpuinfo"))?;
        let model = cpuinfo.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
        Ok(Host {
            processor: model.map_or("unknown", |(_, name)| name).to_string(),
            processors: std::thread::available_parallelism().map_or(1, std::num::NonZero::get),
            kernel: command::run("read the version of the host's kernel", Command::new("uname").arg("-r"))?
                .trim()
                .to_string(),
        })
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Host { processor, processors, kernel } = self;
        write!(f, "{processor}, {processors} processors, Linux {kernel}")
    }
}

/// The command line of this process. The program is called `vremount` whatever its path;
/// credentials in URLs are removed.
#[must_use]
pub fn command_line() -> Vec<String> {
    std::iter::once("vremount".to_string()).chain(std::env::args().skip(1).map(|arg| strip_credentials(&arg))).collect()
}

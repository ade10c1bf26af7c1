// SPDX-License-Identifier: MIT OR Apache-2.0
//! The machine that everything runs on, and what it was told to do.

use std::process::Command;
use std::{fmt, fs};

use serde::{Deserialize, Serialize};
use vremount_util::redact::strip_credentials;
use vremount_util::{command, io_error};

use crate::error::Error;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Host {
    pub processor: String,
    pub processors: usize,
    pub kernel: String,
}

impl Host {
    /// # Errors
    /// If this is no Linux.
    pub fn current() -> Result<Self, Error> {
        let cpuinfo = fs::read_to_string("/proc/cpuinfo").map_err(io_error("read", "/proc/cpuinfo"))?;
        let model = cpuinfo.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
        Ok(Host {
            processor: model.map_or("unknown", |(_, name)| name).to_string(),
            processors: std::thread::available_parallelism().map_or(1, std::num::NonZero::get),
            kernel: command::run("ask for the kernel's version", Command::new("uname").arg("-r"))?.trim().to_string(),
        })
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Host { processor, processors, kernel } = self;
        write!(f, "{processor}, {processors} processors, Linux {kernel}")
    }
}

/// The command line of this program, wherever it lies. It is kept and shown: without what lets one into a repository.
#[must_use]
pub fn command_line() -> Vec<String> {
    std::iter::once("vremount".to_string()).chain(std::env::args().skip(1).map(|arg| strip_credentials(&arg))).collect()
}

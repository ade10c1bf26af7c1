// SPDX-License-Identifier: MIT OR Apache-2.0
//! The machine that everything runs on, and what it was told to do.

use std::fmt;
use std::fs;
use std::process::Command;

use serde::{Deserialize, Serialize};

use crate::error::Error;
use crate::tool;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Host {
    pub processor: String,
    pub processors: usize,
    pub kernel: String,
}

impl Host {
    /// # Errors
    /// If this is no Linux.
    pub fn here() -> Result<Self, Error> {
        let cpuinfo = fs::read_to_string("/proc/cpuinfo").map_err(Error::io("read", "/proc/cpuinfo"))?;
        let model = cpuinfo.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
        Ok(Host {
            processor: model.map_or("unknown", |(_, name)| name).to_string(),
            processors: std::thread::available_parallelism().map_or(1, std::num::NonZero::get),
            kernel: tool::run("ask for the kernel's version", Command::new("uname").arg("-r"))?.trim().to_string(),
        })
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Host { processor, processors, kernel } = self;
        write!(f, "{processor}, {processors} processors, Linux {kernel}")
    }
}

/// The command line of this program, wherever it lies.
#[must_use]
pub fn command() -> Vec<String> {
    std::iter::once("vremount".to_string()).chain(std::env::args().skip(1)).collect()
}

#[cfg(test)]
impl Host {
    pub(crate) fn toy() -> Self {
        Host { processor: "P <1>".to_string(), processors: 2, kernel: "6.0".to_string() }
    }
}

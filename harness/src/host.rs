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

/// The command line of this program, wherever it lies. It is kept and shown: without what lets one into a repository.
#[must_use]
pub fn command() -> Vec<String> {
    std::iter::once("vremount".to_string()).chain(std::env::args().skip(1).map(|arg| without_user(&arg))).collect()
}

/// `https://user:token@host/path` without what is before the host.
pub(crate) fn without_user(arg: &str) -> String {
    let Some((scheme, rest)) = arg.split_once("://") else { return arg.to_string() };
    let (host, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let host = host.rsplit_once('@').map_or(host, |(_, host)| host);
    format!("{scheme}://{host}{path}")
}

#[cfg(test)]
impl Host {
    pub(crate) fn toy() -> Self {
        Host { processor: "P <1>".to_string(), processors: 2, kernel: "6.0".to_string() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case("git:https://me:secret@a.example/linux.git#v6.1", "git:https://a.example/linux.git#v6.1")]
    #[case("git:https://a.example/linux@home.git#v6.1", "git:https://a.example/linux@home.git#v6.1")]
    #[case("git:me@a.example:linux", "git:me@a.example:linux")]
    #[case("--fs", "--fs")]
    fn nobody_s_password_is_shown(#[case] arg: &str, #[case] expected: &str) {
        assert_eq!(without_user(arg), expected);
    }
}

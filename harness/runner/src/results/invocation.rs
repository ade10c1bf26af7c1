// SPDX-License-Identifier: MIT OR Apache-2.0
//! Who proved it: where a run started or went on, how it was asked to, and why on this executor.

use serde::{Deserialize, Serialize};

use crate::error::Error;
use crate::host_info::{self, Host};

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Invocation {
    /// The command line.
    pub command: Vec<String>,
    pub host: Host,
    /// Why this executor.
    pub why: String,
}

impl Invocation {
    /// # Errors
    /// If this is no Linux.
    pub fn here(why: &str) -> Result<Self, Error> {
        Ok(Invocation { command: host_info::command_line(), host: Host::current()?, why: why.to_string() })
    }
}

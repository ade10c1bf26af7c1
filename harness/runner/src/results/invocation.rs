// SPDX-License-Identifier: MIT OR Apache-2.0
//! Where and how a run was started or resumed.

use serde::{Deserialize, Serialize};

use crate::error::Error;
use crate::host_info::{self, Host};

/// A start of a run, or its continuation by `--resume`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Invocation {
    /// The command line, without credentials.
    pub command: Vec<String>,
    /// The host.
    pub host: Host,
    /// Why this executor was chosen, as a clause for people.
    #[serde(rename = "why")]
    pub executor_reason: String,
}

impl Invocation {
    /// The invocation of this process. `why` is the reason for the choice of the executor.
    ///
    /// # Errors
    /// As [`Host::current`].
    pub fn current(why: &str) -> Result<Self, Error> {
        Ok(Invocation { command: host_info::command_line(), host: Host::current()?, executor_reason: why.to_string() })
    }
}

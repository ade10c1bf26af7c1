// SPDX-License-Identifier: MIT OR Apache-2.0
//! What failed, on what, with which errno.

use std::path::Path;
use std::{fmt, io};

use vremount_protocol::Outcome;

/// Something that failed.
#[derive(Debug)]
pub struct Failure {
    /// 0 where the kernel was not to blame.
    pub errno: i32,
    pub what: String,
}

impl Failure {
    pub fn new(what: impl fmt::Display) -> Self {
        Failure { errno: 0, what: what.to_string() }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.errno {
            0 => f.write_str(&self.what),
            errno => write!(f, "{}: {}", self.what, io::Error::from_raw_os_error(errno)),
        }
    }
}

impl From<Failure> for Outcome {
    fn from(Failure { errno, what }: Failure) -> Self {
        Outcome::Failed { errno, what }
    }
}

/// Says what was tried on what, when it failed.
pub fn context<T, E: Into<io::Error>>(tried: &str, on: impl AsRef<Path>, result: Result<T, E>) -> Result<T, Failure> {
    result.map_err(|error| {
        let error = error.into();
        let what = format!("failed to {tried} {}", on.as_ref().display());
        match error.raw_os_error() {
            Some(errno) => Failure { errno, what },
            None => Failure { errno: 0, what: format!("{what}: {error}") },
        }
    })
}

// SPDX-License-Identifier: MIT OR Apache-2.0
//! The error type of the guest: a message, and the errno of the system call that failed.

use std::path::Path;
use std::{fmt, io};

use vremount_protocol::Outcome;

/// A failure of the guest or of an operation.
#[derive(Debug)]
pub struct Failure {
    /// Error of the system call; 0 if the failure is not from a system call.
    pub errno: i32,
    /// What failed, on which object.
    pub message: String,
}

impl Failure {
    /// Creates a failure that is not from a system call.
    pub fn new(message: impl fmt::Display) -> Self {
        Failure { errno: 0, message: message.to_string() }
    }

    /// Creates the failure of a system call.
    pub fn from_errno(errno: i32, message: impl fmt::Display) -> Self {
        Failure { errno, message: message.to_string() }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.errno {
            0 => f.write_str(&self.message),
            errno => write!(f, "{}: {}", self.message, io::Error::from_raw_os_error(errno)),
        }
    }
}

impl From<Failure> for Outcome {
    fn from(Failure { errno, message }: Failure) -> Self {
        Outcome::Failed { errno, message }
    }
}

/// Converts an error to a failure with the message "failed to `action` `object`". An error without
/// errno is appended.
pub fn context<T, E: Into<io::Error>>(
    action: &str,
    object: impl AsRef<Path>,
    result: Result<T, E>,
) -> Result<T, Failure> {
    result.map_err(|error| {
        let error = error.into();
        let message = format!("failed to {action} {}", object.as_ref().display());
        match error.raw_os_error() {
            Some(errno) => Failure { errno, message },
            None => Failure { errno: 0, message: format!("{message}: {error}") },
        }
    })
}

// SPDX-License-Identifier: MIT OR Apache-2.0
//! One claim on one filesystem.

use vremount_machine::image::Fs;

use crate::Claim;

/// A claim on a filesystem.
#[derive(Clone, Copy)]
pub struct Case<'a> {
    pub claim: &'a Claim,
    pub fs: Fs,
}

impl Case<'_> {
    /// Of its files.
    #[must_use]
    pub fn name(&self) -> String {
        format!("{}-{}", self.claim.name, self.fs.name())
    }
}

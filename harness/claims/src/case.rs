// SPDX-License-Identifier: MIT OR Apache-2.0
//! A case: one claim on one filesystem.

use vremount_machine::image::Fs;

use crate::Claim;

/// One claim on one filesystem: the unit that is run and gets a verdict.
#[derive(Clone, Copy)]
pub struct Case<'a> {
    /// The claim.
    pub claim: &'a Claim,
    /// The upper filesystem that it runs on.
    pub fs: Fs,
}

impl Case<'_> {
    /// The base name of the files of this case: `<claim>-<filesystem>`.
    #[must_use]
    pub fn name(&self) -> String {
        format!("{}-{}", self.claim.name, self.fs.name())
    }
}

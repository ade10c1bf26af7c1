// SPDX-License-Identifier: MIT OR Apache-2.0
//! Counts the outcomes of many mounts.

use std::collections::BTreeMap;
use std::path::Path;

use vremount_protocol::Outcome;

use crate::error::Failure;
use crate::ops::mount_table;

/// Number of mounts by outcome.
#[derive(Default)]
pub struct Tally {
    /// Mounts that succeeded read-write.
    pub mounted: u32,
    /// Mounts that succeeded read-only.
    pub read_only: u32,
    /// Mounts that failed, by errno.
    pub refused: BTreeMap<i32, u32>,
}

impl Tally {
    /// Counts the outcome of a mount. Unmounts the overlay if it was mounted.
    pub fn count_and_unmount(&mut self, outcome: &Outcome, mount_point: &Path) -> Result<(), Failure> {
        match outcome {
            Outcome::Mounted { read_only, .. } => {
                *(if *read_only { &mut self.read_only } else { &mut self.mounted }) += 1;
                mount_table::unmount_at(mount_point)
            }
            Outcome::Refused { errno } => {
                *self.refused.entry(*errno).or_default() += 1;
                Ok(())
            }
            other => Err(Failure::new(format!("a mount returned the unexpected outcome {other:?}"))),
        }
    }
}

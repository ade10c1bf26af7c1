// SPDX-License-Identifier: MIT OR Apache-2.0
//! Repeated volatile mounts and unmounts.

use vremount_protocol::{Disk, LayerSet, Mode, Outcome};

use crate::error::Failure;
use crate::ops::overlay::Overlay;
use crate::ops::{mount_table, paths};

/// Mounts the overlay volatile and unmounts it `count` times. Stops at the first mount that is not
/// volatile and read-write.
pub fn run(disk: Disk, count: u32) -> Result<Outcome, Failure> {
    for number in 1..=count {
        let outcome = Overlay::new(disk, Mode::Volatile).mount()?;
        if outcome != (Outcome::Mounted { volatile: true, read_only: false }) {
            return Ok(Outcome::Differs { difference: format!("mount {number} of {count} returned {outcome:?}") });
        }
        mount_table::unmount_at(&paths::merged(disk, LayerSet::First))?;
    }
    Ok(Outcome::Done)
}

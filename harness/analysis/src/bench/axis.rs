// SPDX-License-Identifier: MIT OR Apache-2.0
//! The quantity that differs from one workload to the next.

use std::fmt;

use serde::{Deserialize, Serialize};

/// What a workload varies. The value of a workload is a position on its axis.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Axis {
    /// Nothing is dirty: the cost of the strategies alone. The value is 0.
    Idle,
    /// All strategies, with dirty data of a neighbour. The value is the number of dirty bytes.
    Busy,
    /// Reuse only, and the I/O that it causes until half a second after the last cycle. The value is the number of dirty
    /// bytes of a neighbour.
    Quiet,
    /// Dirty bytes of the container itself.
    OwnDirty,
    /// Dirty bytes of a neighbour on the same filesystem.
    NeighbourDirty,
    /// Files in the upper.
    Files,
    /// Mounted overlays on the filesystem.
    Overlays,
}

impl Axis {
    /// The axes that are measured at several values, to see whether a cost grows.
    pub const SWEPT: [Axis; 4] = [Axis::OwnDirty, Axis::NeighbourDirty, Axis::Files, Axis::Overlays];

    /// The name in keys of ratios and in file names.
    #[must_use]
    pub fn key(self) -> &'static str {
        match self {
            Axis::Idle => "idle",
            Axis::Busy => "busy",
            Axis::Quiet => "quiet",
            Axis::OwnDirty => "own_dirty",
            Axis::NeighbourDirty => "neighbour_dirty",
            Axis::Files => "files",
            Axis::Overlays => "overlays",
        }
    }

    /// A value on this axis with its unit: dirty bytes in MiB, everything else as a plain number.
    #[must_use]
    pub fn format_value(self, value: u64) -> String {
        match self {
            Axis::OwnDirty | Axis::NeighbourDirty | Axis::Busy | Axis::Quiet => format!("{} MiB", value >> 20),
            Axis::Files | Axis::Overlays | Axis::Idle => value.to_string(),
        }
    }
}

impl fmt::Display for Axis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Axis::Idle => "nothing dirty",
            Axis::Quiet => "reuse only, dirty bytes of a neighbour",
            Axis::OwnDirty => "dirty bytes of the container",
            Axis::Busy | Axis::NeighbourDirty => "dirty bytes of a neighbour",
            Axis::Files => "files in the upper",
            Axis::Overlays => "overlays on the filesystem",
        })
    }
}

// SPDX-License-Identifier: MIT OR Apache-2.0
//! What only a bench asks for: operations that are timed where they happen, and what it takes to compare them.

use serde::{Deserialize, Serialize};

use crate::{Disk, Io};

/// A part of a bench. Unless said otherwise its outcome is `done` or `failed`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum BenchOp {
    /// Stops and starts the container one way; the overlay is mounted before and after. Outcome: `measured`, a turn.
    Turn { disk: Disk, way: RestartStrategy, files: u32 },
    /// Stops and starts the container, which is volatile, and looks at nothing: what others did, and be it to read a table of two
    /// hundred mounts, left the caches of the processor cold, and is not for the next turn to pay.
    WarmUp { disk: Disk },
    /// Makes so many small files in the upperdir, which is not in use.
    Fill { disk: Disk, files: u32 },
    /// Makes pages of the upper filesystem dirty: so many bytes of one file, over what is there.
    Dirty { disk: Disk, whose: Writer, bytes: u64 },
    /// Mounts so many other volatile overlays, each on upper and work directories of its own on the same filesystem.
    MountOthers { disk: Disk, count: u32 },
    /// Unmounts them.
    UnmountOthers { disk: Disk },
    /// Runs a second container for so long, on a durable overlay of its own: small writes with fsync(2) in turn with
    /// buffered ones. Once a second the first writes `dirty` bytes and is stopped and started `way`, or is not where there
    /// is none; who rebuilds it makes so many files. Outcome: `measured`, a neighbour.
    Neighbour { disk: Disk, way: Option<RestartStrategy>, seconds: u32, dirty: u64, files: u32 },
    /// Whether the kernel writes back by itself, as it does by default, or leaves alone what nobody syncs.
    Writeback { by_itself: bool },
    /// Unloads overlay and loads this module in its place, a path in the initramfs.
    SwapOverlay { module: String },
    /// Has the kernel time every call of one of its functions from now on (function_graph).
    Trace { function: String },
    /// How long each call took since the last time this was asked. Outcome: `measured`, calls.
    Traced,
    /// What the guest tells time by. Outcome: `measured`, a clock.
    Clock,
}

/// A way of stopping and starting a container, and two things to compare with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RestartStrategy {
    /// Unmount, mount volatile: needs the series.
    Reuse,
    /// Unmount, syncfs(2) of the upper filesystem, remove the marker, mount volatile: today's safe way.
    Sync,
    /// Unmount, throw upper and work away, make its files again, mount volatile: today's other safe way.
    Rebuild,
    /// Unmount, mount, both without `volatile`.
    Durable,
    /// The floor: mount volatile for the first time, on an empty upper, and unmount.
    First,
    /// The other floor: the same without `volatile`.
    Plain,
}

/// Who writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Writer {
    /// The container that is stopped and started, through its overlay.
    Own,
    /// Somebody else on the same filesystem.
    Neighbour,
}

/// What was measured.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Measurement {
    Turn(RestartCycle),
    Neighbour(BackgroundSample),
    /// Nanoseconds of each call, in order.
    Calls(Vec<u64>),
    Clock(String),
}

/// One stop and start. Nanoseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct RestartCycle {
    pub unmount: u64,
    /// What makes it safe to mount again.
    pub between: u64,
    pub mount: u64,
    /// What the disk was asked to do meanwhile.
    pub io: Io,
}

impl RestartCycle {
    /// Of the whole turn.
    #[must_use]
    pub fn nanoseconds(&self) -> u64 {
        self.unmount + self.between + self.mount
    }
}

/// What a second container saw. Microseconds of each call, in order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BackgroundSample {
    /// A write of 4 KiB and its fsync(2).
    pub fsync: Vec<u32>,
    /// A buffered write of 64 KiB.
    pub write: Vec<u32>,
    /// Nanoseconds of each turn of the first container.
    pub turns: Vec<u64>,
    /// What the disk was asked to do for both.
    pub io: Io,
}

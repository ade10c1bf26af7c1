// SPDX-License-Identifier: MIT OR Apache-2.0
//! Faults that the guest injects into disks, and objects that it puts in place of the marker.

use serde::{Deserialize, Serialize};

/// A fault of a disk whose filesystem stays mounted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Fault {
    /// Reads and writes of the data blocks of one file fail (dm-error). FIEMAP locates the blocks;
    /// it fails if the file has not been written back.
    Data {
        /// Path of the file in the upper directory.
        file: String,
    },
    /// All reads are delayed (dm-delay).
    SlowReads {
        /// Delay of each read, milliseconds.
        ms: u32,
    },
    /// Combines `Data` for one file with `SlowReads` for all other blocks.
    DataAndSlowReads {
        /// Path of the file in the upper directory.
        file: String,
        /// Delay of each read of other blocks, milliseconds.
        ms: u32,
    },
    /// Reads and writes of the block with the xattrs of the marker fail (dm-error, FIEMAP). It
    /// fails where the filesystem stores these xattrs in the inode.
    Checkpoint,
    /// All reads and writes fail, as if the device were gone (dm-error).
    Everything,
    /// All writes fail, reads succeed (dm-flakey).
    Writes,
    /// All reads of the device fail; a block can be read again after it is written (dm-dust).
    /// Cached pages are not affected.
    Reads,
    /// All flushes fail, reads and writes succeed (dm-flakey).
    Flush,
    /// The filesystem of the image below the loop device is full.
    NoSpace,
    /// Another volume has used the whole pool of the thin volume (dm-thin).
    PoolFull,
}

impl Fault {
    /// Stable short name, used by filters and reports.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Fault::Data { .. } => "data",
            Fault::SlowReads { .. } => "slow-reads",
            Fault::DataAndSlowReads { .. } => "data-and-slow-reads",
            Fault::Checkpoint => "checkpoint",
            Fault::Everything => "everything",
            Fault::Writes => "writes",
            Fault::Reads => "reads",
            Fault::Flush => "flush",
            Fault::NoSpace => "no-space",
            Fault::PoolFull => "pool-full",
        }
    }
}

/// The object that replaces the marker directory. Except for `IncompatFile` it receives the
/// checkpoint of the marker, if there is one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum MarkerReplacement {
    /// A regular file with mode 0755: its execute permission looks like search permission of a
    /// directory.
    File,
    /// A symbolic link to the marker, which is renamed to `aside` in the work directory.
    Symlink,
    /// A FIFO.
    Fifo,
    /// A character device with number 0:0, as overlayfs represents a whiteout.
    Device,
    /// The marker itself, renamed to `VOLATILE`.
    UpperCase,
    /// A regular file in place of `work/incompat`. The marker is removed.
    IncompatFile,
}

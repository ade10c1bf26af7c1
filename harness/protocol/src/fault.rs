// SPDX-License-Identifier: MIT OR Apache-2.0
//! What is done on purpose to disks, checkpoints and markers.

use serde::{Deserialize, Serialize};

use crate::{Disk, LayerSet};

/// How a disk is broken while the filesystem stays mounted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Fault {
    /// Only the data blocks of this file of the upperdir fail (dm-error; FIEMAP; the file must have been written back).
    Data { file: String },
    /// Everything is read this late (dm-delay).
    SlowReads { ms: u32 },
    /// The data blocks of this file fail, and everything else is read this late.
    DataAndSlowReads { file: String, ms: u32 },
    /// Only the block that holds the checkpoint xattr fails (dm-error; FIEMAP), where it has a block of its own.
    Checkpoint,
    /// Every read and write fails, as if the device were gone (dm-error).
    Everything,
    /// Every write fails, reads work (dm-flakey).
    Writes,
    /// Every read of what is not in the page cache fails; what is written again can be read again (dm-dust).
    Reads,
    /// Every flush fails; reads and writes work (dm-flakey).
    Flush,
    /// No space is left for the image that the loop device is over.
    NoSpace,
    /// Somebody else has used up the pool of a thin volume (dm-thin).
    PoolFull,
}

impl Fault {
    /// Short and stable: what filters and reports call it.
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

/// What is done to the checkpoint xattr of `work/incompat/volatile`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CheckpointTamper {
    /// Taken away; no error when there is none.
    Remove,
    /// This many bytes: what is there, cut off or filled up with zeros.
    Length(usize),
    /// As many bytes as the kernel writes (28), drawn from this seed.
    Random { seed: u64 },
    /// As many bytes as the kernel writes, all the same.
    All(u8),
    /// One more than what is there, in one of its fields.
    Next(Field),
    /// The one of another overlay's marker.
    Of(Disk, LayerSet),
    /// What is there, on another inode instead.
    MoveTo(XattrLocation),
}

/// A field of the checkpoint, which the kernel keeps packed: 16, 8 and 4 bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Field {
    BootId,
    InstanceId,
    Errseq,
}

/// Where a checkpoint does not belong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum XattrLocation {
    /// `work/incompat/volatile/dirty`
    Dirty,
    /// `work/incompat`
    Incompat,
}

/// What takes the place of the marker directory, with its checkpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum MarkerReplacement {
    /// A regular file that may be executed, and so looks as if it could be searched.
    File,
    /// A symbolic link to the marker, which is put aside.
    Symlink,
    Fifo,
    /// A character device with number 0:0, which is what a whiteout is.
    Device,
    /// The marker itself, named in upper case.
    UpperCase,
    /// A regular file in the place of the whole of `work/incompat`; the marker is gone.
    IncompatFile,
}

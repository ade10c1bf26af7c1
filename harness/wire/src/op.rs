// SPDX-License-Identifier: MIT OR Apache-2.0
//! The operations a guest knows. They are data: one interpreter runs them, one printer shows them.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// A disk of the machine: a loop device, a device-mapper device on it, an upper filesystem on that. Mounted at
/// `/mnt/<disk>`; an overlay on it at `/merged/<disk>`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Disk {
    A,
    B,
}

impl fmt::Display for Disk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Disk::A => "a",
            Disk::B => "b",
        })
    }
}

/// Whether an overlay is mounted with `volatile` or without.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mode {
    Volatile,
    Durable,
}

/// The way upperdir and workdir are reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Via {
    /// The filesystem's own mount point, `/mnt/<disk>`.
    Mount,
    /// A bind mount of it, `/bind/<disk>`.
    Bind,
}

/// An overlay: the one of a disk, or a second one that shares its upperdir and workdir, at `/merged/<disk>-second`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Layers {
    First,
    Second,
}

/// How a disk is broken: a device-mapper table put in place while the filesystem stays mounted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Fault {
    /// Only the data blocks of this file of the upperdir fail (FIEMAP; the file must have been written back).
    Data { file: String },
    /// Every read and write fails.
    Everything,
    /// Every flush fails; reads and writes work.
    Flush,
}

impl Fault {
    /// Short and stable: what filters and reports call it.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Fault::Data { .. } => "data",
            Fault::Everything => "everything",
            Fault::Flush => "flush",
        }
    }
}

/// What is done to the checkpoint xattr of `work/incompat/volatile`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Forgery {
    /// Taken away; no error when there is none.
    Remove,
    /// This many bytes: what is there, cut off or filled up with zeros.
    Length(usize),
    /// As many bytes as the kernel writes (28), drawn from this seed.
    Random { seed: u64 },
}

/// How much of an upper filesystem a snapshot holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Scope {
    /// Every file, directory and xattr of the filesystem.
    Tree,
    /// `work/incompat/volatile` itself: its inode and xattrs.
    Marker,
}

impl Op {
    /// How long it sleeps on purpose.
    #[must_use]
    pub fn sleeps(&self) -> Duration {
        match self {
            Op::Sleep { ms } => Duration::from_millis(*ms),
            _ => Duration::ZERO,
        }
    }

    /// Whether it is about the disk below the upper filesystem, or about what stays there.
    #[must_use]
    pub fn needs_disk(&self) -> bool {
        matches!(
            self,
            Op::Break { .. } | Op::Heal { .. } | Op::CountIo { .. } | Op::CountedIo { .. } | Op::UnmountUpper { .. }
        )
    }
}

/// One operation. Unless said otherwise its outcome is `done` or `failed`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Op {
    /// Makes the disk's devices: loop over the backing, device-mapper `linear` over that.
    Attach {
        disk: Disk,
    },
    /// Mounts the upper filesystem and makes `upper` and `work` in it where they are missing. `options` as `mount -o`.
    MountUpper {
        disk: Disk,
        options: String,
    },
    UnmountUpper {
        disk: Disk,
    },
    /// Bind-mounts `/mnt/<disk>` at `/bind/<disk>`.
    BindUpper {
        disk: Disk,
    },
    UnmountBind {
        disk: Disk,
    },
    /// Removes `upper` and `work` with all they hold and makes them again: today's first safe way.
    FreshUpper {
        disk: Disk,
    },
    /// Removes `work/incompat/volatile` by hand: half of today's second safe way.
    RemoveMarker {
        disk: Disk,
    },
    /// Mounts an overlay. Outcome: `mounted` or `refused`. `options` are further overlay options, `,`-separated.
    MountOverlay {
        disk: Disk,
        layers: Layers,
        mode: Mode,
        via: Via,
        options: String,
    },
    UnmountOverlay {
        disk: Disk,
        layers: Layers,
    },
    /// Mounts the overlay volatile and unmounts it, so many times; fails at the first that is not mounted.
    Cycle {
        disk: Disk,
        times: u32,
    },
    /// Writes `bytes` bytes drawn from `seed` to a file of the mounted overlay, over what is there, no sync.
    Write {
        disk: Disk,
        file: String,
        bytes: u64,
        seed: u64,
    },
    /// Reads the file through the overlay and compares it with what `Write` of the same numbers wrote. Outcome:
    /// `done` or `differs`.
    Compare {
        disk: Disk,
        file: String,
        bytes: u64,
        seed: u64,
    },
    /// sync(2): writes everything back and reports to nobody, so an error stays unseen.
    WriteBack,
    /// Writes one file of the upperdir back (sync_file_range(2)); the journal is not touched, an error stays unseen.
    WriteBackData {
        disk: Disk,
        file: String,
    },
    /// syncfs(2) on a file descriptor opened when the upper filesystem was mounted: sees an error once.
    SyncUpper {
        disk: Disk,
    },
    /// syncfs(2) on a file descriptor opened just now.
    SyncUpperAfresh {
        disk: Disk,
    },
    /// fsync(2) of a file of the upperdir, around the overlay: is told of a flush that failed.
    FsyncUpperFile {
        disk: Disk,
        file: String,
    },
    Break {
        disk: Disk,
        fault: Fault,
    },
    /// Puts the `linear` table back.
    Heal {
        disk: Disk,
    },
    /// Done when the upper filesystem takes writes, failed with EROFS when it does not.
    UpperWritable {
        disk: Disk,
    },
    /// Stops periodic writeback, so that only what is asked for reaches the disk.
    PauseWriteback,
    /// Starts counting what the disk is asked to do.
    CountIo {
        disk: Disk,
    },
    /// What it was asked to do since. Outcome: `counted`.
    CountedIo {
        disk: Disk,
    },
    /// Unloads overlay and loads it again.
    ReloadOverlay,
    Forge {
        disk: Disk,
        forgery: Forgery,
    },
    /// Remembers the state of the upper filesystem under its disk and scope.
    Snapshot {
        disk: Disk,
        scope: Scope,
    },
    /// Compares with what `Snapshot` remembered. Outcome: `done` or `differs`.
    SameAsSnapshot {
        disk: Disk,
        scope: Scope,
    },
    Sleep {
        ms: u64,
    },
    /// Takes down all that was made since the start: mounts, devices, images; loads overlay afresh. Fails unless the machine
    /// is as it was then.
    Reset,
}

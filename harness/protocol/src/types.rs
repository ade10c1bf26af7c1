// SPDX-License-Identifier: MIT OR Apache-2.0
//! Types that operations, events and programs share.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A disk of the machine: usually a loop device, a device-mapper device on top, and the upper
/// filesystem on that. The upper filesystem is mounted at `/mnt/<disk>`, an overlay on it at
/// `/merged/<disk>`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Disk {
    /// The disk that all claims use.
    A,
    /// A second disk, for claims that need another upper filesystem.
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

/// Whether an overlay is mounted with `volatile`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mode {
    /// With `volatile`: overlayfs does not sync, and leaves the marker in the work directory.
    Volatile,
    /// Without `volatile`.
    Durable,
}

/// The path by which an overlay mount refers to upperdir and workdir.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AccessPath {
    /// The mount point of the upper filesystem, `/mnt/<disk>`.
    Mount,
    /// A bind mount of the upper filesystem, `/bind/<disk>`.
    Bind,
    /// A second mount of the same device, `/again/<disk>`.
    #[serde(rename = "again")]
    SecondMount,
    /// The mount of the upper filesystem after it was moved (`MS_MOVE`) to `/moved/<disk>`.
    Moved,
    /// An idmapped mount of the upper filesystem, `/idmapped/<disk>`. It swaps users 0 and 1000.
    Idmapped,
}

/// The layers that an overlay of a disk consists of, and its mount point.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LayerSet {
    /// `upper` and `work`, mounted at `/merged/<disk>`.
    First,
    /// The same upper and work directories, mounted at `/merged/<disk>-second`.
    Second,
    /// `upper-other` and `work-other` on the same filesystem, mounted at `/merged/<disk>-other`.
    Other,
    /// No upper: `upper` is the first of two lower layers, mounted at `/merged/<disk>-lower`.
    LowerOnly,
}

/// The directory in which a file is opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FileLocation {
    /// The mount point of the overlay.
    Overlay,
    /// The upper directory, without going through the overlay.
    Upper,
}

/// The block devices below the device-mapper device of an upper filesystem.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DeviceStack {
    /// A loop device over the backing.
    #[serde(rename = "plain")]
    Loop,
    /// A thin volume (dm-thin) whose external origin is a loop device over the backing. Writes
    /// allocate from a pool that another volume can exhaust.
    Thin,
    /// The backing, which is a block device. No loop device adds a page cache of its own.
    #[serde(rename = "device")]
    Direct,
}

/// The files of an upper filesystem that a snapshot contains.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SnapshotScope {
    /// Every file, directory and xattr of the filesystem.
    Tree,
    /// The marker `work/incompat/volatile` and its `dirty` file: inode attributes and xattrs.
    Marker,
}

/// Counters of requests to a block device, or the difference of two readings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct IoCounts {
    /// Completed write requests.
    pub writes: u64,
    /// Bytes written.
    pub bytes: u64,
    /// Completed flush requests.
    pub flushes: u64,
}

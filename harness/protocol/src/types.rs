// SPDX-License-Identifier: MIT OR Apache-2.0
//! The things that operations are about.

use std::fmt;

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
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AccessPath {
    /// The filesystem's own mount point, `/mnt/<disk>`.
    Mount,
    /// A bind mount of it, `/bind/<disk>`.
    Bind,
    /// The same device mounted once more, `/again/<disk>`.
    Again,
    /// Its own mount moved (`MS_MOVE`) to `/moved/<disk>`.
    Moved,
    /// A bind mount of it, `/idmapped/<disk>`, on which users 0 and 1000 have changed places.
    Idmapped,
}

/// An overlay of a disk, by the layers it has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LayerSet {
    /// `upper` and `work`, mounted at `/merged/<disk>`.
    First,
    /// The same upper and work directories, at `/merged/<disk>-second`.
    Second,
    /// Others on the same filesystem, `upper-other` and `work-other`, at `/merged/<disk>-other`.
    Other,
    /// No upper: `upper` is the first of two lower layers, at `/merged/<disk>-lower`.
    LowerOnly,
}

/// Where a file is opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FileLocation {
    /// In the mounted overlay.
    Overlay,
    /// In the upperdir, around the overlay.
    Upper,
}

/// What is below the device-mapper device that an upper filesystem is on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DeviceStack {
    /// A loop device over an image.
    Plain,
    /// A thin volume whose origin is that loop device: what is written comes out of a pool that another can use up.
    Thin,
    /// The image itself, which is a device: nothing between that has a page cache of its own.
    Device,
}

/// How much of an upper filesystem a snapshot holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SnapshotScope {
    /// Every file, directory and xattr of the filesystem.
    Tree,
    /// `work/incompat/volatile` itself: its inode and xattrs.
    Marker,
}

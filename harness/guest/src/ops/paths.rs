// SPDX-License-Identifier: MIT OR Apache-2.0
//! Paths of upper filesystems, layers and overlays in the guest.

use std::path::PathBuf;

use vremount_protocol::{AccessPath, Disk, FileLocation, LayerSet};

/// The lower layer of all overlays, a tmpfs.
pub const LOWER: &str = "/lower";
/// Directory of the additional lower layers.
pub const LOWERS: &str = "/lowers";

/// Mount point of the upper filesystem of a disk, as an overlay mount refers to it.
pub fn upper_filesystem(disk: Disk, via: AccessPath) -> PathBuf {
    match via {
        AccessPath::Mount => PathBuf::from(format!("/mnt/{disk}")),
        AccessPath::Bind => PathBuf::from(format!("/bind/{disk}")),
        AccessPath::SecondMount => PathBuf::from(format!("/again/{disk}")),
        AccessPath::Moved => PathBuf::from(format!("/moved/{disk}")),
        AccessPath::Idmapped => PathBuf::from(format!("/idmapped/{disk}")),
    }
}

/// Upper directory of the first layers.
pub fn upperdir(disk: Disk) -> PathBuf {
    upper_filesystem(disk, AccessPath::Mount).join("upper")
}

/// Work directory of the first layers.
pub fn workdir(disk: Disk) -> PathBuf {
    workdir_of_layers(disk, LayerSet::First)
}

/// Work directory of these layers.
pub fn workdir_of_layers(disk: Disk, layers: LayerSet) -> PathBuf {
    upper_filesystem(disk, AccessPath::Mount).join(if layers == LayerSet::Other { "work-other" } else { "work" })
}

/// Mount point of an overlay.
pub fn merged(disk: Disk, layers: LayerSet) -> PathBuf {
    match layers {
        LayerSet::First => PathBuf::from(format!("/merged/{disk}")),
        LayerSet::Second => PathBuf::from(format!("/merged/{disk}-second")),
        LayerSet::Other => PathBuf::from(format!("/merged/{disk}-other")),
        LayerSet::LowerOnly => PathBuf::from(format!("/merged/{disk}-lower")),
    }
}

/// A file of the first overlay of a disk.
pub fn overlay_file(disk: Disk, file: &str) -> PathBuf {
    merged(disk, LayerSet::First).join(file)
}

/// Directory that contains the files of an overlay, or of its upper directory.
pub fn file_root(disk: Disk, layers: LayerSet, location: FileLocation) -> PathBuf {
    match location {
        FileLocation::Overlay => merged(disk, layers),
        FileLocation::Upper => upperdir(disk),
    }
}

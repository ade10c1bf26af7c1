// SPDX-License-Identifier: MIT OR Apache-2.0
//! Features in which bases differ: of overlayfs, and of the filesystems below it.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A feature of a kernel that a claim may require. Claims name features, so that no claim compares
/// kernel versions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Feature {
    /// syncfs(2) and fsync(2) on a volatile overlay return writeback errors of the upper
    /// filesystem. A volatile overlay is not mounted on an upper filesystem with an unseen error
    /// (5.10.15).
    SyncErrors,
    /// Overlayfs has the option `userxattr` and can be mounted in a user namespace (5.11).
    Userxattr,
    /// Overlayfs accepts idmapped mounts as layers (5.19).
    IdmappedLayers,
    /// Overlayfs can be mounted with fsopen(2); messages go to the log of that file descriptor
    /// (6.5).
    FsContext,
    /// Overlayfs accepts casefolded layers (6.17).
    Casefold,
    /// Overlayfs has the option `fsync=`, of which `volatile` is an alias (7.1, 6.12.80).
    FsyncOption,
    /// A failed write of a buffer is recorded as a writeback error of the superblock that its
    /// device is mounted with (until 6.6).
    BufferErrors,
    /// After an error ext4 refuses further writes, but the mount does not become read-only (6.1.176
    /// with a journal; since 6.15 this is a state of the superblock).
    QuietReadOnly,
    /// After an error ext4 shuts down (6.12 until 6.14).
    ErrorsShutDown,
    /// btrfs records the error of an `O_DIRECT` write as a writeback error of its superblock
    /// (7.2.6, not yet 6.18).
    DirectErrors,
    /// ext2 writes a changed directory to the disk at once (since 6.5).
    Ext2SyncsDirectories,
}

/// A text by which the source of a kernel shows that it has a feature.
pub struct SourceProbe {
    /// A file or folder of the tree.
    pub path: &'static str,
    /// The text that the file, or a file below the folder, contains if the kernel has the feature.
    pub contains: &'static str,
    /// A text that is only there if the kernel does not have the feature in spite of the other
    /// text.
    pub excludes: Option<&'static str>,
}

/// The name in ci/bases.toml.
impl fmt::Display for Feature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.serialize(f)
    }
}

impl Feature {
    /// All features.
    pub const ALL: [Feature; 11] = [
        Feature::SyncErrors,
        Feature::Userxattr,
        Feature::IdmappedLayers,
        Feature::FsContext,
        Feature::Casefold,
        Feature::FsyncOption,
        Feature::BufferErrors,
        Feature::QuietReadOnly,
        Feature::ErrorsShutDown,
        Feature::DirectErrors,
        Feature::Ext2SyncsDirectories,
    ];

    /// The text by which a kernel source shows the feature. None if no text shows it.
    #[must_use]
    pub fn source_probe(self) -> Option<SourceProbe> {
        let probe = |path, says| Some(SourceProbe { path, contains: says, excludes: None });
        let unless = |probe: Option<SourceProbe>, text| Some(SourceProbe { excludes: Some(text), ..probe? });
        let overlayfs = |says| probe("fs/overlayfs", says);
        let (ext4, shut_down) = ("fs/ext4/super.c", "set_bit(EXT4_FLAGS_SHUTDOWN");
        match self {
            Feature::SyncErrors => overlayfs("ovl_sync_status("),
            Feature::Userxattr => overlayfs("userxattr"),
            // The function is ovl_upper_mnt_userns(), in later kernels ovl_upper_mnt_idmap().
            Feature::IdmappedLayers => {
                unless(overlayfs("ovl_upper_mnt_"), "idmapped layers are currently not supported")
            }
            Feature::FsContext => overlayfs("init_fs_context"),
            Feature::Casefold => overlayfs("->casefold"),
            Feature::FsyncOption => overlayfs("Opt_fsync"),
            Feature::BufferErrors => probe("fs/buffer.c", "bd_super"),
            // The comment says why the mount does not become read-only.
            Feature::QuietReadOnly => unless(probe(ext4, "We don't set SB_RDONLY because"), shut_down),
            // Some versions also made the mount read-only; the comment is about how they did it.
            Feature::ErrorsShutDown => unless(probe(ext4, shut_down), "Make sure updated value of"),
            Feature::DirectErrors => None,
            Feature::Ext2SyncsDirectories => probe("fs/ext2/dir.c", "ext2_handle_dirsync"),
        }
    }

    /// Why a claim that requires the feature is skipped on a base without it.
    #[must_use]
    pub fn missing_reason(self) -> &'static str {
        match self {
            Feature::SyncErrors => "on this base a volatile overlay does not return writeback errors",
            Feature::Userxattr => "this base has no option userxattr and no overlays in user namespaces",
            Feature::IdmappedLayers => "on this base idmapped mounts cannot be layers",
            Feature::FsContext => "on this base overlayfs cannot be mounted with fsopen(2)",
            Feature::Casefold => "on this base casefolded folders cannot be layers",
            Feature::FsyncOption => "this base has no option fsync",
            Feature::BufferErrors => "on this base buffer errors are not recorded for a superblock",
            Feature::QuietReadOnly => "on this base the mount of ext4 becomes read-only after an error",
            Feature::ErrorsShutDown => "on this base ext4 can be read after an error",
            Feature::DirectErrors => "on this base btrfs returns the error of an O_DIRECT write only to the writer",
            Feature::Ext2SyncsDirectories => "on this base ext2 writes directories to the disk only on request",
        }
    }

    /// Why a claim about bases without the feature is skipped on a base with it.
    #[must_use]
    pub fn present_reason(self) -> &'static str {
        match self {
            Feature::SyncErrors => "on this base a volatile overlay returns writeback errors",
            Feature::Userxattr => "this base has the option userxattr and overlays in user namespaces",
            Feature::IdmappedLayers => "on this base idmapped mounts can be layers",
            Feature::FsContext => "on this base overlayfs can be mounted with fsopen(2)",
            Feature::Casefold => "on this base casefolded folders can be layers",
            Feature::FsyncOption => "this base has the option fsync",
            Feature::BufferErrors => "on this base buffer errors are recorded for the superblock",
            Feature::QuietReadOnly => {
                "on this base ext4 refuses writes after an error, but its mount does not become read-only"
            }
            Feature::ErrorsShutDown => "on this base ext4 shuts down after an error",
            Feature::DirectErrors => "on this base btrfs records the error of an O_DIRECT write for its superblock",
            Feature::Ext2SyncsDirectories => "on this base ext2 writes a changed directory to the disk at once",
        }
    }
}

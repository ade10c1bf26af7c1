// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a base has that not all have: its overlayfs, and what upper filesystems rely on.

use std::fmt;

use serde::{Deserialize, Serialize};

/// What claims may ask of a base, so that none of them compares versions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Feature {
    /// A volatile overlay tells writeback errors to those who sync, and is not mounted over one that nobody has seen (5.10.15).
    SyncErrors,
    /// Option `userxattr`, and with it overlays that are mounted in a user namespace (5.11).
    Userxattr,
    /// Layers on idmapped mounts (5.19).
    IdmappedLayers,
    /// Mounts by fsopen(2), with a log of their own (6.5).
    FsContext,
    /// Layers that ignore case (6.17).
    Casefold,
    /// Option `fsync=`, of which `volatile` is an alias (7.1, 6.12.80).
    FsyncOption,
    /// A buffer that cannot be written is an error of the superblock that its device is mounted with (until 6.6).
    BufferErrors,
    /// ext4 takes no more writes after an error, and does not become read-only as a mount does (6.1.176, with a journal;
    /// since 6.15 that is a state of its own).
    QuietReadOnly,
    /// ext4 shuts itself down over such an error (6.12 until 6.14).
    ErrorsShutDown,
    /// btrfs records the error of an `O_DIRECT` write for its superblock (7.2.6, not yet 6.18).
    DirectErrors,
    /// ext2 writes a directory to the disk with each change of it (since 6.5).
    Ext2SyncsDirectories,
}

/// Words in the source of a kernel.
pub struct SourceProbe {
    /// A file or folder of the tree.
    pub path: &'static str,
    pub says: &'static str,
    /// What it says where it is something else after all.
    pub but_not: Option<&'static str>,
}

/// As ci/bases.toml names it.
impl fmt::Display for Feature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.serialize(f)
    }
}

impl Feature {
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

    /// How a tree shows that it has it. None if no words tell.
    #[must_use]
    pub fn trace(self) -> Option<SourceProbe> {
        let trace = |path, says| Some(SourceProbe { path, says, but_not: None });
        let but_not = |trace: Option<SourceProbe>, says| Some(SourceProbe { but_not: Some(says), ..trace? });
        let overlayfs = |says| trace("fs/overlayfs", says);
        let (ext4, shut_down) = ("fs/ext4/super.c", "set_bit(EXT4_FLAGS_SHUTDOWN");
        match self {
            Feature::SyncErrors => overlayfs("ovl_sync_status("),
            Feature::Userxattr => overlayfs("userxattr"),
            // Of ovl_upper_mnt_userns(), ovl_upper_mnt_idmap() later.
            Feature::IdmappedLayers => {
                but_not(overlayfs("ovl_upper_mnt_"), "idmapped layers are currently not supported")
            }
            Feature::FsContext => overlayfs("init_fs_context"),
            Feature::Casefold => overlayfs("->casefold"),
            Feature::FsyncOption => overlayfs("Opt_fsync"),
            Feature::BufferErrors => trace("fs/buffer.c", "bd_super"),
            // It says why it does not become read-only as a mount does.
            Feature::QuietReadOnly => but_not(trace(ext4, "We don't set SB_RDONLY because"), shut_down),
            // For a while it became read-only as well; the comment is of how it did.
            Feature::ErrorsShutDown => but_not(trace(ext4, shut_down), "Make sure updated value of"),
            Feature::DirectErrors => None,
            Feature::Ext2SyncsDirectories => trace("fs/ext2/dir.c", "ext2_handle_dirsync"),
        }
    }

    /// What a base without it lacks, in words.
    #[must_use]
    pub fn missing_reason(self) -> &'static str {
        match self {
            Feature::SyncErrors => "this base tells no writeback errors through a volatile overlay",
            Feature::Userxattr => "this base has neither userxattr nor overlays in user namespaces",
            Feature::IdmappedLayers => "this base takes no idmapped mounts as layers",
            Feature::FsContext => "this base mounts no overlays by fsopen(2)",
            Feature::Casefold => "this base takes no layers that ignore case",
            Feature::FsyncOption => "this base has no option fsync",
            Feature::BufferErrors => "this base does not record errors of buffers for a superblock",
            Feature::QuietReadOnly => "ext4 of this base becomes read-only for all to see",
            Feature::ErrorsShutDown => "ext4 of this base can be read after an error",
            Feature::DirectErrors => "btrfs of this base tells an error of an O_DIRECT write to its writer alone",
            Feature::Ext2SyncsDirectories => "ext2 of this base syncs directories only when asked to",
        }
    }

    /// What a base with it does, in words, for claims about those without.
    #[must_use]
    pub fn present_reason(self) -> &'static str {
        match self {
            Feature::SyncErrors => "this base tells writeback errors through a volatile overlay",
            Feature::Userxattr => "this base has userxattr, and overlays in user namespaces",
            Feature::IdmappedLayers => "this base takes idmapped mounts as layers",
            Feature::FsContext => "this base mounts overlays by fsopen(2)",
            Feature::Casefold => "this base takes layers that ignore case",
            Feature::FsyncOption => "this base has an option fsync",
            Feature::BufferErrors => "this base records errors of buffers for the superblock",
            Feature::QuietReadOnly => "ext4 of this base takes no more writes, and is not read-only as a mount",
            Feature::ErrorsShutDown => "ext4 of this base shuts itself down over an error",
            Feature::DirectErrors => "btrfs of this base records an error of an O_DIRECT write for its superblock",
            Feature::Ext2SyncsDirectories => "ext2 of this base syncs a directory with each change, asked or not",
        }
    }
}

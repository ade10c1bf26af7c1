// SPDX-License-Identifier: MIT OR Apache-2.0
//! Reasons why the model makes no prediction.

/// Reason why the model cannot predict an outcome: the documentation does not promise one, or it
/// depends on the filesystem, on timing, or on something that the model does not implement.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, thiserror::Error)]
#[error("beyond the model: {0}")]
pub struct OutOfModel(&'static str);

/// Operations and options.
impl OutOfModel {
    pub(super) const UNKNOWN_OPERATION: Self = OutOfModel("the model does not implement this operation");
    pub(super) const UNKNOWN_OPTION: Self = OutOfModel("the model does not implement this mount option");
    pub(super) const REMOUNTED_DURABLE_OVERLAY: Self =
        OutOfModel("the documentation does not cover a remount of a durable overlay");
    pub(super) const LACK_OF_MEMORY: Self = OutOfModel("the documentation does not cover failed allocations");
    pub(super) const THREAD_ORDER: Self = OutOfModel("the order of two threads is undefined");
    pub(super) const NO_UPPER_LAYER: Self = OutOfModel("an overlay without an upper layer is not reused");
}

/// Disks.
impl OutOfModel {
    pub(super) const NO_DISK: Self = OutOfModel("the filesystem is in memory and has no disk");
    pub(super) const NO_OTHER_DISK: Self = OutOfModel("the other disk does not exist");
    pub(super) const NOT_ATTACHED: Self = OutOfModel("the disk is not attached");
    pub(super) const ATTACHED_TWICE: Self = OutOfModel("the disk is already attached");
    pub(super) const COPY_OF_MOUNTED_DISK: Self =
        OutOfModel("the on-disk content of a mounted filesystem is undefined");
    pub(super) const DUPLICATE_UUID: Self = OutOfModel("btrfs does not mount a copy of a device whose UUID it knows");
    pub(super) const UNREQUESTED_IO: Self = OutOfModel("a filesystem may write to its disk without a request");
    pub(super) const NO_BLOCKS_TO_BREAK: Self =
        OutOfModel("a file that was not written back may have no blocks that a fault can cover");
    pub(super) const POOL_ALLOCATION: Self =
        OutOfModel("whether the thin pool has already allocated the blocks of a file is undefined");
    pub(super) const REUSED_BROKEN_BLOCKS: Self = OutOfModel("a new file may or may not get the broken blocks");
    pub(super) const UNREADABLE_METADATA: Self =
        OutOfModel("which metadata the filesystem reads from the disk is undefined");
    pub(super) const MOUNT_ON_FAILING_DISK: Self = OutOfModel("whether a mount accesses the failing disk is undefined");
    pub(super) const WRITE_ON_FAILING_DISK: Self =
        OutOfModel("whether a write reads from the failing disk is undefined");
    pub(super) const UNWRITABLE_METADATA: Self =
        OutOfModel("the reaction of a filesystem to failed metadata writes is undefined");
    pub(super) const UPPER_MOUNT_ON_FAILING_DISK: Self =
        OutOfModel("whether an upper filesystem can be mounted from a failing disk is undefined");
    pub(super) const F2FS_WITHOUT_SPACE: Self =
        OutOfModel("f2fs stops if its disk has no space left, and fails every request");
    pub(super) const METADATA_AT_POWER_CUT: Self =
        OutOfModel("which metadata reached the disk before the power cut is undefined");
    pub(super) const METADATA_AT_READ_ONLY: Self =
        OutOfModel("which metadata reached the disk before the filesystem became read-only is undefined");
    pub(super) const DATA_AT_POWER_CUT: Self =
        OutOfModel("the content of a file that was dirty at a power cut is undefined");
    pub(super) const DIRTY_EXPIRY: Self =
        OutOfModel("whether the dirty data is old enough for periodic writeback is undefined");
}

/// Upper filesystems.
impl OutOfModel {
    pub(super) const NOT_MOUNTED: Self = OutOfModel("the upper filesystem is not mounted");
    pub(super) const MOUNTED_TWICE: Self = OutOfModel("the upper filesystem is already mounted");
    pub(super) const NOT_AT_MOUNT_POINT: Self = OutOfModel("the upper filesystem is not at its usual mount point");
    pub(super) const ACCESS_PATH_EXISTS: Self = OutOfModel("the upper filesystem already has this access path");
    pub(super) const NO_ACCESS_PATH: Self = OutOfModel("the upper filesystem does not have this access path");
    pub(super) const IN_MEMORY_MOUNTED_TWICE: Self =
        OutOfModel("each mount of an in-memory filesystem is a new filesystem");
    pub(super) const IN_MEMORY_UNMOUNTED: Self =
        OutOfModel("the content of an in-memory filesystem is lost at the unmount");
    pub(super) const READ_ONLY_SUPERBLOCK_MOUNTED: Self =
        OutOfModel("a superblock that is read-only cannot be mounted read-write again");
    pub(super) const READ_ONLY_UPPER: Self = OutOfModel("the upper filesystem is read-only");
    pub(super) const WRITE_TO_FROZEN: Self = OutOfModel("a write to a frozen filesystem blocks");
    pub(super) const UNMOUNT_OF_FROZEN: Self = OutOfModel("a frozen filesystem cannot be unmounted");
    pub(super) const SHUT_DOWN_UPPER: Self =
        OutOfModel("which requests a filesystem still serves after its shutdown is undefined");
    pub(super) const UNMOUNT_AT_SHUTDOWN: Self =
        OutOfModel("how a machine unmounts its filesystems at shutdown is undefined");
    pub(super) const NO_XATTRS: Self = OutOfModel("the filesystem has no xattrs");
    pub(super) const OTHER_BASE: Self = OutOfModel("the model implements the filesystems of the default base only");
}

/// Overlays, work directories and markers.
impl OutOfModel {
    pub(super) const NO_OVERLAY: Self = OutOfModel("the overlay is not mounted");
    pub(super) const OVERLAY_MOUNTED_TWICE: Self = OutOfModel("an overlay is already mounted there");
    pub(super) const OVERLAY_MAY_WRITE: Self = OutOfModel("a mounted overlay may write to the upper filesystem");
    pub(super) const READ_ONLY_OVERLAY: Self = OutOfModel("the overlay is read-only");
    pub(super) const SHARED_DIRECTORIES: Self =
        OutOfModel("two overlays share their directories, and the content of their files is undefined");
    pub(super) const FILES_IN_USE: Self = OutOfModel("files of the upper directory are in use");
    pub(super) const NO_MARKER: Self = OutOfModel("the marker does not exist");
    pub(super) const NO_OTHER_MARKER: Self = OutOfModel("the other overlay has no marker");
    pub(super) const REMOVAL_OF_REPLACEMENT: Self =
        OutOfModel("an object that replaced the marker is not removed like a marker");
    pub(super) const XATTR_OF_REPLACEMENT: Self =
        OutOfModel("an object that replaced the marker may not support xattrs");
    pub(super) const INVALID_CHECKPOINT: Self = OutOfModel("the checkpoint is already invalid");
    pub(super) const INSTANCE_ID_COLLISION: Self =
        OutOfModel("an incremented instance id may be the id of another superblock");
    pub(super) const RANDOM_VALID_CHECKPOINT: Self = OutOfModel("these random bytes have the format of a checkpoint");
    pub(super) const RESTORED_CHECKPOINT: Self =
        OutOfModel("a checkpoint that was truncated and extended may be valid again");
}

/// Files and snapshots.
impl OutOfModel {
    pub(super) const NO_FILE: Self = OutOfModel("the file does not exist");
    pub(super) const UNREADABLE_FILE: Self = OutOfModel("a file of the snapshot cannot be read");
    pub(super) const NO_DESCRIPTOR: Self =
        OutOfModel("no file descriptor of the upper filesystem was opened at its last mount");
    pub(super) const NO_SNAPSHOT: Self = OutOfModel("no snapshot was taken");
    pub(super) const CHANGED_TREE: Self = OutOfModel("side effects of a change, such as timestamps, are undefined");
    pub(super) const CHANGED_MARKER: Self = OutOfModel("whether a changed marker has the same attributes is undefined");
}

// SPDX-License-Identifier: MIT OR Apache-2.0
//! The operations of a guest. They are data: the guest executes them, the harness prints them and
//! predicts their outcome.

use serde::{Deserialize, Serialize};

use crate::bench::BenchOp;
use crate::checkpoint::CheckpointTamper;
use crate::fault::{Fault, MarkerReplacement};
use crate::types::{AccessPath, DeviceStack, Disk, FileLocation, LayerSet, Mode, SnapshotScope};

/// An operation. Its outcome is `done` or `failed`, unless stated otherwise.
///
/// *The overlay* of an operation without a field `layers` is that of [`LayerSet::First`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Op {
    // Disks and upper filesystems.
    /// Creates the devices of a disk, with a device-mapper device (`linear`) as the uppermost one.
    Attach {
        /// Disk of the upper filesystem.
        disk: Disk,
        /// Devices below the device-mapper device.
        #[serde(rename = "on")]
        stack: DeviceStack,
    },
    /// Copies all data of one disk to another of the same size. Both must be attached and not
    /// mounted.
    CopyDisk {
        /// Source.
        from: Disk,
        /// Destination.
        to: Disk,
    },
    /// Mounts the upper filesystem and creates the directories of all [`LayerSet`]s that do not
    /// exist.
    MountUpper {
        /// Disk of the upper filesystem.
        disk: Disk,
        /// Options as for `mount -o`, separated by commas.
        options: String,
    },
    /// Unmounts the upper filesystem.
    UnmountUpper {
        /// Disk of the upper filesystem.
        disk: Disk,
        /// Whether to detach it (`MNT_DETACH`): the superblock is shut down when its last user is
        /// gone.
        lazy: bool,
    },
    /// `mount -o remount` of the upper filesystem.
    RemountUpper {
        /// Disk of the upper filesystem.
        disk: Disk,
        /// Options as for `mount -o`, separated by commas.
        options: String,
    },
    /// Mounts the upper filesystem at another path. Fails for `Mount`, which exists already.
    #[serde(rename = "reach")]
    AddAccessPath {
        /// Disk of the upper filesystem.
        disk: Disk,
        /// The path.
        via: AccessPath,
    },
    /// Removes the mount that `AddAccessPath` made.
    #[serde(rename = "unreach")]
    RemoveAccessPath {
        /// Disk of the upper filesystem.
        disk: Disk,
        /// The path.
        via: AccessPath,
    },
    /// `FIFREEZE`: syncs the filesystem and blocks writes until it is thawed.
    FreezeUpper {
        /// Disk of the upper filesystem.
        disk: Disk,
    },
    /// `FITHAW`: ends `FreezeUpper`.
    ThawUpper {
        /// Disk of the upper filesystem.
        disk: Disk,
    },
    /// `FS_IOC_SHUTDOWN` without a flush of the log: the filesystem discards what it has not
    /// written, and all later operations fail.
    ShutDownUpper {
        /// Disk of the upper filesystem.
        disk: Disk,
    },
    /// Removes `upper` and `work` with their content and creates them again. This makes a mount
    /// safe without the series.
    #[serde(rename = "fresh-upper")]
    RecreateUpper {
        /// Disk of the upper filesystem.
        disk: Disk,
    },
    /// Creates `upper`, `work` and `lower` again as case-insensitive directories
    /// (`FS_CASEFOLD_FL`), with a directory `folder` in `lower`.
    #[serde(rename = "fold-case")]
    RecreateCasefolded {
        /// Disk of the upper filesystem.
        disk: Disk,
    },
    /// Done if the upper filesystem is mounted read-write; fails with `EROFS` otherwise.
    UpperWritable {
        /// Disk of the upper filesystem.
        disk: Disk,
    },
    /// Drops clean pages, dentries and inodes, so that the next access reads the disk.
    DropCaches,
    /// Writes back and drops the page cache of the block device (`BLKFLSBUF`).
    FlushBuffers {
        /// Disk of the upper filesystem.
        disk: Disk,
    },
    /// Stops periodic writeback, so that only explicit requests write to the disk.
    PauseWriteback,
    /// Starts counting requests to the disk.
    #[serde(rename = "count-io")]
    StartIoCount {
        /// Disk of the upper filesystem.
        disk: Disk,
    },
    /// Reads the number of requests since `StartIoCount`. Outcome: `counted`.
    #[serde(rename = "counted-io")]
    ReadIoCount {
        /// Disk of the upper filesystem.
        disk: Disk,
    },
    // Overlays.
    /// Mounts an overlay with mount(2). Outcome: `mounted` or `refused`.
    MountOverlay {
        /// Disk of the upper filesystem.
        disk: Disk,
        /// Which overlay of the disk.
        layers: LayerSet,
        /// Whether to mount with `volatile`.
        mode: Mode,
        /// Path by which upperdir and workdir are given.
        via: AccessPath,
        /// Further options of the mount, separated by commas. Later options override earlier ones;
        /// `ro` and `rw` are mount flags as for mount(8).
        options: String,
    },
    /// Mounts an overlay with fsopen(2), fsconfig(2) for each option, and fsmount(2). The report
    /// also contains the log of the filesystem context, each line with the prefix
    /// [`FS_CONTEXT_PREFIX`](crate::FS_CONTEXT_PREFIX). Outcome: `mounted` or `refused`.
    MountOverlayByContext {
        /// Disk of the upper filesystem.
        disk: Disk,
        /// Whether to mount with `volatile`.
        mode: Mode,
        /// Further options of the mount, separated by commas. Later options override earlier ones;
        /// `ro` and `rw` are mount flags as for mount(8).
        options: String,
    },
    /// Makes user 1000 the owner of upper and work. That user mounts an overlay in a new user
    /// namespace and unmounts it again. Outcome: `mounted` or `refused`.
    MountInUserNamespace {
        /// Disk of the upper filesystem.
        disk: Disk,
        /// Whether to mount with `volatile`.
        mode: Mode,
        /// Further options of the mount, separated by commas. Later options override earlier ones;
        /// `ro` and `rw` are mount flags as for mount(8).
        options: String,
    },
    /// Unmounts an overlay.
    UnmountOverlay {
        /// Disk of the upper filesystem.
        disk: Disk,
        /// Which overlay of the disk.
        layers: LayerSet,
        /// Whether to detach it (`MNT_DETACH`).
        lazy: bool,
    },
    /// `mount -o remount` of the overlay. Outcome: `mounted` or `refused`.
    RemountOverlay {
        /// Disk of the upper filesystem.
        disk: Disk,
        /// Options as for `mount -o`, separated by commas.
        options: String,
    },
    /// Mounts the overlay volatile and unmounts it, repeatedly. Outcome: `differs` at the first
    /// mount that is refused, read-only or not volatile.
    #[serde(rename = "cycle")]
    MountRepeatedly {
        /// Disk of the upper filesystem.
        disk: Disk,
        /// Number of mounts.
        #[serde(rename = "times")]
        count: u32,
    },
    /// Mounts the overlay volatile in several threads at once, each at a mount point of its own,
    /// and unmounts it again. Outcome: `raced`. Fails if some were mounted but no two mounts
    /// overlapped in time.
    #[serde(rename = "race")]
    MountConcurrently {
        /// Disk of the upper filesystem.
        disk: Disk,
        /// Number of threads.
        mounts: u32,
    },
    /// Mounts the overlay volatile repeatedly. In mount number n the n-th memory allocation fails,
    /// and `work/work` contains a leftover file. Ends when a mount makes fewer allocations.
    /// Outcome: `starved`; `differs` if a mount succeeded read-write although the leftover
    /// remained.
    #[serde(rename = "starve")]
    MountWithFailingAllocations {
        /// Disk of the upper filesystem.
        disk: Disk,
        /// Whether each of these mounts is a first mount, without a marker. It is then followed by
        /// a mount without failing allocations, which is the one that the outcome counts.
        #[serde(rename = "first")]
        first_mount: bool,
    },
    /// Creates the lower layers `/lowers/1`, `/lowers/2` and so on.
    MakeLowers {
        /// Number of layers.
        count: u32,
    },
    /// Unloads the overlay module and loads it again.
    ReloadOverlay,
    // Files.
    /// Writes bytes of a seed to a file, over existing content and without a sync. Creates the file
    /// and its directory.
    Write {
        /// Disk of the upper filesystem.
        disk: Disk,
        /// Which overlay of the disk.
        layers: LayerSet,
        /// Directory that contains the file.
        #[serde(rename = "place")]
        location: FileLocation,
        /// Path below that directory.
        file: String,
        /// Number of bytes.
        bytes: u64,
        /// Seed of the [`Prng`](crate::Prng) that produces the bytes.
        seed: u64,
    },
    /// Writes bytes of a seed to an existing file of the overlay with `O_DIRECT`.
    WriteDirect {
        /// Disk of the upper filesystem.
        disk: Disk,
        /// Path in the overlay.
        file: String,
        /// Number of bytes.
        bytes: u64,
        /// Seed of the [`Prng`](crate::Prng) that produces the bytes.
        seed: u64,
    },
    /// Reads a file through the overlay and compares it with the bytes that `Write` wrote. Outcome:
    /// `done` or `differs`.
    Compare {
        /// Disk of the upper filesystem.
        disk: Disk,
        /// Which overlay of the disk.
        layers: LayerSet,
        /// Path in the overlay.
        file: String,
        /// Number of bytes.
        bytes: u64,
        /// Seed of the [`Prng`](crate::Prng) that produces the bytes.
        seed: u64,
    },
    /// Reads a file of the upper directory with `O_DIRECT`, which writes dirty pages back first,
    /// and compares it as `Compare` does. Outcome: `differs` if data on the disk was lost.
    CompareOnDisk {
        /// Disk of the upper filesystem.
        disk: Disk,
        /// Path in the upper directory.
        file: String,
        /// Number of bytes.
        bytes: u64,
        /// Seed of the [`Prng`](crate::Prng) that produces the bytes.
        seed: u64,
    },
    /// Starts a thread that writes and syncs files of the overlay until the machine stops. Done
    /// when the thread has written the first files.
    KeepWriting {
        /// Disk of the upper filesystem.
        disk: Disk,
    },
    /// Opens a file and keeps it open.
    #[serde(rename = "hold-file")]
    OpenFile {
        /// Disk of the upper filesystem.
        disk: Disk,
        /// Directory that contains the file.
        #[serde(rename = "place")]
        location: FileLocation,
        /// Path below that directory.
        file: String,
    },
    /// Closes all files of `OpenFile`.
    #[serde(rename = "release-files")]
    CloseFiles,
    /// chmod(2) of a file of the overlay.
    SetMode {
        /// Disk of the upper filesystem.
        disk: Disk,
        /// Path in the overlay.
        file: String,
        /// Permission bits.
        mode: u32,
    },
    /// Compares the permission bits of a file of the overlay. Outcome: `done` or `differs`.
    HasMode {
        /// Disk of the upper filesystem.
        disk: Disk,
        /// Path in the overlay.
        file: String,
        /// Expected permission bits.
        mode: u32,
    },
    /// rename(2) in the overlay.
    Rename {
        /// Disk of the upper filesystem.
        disk: Disk,
        /// Old path in the overlay.
        from: String,
        /// New path in the overlay.
        to: String,
    },
    /// Done if a file of the upper directory has the xattr `trusted.overlay.<name>`; fails with
    /// `ENODATA` otherwise.
    HasOverlayXattr {
        /// Disk of the upper filesystem.
        disk: Disk,
        /// Path in the upper directory.
        file: String,
        /// Name without prefix.
        name: String,
    },
    /// Records the inode number of a file of the overlay.
    #[serde(rename = "note-inode")]
    RecordInode {
        /// Disk of the upper filesystem.
        disk: Disk,
        /// Path in the overlay.
        file: String,
    },
    /// Compares the inode number with the recorded one. Outcome: `done` or `differs`.
    #[serde(rename = "same-inode")]
    CompareInode {
        /// Disk of the upper filesystem.
        disk: Disk,
        /// Path in the overlay.
        file: String,
    },
    /// Records the file handle of a file of the overlay (name_to_handle_at(2)), one per disk.
    #[serde(rename = "take-handle")]
    RecordFileHandle {
        /// Disk of the upper filesystem.
        disk: Disk,
        /// Path in the overlay.
        file: String,
    },
    /// Opens the recorded file handle (open_by_handle_at(2)).
    #[serde(rename = "open-handle")]
    OpenFileHandle {
        /// Disk of the upper filesystem.
        disk: Disk,
    },
    // Sync and writeback.
    /// sync(2): writes everything back. It reports no error and does not mark one as seen.
    WriteBack,
    /// Writes back the data of one file of the upper directory (sync_file_range(2)), without a
    /// journal commit. It reports no error and does not mark one as seen.
    WriteBackData {
        /// Disk of the upper filesystem.
        disk: Disk,
        /// Path in the upper directory.
        file: String,
    },
    /// syncfs(2) on a file descriptor that was opened when the upper filesystem was mounted.
    /// Reports an error once.
    SyncUpper {
        /// Disk of the upper filesystem.
        disk: Disk,
    },
    /// syncfs(2) on a new file descriptor of the upper filesystem.
    #[serde(rename = "sync-upper-afresh")]
    SyncUpperNewDescriptor {
        /// Disk of the upper filesystem.
        disk: Disk,
    },
    /// syncfs(2) on a new file descriptor of the overlay.
    SyncOverlay {
        /// Disk of the upper filesystem.
        disk: Disk,
    },
    /// Opens the upper filesystem and starts a thread that sleeps and then calls syncfs(2) on it.
    #[serde(rename = "sync-upper-later")]
    SyncUpperInThread {
        /// Disk of the upper filesystem.
        disk: Disk,
        /// Sleep, milliseconds.
        ms: u64,
    },
    /// Done if the thread of `SyncUpperInThread` has ended; fails with `EBUSY` otherwise.
    #[serde(rename = "has-ended")]
    ThreadHasEnded,
    /// Waits for the thread of `SyncUpperInThread`. The outcome is that of the thread.
    #[serde(rename = "join")]
    JoinThread,
    /// fsync(2) of a file of the upper directory, without going through the overlay. Reports a
    /// failed flush.
    FsyncUpperFile {
        /// Disk of the upper filesystem.
        disk: Disk,
        /// Path in the upper directory.
        file: String,
    },
    /// fsync(2) of a file of the overlay.
    FsyncOverlayFile {
        /// Disk of the upper filesystem.
        disk: Disk,
        /// Path in the overlay.
        file: String,
    },
    // Faults and tampering.
    /// Injects a fault into the disk.
    #[serde(rename = "break")]
    InjectFault {
        /// Disk of the upper filesystem.
        disk: Disk,
        /// The fault.
        fault: Fault,
    },
    /// Removes the fault that `InjectFault` injected.
    #[serde(rename = "heal")]
    RemoveFault {
        /// Disk of the upper filesystem.
        disk: Disk,
    },
    /// Removes `work/incompat/volatile`. After a sync of the upper filesystem this makes a mount
    /// safe without the series.
    RemoveMarker {
        /// Disk of the upper filesystem.
        disk: Disk,
    },
    /// Tampers with the checkpoint xattr of the marker.
    #[serde(rename = "forge")]
    TamperCheckpoint {
        /// Disk of the upper filesystem.
        disk: Disk,
        /// The modification.
        #[serde(rename = "forgery")]
        tamper: CheckpointTamper,
    },
    /// Stores many forged checkpoints of all kinds and mounts the overlay volatile over each. Done
    /// if every mount was refused with `EINVAL`, the kernel logged exactly the expected reason, and
    /// the size of its slabs did not grow; otherwise `differs`.
    #[serde(rename = "forge-many")]
    FuzzCheckpoint {
        /// Disk of the upper filesystem.
        disk: Disk,
        /// Seed of the forged checkpoints.
        seed: u64,
        /// Number of forged checkpoints.
        #[serde(rename = "times")]
        count: u32,
    },
    /// Replaces the marker by another object.
    ReplaceMarker {
        /// Disk of the upper filesystem.
        disk: Disk,
        /// The object.
        #[serde(rename = "with")]
        replacement: MarkerReplacement,
    },
    /// Creates the directory `work/incompat/<name>`, as a kernel with an unknown incompatible
    /// feature does.
    MakeIncompat {
        /// Disk of the upper filesystem.
        disk: Disk,
        /// Name of the feature.
        name: String,
    },
    /// Removes `work/incompat/<name>`, a file or an empty directory.
    RemoveIncompat {
        /// Disk of the upper filesystem.
        disk: Disk,
        /// Name of the feature.
        name: String,
    },
    /// Creates a file three directories below `work/work`. Overlayfs creates nothing there and does
    /// not clean it up.
    #[serde(rename = "leave-behind")]
    CreateLeftover {
        /// Disk of the upper filesystem.
        disk: Disk,
    },
    /// Removes the file and directories of `CreateLeftover`.
    #[serde(rename = "remove-left-behind")]
    RemoveLeftover {
        /// Disk of the upper filesystem.
        disk: Disk,
    },
    // State of the machine.
    /// Records the state of files of the upper filesystem, one snapshot per disk and scope.
    Snapshot {
        /// Disk of the upper filesystem.
        disk: Disk,
        /// Which files.
        scope: SnapshotScope,
    },
    /// Compares the files with the recorded snapshot. Outcome: `done` or `differs`.
    #[serde(rename = "same-as-snapshot")]
    CompareSnapshot {
        /// Disk of the upper filesystem.
        disk: Disk,
        /// Which files.
        scope: SnapshotScope,
    },
    /// Sleeps.
    Sleep {
        /// Milliseconds.
        ms: u64,
    },
    /// An operation of a benchmark.
    Bench(BenchOp),
    /// Removes all mounts, devices and images that were created since the start, and reloads
    /// overlay. Fails unless the machine is in its initial state afterwards.
    Reset,
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::reach(Op::AddAccessPath { disk: Disk::A, via: AccessPath::SecondMount }, r#"{"reach":{"disk":"a","via":"again"}}"#)]
    #[case::unreach(Op::RemoveAccessPath { disk: Disk::A, via: AccessPath::Bind }, r#"{"unreach":{"disk":"a","via":"bind"}}"#)]
    #[case::attach(Op::Attach { disk: Disk::A, stack: DeviceStack::Loop }, r#"{"attach":{"disk":"a","on":"plain"}}"#)]
    #[case::starve(Op::MountWithFailingAllocations { disk: Disk::A, first_mount: true }, r#"{"starve":{"disk":"a","first":true}}"#)]
    #[case::cycle(Op::MountRepeatedly { disk: Disk::A, count: 2 }, r#"{"cycle":{"disk":"a","times":2}}"#)]
    #[case::forge_many(
        Op::FuzzCheckpoint { disk: Disk::A, seed: 1, count: 2 },
        r#"{"forge-many":{"disk":"a","seed":1,"times":2}}"#
    )]
    #[case::hold_file(
        Op::OpenFile { disk: Disk::B, location: FileLocation::Upper, file: "f".into() },
        r#"{"hold-file":{"disk":"b","place":"upper","file":"f"}}"#
    )]
    #[case::forge(
        Op::TamperCheckpoint { disk: Disk::A, tamper: CheckpointTamper::Remove },
        r#"{"forge":{"disk":"a","forgery":"remove"}}"#
    )]
    #[case::join(Op::JoinThread, r#""join""#)]
    #[case::has_ended(Op::ThreadHasEnded, r#""has-ended""#)]
    #[case::release_files(Op::CloseFiles, r#""release-files""#)]
    fn json_names_do_not_change(#[case] op: Op, #[case] json: &str) {
        assert_eq!(serde_json::to_string(&op).unwrap(), json);
    }
}

// SPDX-License-Identifier: MIT OR Apache-2.0
//! The operations a guest knows. They are data: one interpreter runs them, one printer shows them.

use serde::{Deserialize, Serialize};

use crate::{
    AccessPath, BenchOp, CheckpointTamper, DeviceStack, Disk, Fault, FileLocation, LayerSet, MarkerReplacement, Mode,
    SnapshotScope,
};

/// One operation. Unless said otherwise its outcome is `done` or `failed`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Op {
    /// Makes the disk's devices: loop over the backing, device-mapper `linear` over that, or what else it is to be on.
    Attach {
        disk: Disk,
        on: DeviceStack,
    },
    /// Copies all that is on a disk to another, which is attached too and as large; neither is mounted.
    CopyDisk {
        from: Disk,
        to: Disk,
    },
    /// Mounts the upper filesystem and makes the directories of [`Layers`] in it where they are missing. `options` as
    /// `mount -o`.
    MountUpper {
        disk: Disk,
        options: String,
    },
    /// `lazy`: detached, and gone when nobody uses it any more (`MNT_DETACH`).
    UnmountUpper {
        disk: Disk,
        lazy: bool,
    },
    /// `mount -o remount` of the upper filesystem, with these options.
    RemountUpper {
        disk: Disk,
        options: String,
    },
    /// Makes the upper filesystem reachable another way.
    Reach {
        disk: Disk,
        via: AccessPath,
    },
    /// Takes that way back.
    Unreach {
        disk: Disk,
        via: AccessPath,
    },
    /// `FIFREEZE`: the filesystem syncs and takes no writes until it thaws.
    FreezeUpper {
        disk: Disk,
    },
    /// `FITHAW`
    ThawUpper {
        disk: Disk,
    },
    /// `FS_IOC_SHUTDOWN` without a flush of the log: the filesystem forgets what it has not written and fails from then on.
    ShutDownUpper {
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
    /// Mounts an overlay. Outcome: `mounted` or `refused`. `options` are further overlay options, `,`-separated; one that
    /// is given again overrides, and `ro` is a mount flag as for mount(8).
    MountOverlay {
        disk: Disk,
        layers: LayerSet,
        mode: Mode,
        via: AccessPath,
        options: String,
    },
    /// The same by fsopen(2), fsconfig(2) and fsmount(2), option by option. What the log of the context says is told with
    /// what the kernel logs, each line behind [`FS_CONTEXT`](crate::FS_CONTEXT).
    MountOverlayByContext {
        disk: Disk,
        mode: Mode,
        options: String,
    },
    /// Gives the directories to user 1000, who mounts an overlay in a user namespace of his own and unmounts it again.
    /// Outcome: `mounted` or `refused`.
    MountInUserNamespace {
        disk: Disk,
        mode: Mode,
        options: String,
    },
    /// Makes `upper` and `work` anew, and `lower` with a `folder` beside them, as directories that ignore case
    /// (`FS_CASEFOLD_FL`).
    FoldCase {
        disk: Disk,
    },
    UnmountOverlay {
        disk: Disk,
        layers: LayerSet,
        lazy: bool,
    },
    /// `mount -o remount` of the overlay. Outcome: `mounted` or `refused`.
    RemountOverlay {
        disk: Disk,
        options: String,
    },
    /// Mounts the overlay volatile and unmounts it, so many times; fails at the first that is not mounted.
    Cycle {
        disk: Disk,
        times: u32,
    },
    /// Mounts the overlay volatile in so many threads at once, each at a mount point of its own, and unmounts what was
    /// mounted. Outcome: `raced`; failed with errno 0 if one was mounted and no two were in the middle of it at the same time.
    Race {
        disk: Disk,
        mounts: u32,
    },
    /// Mounts the overlay volatile again and again, each time with one allocation later that fails and with something left
    /// behind in `work/work`, until none is left that could; unmounts what was mounted. Outcome: `starved`; differs if one
    /// was mounted read-write over what was left behind. `first`: without a marker each time, and then once more with all the
    /// memory it wants, and it is that mount whose outcome is told.
    Starve {
        disk: Disk,
        first: bool,
    },
    /// Writes `bytes` bytes drawn from `seed` to a file, over what is there, no sync.
    Write {
        disk: Disk,
        layers: LayerSet,
        place: FileLocation,
        file: String,
        bytes: u64,
        seed: u64,
    },
    /// The same past the page cache (`O_DIRECT`), to a file of the mounted overlay that is there.
    WriteDirect {
        disk: Disk,
        file: String,
        bytes: u64,
        seed: u64,
    },
    /// Reads the file through the overlay and compares it with what `Write` of the same numbers wrote. Outcome:
    /// `done` or `differs`.
    Compare {
        disk: Disk,
        layers: LayerSet,
        file: String,
        bytes: u64,
        seed: u64,
    },
    /// Reads a file of the upperdir past the page cache (`O_DIRECT`), after what is dirty was written back, and compares it
    /// like `Compare`: differs where the disk has lost what was written.
    CompareOnDisk {
        disk: Disk,
        file: String,
        bytes: u64,
        seed: u64,
    },
    /// Starts a thread that writes and syncs one file of the mounted overlay after the other, until the machine ends; done
    /// when it is in the middle of it.
    KeepWriting {
        disk: Disk,
    },
    /// Opens a file and keeps it open.
    HoldFile {
        disk: Disk,
        place: FileLocation,
        file: String,
    },
    /// Closes all that are held.
    ReleaseFiles,
    /// chmod(2) of a file of the mounted overlay.
    SetMode {
        disk: Disk,
        file: String,
        mode: u32,
    },
    /// Done if that is its mode; `differs` otherwise.
    HasMode {
        disk: Disk,
        file: String,
        mode: u32,
    },
    /// rename(2) in the mounted overlay.
    Rename {
        disk: Disk,
        from: String,
        to: String,
    },
    /// Done if a file of the upperdir has `trusted.overlay.<name>`.
    HasOverlayXattr {
        disk: Disk,
        file: String,
        name: String,
    },
    /// Remembers the inode number of a file of the mounted overlay.
    NoteInode {
        disk: Disk,
        file: String,
    },
    /// Done if it is still that; `differs` otherwise.
    SameInode {
        disk: Disk,
        file: String,
    },
    /// Asks for the file handle of a file of the mounted overlay (name_to_handle_at(2)) and keeps it.
    TakeHandle {
        disk: Disk,
        file: String,
    },
    /// Opens what it belongs to (open_by_handle_at(2)).
    OpenHandle {
        disk: Disk,
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
    /// syncfs(2) on the mounted overlay.
    SyncOverlay {
        disk: Disk,
    },
    /// Starts a thread that waits so long and then does what `SyncUpperAfresh` does.
    SyncUpperLater {
        disk: Disk,
        ms: u64,
    },
    /// Done if that thread has ended by now, failed with EBUSY if it has not.
    HasEnded,
    /// Waits for that thread: its outcome.
    Join,
    /// Drops clean pages, dentries and inodes, so that what is looked at next is read from the disk.
    DropCaches,
    /// Writes back and forgets what the page cache knows of the disk (`BLKFLSBUF`).
    FlushBuffers {
        disk: Disk,
    },
    /// fsync(2) of a file of the upperdir, around the overlay: is told of a flush that failed.
    FsyncUpperFile {
        disk: Disk,
        file: String,
    },
    /// fsync(2) of a file of the mounted overlay.
    FsyncOverlayFile {
        disk: Disk,
        file: String,
    },
    Break {
        disk: Disk,
        fault: Fault,
    },
    /// Takes back what [`Op::Break`] did.
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
        forgery: CheckpointTamper,
    },
    /// Forges as many checkpoints from the seed, of every kind, and tries to mount the overlay volatile over each. Done if
    /// every mount was refused with EINVAL, the kernel logged nothing but the reason that fits each, and its memory is
    /// back to where it was; `differs` otherwise.
    ForgeMany {
        disk: Disk,
        seed: u64,
        times: u32,
    },
    /// Puts something else in the place of the marker.
    ReplaceMarker {
        disk: Disk,
        with: MarkerReplacement,
    },
    /// Makes `work/incompat/<name>`, what a kernel with a feature of that name would leave.
    MakeIncompat {
        disk: Disk,
        name: String,
    },
    /// Removes what is there, a file or a directory with nothing in it.
    RemoveIncompat {
        disk: Disk,
        name: String,
    },
    /// Makes a file three directories below `work/work`, which no overlay leaves there nor knows how to clean.
    LeaveBehind {
        disk: Disk,
    },
    /// Removes it again.
    RemoveLeftBehind {
        disk: Disk,
    },
    /// Makes lower layers, `/lowers/1` and on.
    MakeLowers {
        count: u32,
    },
    /// Remembers the state of the upper filesystem under its disk and scope.
    Snapshot {
        disk: Disk,
        scope: SnapshotScope,
    },
    /// Compares with what `Snapshot` remembered. Outcome: `done` or `differs`.
    SameAsSnapshot {
        disk: Disk,
        scope: SnapshotScope,
    },
    Sleep {
        ms: u64,
    },
    /// What only a bench asks for.
    Bench(BenchOp),
    /// Takes down all that was made since the start: mounts, devices, images; loads overlay afresh. Fails unless the machine
    /// is as it was then.
    Reset,
}

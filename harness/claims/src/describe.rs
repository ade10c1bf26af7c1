// SPDX-License-Identifier: MIT OR Apache-2.0
//! Operations as text, for transcripts, lists of steps and error messages.

use vremount_protocol::{
    AccessPath, BenchOp, CheckpointField, CheckpointTamper, DeviceStack, Disk, Fault, FileLocation, LayerSet,
    MarkerReplacement, Mode, Op, SnapshotScope, XattrLocation,
};

/// An operation as an English phrase in the imperative, such as `mount overlay on a, volatile`.
#[must_use]
pub fn describe(op: &Op) -> String {
    match op {
        Op::Attach { disk, stack: DeviceStack::Loop } => format!("attach disk {disk}"),
        Op::Attach { disk, stack: DeviceStack::Direct } => format!("attach disk {disk} without a loop device"),
        Op::Attach { disk, stack: DeviceStack::Thin } => format!("attach disk {disk} as a thin volume"),
        Op::CopyDisk { from, to } => format!("copy disk {from} to disk {to}"),
        Op::MountUpper { disk, options } => format!("mount upper filesystem {disk}{}", with_options(options)),
        Op::UnmountUpper { disk, lazy } => format!("{} upper filesystem {disk}", unmount(*lazy)),
        Op::RemountUpper { disk, options } => format!("mount -o remount,{options} upper filesystem {disk}"),
        Op::AddAccessPath { disk, via } => describe_add_access_path(*disk, *via),
        Op::RemoveAccessPath { disk, via } => describe_remove_access_path(*disk, *via),
        Op::FreezeUpper { disk } => format!("freeze upper filesystem {disk}"),
        Op::ThawUpper { disk } => format!("thaw upper filesystem {disk}"),
        Op::ShutDownUpper { disk } => format!("shut down upper filesystem {disk} without flushing its log"),
        Op::RecreateUpper { disk } => format!("create upper and work directories on {disk} anew"),
        Op::RemoveMarker { disk } => format!("remove work/incompat/volatile on {disk}"),
        Op::MountOverlay { disk, layers, mode, via, options } => {
            let overlay = overlay(*disk, *layers);
            format!("mount {overlay}{}, {}{}", through(*via), mode_name(*mode), with_options(options))
        }
        Op::MountOverlayByContext { disk, mode, options } => {
            format!("mount overlay on {disk} with fsopen(2), {}{}", mode_name(*mode), with_options(options))
        }
        Op::MountInUserNamespace { disk, mode, options } => {
            let mode = mode_name(*mode);
            format!("mount and unmount overlay on {disk} in a user namespace, {mode}{}", with_options(options))
        }
        Op::RecreateCasefolded { disk } => format!("create casefolded layers on {disk}"),
        Op::UnmountOverlay { disk, layers, lazy } => format!("{} {}", unmount(*lazy), overlay(*disk, *layers)),
        Op::RemountOverlay { disk, options } => format!("mount -o remount,{options} overlay on {disk}"),
        Op::MountRepeatedly { disk, count: 1 } => format!("mount and unmount overlay on {disk}, volatile"),
        Op::MountRepeatedly { disk, count: times } => {
            format!("mount and unmount overlay on {disk}, volatile, {times} times")
        }
        Op::MountConcurrently { disk, mounts } => {
            format!("mount overlay on {disk}, volatile, in {mounts} threads at once")
        }
        Op::MountWithFailingAllocations { disk, first_mount: false } => {
            format!("repeatedly mount overlay on {disk}, volatile, each time with another failing allocation")
        }
        Op::MountWithFailingAllocations { disk, first_mount: true } => {
            format!(
                "repeatedly mount overlay on {disk}, volatile, without a marker and with a failing allocation, \
                 then again"
            )
        }
        Op::Write { disk, layers, location: place, file, bytes, seed } => {
            format!("write {} to {}", data(*bytes, *seed), file_in(file, *disk, *layers, *place))
        }
        Op::WriteDirect { disk, file, bytes, seed } => {
            format!("write {} with O_DIRECT to {}", data(*bytes, *seed), overlay_file(file, *disk))
        }
        Op::Compare { disk, layers, file, bytes, seed } => {
            let file = file_in(file, *disk, *layers, FileLocation::Overlay);
            format!("check that {file} contains {}", data(*bytes, *seed))
        }
        Op::CompareOnDisk { disk, file, bytes, seed } => {
            format!("check that {} contains on the disk {}", upper_file(file, *disk), data(*bytes, *seed))
        }
        Op::KeepWriting { disk } => format!("start to write and sync files in overlay on {disk} continuously"),
        Op::SetMode { disk, file, mode } => format!("chmod {mode:o} {}", overlay_file(file, *disk)),
        Op::HasMode { disk, file, mode } => format!("check that {} has mode {mode:o}", overlay_file(file, *disk)),
        Op::Rename { disk, from, to } => format!("rename {} to {to}", overlay_file(from, *disk)),
        Op::HasOverlayXattr { disk, file, name } => {
            format!("check that {} has the xattr trusted.overlay.{name}", upper_file(file, *disk))
        }
        Op::RecordInode { disk, file } => format!("record the inode number of {}", overlay_file(file, *disk)),
        Op::CompareInode { disk, file } => {
            format!("check that {} has the recorded inode number", overlay_file(file, *disk))
        }
        Op::OpenFile { disk, location: place, file } => {
            format!("open {} and keep it open", file_in(file, *disk, LayerSet::First, *place))
        }
        Op::CloseFiles => "close all files that were kept open".to_string(),
        Op::RecordFileHandle { disk, file } => format!("get the file handle of {}", overlay_file(file, *disk)),
        Op::OpenFileHandle { disk } => format!("open the file handle in overlay on {disk}"),
        Op::WriteBack => "sync(2)".to_string(),
        Op::WriteBackData { disk, file } => {
            format!("write back the data of {}, leaving an error unseen", upper_file(file, *disk))
        }
        Op::SyncUpper { disk } => format!("syncfs(2) upper filesystem {disk}"),
        Op::SyncUpperNewDescriptor { disk } => format!("syncfs(2) upper filesystem {disk} on a new file descriptor"),
        Op::SyncOverlay { disk } => format!("syncfs(2) overlay on {disk}"),
        Op::FsyncOverlayFile { disk, file } => format!("fsync(2) {}", overlay_file(file, *disk)),
        Op::SyncUpperInThread { disk, ms } => {
            format!("start a thread that calls syncfs(2) on upper filesystem {disk} after {ms} ms")
        }
        Op::ThreadHasEnded => "check that the syncfs(2) thread has ended".to_string(),
        Op::JoinThread => "wait for the result of the syncfs(2) thread".to_string(),
        Op::DropCaches => "drop clean pages, dentries and inodes".to_string(),
        Op::FlushBuffers { disk } => format!("write back and drop the buffers of disk {disk}"),
        Op::FsyncUpperFile { disk, file } => format!("fsync(2) {}", upper_file(file, *disk)),
        Op::InjectFault { disk, fault } => describe_fault(*disk, fault),
        Op::RemoveFault { disk } => format!("remove the fault from disk {disk}"),
        Op::UpperWritable { disk } => format!("check that upper filesystem {disk} is read-write"),
        Op::PauseWriteback => "stop periodic writeback".to_string(),
        Op::StartIoCount { disk } => format!("start to count the I/O of disk {disk}"),
        Op::ReadIoCount { disk } => format!("read the I/O count of disk {disk}"),
        Op::ReloadOverlay => "unload and load the overlay module".to_string(),
        Op::TamperCheckpoint { disk, tamper } => describe_tamper(*disk, *tamper),
        Op::FuzzCheckpoint { disk, seed, count: times } => {
            format!("mount overlay on {disk}, volatile, over {times} tampered checkpoints (seed {seed})")
        }
        Op::ReplaceMarker { disk, replacement: with } => describe_replacement(*disk, *with),
        Op::MakeIncompat { disk, name } => format!("create {} on {disk}", incompat_path(name)),
        Op::RemoveIncompat { disk, name } => format!("remove {} on {disk}", incompat_path(name)),
        Op::CreateLeftover { disk } => format!("create a file three directories below work/work on {disk}"),
        Op::RemoveLeftover { disk } => format!("remove the file three directories below work/work on {disk}"),
        Op::MakeLowers { count } => format!("create {count} lower layers"),
        Op::Snapshot { disk, scope } => format!("take a snapshot of {}", scope_name(*disk, *scope)),
        Op::CompareSnapshot { disk, scope } => format!("check that {} equals its snapshot", scope_name(*disk, *scope)),
        Op::Bench(op) => describe_bench(op),
        Op::Reset => "remove all mounts, devices and images".to_string(),
        Op::Sleep { ms } => format!("sleep {ms} ms"),
    }
}

/// Only error messages contain operations of the benchmark.
fn describe_bench(op: &BenchOp) -> String {
    match op {
        BenchOp::Restart { disk, strategy: way, .. } => format!("restart the container on {disk}: {way:?}"),
        BenchOp::Fill { disk, files } => format!("create {files} files in upper {disk}"),
        BenchOp::Dirty { disk, writer: whose, bytes } => format!("write {bytes} bytes on {disk}: {whose:?}"),
        BenchOp::MountOthers { disk, count } => format!("mount {count} other overlays on {disk}"),
        BenchOp::UnmountOthers { disk } => format!("unmount the other overlays on {disk}"),
        BenchOp::BackgroundLoad { disk, seconds, .. } => format!("run a background load on {disk} for {seconds} s"),
        BenchOp::Writeback { enabled: true } => "start periodic writeback".to_string(),
        BenchOp::Writeback { enabled: false } => "stop periodic writeback".to_string(),
        BenchOp::SwapOverlay { module } => format!("load {module} in place of the overlay module"),
        BenchOp::Trace { function } => format!("start to trace {function}"),
        BenchOp::Traced => "read the trace".to_string(),
        BenchOp::WarmUp { disk } => format!("restart the container on {disk}, untimed"),
        BenchOp::Clock => "read the clock".to_string(),
    }
}

fn mode_name(mode: Mode) -> &'static str {
    match mode {
        Mode::Volatile => "volatile",
        Mode::Durable => "durable",
    }
}

fn with_options(options: &str) -> String {
    if options.is_empty() { String::new() } else { format!(" with {options}") }
}

fn unmount(lazy: bool) -> &'static str {
    if lazy { "lazily unmount" } else { "unmount" }
}

fn overlay(disk: Disk, layers: LayerSet) -> String {
    let prefix = match layers {
        LayerSet::First => "",
        LayerSet::Second => "second ",
        LayerSet::Other => "other ",
        LayerSet::LowerOnly => "lower-only ",
    };
    format!("{prefix}overlay on {disk}")
}

fn through(via: AccessPath) -> &'static str {
    match via {
        AccessPath::Mount => "",
        AccessPath::Bind => " through the bind mount",
        AccessPath::SecondMount => " through the second mount of the device",
        AccessPath::Moved => " through the moved mount",
        AccessPath::Idmapped => " through the idmapped mount",
    }
}

fn describe_add_access_path(disk: Disk, via: AccessPath) -> String {
    match via {
        AccessPath::Mount => format!("use the mount of upper filesystem {disk}"),
        AccessPath::Bind => format!("bind-mount upper filesystem {disk}"),
        AccessPath::SecondMount => format!("mount the device of upper filesystem {disk} again"),
        AccessPath::Moved => format!("move the mount of upper filesystem {disk}"),
        AccessPath::Idmapped => format!("bind-mount upper filesystem {disk} with an id mapping"),
    }
}

fn describe_remove_access_path(disk: Disk, via: AccessPath) -> String {
    match via {
        AccessPath::Mount => format!("keep the mount of upper filesystem {disk}"),
        AccessPath::Bind => format!("unmount the bind mount of upper filesystem {disk}"),
        AccessPath::SecondMount => format!("unmount the second mount of upper filesystem {disk}"),
        AccessPath::Moved => format!("move the mount of upper filesystem {disk} back"),
        AccessPath::Idmapped => format!("unmount the idmapped mount of upper filesystem {disk}"),
    }
}

/// Generated file contents: the same length and seed give the same bytes.
fn data(bytes: u64, seed: u64) -> String {
    format!("{bytes} bytes (seed {seed})")
}

fn file_in(file: &str, disk: Disk, layers: LayerSet, place: FileLocation) -> String {
    match place {
        FileLocation::Overlay => format!("{file} in {}", overlay(disk, layers)),
        FileLocation::Upper => upper_file(file, disk),
    }
}

fn overlay_file(file: &str, disk: Disk) -> String {
    file_in(file, disk, LayerSet::First, FileLocation::Overlay)
}

fn upper_file(file: &str, disk: Disk) -> String {
    format!("{file} in upper {disk}")
}

fn scope_name(disk: Disk, scope: SnapshotScope) -> String {
    match scope {
        SnapshotScope::Tree => format!("upper filesystem {disk}"),
        SnapshotScope::Marker => format!("the marker on {disk}"),
    }
}

/// `work/incompat` if the name is empty.
fn incompat_path(name: &str) -> String {
    if name.is_empty() { "work/incompat".to_string() } else { format!("work/incompat/{name}") }
}

fn describe_fault(disk: Disk, fault: &Fault) -> String {
    match fault {
        Fault::Data { file } => format!("make the data blocks of {file} on {disk} fail"),
        Fault::SlowReads { ms } => format!("delay reads of disk {disk} by {ms} ms"),
        Fault::DataAndSlowReads { file, ms } => {
            format!("make the data blocks of {file} on {disk} fail and delay all other reads by {ms} ms")
        }
        Fault::Checkpoint => format!("make the block of the checkpoint on {disk} fail"),
        Fault::Everything => format!("make all I/O of disk {disk} fail"),
        Fault::Writes => format!("make all writes to disk {disk} fail"),
        Fault::Reads => format!("make all reads of disk {disk} fail"),
        Fault::Flush => format!("make all flushes of disk {disk} fail"),
        Fault::NoSpace => format!("fill the filesystem that holds the image of disk {disk}"),
        Fault::PoolFull => format!("fill the thin pool of disk {disk}"),
    }
}

fn describe_tamper(disk: Disk, tamper: CheckpointTamper) -> String {
    let checkpoint = format!("the checkpoint on {disk}");
    match tamper {
        CheckpointTamper::Remove => format!("remove {checkpoint}"),
        CheckpointTamper::Resize(bytes) => format!("truncate or zero-extend {checkpoint} to {bytes} bytes"),
        CheckpointTamper::Random { seed } => format!("overwrite {checkpoint} with random bytes (seed {seed})"),
        CheckpointTamper::Fill(byte) => format!("overwrite {checkpoint} with bytes {byte:#04x}"),
        CheckpointTamper::Increment(CheckpointField::BootId) => format!("change the boot id in {checkpoint}"),
        CheckpointTamper::Increment(CheckpointField::InstanceId) => {
            format!("increment the instance id in {checkpoint}")
        }
        CheckpointTamper::Increment(CheckpointField::Errseq) => format!("increment the errseq in {checkpoint}"),
        CheckpointTamper::CopyFrom(other, layers) => {
            format!("overwrite {checkpoint} with that of {}", overlay(other, layers))
        }
        CheckpointTamper::MoveTo(XattrLocation::Dirty) => format!("move {checkpoint} to work/incompat/volatile/dirty"),
        CheckpointTamper::MoveTo(XattrLocation::Incompat) => format!("move {checkpoint} to work/incompat"),
    }
}

fn describe_replacement(disk: Disk, replacement: MarkerReplacement) -> String {
    let replacement = match replacement {
        MarkerReplacement::File => "a regular file",
        MarkerReplacement::Symlink => "a symbolic link to it",
        MarkerReplacement::Fifo => "a FIFO",
        MarkerReplacement::Device => "a whiteout",
        MarkerReplacement::UpperCase => return format!("rename the marker on {disk} to upper case"),
        MarkerReplacement::IncompatFile => return format!("replace work/incompat on {disk} by a regular file"),
    };
    format!("replace the marker on {disk} by {replacement}")
}

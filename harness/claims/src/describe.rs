// SPDX-License-Identifier: MIT OR Apache-2.0
//! Operations in words: the one printer for tables, lists and transcripts.

use vremount_protocol::{
    AccessPath, BenchOp, CheckpointTamper, DeviceStack, Disk, Fault, Field, FileLocation, LayerSet, MarkerReplacement,
    Mode, Op, SnapshotScope, XattrLocation,
};

/// An operation in words.
#[must_use]
pub fn describe(op: &Op) -> String {
    match op {
        Op::Attach { disk, on: DeviceStack::Plain } => format!("attach disk {disk}"),
        Op::Attach { disk, on: DeviceStack::Device } => format!("attach disk {disk} without a loop device"),
        Op::Attach { disk, on: DeviceStack::Thin } => format!("attach disk {disk} as a thin volume"),
        Op::CopyDisk { from, to } => format!("copy disk {from} to disk {to}"),
        Op::MountUpper { disk, options } => format!("mount upper filesystem {disk}{}", with(options)),
        Op::UnmountUpper { disk, lazy } => format!("unmount{} upper filesystem {disk}", lazily(*lazy)),
        Op::RemountUpper { disk, options } => format!("mount -o remount upper filesystem {disk}{}", with(options)),
        Op::Reach { disk, via: AccessPath::Bind } => format!("bind-mount upper filesystem {disk}"),
        Op::Reach { disk, via: AccessPath::Again } => format!("mount the device of upper filesystem {disk} again"),
        Op::Reach { disk, via: AccessPath::Idmapped } => format!("bind-mount upper filesystem {disk} with other users"),
        Op::Reach { disk, via: AccessPath::Moved } => format!("move the mount of upper filesystem {disk}"),
        Op::Reach { disk, via: AccessPath::Mount } => format!("reach upper filesystem {disk}"),
        Op::Unreach { disk, via } => format!("take back the{} of upper filesystem {disk}", way(*via)),
        Op::FreezeUpper { disk } => format!("freeze upper filesystem {disk}"),
        Op::ThawUpper { disk } => format!("thaw upper filesystem {disk}"),
        Op::ShutDownUpper { disk } => format!("shut down upper filesystem {disk} without a flush"),
        Op::FreshUpper { disk } => format!("make fresh upper and work directories on {disk}"),
        Op::RemoveMarker { disk } => format!("remove work/incompat/volatile on {disk}"),
        Op::MountOverlay { disk, layers, mode, via, options } => {
            let mode = mode_in_words(*mode);
            let via = match via {
                AccessPath::Mount => String::new(),
                via => format!(" through the{}", way(*via)),
            };
            format!("mount {}overlay on {disk}{via}, {mode}{}", which(*layers), with(options))
        }
        Op::MountOverlayByContext { disk, mode, options } => {
            format!("mount overlay on {disk} by fsopen(2), {}{}", mode_in_words(*mode), with(options))
        }
        Op::MountInUserNamespace { disk, mode, options } => {
            let mode = mode_in_words(*mode);
            format!("mount overlay on {disk} in a user namespace, {mode}{}, and unmount it", with(options))
        }
        Op::FoldCase { disk } => format!("make fresh layers on {disk} that ignore case"),
        Op::UnmountOverlay { disk, layers, lazy } => {
            format!("unmount{} {}overlay on {disk}", lazily(*lazy), which(*layers))
        }
        Op::RemountOverlay { disk, options } => format!("mount -o remount overlay on {disk}{}", with(options)),
        Op::Cycle { disk, times } => format!("mount overlay on {disk} volatile and unmount it, {times} times"),
        Op::Race { disk, mounts } => format!("mount overlay on {disk} volatile {mounts} times at once"),
        Op::Starve { disk, first: false } => {
            format!("mount overlay on {disk} volatile, each time with another allocation that fails")
        }
        Op::Starve { disk, first: true } => {
            format!(
                "mount overlay on {disk} volatile for the first time, each time with another allocation that fails, and again"
            )
        }
        Op::Write { disk, layers, place, file, bytes, seed } => {
            format!("write {bytes} bytes of seed {seed} to {file} of {}", at(*disk, *layers, *place))
        }
        Op::WriteDirect { disk, file, bytes, seed } => {
            format!("write {bytes} bytes of seed {seed} past the page cache to {file} of overlay on {disk}")
        }
        Op::Compare { disk, layers, file, bytes, seed } => {
            format!("read {file} of {}: {bytes} bytes of seed {seed}", at(*disk, *layers, FileLocation::Overlay))
        }
        Op::CompareOnDisk { disk, file, bytes, seed } => {
            format!("read {file} of upper {disk} from the disk: {bytes} bytes of seed {seed}")
        }
        Op::KeepWriting { disk } => format!("write and sync files of overlay on {disk}, and go on with it"),
        Op::SetMode { disk, file, mode } => format!("chmod {mode:o} {file} of overlay on {disk}"),
        Op::HasMode { disk, file, mode } => format!("mode of {file} of overlay on {disk}: {mode:o}"),
        Op::Rename { disk, from, to } => format!("rename {from} of overlay on {disk} to {to}"),
        Op::HasOverlayXattr { disk, file, name } => format!("trusted.overlay.{name} of {file} of upper {disk}"),
        Op::NoteInode { disk, file } => format!("note the inode number of {file} of overlay on {disk}"),
        Op::SameInode { disk, file } => format!("inode number of {file} of overlay on {disk}: as noted"),
        Op::HoldFile { disk, place, file } => format!("keep {file} of {} open", at(*disk, LayerSet::First, *place)),
        Op::ReleaseFiles => "close what was kept open".to_string(),
        Op::TakeHandle { disk, file } => format!("ask for the file handle of {file} of overlay on {disk}"),
        Op::OpenHandle { disk } => format!("open by file handle in overlay on {disk}"),
        Op::WriteBack => "sync(2)".to_string(),
        Op::WriteBackData { disk, file } => format!("write back {file} of upper {disk}, unseen"),
        Op::SyncUpper { disk } => format!("syncfs(2) upper filesystem {disk}"),
        Op::SyncUpperAfresh { disk } => format!("syncfs(2) upper filesystem {disk} on a new file descriptor"),
        Op::SyncOverlay { disk } => format!("syncfs(2) overlay on {disk}"),
        Op::FsyncOverlayFile { disk, file } => format!("fsync(2) {file} of overlay on {disk}"),
        Op::SyncUpperLater { disk, ms } => format!("syncfs(2) upper filesystem {disk} in another thread in {ms} ms"),
        Op::HasEnded => "the other thread has ended".to_string(),
        Op::Join => "wait for the other thread".to_string(),
        Op::DropCaches => "drop clean caches".to_string(),
        Op::FlushBuffers { disk } => format!("write back and forget what is cached of disk {disk}"),
        Op::FsyncUpperFile { disk, file } => format!("fsync(2) {file} of upper {disk}"),
        Op::Break { disk, fault } => break_in_words(*disk, fault),
        Op::Heal { disk } => format!("heal disk {disk}"),
        Op::UpperWritable { disk } => format!("upper filesystem {disk} takes writes"),
        Op::PauseWriteback => "stop periodic writeback".to_string(),
        Op::CountIo { disk } => format!("count I/O of disk {disk}"),
        Op::CountedIo { disk } => format!("I/O of disk {disk} since"),
        Op::ReloadOverlay => "unload and load overlay".to_string(),
        Op::Forge { disk, forgery } => forge_in_words(*disk, *forgery),
        Op::ForgeMany { disk, seed, times } => {
            format!("forge {times} checkpoints of seed {seed} on {disk}, mount overlay volatile over each")
        }
        Op::ReplaceMarker { disk, with } => {
            let with = match with {
                MarkerReplacement::File => "a file",
                MarkerReplacement::Symlink => "a symbolic link to it",
                MarkerReplacement::Fifo => "a fifo",
                MarkerReplacement::Device => "a device",
                MarkerReplacement::UpperCase => "itself in upper case",
                MarkerReplacement::IncompatFile => "nothing, and work/incompat by a file",
            };
            format!("replace the marker on {disk} by {with}")
        }
        Op::MakeIncompat { disk, name } => format!("make work/incompat/{name} on {disk}"),
        Op::RemoveIncompat { disk, name } => format!("remove work/incompat/{name} on {disk}"),
        Op::LeaveBehind { disk } => format!("leave a file deep in work/work on {disk}"),
        Op::RemoveLeftBehind { disk } => format!("remove what was left in work/work on {disk}"),
        Op::MakeLowers { count } => format!("make {count} lower layers"),
        Op::Snapshot { disk, scope: SnapshotScope::Tree } => format!("remember all of upper filesystem {disk}"),
        Op::Snapshot { disk, scope: SnapshotScope::Marker } => format!("remember the marker on {disk}"),
        Op::SameAsSnapshot { disk, scope: SnapshotScope::Tree } => {
            format!("all of upper filesystem {disk} is as remembered")
        }
        Op::SameAsSnapshot { disk, scope: SnapshotScope::Marker } => format!("the marker on {disk} is as remembered"),
        Op::Bench(op) => bench_in_words(op),
        Op::Reset => "take everything down".to_string(),
        Op::Sleep { ms } => format!("sleep {ms} ms"),
    }
}

/// Only errors name them.
fn bench_in_words(op: &BenchOp) -> String {
    match op {
        BenchOp::Turn { disk, way, .. } => format!("stop and start the container on {disk}: {way:?}"),
        BenchOp::Fill { disk, files } => format!("make {files} files in upper {disk}"),
        BenchOp::Dirty { disk, whose, bytes } => format!("write {bytes} bytes on {disk}: {whose:?}"),
        BenchOp::MountOthers { disk, count } => format!("mount {count} other overlays on {disk}"),
        BenchOp::UnmountOthers { disk } => format!("unmount the other overlays on {disk}"),
        BenchOp::Neighbour { disk, seconds, .. } => format!("run a neighbour on {disk} for {seconds} s"),
        BenchOp::Writeback { by_itself: true } => "let the kernel write back by itself".to_string(),
        BenchOp::Writeback { by_itself: false } => "let memory be dirty until somebody syncs".to_string(),
        BenchOp::SwapOverlay { module } => format!("load {module} in place of overlay"),
        BenchOp::Trace { function } => format!("trace {function}"),
        BenchOp::Traced => "what was traced".to_string(),
        BenchOp::WarmUp { disk } => format!("stop and start the container on {disk}, untimed"),
        BenchOp::Clock => "the clock".to_string(),
    }
}

fn mode_in_words(mode: Mode) -> &'static str {
    match mode {
        Mode::Volatile => "volatile",
        Mode::Durable => "durable",
    }
}

fn with(options: &str) -> String {
    if options.is_empty() { String::new() } else { format!(" with {options}") }
}

fn lazily(lazy: bool) -> &'static str {
    if lazy { " lazily" } else { "" }
}

fn which(layers: LayerSet) -> &'static str {
    match layers {
        LayerSet::First => "",
        LayerSet::Second => "second ",
        LayerSet::Other => "other ",
        LayerSet::LowerOnly => "lower-only ",
    }
}

fn way(via: AccessPath) -> &'static str {
    match via {
        AccessPath::Mount => " mount",
        AccessPath::Bind => " bind mount",
        AccessPath::Again => " mount of the same device",
        AccessPath::Moved => " moved mount",
        AccessPath::Idmapped => " bind mount with other users",
    }
}

fn at(disk: Disk, layers: LayerSet, place: FileLocation) -> String {
    match place {
        FileLocation::Overlay => format!("{}overlay on {disk}", which(layers)),
        FileLocation::Upper => format!("upper {disk}"),
    }
}

fn break_in_words(disk: Disk, fault: &Fault) -> String {
    match fault {
        Fault::Data { file } => format!("break the data blocks of {file} on {disk}"),
        Fault::SlowReads { ms } => format!("reads take {ms} ms more"),
        Fault::DataAndSlowReads { file, ms } => {
            format!("break the data blocks of {file} on {disk}, and read all else {ms} ms late")
        }
        Fault::Checkpoint => format!("break the block of the checkpoint on {disk}"),
        Fault::Everything => format!("break all of disk {disk}"),
        Fault::Writes => format!("break writes of disk {disk}"),
        Fault::Reads => format!("break reads of disk {disk}"),
        Fault::Flush => format!("break flushes of disk {disk}"),
        Fault::NoSpace => format!("use up the space below disk {disk}"),
        Fault::PoolFull => format!("use up the pool of disk {disk}"),
    }
}

fn forge_in_words(disk: Disk, forgery: CheckpointTamper) -> String {
    let made = |what: &str| format!("make the checkpoint on {disk} {what}");
    match forgery {
        CheckpointTamper::Remove => format!("remove the checkpoint on {disk}"),
        CheckpointTamper::Length(bytes) => made(&format!("{bytes} bytes")),
        CheckpointTamper::Random { seed } => made(&format!("random bytes of seed {seed}")),
        CheckpointTamper::All(byte) => made(&format!("all {byte:#04x}")),
        CheckpointTamper::Next(Field::BootId) => format!("change the boot id in the checkpoint on {disk}"),
        CheckpointTamper::Next(Field::InstanceId) => format!("count up the instance id in the checkpoint on {disk}"),
        CheckpointTamper::Next(Field::Errseq) => format!("count up the errseq in the checkpoint on {disk}"),
        CheckpointTamper::Of(other, layers) => made(&format!("that of {}overlay on {other}", which(layers))),
        CheckpointTamper::MoveTo(XattrLocation::Dirty) => format!("move the checkpoint on {disk} to the dirty file"),
        CheckpointTamper::MoveTo(XattrLocation::Incompat) => format!("move the checkpoint on {disk} to work/incompat"),
    }
}

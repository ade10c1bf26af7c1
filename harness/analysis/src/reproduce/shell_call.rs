// SPDX-License-Identifier: MIT OR Apache-2.0
//! Translates each operation into a call of a function of the shell library.

use vremount_machine::image::Fs;
use vremount_protocol::{
    AccessPath, CheckpointField, CheckpointTamper, DeviceStack, Disk, Fault, FileLocation, LayerSet, MarkerReplacement,
    Mode, Op, Prng, SnapshotScope, XattrLocation,
};

/// Why an operation or a claim has no script: what a shell cannot do.
pub type Unsupported = &'static str;

/// Why a failed allocation cannot be scripted.
pub const NO_FAILED_ALLOCATION: Unsupported = "a shell cannot make allocations of another program fail";

/// Size of a checkpoint: boot id, instance id and errseq.
const CHECKPOINT_BYTES: usize = 16 + 8 + 4;

/// The shell commands of an operation. `fs` is the upper filesystem of the script.
///
/// # Errors
/// If a shell cannot perform the operation.
pub fn call(op: &Op, fs: Fs) -> Result<String, Unsupported> {
    Ok(match op {
        Op::Attach { disk, .. } if !fs.is_on_disk() => format!("attach_in_memory {disk}"),
        Op::Attach { disk, stack: DeviceStack::Loop } => format!("attach {disk}"),
        Op::Attach { stack: DeviceStack::Direct, .. } => {
            return Err("it attaches a disk without a loop device, which only a benchmark does");
        }
        Op::Attach { disk, stack: DeviceStack::Thin } => format!("attach_thin {disk}"),
        Op::CopyDisk { from, to } => format!("copy_disk {from} {to}"),
        Op::MountUpper { disk, options } => {
            let first = fs.filesystem().subvolume.map_or_else(String::new, |_| format!("make_subvolume {disk}\n"));
            first + &with_options("mount_upper", *disk, options)
        }
        Op::UnmountUpper { disk, lazy: false } => format!("unmount_upper {disk}"),
        Op::UnmountUpper { disk, lazy: true } => format!("unmount_upper_lazily {disk}"),
        Op::RemountUpper { disk, options } => with_options("remount_upper", *disk, options),
        Op::AddAccessPath { disk, via } => reach(*disk, *via)?,
        Op::RemoveAccessPath { disk, via: AccessPath::Moved } => format!("move_upper_back {disk}"),
        Op::RemoveAccessPath { disk, via } => format!("unmount_access_path {disk} {}", folder(*via)),
        Op::FreezeUpper { disk } => format!("freeze_upper {disk}"),
        Op::ThawUpper { disk } => format!("thaw_upper {disk}"),
        Op::ShutDownUpper { disk } => format!("shut_down_upper {disk}"),
        Op::RecreateUpper { disk } => format!("recreate_upper {disk}"),
        Op::RecreateCasefolded { disk } => format!("recreate_casefolded {disk}"),
        Op::UpperWritable { disk } => format!("check_upper_writable {disk}"),
        Op::MountOverlay { disk, layers, mode, via, options } => {
            let call = format!("mount_overlay {disk} {} {}", overlay(*layers), folder(*via));
            format!("{call}{}", argument(&overlay_options(*mode, options)))
        }
        Op::MountOverlayByContext { .. } => {
            return Err("mount(8) prints the log of an fs context only since util-linux 2.40");
        }
        Op::MountInUserNamespace { disk, mode, options } => {
            format!("mount_overlay_as_user {disk}{}", argument(&overlay_options(*mode, options)))
        }
        Op::UnmountOverlay { disk, layers, lazy: false } => format!("unmount_overlay {disk} {}", overlay(*layers)),
        Op::UnmountOverlay { disk, lazy: true, .. } => format!("unmount_overlay_lazily {disk}"),
        Op::RemountOverlay { disk, options } => with_options("remount_overlay", *disk, options),
        Op::MountRepeatedly { disk, count: times } => format!("mount_repeatedly {disk} {times}"),
        Op::MountConcurrently { disk, mounts } => format!("race_mounts {disk} {mounts}"),
        Op::MountWithFailingAllocations { .. } => return Err(NO_FAILED_ALLOCATION),
        Op::Write { disk, layers, location: place, file, bytes, seed } => {
            format!("write_file {} {bytes} {seed}", located(*disk, *layers, *place, file))
        }
        Op::WriteDirect { disk, file, bytes, seed } => {
            format!("write_direct {} {bytes} {seed}", merged(*disk, LayerSet::First, file))
        }
        Op::Compare { disk, layers, file, bytes, seed } => {
            format!("compare {} {bytes} {seed}", merged(*disk, *layers, file))
        }
        Op::CompareOnDisk { disk, file, bytes, seed } => {
            format!("compare_on_disk {} {bytes} {seed}", upper(*disk, file))
        }
        Op::KeepWriting { .. } => return Err("no script can record what is written while the power fails"),
        Op::OpenFile { disk, location: place, file } => {
            format!("hold_file {}", located(*disk, LayerSet::First, *place, file))
        }
        Op::CloseFiles => "release_files".to_string(),
        Op::SetMode { disk, file, mode } => format!("set_mode {} {mode:o}", merged(*disk, LayerSet::First, file)),
        Op::HasMode { disk, file, mode } => format!("check_mode {} {mode:o}", merged(*disk, LayerSet::First, file)),
        Op::Rename { disk, from, to } => {
            format!("rename {} {}", merged(*disk, LayerSet::First, from), merged(*disk, LayerSet::First, to))
        }
        Op::HasOverlayXattr { disk, file, name } => {
            format!("check_xattr {} trusted.overlay.{name}", upper(*disk, file))
        }
        Op::RecordInode { disk, file } => format!("record_inode {}", inode(*disk, file)),
        Op::CompareInode { disk, file } => format!("check_inode {}", inode(*disk, file)),
        Op::RecordFileHandle { .. } | Op::OpenFileHandle { .. } => {
            return Err("no shell tool calls name_to_handle_at(2) and open_by_handle_at(2)");
        }
        Op::WriteBack => "write_back".to_string(),
        Op::WriteBackData { disk, file } => format!("write_back_data {}", upper(*disk, file)),
        Op::SyncUpper { disk } | Op::SyncUpperNewDescriptor { disk } => {
            format!("sync_filesystem {}", mount_point(*disk))
        }
        Op::SyncOverlay { disk } => format!("sync_filesystem {}", merged(*disk, LayerSet::First, "")),
        Op::SyncUpperInThread { disk, ms } => format!("sync_filesystem_later {} {}", mount_point(*disk), seconds(*ms)),
        Op::ThreadHasEnded => "check_sync_has_ended".to_string(),
        Op::JoinThread => "wait_for_sync".to_string(),
        Op::DropCaches => "drop_caches".to_string(),
        Op::FlushBuffers { disk } => format!("flush_buffers {disk}"),
        Op::FsyncUpperFile { disk, file } => format!("fsync_file {}", upper(*disk, file)),
        Op::FsyncOverlayFile { disk, file } => format!("fsync_file {}", merged(*disk, LayerSet::First, file)),
        Op::InjectFault { disk, fault } => inject(*disk, fault),
        Op::RemoveFault { disk } => format!("heal_disk {disk}"),
        Op::PauseWriteback => "pause_writeback".to_string(),
        Op::StartIoCount { disk } => format!("start_io_counts {disk}"),
        Op::ReadIoCount { disk } => format!("read_io_counts {disk}"),
        Op::ReloadOverlay => "reload_overlay".to_string(),
        Op::RemoveMarker { disk } => format!("remove_marker {disk}"),
        Op::TamperCheckpoint { disk, tamper } => tamper_call(*disk, *tamper),
        Op::FuzzCheckpoint { .. } => {
            return Err("it tries thousands of random checkpoints and measures the kernel's memory");
        }
        Op::ReplaceMarker { disk, replacement: with } => replace_marker(*disk, *with),
        Op::MakeIncompat { disk, name } => format!("make_incompat {disk} '{name}'"),
        Op::RemoveIncompat { disk, name } => format!("remove_incompat {disk} '{name}'"),
        Op::CreateLeftover { disk } => format!("create_leftover {disk}"),
        Op::RemoveLeftover { disk } => format!("remove_leftover {disk}"),
        Op::MakeLowers { count } => format!("make_lower_layers {count}"),
        Op::Snapshot { disk, scope } => format!("snapshot {}", scoped(*disk, *scope)),
        Op::CompareSnapshot { disk, scope } => format!("compare_snapshot {}", scoped(*disk, *scope)),
        Op::Sleep { ms } => format!("pause {}", seconds(*ms)),
        Op::Bench(_) => return Err("only the guest can measure benchmarks"),
        Op::Reset => return Err("it removes what only the harness creates"),
    })
}

/// A call with a disk and options, which may be empty.
fn with_options(function: &str, disk: Disk, options: &str) -> String {
    format!("{function} {disk}{}", argument(options))
}

/// The last argument of a call, with a space before it; empty if there are no options.
fn argument(options: &str) -> String {
    if options.is_empty() { String::new() } else { format!(" \"{options}\"") }
}

fn reach(disk: Disk, via: AccessPath) -> Result<String, Unsupported> {
    Ok(match via {
        AccessPath::Bind => format!("bind_mount_upper {disk}"),
        AccessPath::SecondMount => format!("mount_upper_again {disk}"),
        AccessPath::Moved => format!("move_upper {disk}"),
        AccessPath::Idmapped => return Err("mount(8) creates idmapped mounts only since util-linux 2.39"),
        AccessPath::Mount => return Err("the upper filesystem is already mounted there"),
    })
}

/// Name of the folder of these mounts, below the directory of the script.
fn folder(via: AccessPath) -> &'static str {
    match via {
        AccessPath::Mount => "mnt",
        AccessPath::Bind => "bind",
        AccessPath::SecondMount => "again",
        AccessPath::Moved => "moved",
        AccessPath::Idmapped => "idmapped",
    }
}

fn overlay(layers: LayerSet) -> &'static str {
    match layers {
        LayerSet::First => "first",
        LayerSet::Second => "second",
        LayerSet::Other => "other",
        LayerSet::LowerOnly => "lower",
    }
}

/// Options of an overlay. Absolute paths of layers, such as `/lower`, become paths below the
/// directory of the script.
fn overlay_options(mode: Mode, options: &str) -> String {
    let with_top = |option: &str| match option.split_once("dir=") {
        Some((which @ ("lower" | "upper" | "work"), folders)) => {
            let folders: Vec<_> = folders.split(':').map(|folder| format!("$top{folder}")).collect();
            format!("{which}dir={}", folders.join(":"))
        }
        _ => option.to_string(),
    };
    let volatile = (mode == Mode::Volatile).then(|| "volatile".to_string());
    let all: Vec<_> = volatile.into_iter().chain(options.split(',').filter(|o| !o.is_empty()).map(with_top)).collect();
    all.join(",")
}

fn merged(disk: Disk, layers: LayerSet, file: &str) -> String {
    let which = if layers == LayerSet::First { String::new() } else { format!("-{}", overlay(layers)) };
    path(&format!("merged/{disk}{which}"), file)
}

fn upper(disk: Disk, file: &str) -> String {
    path(&format!("mnt/{disk}/upper"), file)
}

fn mount_point(disk: Disk) -> String {
    path(&format!("mnt/{disk}"), "")
}

fn marker(disk: Disk, layers: LayerSet) -> String {
    let work = if layers == LayerSet::Other { "work-other" } else { "work" };
    path(&format!("mnt/{disk}/{work}/work/incompat"), "volatile")
}

fn path(folder: &str, file: &str) -> String {
    let slash = if file.is_empty() { "" } else { "/" };
    format!("\"$top/{folder}{slash}{file}\"")
}

/// Path of a file in an overlay or in an upper directory.
fn located(disk: Disk, layers: LayerSet, place: FileLocation, file: &str) -> String {
    match place {
        FileLocation::Overlay => merged(disk, layers, file),
        FileLocation::Upper => upper(disk, file),
    }
}

/// Path of a file, and the name under which its inode number is recorded.
fn inode(disk: Disk, file: &str) -> String {
    format!("{} {disk}-{}", merged(disk, LayerSet::First, file), file.replace('/', "-"))
}

/// Name of a snapshot, and path of the tree.
fn scoped(disk: Disk, scope: SnapshotScope) -> String {
    match scope {
        SnapshotScope::Tree => format!("tree-{disk} {}", mount_point(disk)),
        SnapshotScope::Marker => format!("marker-{disk} {}", marker(disk, LayerSet::First)),
    }
}

/// Milliseconds as decimal seconds, for sleep(1).
fn seconds(ms: u64) -> String {
    match ms % 1000 {
        0 => (ms / 1000).to_string(),
        rest => format!("{}.{rest:03}", ms / 1000).trim_end_matches('0').to_string(),
    }
}

fn inject(disk: Disk, fault: &Fault) -> String {
    match fault {
        Fault::Data { file } => format!("break_data {disk} {file}"),
        Fault::SlowReads { ms } => format!("slow_reads {disk} {ms}"),
        Fault::DataAndSlowReads { file, ms } => format!("break_data {disk} {file} {ms}"),
        Fault::Checkpoint => format!("break_checkpoint {disk}"),
        Fault::Everything => format!("break_disk {disk}"),
        Fault::Writes => format!("break_writes {disk}"),
        Fault::Reads => format!("break_reads {disk}"),
        Fault::Flush => format!("break_flushes {disk}"),
        Fault::NoSpace => format!("fill_backing {disk}"),
        Fault::PoolFull => format!("fill_pool {disk}"),
    }
}

fn tamper_call(disk: Disk, change: CheckpointTamper) -> String {
    let here = marker(disk, LayerSet::First);
    let set = |bytes: &[u8]| {
        let digits: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        format!("set_checkpoint {here} {digits}")
    };
    match change {
        CheckpointTamper::Remove => format!("remove_checkpoint {here}"),
        CheckpointTamper::Resize(bytes) => format!("resize_checkpoint {here} {bytes}"),
        CheckpointTamper::Random { seed } => {
            let mut bytes = [0; CHECKPOINT_BYTES];
            Prng::new(seed).fill(&mut bytes);
            set(&bytes)
        }
        CheckpointTamper::Fill(byte) => set(&[byte; CHECKPOINT_BYTES]),
        CheckpointTamper::Increment(CheckpointField::BootId) => format!("count_up_checkpoint {here} 0 16"),
        CheckpointTamper::Increment(CheckpointField::InstanceId) => format!("count_up_checkpoint {here} 16 24"),
        CheckpointTamper::Increment(CheckpointField::Errseq) => format!("count_up_checkpoint {here} 24 28"),
        CheckpointTamper::CopyFrom(other, layers) => format!("copy_checkpoint {} {here}", marker(other, layers)),
        CheckpointTamper::MoveTo(XattrLocation::Dirty) => {
            format!("move_checkpoint {here} {}", path(&format!("mnt/{disk}/work/work/incompat/volatile"), "dirty"))
        }
        CheckpointTamper::MoveTo(XattrLocation::Incompat) => {
            format!("move_checkpoint {here} {}", path(&format!("mnt/{disk}/work/work"), "incompat"))
        }
    }
}

fn replace_marker(disk: Disk, replacement: MarkerReplacement) -> String {
    match replacement {
        MarkerReplacement::File => format!("replace_marker_by_file {disk}"),
        MarkerReplacement::Symlink => format!("replace_marker_by_symlink {disk}"),
        MarkerReplacement::Fifo => format!("replace_marker_by_fifo {disk}"),
        MarkerReplacement::Device => format!("replace_marker_by_device {disk}"),
        MarkerReplacement::IncompatFile => format!("replace_incompat_by_file {disk}"),
        MarkerReplacement::UpperCase => format!("rename_marker {disk} VOLATILE"),
    }
}

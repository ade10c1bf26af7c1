// SPDX-License-Identifier: MIT OR Apache-2.0
//! Each operation, and each outcome, as a call of a function of the library.

use vremount_claims::{Expectation, errno_name};
use vremount_machine::image::Fs;
use vremount_protocol::{
    AccessPath, CheckpointTamper, DeviceStack, Disk, Fault, Field, FileLocation, LayerSet, MarkerReplacement, Mode, Op,
    Prng, SnapshotScope, XattrLocation,
};

use crate::reproduce::Unsupported;

/// Boot id, instance id, errseq, as the kernel keeps them in a checkpoint.
const CHECKPOINT_BYTES: usize = 16 + 8 + 4;

/// What does an operation. The filesystem is that of the script.
pub fn call(op: &Op, fs: Fs) -> Result<String, Unsupported> {
    Ok(match op {
        Op::Attach { disk, .. } if !fs.on_disk() => format!("attach_nothing {disk}"),
        Op::Attach { disk, on: DeviceStack::Plain } => format!("attach {disk}"),
        Op::Attach { on: DeviceStack::Device, .. } => return Err("only a bench does without a loop device"),
        Op::Attach { disk, on: DeviceStack::Thin } => format!("attach_thin {disk}"),
        Op::CopyDisk { from, to } => format!("copy_disk {from} {to}"),
        Op::MountUpper { disk, options } => {
            let first = fs.filesystem().subvolume.map_or_else(String::new, |_| format!("make_subvolume {disk}\n"));
            first + &with("mount_upper", *disk, options)
        }
        Op::UnmountUpper { disk, lazy: false } => format!("unmount_upper {disk}"),
        Op::UnmountUpper { disk, lazy: true } => format!("unmount_upper_lazily {disk}"),
        Op::RemountUpper { disk, options } => with("remount_upper", *disk, options),
        Op::Reach { disk, via } => reach(*disk, *via)?,
        Op::Unreach { disk, via: AccessPath::Moved } => format!("unreach_by_move {disk}"),
        Op::Unreach { disk, via } => format!("unreach {disk} {}", folder(*via)),
        Op::FreezeUpper { disk } => format!("freeze_upper {disk}"),
        Op::ThawUpper { disk } => format!("thaw_upper {disk}"),
        Op::ShutDownUpper { disk } => format!("shut_down_upper {disk}"),
        Op::FreshUpper { disk } => format!("fresh_upper {disk}"),
        Op::FoldCase { disk } => format!("fold_case {disk}"),
        Op::UpperWritable { disk } => format!("upper_writable {disk}"),
        Op::MountOverlay { disk, layers, mode, via, options } => {
            let call = format!("overlay {disk} {} {}", overlay(*layers), folder(*via));
            format!("{call}{}", argument(&overlay_options(*mode, options)))
        }
        Op::MountOverlayByContext { .. } => {
            return Err("the log of an fs context is what mount(8) shows from util-linux 2.40 on only");
        }
        Op::MountInUserNamespace { disk, mode, options } => {
            format!("overlay_of_user {disk}{}", argument(&overlay_options(*mode, options)))
        }
        Op::UnmountOverlay { disk, layers, lazy: false } => format!("unmount_overlay {disk} {}", overlay(*layers)),
        Op::UnmountOverlay { disk, lazy: true, .. } => format!("unmount_overlay_lazily {disk}"),
        Op::RemountOverlay { disk, options } => with("remount_overlay", *disk, options),
        Op::Cycle { disk, times } => format!("cycle {disk} {times}"),
        Op::Race { disk, mounts } => format!("race {disk} {mounts}"),
        Op::Starve { .. } => return Err("a shell cannot make one allocation fail that is not its own"),
        Op::Write { disk, layers, place, file, bytes, seed } => {
            format!("write_file {} {bytes} {seed}", at(*disk, *layers, *place, file))
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
        Op::KeepWriting { .. } => return Err("what is written while the power fails cannot be told by a script"),
        Op::HoldFile { disk, place, file } => format!("hold_file {}", at(*disk, LayerSet::First, *place, file)),
        Op::ReleaseFiles => "release_files".to_string(),
        Op::SetMode { disk, file, mode } => format!("set_mode {} {mode:o}", merged(*disk, LayerSet::First, file)),
        Op::HasMode { disk, file, mode } => format!("has_mode {} {mode:o}", merged(*disk, LayerSet::First, file)),
        Op::Rename { disk, from, to } => {
            format!("rename {} {}", merged(*disk, LayerSet::First, from), merged(*disk, LayerSet::First, to))
        }
        Op::HasOverlayXattr { disk, file, name } => format!("has_xattr {} trusted.overlay.{name}", upper(*disk, file)),
        Op::NoteInode { disk, file } => format!("note_inode {}", inode(*disk, file)),
        Op::SameInode { disk, file } => format!("same_inode {}", inode(*disk, file)),
        Op::TakeHandle { .. } | Op::OpenHandle { .. } => {
            return Err("no tool of a shell makes name_to_handle_at(2) and open_by_handle_at(2)");
        }
        Op::WriteBack => "write_back".to_string(),
        Op::WriteBackData { disk, file } => format!("write_back_data {}", upper(*disk, file)),
        Op::SyncUpper { disk } | Op::SyncUpperAfresh { disk } => format!("sync_filesystem {}", mount_point(*disk)),
        Op::SyncOverlay { disk } => format!("sync_filesystem {}", merged(*disk, LayerSet::First, "")),
        Op::SyncUpperLater { disk, ms } => format!("sync_filesystem_later {} {}", mount_point(*disk), seconds(*ms)),
        Op::HasEnded => "has_ended".to_string(),
        Op::Join => "join".to_string(),
        Op::DropCaches => "drop_caches".to_string(),
        Op::FlushBuffers { disk } => format!("flush_buffers {disk}"),
        Op::FsyncUpperFile { disk, file } => format!("fsync_file {}", upper(*disk, file)),
        Op::FsyncOverlayFile { disk, file } => format!("fsync_file {}", merged(*disk, LayerSet::First, file)),
        Op::Break { disk, fault } => broken(*disk, fault),
        Op::Heal { disk } => format!("heal {disk}"),
        Op::PauseWriteback => "pause_writeback".to_string(),
        Op::CountIo { disk } => format!("count_io {disk}"),
        Op::CountedIo { disk } => format!("counted_io {disk}"),
        Op::ReloadOverlay => "reload_overlay".to_string(),
        Op::RemoveMarker { disk } => format!("remove_marker {disk}"),
        Op::Forge { disk, forgery } => forge(*disk, *forgery),
        Op::ForgeMany { .. } => return Err("it draws thousands of checkpoints and measures the kernel's memory"),
        Op::ReplaceMarker { disk, with } => replace(*disk, *with),
        Op::MakeIncompat { disk, name } => format!("make_incompat {disk} '{name}'"),
        Op::RemoveIncompat { disk, name } => format!("remove_incompat {disk} '{name}'"),
        Op::LeaveBehind { disk } => format!("leave_behind {disk}"),
        Op::RemoveLeftBehind { disk } => format!("remove_left_behind {disk}"),
        Op::MakeLowers { count } => format!("make_lowers {count}"),
        Op::Snapshot { disk, scope } => format!("snapshot {}", scoped(*disk, *scope)),
        Op::SameAsSnapshot { disk, scope } => format!("same_as_snapshot {}", scoped(*disk, *scope)),
        Op::Sleep { ms } => format!("pause {}", seconds(*ms)),
        Op::Bench(_) => return Err("a shell is no clock: what is measured is measured in the guest"),
        Op::Reset => return Err("it takes down what only the harness has made"),
    })
}

/// How a script looks at an outcome.
pub struct ShellCheck {
    pub check: String,
    /// What it prints where all is as it must be.
    pub expected: String,
}

/// What an operation must lead to.
pub fn expectation(op: &Op, want: Expectation) -> Result<ShellCheck, Unsupported> {
    let volatile = if op.asks_volatile() { "volatile" } else { "durable" };
    let (check, expected) = match want {
        Expectation::Done => ("expect_done".to_string(), "done".to_string()),
        Expectation::Mounted => (format!("expect_mounted {volatile}"), format!("mounted {volatile}")),
        Expectation::MountedReadOnly => {
            (format!("expect_mounted '{volatile}, read-only'"), format!("mounted {volatile}, read-only"))
        }
        Expectation::Refused { errno, reason } => {
            let errno = errno_name(errno);
            (format!("expect_refused {errno} {reason}"), format!("refused {errno}, {reason}"))
        }
        Expectation::RefusedUnsaid(errno) => {
            let (errno, nothing) = (errno_name(errno), "no reason stated");
            (format!("expect_refused {errno} '{nothing}'"), format!("refused {errno}, {nothing}"))
        }
        Expectation::Fails(errno) => {
            (format!("expect_failed {}", errno_name(errno)), format!("failed {}", errno_name(errno)))
        }
        Expectation::FailsToWriteBack => {
            ("expect_failed_to_write_back".to_string(), "failed EIO or ENOSPC".to_string())
        }
        Expectation::IoErrors => ("expect_io_errors".to_string(), "I/O errors".to_string()),
        Expectation::Differs => ("expect_differs".to_string(), "differs".to_string()),
        Expectation::MountedOrError => {
            ("expect_mounted_or_error".to_string(), "mounted, or refused for a writeback error".to_string())
        }
        Expectation::Whatever => ("expect_whatever".to_string(), "whatever".to_string()),
        Expectation::OneWins { others, reason } => {
            let reasons = vec![reason.to_string(); others as usize].join(" ");
            (format!("expect_one_wins {others} {reason}"), format!("1 mounted, {others} refused EINVAL: {reasons}"))
        }
        Expectation::AtMostOneWins => ("expect_at_most_one_wins".to_string(), "at most one mounted".to_string()),
        Expectation::RefusedUntilFed | Expectation::AcceptedOrUnchecked => {
            return Err("a shell cannot make one allocation fail that is not its own");
        }
        Expectation::NoIo => ("expect_no_io".to_string(), "0 writes, 0 flushes".to_string()),
        Expectation::SomeIo => ("expect_some_io".to_string(), "writes or flushes".to_string()),
    };
    Ok(ShellCheck { check, expected })
}

fn with(function: &str, disk: Disk, options: &str) -> String {
    format!("{function} {disk}{}", argument(options))
}

/// A last argument that may be empty.
fn argument(options: &str) -> String {
    if options.is_empty() { String::new() } else { format!(" \"{options}\"") }
}

fn reach(disk: Disk, via: AccessPath) -> Result<String, Unsupported> {
    Ok(match via {
        AccessPath::Bind => format!("reach_by_bind {disk}"),
        AccessPath::Again => format!("reach_again {disk}"),
        AccessPath::Moved => format!("reach_by_move {disk}"),
        AccessPath::Idmapped => return Err("mount(8) maps the users of a mount from util-linux 2.39 on only"),
        AccessPath::Mount => return Err("it is where it is"),
    })
}

/// Below the folder of the script.
fn folder(via: AccessPath) -> &'static str {
    match via {
        AccessPath::Mount => "mnt",
        AccessPath::Bind => "bind",
        AccessPath::Again => "again",
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

/// Options of an overlay; what claims call `/lower`, `/mnt` and so on is in the folder of the script.
fn overlay_options(mode: Mode, options: &str) -> String {
    let placed = |option: &str| match option.split_once("dir=") {
        Some((which @ ("lower" | "upper" | "work"), folders)) => {
            let folders: Vec<_> = folders.split(':').map(|folder| format!("$top{folder}")).collect();
            format!("{which}dir={}", folders.join(":"))
        }
        _ => option.to_string(),
    };
    let volatile = (mode == Mode::Volatile).then(|| "volatile".to_string());
    let all: Vec<_> = volatile.into_iter().chain(options.split(',').filter(|o| !o.is_empty()).map(placed)).collect();
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

fn at(disk: Disk, layers: LayerSet, place: FileLocation, file: &str) -> String {
    match place {
        FileLocation::Overlay => merged(disk, layers, file),
        FileLocation::Upper => upper(disk, file),
    }
}

/// A file, and the name under which its inode is noted.
fn inode(disk: Disk, file: &str) -> String {
    format!("{} {disk}-{}", merged(disk, LayerSet::First, file), file.replace('/', "-"))
}

/// The name of a snapshot, and what it is of.
fn scoped(disk: Disk, scope: SnapshotScope) -> String {
    match scope {
        SnapshotScope::Tree => format!("tree-{disk} {}", mount_point(disk)),
        SnapshotScope::Marker => format!("marker-{disk} {}", marker(disk, LayerSet::First)),
    }
}

fn seconds(ms: u64) -> String {
    match ms % 1000 {
        0 => (ms / 1000).to_string(),
        rest => format!("{}.{rest:03}", ms / 1000).trim_end_matches('0').to_string(),
    }
}

fn broken(disk: Disk, fault: &Fault) -> String {
    match fault {
        Fault::Data { file } => format!("break_data {disk} {file}"),
        Fault::SlowReads { ms } => format!("slow_reads {disk} {ms}"),
        Fault::DataAndSlowReads { file, ms } => format!("break_data {disk} {file} {ms}"),
        Fault::Checkpoint => format!("break_checkpoint {disk}"),
        Fault::Everything => format!("break_everything {disk}"),
        Fault::Writes => format!("break_writes {disk}"),
        Fault::Reads => format!("break_reads {disk}"),
        Fault::Flush => format!("break_flushes {disk}"),
        Fault::NoSpace => format!("use_up_space {disk}"),
        Fault::PoolFull => format!("use_up_pool {disk}"),
    }
}

fn forge(disk: Disk, forgery: CheckpointTamper) -> String {
    let here = marker(disk, LayerSet::First);
    let set = |bytes: &[u8]| {
        let digits: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        format!("set_checkpoint {here} {digits}")
    };
    match forgery {
        CheckpointTamper::Remove => format!("remove_checkpoint {here}"),
        CheckpointTamper::Length(bytes) => format!("resize_checkpoint {here} {bytes}"),
        CheckpointTamper::Random { seed } => {
            let mut bytes = [0; CHECKPOINT_BYTES];
            Prng::of(seed).fill(&mut bytes);
            set(&bytes)
        }
        CheckpointTamper::All(byte) => set(&[byte; CHECKPOINT_BYTES]),
        CheckpointTamper::Next(Field::BootId) => format!("count_up_checkpoint {here} 0 16"),
        CheckpointTamper::Next(Field::InstanceId) => format!("count_up_checkpoint {here} 16 24"),
        CheckpointTamper::Next(Field::Errseq) => format!("count_up_checkpoint {here} 24 28"),
        CheckpointTamper::Of(other, layers) => format!("copy_checkpoint {} {here}", marker(other, layers)),
        CheckpointTamper::MoveTo(XattrLocation::Dirty) => {
            format!("move_checkpoint {here} {}", path(&format!("mnt/{disk}/work/work/incompat/volatile"), "dirty"))
        }
        CheckpointTamper::MoveTo(XattrLocation::Incompat) => {
            format!("move_checkpoint {here} {}", path(&format!("mnt/{disk}/work/work"), "incompat"))
        }
    }
}

fn replace(disk: Disk, with: MarkerReplacement) -> String {
    match with {
        MarkerReplacement::File => format!("replace_marker_by_file {disk}"),
        MarkerReplacement::Symlink => format!("replace_marker_by_symlink {disk}"),
        MarkerReplacement::Fifo => format!("replace_marker_by_fifo {disk}"),
        MarkerReplacement::Device => format!("replace_marker_by_device {disk}"),
        MarkerReplacement::IncompatFile => format!("replace_incompat_by_file {disk}"),
        MarkerReplacement::UpperCase => format!("rename_marker {disk} VOLATILE"),
    }
}

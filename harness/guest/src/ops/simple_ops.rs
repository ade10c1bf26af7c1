// SPDX-License-Identifier: MIT OR Apache-2.0
//! Operations that need no state between operations.

use std::fs::{self, File};
use std::io;
use std::path::Path;
use std::thread::sleep;
use std::time::Duration;

use nix::unistd::{sync, syncfs};
use vremount_protocol::{AccessPath, Disk, LayerSet, Op};

use super::paths::{self, merged, overlay_file, upperdir, workdir};
use super::{file_io, files, ioctl, marker, mount_table, mounts, overlay};
use crate::error::{Failure, context};
use crate::init::init_system::{self, Caches};

/// Runs an operation. Fails for operations that need the state of the interpreter.
pub fn run(op: &Op) -> Result<(), Failure> {
    let upper_filesystem = |disk: &Disk| paths::upper_filesystem(*disk, AccessPath::Mount);
    let syncfs_open = |file: &File| Ok(syncfs(file)?);
    match op {
        Op::UnmountOverlay { disk, layers, lazy: false } => mount_table::unmount_at(&merged(*disk, *layers)),
        Op::UnmountOverlay { disk, layers, lazy: true } => mount_table::detach_at(&merged(*disk, *layers)),
        Op::RemoveAccessPath { disk, via } => mounts::remove_access_path(*disk, *via),
        Op::FreezeUpper { disk } => with_open_file(&upper_filesystem(disk), "freeze", ioctl::freeze),
        Op::ThawUpper { disk } => with_open_file(&upper_filesystem(disk), "thaw", ioctl::thaw),
        Op::ShutDownUpper { disk } => with_open_file(&upper_filesystem(disk), "shut down", ioctl::shut_down),
        Op::UpperWritable { disk } => check_writable(&upper_filesystem(disk)),
        Op::RecreateUpper { disk } => recreate_upper(*disk),
        Op::RecreateCasefolded { disk } => mounts::make_casefolded_layers(*disk),
        Op::MakeLowers { count } => overlay::make_lowers(*count),
        Op::RemoveMarker { disk } => marker::remove(&workdir(*disk)),
        Op::TamperCheckpoint { disk, tamper } => marker::apply_tamper(&workdir(*disk), *tamper),
        Op::ReplaceMarker { disk, replacement: with } => marker::replace(&workdir(*disk), *with),
        Op::MakeIncompat { .. } | Op::RemoveIncompat { .. } | Op::CreateLeftover { .. } | Op::RemoveLeftover { .. } => {
            change_workdir(op)
        }
        Op::Write { disk, layers, location: place, file, bytes, seed } => {
            file_io::write(&paths::file_root(*disk, *layers, *place).join(file), *bytes, *seed)
        }
        Op::WriteDirect { disk, file, bytes, seed } => file_io::write_direct(&overlay_file(*disk, file), *bytes, *seed),
        Op::SetMode { disk, file, mode } => files::set_mode(&overlay_file(*disk, file), *mode),
        Op::Rename { disk, from, to } => files::rename(&overlay_file(*disk, from), &overlay_file(*disk, to)),
        Op::HasOverlayXattr { disk, file, name } => files::check_overlay_xattr(&upperdir(*disk).join(file), name),
        Op::WriteBack => {
            sync();
            Ok(())
        }
        Op::WriteBackData { disk, file } => {
            with_open_file(&upperdir(*disk).join(file), "write back", ioctl::write_back)
        }
        Op::SyncUpperNewDescriptor { disk } => with_open_file(&upper_filesystem(disk), "syncfs", syncfs_open),
        Op::SyncOverlay { disk } => with_open_file(&merged(*disk, LayerSet::First), "syncfs", syncfs_open),
        Op::FsyncUpperFile { disk, file } => with_open_file(&upperdir(*disk).join(file), "fsync", File::sync_all),
        Op::FsyncOverlayFile { disk, file } => with_open_file(&overlay_file(*disk, file), "fsync", File::sync_all),
        Op::DropCaches => init_system::drop_caches(Caches::All),
        Op::PauseWriteback => init_system::write_setting(init_system::WRITEBACK_INTERVAL, "0"),
        Op::Sleep { ms } => {
            sleep(Duration::from_millis(*ms));
            Ok(())
        }
        _ => Err(unsupported(op)),
    }
}

/// Operations on the content of a work directory.
fn change_workdir(op: &Op) -> Result<(), Failure> {
    match op {
        Op::MakeIncompat { disk, name } => {
            let dir = workdir(*disk).join("work/incompat").join(name);
            context("create", &dir, fs::create_dir_all(&dir))
        }
        Op::RemoveIncompat { disk, name } => {
            let path = workdir(*disk).join("work/incompat").join(name);
            context("remove", &path, if path.is_dir() { fs::remove_dir(&path) } else { fs::remove_file(&path) })
        }
        Op::CreateLeftover { disk } => {
            let dir = workdir(*disk).join("work/left/behind/here");
            context("create", &dir, fs::create_dir_all(&dir))?;
            let file = dir.join("file");
            context("write", &file, fs::write(&file, "left behind\n"))
        }
        Op::RemoveLeftover { disk } => {
            let dir = workdir(*disk).join("work/left");
            context("remove", &dir, fs::remove_dir_all(&dir))
        }
        _ => Err(unsupported(op)),
    }
}

/// Removes upper and work directories and creates them again.
pub fn recreate_upper(disk: Disk) -> Result<(), Failure> {
    for dir in [upperdir(disk), workdir(disk)] {
        context("remove", &dir, fs::remove_dir_all(&dir))?;
    }
    mounts::make_layers(disk)
}

fn check_writable(mount_point: &Path) -> Result<(), Failure> {
    match mount_table::is_read_only(mount_point)? {
        true => Err(Failure::from_errno(libc::EROFS, format!("{} is read-only", mount_point.display()))),
        false => Ok(()),
    }
}

/// Opens a path for reading and calls `function` on it.
pub fn with_open_file(
    path: &Path,
    action: &str,
    function: impl FnOnce(&File) -> io::Result<()>,
) -> Result<(), Failure> {
    let file = context("open", path, File::open(path))?;
    context(action, path, function(&file))
}

/// The failure for an operation that is not implemented here.
pub fn unsupported(op: &Op) -> Failure {
    Failure::new(format!("failed to run {op:?}: this guest does not support the operation"))
}

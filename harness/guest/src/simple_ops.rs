// SPDX-License-Identifier: MIT OR Apache-2.0
//! Operations that need no more than paths.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::Duration;

use nix::unistd::{sync, syncfs};
use vremount_protocol::{AccessPath, Disk as Id, FileLocation, LayerSet, Mode, Op, Outcome};

use crate::error::{Failure, context};
use crate::overlay::{self, Overlay, merged};
use crate::{file_io, files, init_system, ioctl, marker, mounts};

pub fn run(op: &Op) -> Result<(), Failure> {
    let upper = |disk: &Id| mounts::upper_filesystem(*disk, AccessPath::Mount);
    match op {
        Op::UnmountOverlay { disk, layers, lazy: false } => mounts::unmount_at(&merged(*disk, *layers)),
        Op::UnmountOverlay { disk, layers, lazy: true } => mounts::detach_at(&merged(*disk, *layers)),
        Op::Unreach { disk, via } => mounts::unreach(*disk, *via),
        Op::FreezeUpper { disk } => on_open(&upper(disk), "freeze", ioctl::freeze),
        Op::ThawUpper { disk } => on_open(&upper(disk), "thaw", ioctl::thaw),
        Op::ShutDownUpper { disk } => on_open(&upper(disk), "shut down", ioctl::shut_down),
        Op::FreshUpper { disk } => {
            for folder in [mounts::upperdir(*disk), mounts::workdir(*disk)] {
                context("remove", &folder, fs::remove_dir_all(&folder))?;
            }
            mounts::make_layers(*disk)
        }
        Op::RemoveMarker { disk } => marker::remove(&mounts::workdir(*disk)),
        Op::Forge { disk, forgery } => marker::forge(&mounts::workdir(*disk), *forgery),
        Op::ReplaceMarker { disk, with } => marker::replace(&mounts::workdir(*disk), *with),
        Op::MakeIncompat { disk, name } => {
            let folder = mounts::workdir(*disk).join("work/incompat").join(name);
            context("create", &folder, fs::create_dir_all(&folder))
        }
        Op::RemoveIncompat { disk, name } => {
            let path = mounts::workdir(*disk).join("work/incompat").join(name);
            context("remove", &path, if path.is_dir() { fs::remove_dir(&path) } else { fs::remove_file(&path) })
        }
        Op::LeaveBehind { disk } => {
            let folder = mounts::workdir(*disk).join("work/left/behind/here");
            context("create", &folder, fs::create_dir_all(&folder))?;
            let file = folder.join("file");
            context("write", &file, fs::write(&file, "left behind\n"))
        }
        Op::RemoveLeftBehind { disk } => {
            let folder = mounts::workdir(*disk).join("work/left");
            context("remove", &folder, fs::remove_dir_all(&folder))
        }
        Op::FoldCase { disk } => mounts::make_layers_that_ignore_case(*disk),
        Op::SyncOverlay { disk } => on_open(&merged(*disk, LayerSet::First), "syncfs", |file| Ok(syncfs(file)?)),
        Op::FsyncOverlayFile { disk, file } => {
            on_open(&merged(*disk, LayerSet::First).join(file), "fsync", File::sync_all)
        }
        Op::MakeLowers { count } => overlay::make_lowers(*count),
        Op::Write { disk, layers, place, file, bytes, seed } => {
            file_io::write(&at(*disk, *layers, *place).join(file), *bytes, *seed)
        }
        Op::WriteDirect { disk, file, bytes, seed } => {
            file_io::write_direct(&merged(*disk, LayerSet::First).join(file), *bytes, *seed)
        }
        Op::SetMode { disk, file, mode } => files::set_mode(&in_overlay(*disk, file), *mode),
        Op::Rename { disk, from, to } => files::rename(&in_overlay(*disk, from), &in_overlay(*disk, to)),
        Op::HasOverlayXattr { disk, file, name } => files::has_overlay_xattr(&mounts::upperdir(*disk).join(file), name),
        Op::WriteBack => {
            sync();
            Ok(())
        }
        Op::WriteBackData { disk, file } => {
            on_open(&mounts::upperdir(*disk).join(file), "write back", ioctl::write_back)
        }
        Op::FsyncUpperFile { disk, file } => on_open(&mounts::upperdir(*disk).join(file), "fsync", File::sync_all),
        Op::SyncUpperAfresh { disk } => on_open(&upper(disk), "syncfs", |file| Ok(syncfs(file)?)),
        Op::DropCaches => init_system::drop_caches(init_system::Caches::All),
        Op::UpperWritable { disk } => {
            let at = upper(disk);
            match mounts::is_read_only(&at)? {
                true => Err(Failure { errno: libc::EROFS, what: format!("{} is read-only", at.display()) }),
                false => Ok(()),
            }
        }
        Op::PauseWriteback => init_system::set(init_system::WRITEBACK_INTERVAL, "0"),
        Op::Sleep { ms } => {
            sleep(Duration::from_millis(*ms));
            Ok(())
        }
        _ => Err(unfit(op)),
    }
}

/// Does something with what is at a path.
pub fn on_open(path: &Path, what: &str, act: impl FnOnce(&File) -> io::Result<()>) -> Result<(), Failure> {
    let file = context("open", path, File::open(path))?;
    context(what, path, act(&file))
}

pub fn in_overlay(disk: Id, file: &str) -> PathBuf {
    merged(disk, LayerSet::First).join(file)
}

/// Where the files of an overlay, or of its upper directory, are.
pub fn at(disk: Id, layers: LayerSet, place: FileLocation) -> PathBuf {
    match place {
        FileLocation::Overlay => merged(disk, layers),
        FileLocation::Upper => mounts::upperdir(disk),
    }
}

pub fn unfit(op: &Op) -> Failure {
    Failure::new(format!("this guest does not know how to do {op:?}"))
}

/// Mounts and unmounts so many times.
pub fn cycle(disk: Id, times: u32) -> Result<Outcome, Failure> {
    for time in 1..=times {
        let outcome = Overlay::of(disk, Mode::Volatile).mount()?;
        if outcome != (Outcome::Mounted { volatile: true, read_only: false }) {
            return Ok(Outcome::Differs { what: format!("mount {time} of {times} came out as {outcome:?}") });
        }
        mounts::unmount_at(&merged(disk, LayerSet::First))?;
    }
    Ok(Outcome::Done)
}

// SPDX-License-Identifier: MIT OR Apache-2.0
//! The interpreter: an operation in, a report out.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::thread::{self, JoinHandle, sleep};
use std::time::{Duration, Instant};

use nix::unistd::syncfs;
use vremount_protocol::{AccessPath, Backing, Disk as Id, LayerSet, Op, Outcome, Program, SnapshotScope, StepReport};

use crate::disk::Disk;
use crate::error::{Failure, context};
use crate::file_handle::{self, Handle};
use crate::kernel_log::KernelLog;
use crate::overlay::{self, Overlay, merged};
use crate::snapshot::Snapshot;
use crate::{
    bench, checkpoint_fuzz, file_io, files, fs_context, init_system, ioctl, marker, module, mounts, simple_ops, stress,
    userns,
};

/// Of the clock that filesystems look at, at 100 Hz: what changes within one has the same time.
const TICK: Duration = Duration::from_millis(10);

pub struct Runner<'a> {
    program: &'a Program,
    log: KernelLog,
    /// What fs contexts logged in this step.
    told: Vec<String>,
    disks: BTreeMap<Id, Disk>,
    /// Opened when the upper filesystem was mounted: what syncfs(2) on it reports happened since.
    witnesses: BTreeMap<Id, File>,
    snapshots: BTreeMap<(Id, &'static str), Snapshot>,
    held: Vec<File>,
    handles: BTreeMap<Id, Handle>,
    inodes: BTreeMap<(Id, String), u64>,
    later: Option<JoinHandle<Result<(), Failure>>>,
    /// One that never ends by itself.
    writer: Option<JoinHandle<Result<(), Failure>>>,
    mounted_at_start: Vec<PathBuf>,
    writeback_interval: String,
}

impl<'a> Runner<'a> {
    pub fn new(program: &'a Program) -> Result<Self, Failure> {
        overlay::make_lower()?;
        Ok(Runner {
            program,
            log: KernelLog::open()?,
            told: Vec::new(),
            disks: BTreeMap::new(),
            witnesses: BTreeMap::new(),
            snapshots: BTreeMap::new(),
            held: Vec::new(),
            handles: BTreeMap::new(),
            inodes: BTreeMap::new(),
            later: None,
            writer: None,
            mounted_at_start: mounts::all()?,
            writeback_interval: context(
                "read",
                init_system::WRITEBACK_INTERVAL,
                fs::read_to_string(init_system::WRITEBACK_INTERVAL),
            )?,
        })
    }

    /// Works off one operation. Only a kernel log that cannot be read is an error; all else is an outcome.
    pub fn step(&mut self, index: usize, op: &Op) -> Result<StepReport, Failure> {
        // What was logged between two steps is told with the second.
        let started = Instant::now();
        let outcome = self.run(op).unwrap_or_else(Outcome::from);
        let us = u64::try_from(started.elapsed().as_micros()).unwrap_or(u64::MAX);
        let mut log = self.log.read()?;
        log.append(&mut self.told);
        Ok(StepReport { index, outcome, log, us })
    }

    fn run(&mut self, op: &Op) -> Result<Outcome, Failure> {
        match op {
            Op::MountOverlay { disk, layers, mode, via, options } => {
                return Overlay { disk: *disk, layers: *layers, mode: *mode, via: *via, options }.mount();
            }
            Op::MountOverlayByContext { disk, mode, options } => {
                let overlay = Overlay::of(*disk, *mode);
                return fs_context::mount(&overlay.data(options), &merged(*disk, LayerSet::First), &mut self.told);
            }
            Op::MountInUserNamespace { disk, mode, options } => return userns::mount(*disk, *mode, options),
            Op::RemountOverlay { disk, options } => return overlay::remount(&merged(*disk, LayerSet::First), options),
            Op::Cycle { disk, times } => return simple_ops::cycle(*disk, *times),
            Op::Race { disk, mounts } => return stress::race(*disk, *mounts),
            Op::Starve { disk, first } => return stress::starve(*disk, *first),
            Op::ForgeMany { disk, seed, times } => {
                return checkpoint_fuzz::mount_over(*disk, *seed, *times, &mut self.log);
            }
            Op::Compare { disk, layers, file, bytes, seed } => {
                return file_io::compare(&merged(*disk, *layers).join(file), *bytes, *seed);
            }
            Op::CompareOnDisk { disk, file, bytes, seed } => {
                return file_io::compare_on_disk(&mounts::upperdir(*disk).join(file), *bytes, *seed);
            }
            Op::HasMode { disk, file, mode } => return files::has_mode(&simple_ops::in_overlay(*disk, file), *mode),
            Op::SameInode { disk, file } => return self.same_inode(*disk, file),
            Op::CountedIo { disk } => return self.disk(*disk)?.counted().map(Outcome::Counted),
            Op::SameAsSnapshot { disk, scope } => return self.same_as_snapshot(*disk, *scope),
            Op::Bench(op) => return bench::run(op, &self.disks),
            Op::Snapshot { disk, scope } => {
                let snapshot = take(*disk, *scope)?;
                self.snapshots.insert((*disk, key(*scope)), snapshot);
                sleep(TICK * 2);
                Ok(())
            }
            Op::Break { disk, fault } => {
                self.disk(*disk)?.break_with(fault, &mounts::upperdir(*disk), &mounts::workdir(*disk))
            }
            Op::Heal { disk } => self.disk(*disk)?.heal(),
            Op::FlushBuffers { disk } => {
                simple_ops::on_open(&self.disk(*disk)?.device, "flush buffers of", ioctl::flush_buffers)
            }
            Op::CountIo { disk } => self.disk(*disk)?.count(),
            Op::Attach { .. }
            | Op::CopyDisk { .. }
            | Op::MountUpper { .. }
            | Op::UnmountUpper { .. }
            | Op::RemountUpper { .. }
            | Op::Reach { .. } => self.prepare(op),
            Op::SyncUpper { .. }
            | Op::SyncUpperLater { .. }
            | Op::HasEnded
            | Op::Join
            | Op::KeepWriting { .. }
            | Op::HoldFile { .. }
            | Op::ReleaseFiles
            | Op::NoteInode { .. }
            | Op::TakeHandle { .. }
            | Op::OpenHandle { .. } => self.keep(op),
            Op::ReloadOverlay => module::reload(&self.program.module),
            Op::Reset => self.reset(),
            _ => simple_ops::run(op),
        }
        .map(|()| Outcome::Done)
    }

    /// What makes and unmakes disks and upper filesystems.
    fn prepare(&mut self, op: &Op) -> Result<(), Failure> {
        match op {
            Op::Attach { disk, on } => {
                let backing = self.backing(*disk)?;
                if *backing != Backing::Memory {
                    self.disks.insert(*disk, Disk::attach(*disk, backing, *on)?);
                }
            }
            Op::CopyDisk { from, to } => {
                let to = self.disks.get(to).ok_or_else(|| unknown(*to))?;
                self.disks.get(from).ok_or_else(|| unknown(*from))?.copy_to(to)?;
            }
            Op::MountUpper { disk, options } => {
                let at = mounts::upper_filesystem(*disk, AccessPath::Mount);
                mounts::mount_upper(&self.device(*disk)?, &at, &self.program.fs, options)?;
                mounts::make_layers(*disk)?;
                self.witnesses.insert(*disk, context("open", &at, File::open(&at))?);
            }
            Op::UnmountUpper { disk, lazy } => {
                self.witnesses.remove(disk);
                let at = mounts::upper_filesystem(*disk, AccessPath::Mount);
                if *lazy {
                    return mounts::detach_at(&at);
                }
                mounts::unmount_at(&at)?;
                if let Some(disk) = self.disks.get(disk) {
                    disk.settle()?;
                }
            }
            Op::RemountUpper { disk, options } => mounts::remount_upper(*disk, &self.program.fs.kind, options)?,
            Op::Reach { disk, via } => mounts::reach(*disk, *via, &self.device(*disk)?, &self.program.fs)?,
            _ => return Err(simple_ops::unfit(op)),
        }
        Ok(())
    }

    /// What is kept from one operation to another: files, handles, a thread.
    fn keep(&mut self, op: &Op) -> Result<(), Failure> {
        match op {
            Op::SyncUpper { disk } => {
                let witness = self.witnesses.get(disk);
                let witness = witness.ok_or_else(|| Failure::new(format!("disk {disk} is not mounted")))?;
                return context("syncfs", mounts::upper_filesystem(*disk, AccessPath::Mount), syncfs(witness));
            }
            Op::SyncUpperLater { disk, ms } => {
                let (at, wait) = (mounts::upper_filesystem(*disk, AccessPath::Mount), Duration::from_millis(*ms));
                let file = context("open", &at, File::open(&at))?;
                self.later = Some(thread::spawn(move || {
                    sleep(wait);
                    context("syncfs", &at, syncfs(&file))
                }));
            }
            Op::HasEnded => match &self.later {
                Some(thread) if !thread.is_finished() => {
                    return Err(Failure { errno: libc::EBUSY, what: "the thread has not ended".to_string() });
                }
                _ => {}
            },
            Op::Join => {
                let thread = self.later.take().ok_or_else(|| Failure::new("there is no thread to wait for"))?;
                return thread.join().unwrap_or_else(|_| Err(Failure::new("the thread panicked")));
            }
            Op::KeepWriting { disk } => {
                let (upper, folder) =
                    (mounts::upper_filesystem(*disk, AccessPath::Mount), merged(*disk, LayerSet::First));
                let (tell, told) = mpsc::channel();
                self.writer = Some(thread::spawn(move || file_io::keep_writing(&folder, &upper, &tell)));
                // Nobody tells when the thread has failed.
                if told.recv().is_err() {
                    return self.wait_for_writer();
                }
            }
            Op::HoldFile { disk, place, file } => {
                let path = simple_ops::at(*disk, LayerSet::First, *place).join(file);
                self.held.push(context("open", &path, File::open(&path))?);
            }
            Op::ReleaseFiles => self.held.clear(),
            Op::NoteInode { disk, file } => {
                self.inodes.insert((*disk, file.clone()), files::inode(&simple_ops::in_overlay(*disk, file))?);
            }
            Op::TakeHandle { disk, file } => {
                let path = merged(*disk, LayerSet::First).join(file);
                self.handles.insert(*disk, context("ask for the handle of", &path, file_handle::of(&path))?);
            }
            Op::OpenHandle { disk } => {
                let handle = self.handles.get(disk).ok_or_else(|| Failure::new("there is no handle"))?;
                let path = merged(*disk, LayerSet::First);
                let mount = context("open", &path, File::open(&path))?;
                context("open by handle in", &path, file_handle::open(&mount, handle))?;
            }
            _ => return Err(simple_ops::unfit(op)),
        }
        Ok(())
    }

    pub fn is_writing(&self) -> bool {
        self.writer.is_some()
    }

    /// Why the thread that writes has ended, which it never does by itself.
    fn wait_for_writer(&mut self) -> Result<(), Failure> {
        let ended = self.writer.take().map(JoinHandle::join);
        ended.unwrap_or(Ok(Ok(()))).unwrap_or_else(|_| Err(Failure::new("the thread that writes panicked")))
    }

    fn reset(&mut self) -> Result<(), Failure> {
        self.witnesses.clear();
        self.snapshots.clear();
        self.held.clear();
        self.handles.clear();
        self.inodes.clear();
        if self.later.take().is_some() || self.writer.take().is_some() {
            return Err(Failure::new("a thread was left running"));
        }
        // The devices are over what is in the folders of images, which go with them.
        let folders = self.disks.values().filter_map(|disk| disk.folder().ok()).map(Path::to_path_buf);
        let kept: Vec<PathBuf> = self.mounted_at_start.iter().cloned().chain(folders).collect();
        mounts::unmount_all(&kept)?;
        for disk in std::mem::take(&mut self.disks).into_values() {
            disk.detach()?;
        }
        mounts::unmount_all(&self.mounted_at_start)?;
        init_system::set(init_system::WRITEBACK_INTERVAL, &self.writeback_interval)?;
        // Overlay does not go while anything still uses it.
        module::reload(&self.program.module)
    }

    fn backing(&self, id: Id) -> Result<&Backing, Failure> {
        self.program.disks.get(&id).ok_or_else(|| unknown(id))
    }

    /// What is mounted; a filesystem in memory has a name instead.
    fn device(&mut self, id: Id) -> Result<PathBuf, Failure> {
        match self.backing(id)? {
            Backing::Memory => Ok(PathBuf::from("none")),
            _ => Ok(self.disk(id)?.device.clone()),
        }
    }

    fn disk(&mut self, id: Id) -> Result<&mut Disk, Failure> {
        self.disks.get_mut(&id).ok_or_else(|| unknown(id))
    }

    fn same_inode(&self, disk: Id, file: &str) -> Result<Outcome, Failure> {
        let before = self.inodes.get(&(disk, file.to_string()));
        let before = *before.ok_or_else(|| Failure::new(format!("the inode of {file} was not noted")))?;
        let now = files::inode(&simple_ops::in_overlay(disk, file))?;
        Ok(if now == before {
            Outcome::Done
        } else {
            Outcome::Differs { what: format!("{file} has inode {now}, not {before}") }
        })
    }

    fn same_as_snapshot(&self, disk: Id, scope: SnapshotScope) -> Result<Outcome, Failure> {
        let before = self.snapshots.get(&(disk, key(scope)));
        let before = before.ok_or_else(|| Failure::new(format!("disk {disk} was not remembered")))?;
        Ok(before.difference(&take(disk, scope)?).map_or(Outcome::Done, |what| Outcome::Differs { what }))
    }
}

fn take(disk: Id, scope: SnapshotScope) -> Result<Snapshot, Failure> {
    match scope {
        SnapshotScope::Tree => Snapshot::of_tree(&mounts::upper_filesystem(disk, AccessPath::Mount)),
        SnapshotScope::Marker => {
            let marker = marker::path(&mounts::workdir(disk));
            Snapshot::of_files(&[marker.join("dirty"), marker])
        }
    }
}

fn key(scope: SnapshotScope) -> &'static str {
    match scope {
        SnapshotScope::Tree => "tree",
        SnapshotScope::Marker => "marker",
    }
}

fn unknown(disk: Id) -> Failure {
    Failure::new(format!("disk {disk} is not attached"))
}

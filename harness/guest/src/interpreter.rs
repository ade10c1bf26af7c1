// SPDX-License-Identifier: MIT OR Apache-2.0
//! The interpreter: executes an operation and reports its outcome, its duration and what the kernel
//! logged.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::thread::{self, JoinHandle, sleep};
use std::time::{Duration, Instant};

use nix::unistd::syncfs;
use vremount_protocol::{AccessPath, Backing, Disk as Id, LayerSet, Op, Outcome, Program, SnapshotScope, StepReport};

use crate::bench;
use crate::error::{Failure, context};
use crate::faults::disk::Disk;
use crate::init::kernel_log::KernelLog;
use crate::init::{init_system, module};
use crate::ops::file_handle::Handle;
use crate::ops::overlay::{self, Overlay};
use crate::ops::paths::{self, merged, overlay_file, upper_filesystem, upperdir, workdir};
use crate::ops::simple_ops::{self, unsupported};
use crate::ops::snapshot::Snapshot;
use crate::ops::{file_io, files, fs_context, ioctl, marker, mount_table, mounts, userns};
use crate::stress::{checkpoint_fuzz, concurrent_mounts, failing_allocations, repeated_mounts};

/// Granularity of file times at CONFIG_HZ=100. Two changes within it can have the same time.
const TIME_GRANULARITY: Duration = Duration::from_millis(10);

/// A thread of an operation.
type Thread = JoinHandle<Result<(), Failure>>;

/// Executes operations and holds their state.
pub struct Interpreter<'a> {
    program: &'a Program,
    log: KernelLog,
    /// Messages of filesystem contexts in the current step.
    fs_context_log: Vec<String>,
    disks: BTreeMap<Id, Disk>,
    /// File descriptors that were opened when the upper filesystem was mounted: syncfs(2) on one
    /// reports all errors since the mount.
    descriptors_since_mount: BTreeMap<Id, File>,
    snapshots: BTreeMap<(Id, &'static str), Snapshot>,
    open_files: Vec<File>,
    file_handles: BTreeMap<Id, Handle>,
    inode_numbers: BTreeMap<(Id, String), u64>,
    sync_thread: Option<Thread>,
    /// The thread of `KeepWriting`, which never ends without a failure.
    writer_thread: Option<Thread>,
    initial_mount_points: Vec<PathBuf>,
    initial_writeback_interval: String,
}

impl<'a> Interpreter<'a> {
    /// Creates the lower layer and records the initial state of the machine, to which `Reset`
    /// returns.
    pub fn new(program: &'a Program) -> Result<Self, Failure> {
        overlay::make_lower()?;
        Ok(Interpreter {
            program,
            log: KernelLog::open()?,
            fs_context_log: Vec::new(),
            disks: BTreeMap::new(),
            descriptors_since_mount: BTreeMap::new(),
            snapshots: BTreeMap::new(),
            open_files: Vec::new(),
            file_handles: BTreeMap::new(),
            inode_numbers: BTreeMap::new(),
            sync_thread: None,
            writer_thread: None,
            initial_mount_points: mount_table::mount_points()?,
            initial_writeback_interval: context(
                "read",
                init_system::WRITEBACK_INTERVAL,
                fs::read_to_string(init_system::WRITEBACK_INTERVAL),
            )?,
        })
    }

    /// Executes one operation. Its failure is an outcome; this function fails only if the kernel
    /// log cannot be read.
    pub fn run_step(&mut self, index: usize, op: &Op) -> Result<StepReport, Failure> {
        let started = Instant::now();
        let outcome = self.run(op).unwrap_or_else(Outcome::from);
        let us = u64::try_from(started.elapsed().as_micros()).unwrap_or(u64::MAX);
        let mut log = self.log.read()?;
        log.append(&mut self.fs_context_log);
        Ok(StepReport { index, outcome, log, us })
    }

    /// Operations with an outcome other than `done`. All others are passed on.
    fn run(&mut self, op: &Op) -> Result<Outcome, Failure> {
        match op {
            Op::MountOverlay { disk, layers, mode, via, options } => {
                Overlay { disk: *disk, layers: *layers, mode: *mode, via: *via, options }.mount()
            }
            Op::MountOverlayByContext { disk, mode, options } => {
                let data = Overlay::new(*disk, *mode).mount_data(options);
                fs_context::mount(&data, &merged(*disk, LayerSet::First), &mut self.fs_context_log)
            }
            Op::MountInUserNamespace { disk, mode, options } => userns::mount(*disk, *mode, options),
            Op::RemountOverlay { disk, options } => overlay::remount(&merged(*disk, LayerSet::First), options),
            Op::MountRepeatedly { disk, count: times } => repeated_mounts::run(*disk, *times),
            Op::MountConcurrently { disk, mounts } => concurrent_mounts::run(*disk, *mounts),
            Op::MountWithFailingAllocations { disk, first_mount: first } => failing_allocations::run(*disk, *first),
            Op::FuzzCheckpoint { disk, seed, count: times } => {
                checkpoint_fuzz::run(*disk, *seed, *times, &mut self.log)
            }
            Op::Compare { disk, layers, file, bytes, seed } => {
                file_io::compare(&merged(*disk, *layers).join(file), *bytes, *seed)
            }
            Op::CompareOnDisk { disk, file, bytes, seed } => {
                file_io::compare_on_disk(&upperdir(*disk).join(file), *bytes, *seed)
            }
            Op::HasMode { disk, file, mode } => files::compare_mode(&overlay_file(*disk, file), *mode),
            Op::CompareInode { disk, file } => self.compare_inode_number(*disk, file),
            Op::CompareSnapshot { disk, scope } => self.compare_with_snapshot(*disk, *scope),
            Op::ReadIoCount { disk } => self.disk(*disk)?.io_since_start().map(Outcome::Counted),
            Op::Bench(op) => bench::run(op, &self.disks),
            _ => self.run_without_result(op).map(|()| Outcome::Done),
        }
    }

    fn run_without_result(&mut self, op: &Op) -> Result<(), Failure> {
        match op {
            Op::Attach { .. }
            | Op::CopyDisk { .. }
            | Op::MountUpper { .. }
            | Op::UnmountUpper { .. }
            | Op::RemountUpper { .. }
            | Op::AddAccessPath { .. }
            | Op::FlushBuffers { .. }
            | Op::StartIoCount { .. }
            | Op::InjectFault { .. }
            | Op::RemoveFault { .. } => self.run_on_disk(op),
            Op::SyncUpper { .. }
            | Op::SyncUpperInThread { .. }
            | Op::ThreadHasEnded
            | Op::JoinThread
            | Op::KeepWriting { .. } => self.run_sync_or_thread(op),
            Op::OpenFile { .. }
            | Op::CloseFiles
            | Op::RecordInode { .. }
            | Op::RecordFileHandle { .. }
            | Op::OpenFileHandle { .. }
            | Op::Snapshot { .. } => self.run_on_recorded_files(op),
            Op::ReloadOverlay => module::reload(&self.program.module),
            Op::Reset => self.reset(),
            _ => simple_ops::run(op),
        }
    }

    /// Operations on disks and upper filesystems.
    fn run_on_disk(&mut self, op: &Op) -> Result<(), Failure> {
        match op {
            Op::Attach { disk, stack: on } => {
                let backing = self.backing(*disk)?;
                if *backing != Backing::Memory {
                    self.disks.insert(*disk, Disk::attach(*disk, backing, *on)?);
                }
                Ok(())
            }
            Op::CopyDisk { from, to } => {
                let destination = self.disks.get(to).ok_or_else(|| not_attached(*to))?;
                self.disks.get(from).ok_or_else(|| not_attached(*from))?.copy_to(destination)
            }
            Op::MountUpper { disk, options } => {
                let mount_point = upper_filesystem(*disk, AccessPath::Mount);
                mounts::mount_upper(&self.device(*disk)?, &mount_point, &self.program.fs, options)?;
                mounts::make_layers(*disk)?;
                let opened = context("open", &mount_point, File::open(&mount_point))?;
                self.descriptors_since_mount.insert(*disk, opened);
                Ok(())
            }
            Op::UnmountUpper { disk, lazy } => {
                self.descriptors_since_mount.remove(disk);
                let mount_point = upper_filesystem(*disk, AccessPath::Mount);
                if *lazy {
                    return mount_table::detach_at(&mount_point);
                }
                mount_table::unmount_at(&mount_point)?;
                self.disks.get(disk).map_or(Ok(()), Disk::sync_backing)
            }
            Op::RemountUpper { disk, options } => mounts::remount_upper(*disk, &self.program.fs.kind, options),
            Op::AddAccessPath { disk, via } => {
                mounts::add_access_path(*disk, *via, &self.device(*disk)?, &self.program.fs)
            }
            Op::FlushBuffers { disk } => {
                simple_ops::with_open_file(&self.disk(*disk)?.device, "flush buffers of", ioctl::flush_buffers)
            }
            Op::StartIoCount { disk } => self.disk(*disk)?.start_io_count(),
            Op::InjectFault { disk, fault } => self.disk(*disk)?.inject_fault(fault, &upperdir(*disk), &workdir(*disk)),
            Op::RemoveFault { disk } => self.disk(*disk)?.remove_fault(),
            _ => Err(unsupported(op)),
        }
    }

    /// syncfs(2) on recorded file descriptors, and threads.
    fn run_sync_or_thread(&mut self, op: &Op) -> Result<(), Failure> {
        match op {
            Op::SyncUpper { disk } => {
                let mount_point = upper_filesystem(*disk, AccessPath::Mount);
                let descriptor = self.descriptors_since_mount.get(disk).ok_or_else(|| {
                    Failure::new(format!("failed to sync {}: it is not mounted", mount_point.display()))
                })?;
                context("syncfs", mount_point, syncfs(descriptor))
            }
            Op::SyncUpperInThread { disk, ms } => {
                let (mount_point, delay) = (upper_filesystem(*disk, AccessPath::Mount), Duration::from_millis(*ms));
                let file = context("open", &mount_point, File::open(&mount_point))?;
                self.sync_thread = Some(thread::spawn(move || {
                    sleep(delay);
                    context("syncfs", &mount_point, syncfs(&file))
                }));
                Ok(())
            }
            Op::ThreadHasEnded => match &self.sync_thread {
                Some(thread) if !thread.is_finished() => {
                    Err(Failure::from_errno(libc::EBUSY, "the syncing thread has not ended"))
                }
                _ => Ok(()),
            },
            Op::JoinThread => {
                let thread = self.sync_thread.take();
                join(thread.ok_or_else(|| Failure::new("failed to join the syncing thread: there is none"))?)
            }
            Op::KeepWriting { disk } => {
                let (dir, filesystem) = (merged(*disk, LayerSet::First), upper_filesystem(*disk, AccessPath::Mount));
                let (sender, started) = mpsc::channel();
                let thread = thread::spawn(move || file_io::keep_writing(&dir, &filesystem, &sender));
                // If the thread fails before it has started writing, it drops the sender.
                match started.recv() {
                    Ok(()) => {
                        self.writer_thread = Some(thread);
                        Ok(())
                    }
                    Err(_) => join(thread),
                }
            }
            _ => Err(unsupported(op)),
        }
    }

    /// Operations that record open files, file handles, inode numbers and snapshots.
    fn run_on_recorded_files(&mut self, op: &Op) -> Result<(), Failure> {
        match op {
            Op::OpenFile { disk, location: place, file } => {
                let path = paths::file_root(*disk, LayerSet::First, *place).join(file);
                self.open_files.push(context("open", &path, File::open(&path))?);
            }
            Op::CloseFiles => self.open_files.clear(),
            Op::RecordInode { disk, file } => {
                let number = files::inode_number(&overlay_file(*disk, file))?;
                self.inode_numbers.insert((*disk, file.clone()), number);
            }
            Op::RecordFileHandle { disk, file } => {
                let path = overlay_file(*disk, file);
                let handle = context("get the file handle of", &path, Handle::from_path(&path))?;
                self.file_handles.insert(*disk, handle);
            }
            Op::OpenFileHandle { disk } => {
                let missing =
                    || Failure::new(format!("failed to open a file handle: none is recorded for disk {disk}"));
                let handle = self.file_handles.get(disk).ok_or_else(missing)?;
                let mount_point = merged(*disk, LayerSet::First);
                let mount = context("open", &mount_point, File::open(&mount_point))?;
                context("open a file handle of", &mount_point, handle.open(&mount))?;
            }
            Op::Snapshot { disk, scope } => {
                let snapshot = take_snapshot(*disk, *scope)?;
                self.snapshots.insert((*disk, scope_name(*scope)), snapshot);
                sleep(TIME_GRANULARITY * 2);
            }
            _ => return Err(unsupported(op)),
        }
        Ok(())
    }

    /// Whether a thread of `KeepWriting` runs.
    pub fn has_writer_thread(&self) -> bool {
        self.writer_thread.is_some()
    }

    /// Returns to the initial state of the machine. Fails if a thread is left or something cannot
    /// be removed.
    fn reset(&mut self) -> Result<(), Failure> {
        self.descriptors_since_mount.clear();
        self.snapshots.clear();
        self.open_files.clear();
        self.file_handles.clear();
        self.inode_numbers.clear();
        if self.sync_thread.take().is_some() || self.writer_thread.take().is_some() {
            return Err(Failure::new("failed to reset the machine: a thread is running"));
        }
        // Devices use the images, and upper filesystems use the devices: unmount and detach in the
        // reverse order.
        let image_dirs = self.disks.values().filter_map(|disk| disk.image_dir().ok()).map(Path::to_path_buf);
        let keep: Vec<PathBuf> = self.initial_mount_points.iter().cloned().chain(image_dirs).collect();
        mount_table::unmount_all_except(&keep)?;
        for disk in std::mem::take(&mut self.disks).into_values() {
            disk.detach()?;
        }
        mount_table::unmount_all_except(&self.initial_mount_points)?;
        init_system::write_setting(init_system::WRITEBACK_INTERVAL, &self.initial_writeback_interval)?;
        // Unloading fails if anything still uses overlay.
        module::reload(&self.program.module)
    }

    fn backing(&self, id: Id) -> Result<&Backing, Failure> {
        self.program
            .disks
            .get(&id)
            .ok_or_else(|| Failure::new(format!("failed to use disk {id}: the program does not define it")))
    }

    /// The source argument of mount(2). A filesystem in memory has no device.
    fn device(&mut self, id: Id) -> Result<PathBuf, Failure> {
        match self.backing(id)? {
            Backing::Memory => Ok(PathBuf::from("none")),
            _ => Ok(self.disk(id)?.device.clone()),
        }
    }

    fn disk(&mut self, id: Id) -> Result<&mut Disk, Failure> {
        self.disks.get_mut(&id).ok_or_else(|| not_attached(id))
    }

    fn compare_inode_number(&self, disk: Id, file: &str) -> Result<Outcome, Failure> {
        let missing = || Failure::new(format!("failed to compare the inode number of {file}: none is recorded"));
        let recorded = *self.inode_numbers.get(&(disk, file.to_string())).ok_or_else(missing)?;
        let now = files::inode_number(&overlay_file(disk, file))?;
        Ok(if now == recorded {
            Outcome::Done
        } else {
            Outcome::Differs { difference: format!("{file} has inode number {now} instead of {recorded}") }
        })
    }

    fn compare_with_snapshot(&self, disk: Id, scope: SnapshotScope) -> Result<Outcome, Failure> {
        let missing = || Failure::new(format!("failed to compare disk {disk} with a snapshot: there is none"));
        let before = self.snapshots.get(&(disk, scope_name(scope))).ok_or_else(missing)?;
        let difference = before.difference(&take_snapshot(disk, scope)?);
        Ok(difference.map_or(Outcome::Done, |what| Outcome::Differs { difference: what }))
    }
}

fn join(thread: Thread) -> Result<(), Failure> {
    thread.join().unwrap_or_else(|_| Err(Failure::new("a thread of the guest panicked")))
}

fn take_snapshot(disk: Id, scope: SnapshotScope) -> Result<Snapshot, Failure> {
    match scope {
        SnapshotScope::Tree => Snapshot::from_tree(&upper_filesystem(disk, AccessPath::Mount)),
        SnapshotScope::Marker => {
            let marker = marker::path(&workdir(disk));
            Snapshot::from_files(&[marker.join("dirty"), marker])
        }
    }
}

fn scope_name(scope: SnapshotScope) -> &'static str {
    match scope {
        SnapshotScope::Tree => "tree",
        SnapshotScope::Marker => "marker",
    }
}

fn not_attached(disk: Id) -> Failure {
    Failure::new(format!("failed to use disk {disk}: it is not attached"))
}

// SPDX-License-Identifier: MIT OR Apache-2.0
//! State of a modelled machine, and dispatch of operations.

use std::collections::{BTreeMap, BTreeSet};

use vremount_kernel::base::{Base, Feature, Level};
use vremount_machine::image::Fs;
use vremount_protocol::{Disk, Fault, FileLocation, LayerSet, Op};

use crate::model::marker::ModuleLoad;
use crate::model::overlay::{Kernel, Overlay};
use crate::model::page_cache::OnDisk;
use crate::model::snapshots::MarkerSnapshot;
use crate::model::upper::{Io, Upper};
use crate::model::{ModelResult, OutOfModel, overlay};
use crate::{Expectation, HostStep};

/// A shorter sleep writes nothing back. Periodic writeback runs every 5 s and writes data that is
/// dirty for 30 s.
const NOT_EXPIRED_MS: u64 = 25_000;
/// A sleep of at least this time writes all dirty data back.
const EXPIRED_MS: u64 = 35_000;

/// A file that the guest keeps open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct OpenFile {
    pub disk: Disk,
    pub location: FileLocation,
    /// The mount through which it was opened was unmounted lazily, so it does not keep a later
    /// mount busy.
    pub detached: bool,
}

/// State of a machine: its kernel, upper filesystems, overlays and open files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModelState {
    pub(super) kernel: Kernel,
    pub(super) fs: Fs,
    /// Last number that was given to a superblock or an overlay.
    last_number: u64,
    pub(super) uppers: BTreeMap<Disk, Upper>,
    /// Attached disks.
    attached: BTreeSet<Disk>,
    pub(super) overlays: BTreeMap<(Disk, LayerSet), Overlay>,
    /// Overlays that were unmounted lazily and are still in use.
    pub(super) detached: Vec<(Disk, Overlay)>,
    pub(super) open_files: Vec<OpenFile>,
    /// Disks with an overlay for which the guest has a file handle.
    handles: BTreeSet<Disk>,
    /// [`Upper::changes`] at the time of the snapshot.
    pub(super) tree_snapshots: BTreeMap<Disk, u64>,
    pub(super) marker_snapshots: BTreeMap<Disk, MarkerSnapshot>,
    /// Periodic writeback is stopped.
    writeback_paused: bool,
}

/// Expectation for an errno; 0 means success.
pub(super) fn expect_errno(errno: i32) -> Expectation {
    if errno == 0 { Expectation::Done } else { Expectation::Fails(errno) }
}

impl ModelState {
    /// A machine that has booted a kernel of a level of the default base, with new disks that have
    /// this filesystem.
    #[must_use]
    pub fn new(level: Level, fs: Fs) -> Self {
        ModelState {
            kernel: Kernel { level, module_load: ModuleLoad::default(), reports_errors_to_syncs: false },
            fs,
            last_number: 0,
            uppers: BTreeMap::new(),
            attached: BTreeSet::new(),
            overlays: BTreeMap::new(),
            detached: Vec::new(),
            open_files: Vec::new(),
            handles: BTreeSet::new(),
            tree_snapshots: BTreeMap::new(),
            marker_snapshots: BTreeMap::new(),
            writeback_paused: false,
        }
    }

    /// The same machine with the kernel of another base.
    #[must_use]
    pub fn with_base(self, base: &Base) -> Self {
        let kernel = Kernel { reports_errors_to_syncs: base.features.contains(&Feature::SyncErrors), ..self.kernel };
        ModelState { kernel, ..self }
    }

    /// State after an operation, and the outcome that the operation must have.
    ///
    /// # Errors
    /// If the model cannot predict the outcome.
    pub fn apply_op(&self, op: &Op) -> Result<(ModelState, Expectation), OutOfModel> {
        let mut next = self.clone();
        let expectation = next.execute(op)?;
        Ok((next, expectation))
    }

    /// State after a reboot, a kexec or a power cut.
    ///
    /// # Errors
    /// If the model cannot predict the content of the disk.
    pub fn apply_host_step(&self, step: HostStep) -> Result<ModelState, OutOfModel> {
        let mut next = self.clone();
        let is_clean = matches!(step, HostStep::Reboot | HostStep::Kexec);
        if is_clean && self.uppers.values().any(|upper| upper.superblock.is_some()) {
            return Err(OutOfModel::UNMOUNT_AT_SHUTDOWN);
        }
        // Only disk A is kept when a machine ends.
        let mut kept = next.uppers.remove(&Disk::A).filter(|_| self.fs.is_on_disk());
        if let Some(upper) = &mut kept {
            upper.cut_power()?;
            upper.work_dirs.values_mut().for_each(|work_dir| (work_dir.lock, work_dir.upper_lock) = (None, None));
        }
        let module_load = ModuleLoad { boot: self.kernel.module_load.boot + 1, load: 0 };
        let kernel = Kernel { module_load, ..self.kernel };
        let uppers = kept.map(|upper| (Disk::A, upper)).into_iter().collect();
        Ok(ModelState { kernel, last_number: next.last_number, uppers, ..ModelState::new(self.kernel.level, self.fs) })
    }

    fn execute(&mut self, op: &Op) -> ModelResult<Expectation> {
        match op {
            Op::Attach { disk, .. } if self.attached.contains(disk) => Err(OutOfModel::ATTACHED_TWICE),
            Op::Attach { disk, .. } => {
                let fs = self.fs;
                self.attached.insert(*disk);
                self.uppers.entry(*disk).or_insert_with(|| Upper::new(fs));
                Ok(Expectation::Done)
            }
            Op::CopyDisk { from, to } => {
                if [from, to].iter().any(|disk| !self.attached.contains(disk)) {
                    return Err(OutOfModel::NOT_ATTACHED);
                }
                let copied = self.upper(*from)?.clone();
                if copied.superblock.is_some() || self.upper(*to)?.superblock.is_some() {
                    return Err(OutOfModel::COPY_OF_MOUNTED_DISK);
                }
                self.uppers.insert(*to, copied);
                Ok(Expectation::Done)
            }
            Op::MountUpper { disk, .. }
            | Op::UnmountUpper { disk, .. }
            | Op::RemountUpper { disk, .. }
            | Op::AddAccessPath { disk, .. }
            | Op::RemoveAccessPath { disk, .. }
            | Op::FreezeUpper { disk }
            | Op::ThawUpper { disk } => self.execute_on_upper(*disk, op),
            Op::MountOverlay { .. }
            | Op::UnmountOverlay { .. }
            | Op::RemountOverlay { .. }
            | Op::MountRepeatedly { .. }
            | Op::MountConcurrently { .. }
            | Op::FuzzCheckpoint { .. } => self.execute_on_overlay(op),
            Op::RecreateUpper { disk }
            | Op::RemoveMarker { disk }
            | Op::TamperCheckpoint { disk, .. }
            | Op::ReplaceMarker { disk, .. }
            | Op::MakeIncompat { disk, .. }
            | Op::RemoveIncompat { disk, .. }
            | Op::CreateLeftover { disk }
            | Op::RemoveLeftover { disk } => self.execute_on_work_dir(*disk, op),
            Op::Write { disk, .. }
            | Op::WriteDirect { disk, .. }
            | Op::Compare { disk, .. }
            | Op::CompareOnDisk { disk, .. }
            | Op::OpenFile { disk, .. }
            | Op::WriteBackData { disk, .. }
            | Op::FsyncUpperFile { disk, .. } => self.execute_on_file(*disk, op),
            Op::SyncUpper { disk } => {
                let upper = self.upper(*disk)?;
                let sync_cursor = upper.sync_cursor.ok_or(OutOfModel::NO_DESCRIPTOR)?;
                let (errno, sync_cursor) = upper.syncfs(Some(sync_cursor))?;
                upper.sync_cursor = Some(sync_cursor);
                Ok(expect_errno(errno))
            }
            Op::SyncUpperNewDescriptor { disk } => {
                let upper = self.upper(*disk)?;
                upper.superblock_at_mount_point()?;
                Ok(expect_errno(upper.syncfs(None)?.0))
            }
            Op::Snapshot { .. } | Op::CompareSnapshot { .. } => self.execute_snapshot(op),
            _ => self.execute_on_machine(op),
        }
    }

    fn execute_on_machine(&mut self, op: &Op) -> ModelResult<Expectation> {
        match op {
            Op::FlushBuffers { .. } | Op::StartIoCount { .. } | Op::InjectFault { .. } | Op::RemoveFault { .. }
                if !self.fs.is_on_disk() =>
            {
                return Err(OutOfModel::NO_DISK);
            }
            Op::WriteBack => self.mounted_uppers().try_for_each(Upper::write_back)?,
            Op::Sleep { ms: 0..NOT_EXPIRED_MS } => {}
            Op::Sleep { .. } if self.writeback_paused => {}
            Op::Sleep { ms: EXPIRED_MS.. } => self.mounted_uppers().try_for_each(Upper::write_back_data)?,
            Op::Sleep { .. } => return Err(OutOfModel::DIRTY_EXPIRY),
            Op::DropCaches => self.mounted_uppers().for_each(Upper::drop_caches),
            Op::FlushBuffers { disk } => self.upper(*disk)?.write_back()?,
            Op::PauseWriteback => self.writeback_paused = true,
            Op::StartIoCount { disk } => self.upper(*disk)?.io = Io::None,
            Op::ReadIoCount { disk } => {
                let writeback_paused = self.writeback_paused;
                return match self.upper(*disk)?.io {
                    Io::Some => Ok(Expectation::SomeIo),
                    Io::None if writeback_paused => Ok(Expectation::NoIo),
                    _ => Err(OutOfModel::UNREQUESTED_IO),
                };
            }
            Op::UpperWritable { disk } => {
                let read_only = self.upper(*disk)?.superblock_at_mount_point()?.read_only;
                return Ok(expect_errno(if read_only { libc::EROFS } else { 0 }));
            }
            Op::InjectFault { disk, fault } => self.inject_fault(*disk, fault)?,
            Op::RemoveFault { disk } => self.upper(*disk)?.fault = None,
            Op::CloseFiles => {
                self.open_files.clear();
                for (disk, overlay) in std::mem::take(&mut self.detached) {
                    overlay::unmount(self.upper(disk)?, overlay)?;
                }
                self.drop_unused_superblocks()?;
            }
            // These operations use file metadata, which persists and does not affect anything else
            // in the model.
            Op::SetMode { disk, .. }
            | Op::HasMode { disk, .. }
            | Op::Rename { disk, .. }
            | Op::HasOverlayXattr { disk, .. }
            | Op::RecordInode { disk, .. }
            | Op::CompareInode { disk, .. }
            | Op::KeepWriting { disk }
                if self.is_mounted(*disk, LayerSet::First) => {}
            Op::RecordFileHandle { disk, .. } | Op::OpenFileHandle { disk }
                if !self.is_mounted(*disk, LayerSet::First) =>
            {
                return Err(OutOfModel::NO_OVERLAY);
            }
            Op::RecordFileHandle { disk, .. } => drop(self.handles.insert(*disk)),
            Op::OpenFileHandle { disk } if self.handles.contains(disk) => {}
            Op::MakeLowers { .. } => {}
            Op::ReloadOverlay if self.overlays.is_empty() && self.detached.is_empty() => {
                self.kernel.module_load.load += 1;
            }
            Op::ReloadOverlay => return Ok(Expectation::Fails(libc::EAGAIN)),
            Op::Reset => self.reset()?,
            Op::SyncUpperInThread { .. } | Op::ThreadHasEnded | Op::JoinThread => {
                return Err(OutOfModel::THREAD_ORDER);
            }
            Op::MountWithFailingAllocations { .. } => return Err(OutOfModel::LACK_OF_MEMORY),
            Op::ShutDownUpper { .. } => {
                return Err(OutOfModel::SHUT_DOWN_UPPER);
            }
            _ => return Err(OutOfModel::UNKNOWN_OPERATION),
        }
        Ok(Expectation::Done)
    }

    /// Returns to the initial state, except for the kernel. Filesystems are unmounted and disks are
    /// discarded. The kernel keeps its module load and instance count, but no checkpoint remains
    /// that could show it.
    fn reset(&mut self) -> ModelResult<()> {
        if self.mounted_uppers().any(|upper| upper.superblock.as_ref().is_some_and(|superblock| superblock.frozen)) {
            return Err(OutOfModel::UNMOUNT_OF_FROZEN);
        }
        *self = ModelState { kernel: self.kernel, ..ModelState::new(self.kernel.level, self.fs) };
        Ok(())
    }

    fn inject_fault(&mut self, disk: Disk, fault: &Fault) -> ModelResult<()> {
        let upper = self.upper(disk)?;
        match fault {
            Fault::Checkpoint | Fault::Reads => return Err(OutOfModel::UNREADABLE_METADATA),
            Fault::NoSpace | Fault::PoolFull if upper.fs == Fs::F2fs => {
                return Err(OutOfModel::F2FS_WITHOUT_SPACE);
            }
            Fault::Data { file } | Fault::DataAndSlowReads { file, .. } => {
                upper.superblock_at_mount_point()?;
                match upper.file(LayerSet::First, file).map(|file| file.disk) {
                    Some(OnDisk::Data(_)) => {}
                    _ => return Err(OutOfModel::NO_BLOCKS_TO_BREAK),
                }
            }
            _ => {}
        }
        upper.fault = Some(fault.clone());
        Ok(())
    }

    /// Upper filesystem of an attached disk.
    pub(super) fn upper(&mut self, disk: Disk) -> ModelResult<&mut Upper> {
        let attached = self.attached.contains(&disk);
        self.uppers.get_mut(&disk).filter(|_| attached).ok_or(OutOfModel::NOT_ATTACHED)
    }

    fn mounted_uppers(&mut self) -> impl Iterator<Item = &mut Upper> {
        self.uppers.values_mut().filter(|upper| upper.superblock.is_some())
    }

    pub(super) fn is_mounted(&self, disk: Disk, layers: LayerSet) -> bool {
        self.overlays.contains_key(&(disk, layers))
    }

    /// Number of overlays that use the directories of a layer set, including lazily unmounted ones.
    pub(super) fn count_overlays(&self, disk: Disk, layers: LayerSet) -> usize {
        self.overlays_on_disk(disk).filter(|overlay| overlay.uses_directories_of(layers)).count()
    }

    /// All overlays on a disk, including lazily unmounted ones.
    pub(super) fn overlays_on_disk(&self, disk: Disk) -> impl Iterator<Item = &Overlay> {
        let mounted = self.overlays.iter().map(|((on, _), overlay)| (on, overlay));
        let detached = self.detached.iter().map(|(on, overlay)| (on, overlay));
        mounted.chain(detached).filter(move |(on, _)| **on == disk).map(|(_, overlay)| overlay)
    }

    /// Number of all overlays on a disk, including lazily unmounted ones.
    pub(super) fn count_overlays_on_disk(&self, disk: Disk) -> usize {
        [LayerSet::First, LayerSet::Other].map(|layers| self.count_overlays(disk, layers)).iter().sum()
    }

    /// Whether an open file keeps a mount busy.
    pub(super) fn is_busy(&self, disk: Disk, location: FileLocation) -> bool {
        self.open_files.contains(&OpenFile { disk, location, detached: false })
    }

    /// Marks the open files of a mount as detached, after its lazy unmount.
    pub(super) fn detach_open_files(&mut self, disk: Disk, location: FileLocation) {
        let files = self.open_files.iter_mut().filter(|file| file.disk == disk && file.location == location);
        files.for_each(|file| file.detached = true);
    }

    /// Unmounts the superblocks that have no user left.
    pub(super) fn drop_unused_superblocks(&mut self) -> ModelResult<()> {
        for (disk, upper) in &mut self.uppers {
            let has_open_file =
                self.open_files.iter().any(|file| file.disk == *disk && file.location == FileLocation::Upper);
            let has_overlay =
                self.overlays.keys().any(|(on, _)| on == disk) || self.detached.iter().any(|(on, _)| on == disk);
            if upper.superblock.is_some() && upper.access_paths.is_empty() && !has_open_file && !has_overlay {
                upper.unmount()?;
            }
        }
        Ok(())
    }

    /// Next unused number for a superblock or an overlay.
    pub(super) fn take_number(&mut self) -> u64 {
        self.last_number += 1;
        self.last_number
    }
}

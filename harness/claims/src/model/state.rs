// SPDX-License-Identifier: MIT OR Apache-2.0
//! The machine: what each operation does to it.

use std::collections::{BTreeMap, BTreeSet};

use vremount_kernel::base::{Base, Feature, Level};
use vremount_machine::image::Fs;
use vremount_protocol::{Disk, Fault, FileLocation, LayerSet, Op};

use crate::model::marker::{ModuleLoad, Xattr};
use crate::model::overlay::{Kernel, Overlay};
use crate::model::page_cache::{FAULT, OnDisk};
use crate::model::upper::{Io, Upper};
use crate::model::{ModelResult, OutOfModel, overlay};
use crate::{Expectation, HostStep};

/// Dirty data is written back by itself when it is 30 s old, by a thread that looks every 5 s.
const NOT_EXPIRED_MS: u64 = 25_000;
const EXPIRED_MS: u64 = 35_000;

/// A file that is held open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct OpenFile {
    pub disk: Disk,
    pub place: FileLocation,
    /// What it was opened through was unmounted lazily since, and another mount in its place is not busy.
    pub detached: bool,
}

/// What `Snapshot` remembered of a marker: what it is, and what its xattr is.
pub(super) type MarkerSnapshot = (u64, u32, Xattr);

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModelState {
    pub(super) kernel: Kernel,
    pub(super) fs: Fs,
    /// Numbers superblocks and overlays.
    next: u64,
    pub(super) uppers: BTreeMap<Disk, Upper>,
    /// Those that are attached.
    attached: BTreeSet<Disk>,
    pub(super) overlays: BTreeMap<(Disk, LayerSet), Overlay>,
    /// Unmounted lazily, and still used.
    pub(super) detached: Vec<(Disk, Overlay)>,
    pub(super) held: Vec<OpenFile>,
    handles: BTreeSet<Disk>,
    pub(super) trees: BTreeMap<Disk, u64>,
    pub(super) markers: BTreeMap<Disk, MarkerSnapshot>,
    /// Nothing is written back unless somebody asks for it.
    paused: bool,
}

/// Of an errno that may be none.
pub(super) fn fails(errno: i32) -> Expectation {
    if errno == 0 { Expectation::Done } else { Expectation::Fails(errno) }
}

impl ModelState {
    /// A machine with this kernel, and pristine disks with this filesystem on them.
    #[must_use]
    pub fn new(level: Level, fs: Fs) -> Self {
        ModelState {
            kernel: Kernel { level, epoch: ModuleLoad::default(), tells_errors: false },
            fs,
            next: 0,
            uppers: BTreeMap::new(),
            attached: BTreeSet::new(),
            overlays: BTreeMap::new(),
            detached: Vec::new(),
            held: Vec::new(),
            handles: BTreeSet::new(),
            trees: BTreeMap::new(),
            markers: BTreeMap::new(),
            paused: false,
        }
    }

    /// The same with the kernel of a base.
    #[must_use]
    pub fn of(self, base: &Base) -> Self {
        let kernel = Kernel { tells_errors: base.has.contains(&Feature::SyncErrors), ..self.kernel };
        ModelState { kernel, ..self }
    }

    /// The world after an operation, and what that must lead to.
    ///
    /// # Errors
    /// If nothing is promised.
    pub fn op(&self, op: &Op) -> Result<(ModelState, Expectation), OutOfModel> {
        let mut next = self.clone();
        let want = next.apply(op)?;
        Ok((next, want))
    }

    /// The world after something has happened to the machine.
    ///
    /// # Errors
    /// If nothing is promised.
    pub fn host(&self, step: HostStep) -> Result<ModelState, OutOfModel> {
        let mut next = self.clone();
        let cleanly = matches!(step, HostStep::Reboot | HostStep::Kexec);
        if cleanly && self.uppers.values().any(|upper| upper.superblock.is_some()) {
            return Err(OutOfModel("how a machine that goes down unmounts is its own business"));
        }
        // Disk A outlives its machine, others do not.
        let mut kept = next.uppers.remove(&Disk::A).filter(|_| self.fs.on_disk());
        if let Some(upper) = &mut kept {
            upper.lost_power()?;
            upper.works.values_mut().for_each(|work| (work.lock, work.upper_lock) = (None, None));
        }
        let epoch = ModuleLoad { boot: self.kernel.epoch.boot + 1, load: 0 };
        let kernel = Kernel { epoch, ..self.kernel };
        let uppers = kept.map(|upper| (Disk::A, upper)).into_iter().collect();
        Ok(ModelState { kernel, next: next.next, uppers, ..ModelState::new(self.kernel.level, self.fs) })
    }

    fn apply(&mut self, op: &Op) -> ModelResult<Expectation> {
        match op {
            Op::Attach { disk, .. } if self.attached.contains(disk) => Err(OutOfModel("the disk is attached already")),
            Op::Attach { disk, .. } => {
                let fs = self.fs;
                self.attached.insert(*disk);
                self.uppers.entry(*disk).or_insert_with(|| Upper::new(fs));
                Ok(Expectation::Done)
            }
            Op::CopyDisk { from, to } => {
                if [from, to].iter().any(|disk| !self.attached.contains(disk)) {
                    return Err(OutOfModel("the disk is not attached"));
                }
                let copied = self.upper(*from)?.clone();
                if copied.superblock.is_some() || self.upper(*to)?.superblock.is_some() {
                    return Err(OutOfModel("what of a mounted filesystem is on its disk is open"));
                }
                self.uppers.insert(*to, copied);
                Ok(Expectation::Done)
            }
            Op::MountUpper { disk, .. }
            | Op::UnmountUpper { disk, .. }
            | Op::RemountUpper { disk, .. }
            | Op::Reach { disk, .. }
            | Op::Unreach { disk, .. }
            | Op::FreezeUpper { disk }
            | Op::ThawUpper { disk } => self.on_superblock(*disk, op),
            Op::MountOverlay { .. }
            | Op::UnmountOverlay { .. }
            | Op::RemountOverlay { .. }
            | Op::Cycle { .. }
            | Op::Race { .. }
            | Op::ForgeMany { .. } => self.on_overlay(op),
            Op::FreshUpper { disk }
            | Op::RemoveMarker { disk }
            | Op::Forge { disk, .. }
            | Op::ReplaceMarker { disk, .. }
            | Op::MakeIncompat { disk, .. }
            | Op::RemoveIncompat { disk, .. }
            | Op::LeaveBehind { disk }
            | Op::RemoveLeftBehind { disk } => self.on_work(*disk, op),
            Op::Write { disk, .. }
            | Op::WriteDirect { disk, .. }
            | Op::Compare { disk, .. }
            | Op::CompareOnDisk { disk, .. }
            | Op::HoldFile { disk, .. }
            | Op::WriteBackData { disk, .. }
            | Op::FsyncUpperFile { disk, .. } => self.on_file(*disk, op),
            Op::SyncUpper { disk } => {
                let upper = self.upper(*disk)?;
                let witness = upper.witness.ok_or(OutOfModel("nobody has had the upper filesystem open since"))?;
                let (told, witness) = upper.syncfs(Some(witness))?;
                upper.witness = Some(witness);
                Ok(fails(told))
            }
            Op::SyncUpperAfresh { disk } => {
                let upper = self.upper(*disk)?;
                upper.at_mount()?;
                Ok(fails(upper.syncfs(None)?.0))
            }
            Op::Snapshot { .. } | Op::SameAsSnapshot { .. } => self.on_snapshot(op),
            _ => self.on_machine(op),
        }
    }

    fn on_machine(&mut self, op: &Op) -> ModelResult<Expectation> {
        match op {
            Op::FlushBuffers { .. } | Op::CountIo { .. } | Op::Break { .. } | Op::Heal { .. } if !self.fs.on_disk() => {
                return Err(OutOfModel("there is no disk"));
            }
            Op::WriteBack => self.mounted().try_for_each(Upper::write_back)?,
            Op::Sleep { ms: 0..NOT_EXPIRED_MS } => {}
            Op::Sleep { .. } if self.paused => {}
            Op::Sleep { ms: EXPIRED_MS.. } => self.mounted().try_for_each(Upper::write_back_data)?,
            Op::Sleep { .. } => return Err(OutOfModel("whether data is old enough to be written back is open")),
            Op::DropCaches => self.mounted().for_each(Upper::drop_caches),
            Op::FlushBuffers { disk } => self.upper(*disk)?.write_back()?,
            Op::PauseWriteback => self.paused = true,
            Op::CountIo { disk } => self.upper(*disk)?.io = Io::None,
            Op::CountedIo { disk } => {
                let paused = self.paused;
                return match self.upper(*disk)?.io {
                    Io::Some => Ok(Expectation::SomeIo),
                    Io::None if paused => Ok(Expectation::NoIo),
                    _ => Err(OutOfModel("a filesystem may ask its disk for more than it is asked for")),
                };
            }
            Op::UpperWritable { disk } => {
                let read_only = self.upper(*disk)?.at_mount()?.read_only;
                return Ok(fails(if read_only { libc::EROFS } else { 0 }));
            }
            Op::Break { disk, fault } => self.break_disk(*disk, fault)?,
            Op::Heal { disk } => self.upper(*disk)?.fault = None,
            Op::ReleaseFiles => {
                self.held.clear();
                for (disk, overlay) in std::mem::take(&mut self.detached) {
                    overlay::unmount(self.upper(disk)?, overlay)?;
                }
                self.drop_unused()?;
            }
            // What is kept of a file beside its content stays; nothing else here depends on it.
            Op::SetMode { disk, .. }
            | Op::HasMode { disk, .. }
            | Op::Rename { disk, .. }
            | Op::HasOverlayXattr { disk, .. }
            | Op::NoteInode { disk, .. }
            | Op::SameInode { disk, .. }
            | Op::KeepWriting { disk }
                if self.is_mounted(*disk, LayerSet::First) => {}
            Op::TakeHandle { disk, .. } | Op::OpenHandle { disk } if !self.is_mounted(*disk, LayerSet::First) => {
                return Err(OutOfModel("there is no overlay"));
            }
            Op::TakeHandle { disk, .. } => drop(self.handles.insert(*disk)),
            Op::OpenHandle { disk } if self.handles.contains(disk) => {}
            Op::MakeLowers { .. } => {}
            Op::ReloadOverlay if self.overlays.is_empty() && self.detached.is_empty() => {
                self.kernel.epoch.load += 1;
            }
            Op::ReloadOverlay => return Ok(Expectation::Fails(libc::EAGAIN)),
            Op::Reset => self.reset()?,
            Op::SyncUpperLater { .. } | Op::HasEnded | Op::Join => {
                return Err(OutOfModel("which of two threads is first is open"));
            }
            Op::Starve { .. } => return Err(OutOfModel("nothing is promised to who is short of memory")),
            Op::ShutDownUpper { .. } => {
                return Err(OutOfModel("what a filesystem that was shut down still answers is its own business"));
            }
            _ => return Err(OutOfModel("the model does not know this operation")),
        }
        Ok(Expectation::Done)
    }

    /// All but the kernel is as it was at the start: filesystems that go are written back like any, and disks are thrown away. It is
    /// of another load of the module and goes on counting its instances, but nothing is left that could tell.
    fn reset(&mut self) -> ModelResult<()> {
        if self.mounted().any(|upper| upper.superblock.as_ref().is_some_and(|superblock| superblock.frozen)) {
            return Err(OutOfModel("a frozen filesystem is not unmounted"));
        }
        *self = ModelState { kernel: self.kernel, ..ModelState::new(self.kernel.level, self.fs) };
        Ok(())
    }

    fn break_disk(&mut self, disk: Disk, fault: &Fault) -> ModelResult<()> {
        let upper = self.upper(disk)?;
        match fault {
            Fault::Checkpoint | Fault::Reads => return Err(FAULT),
            Fault::NoSpace | Fault::PoolFull if upper.fs == Fs::F2fs => {
                return Err(OutOfModel("f2fs stops over a disk without room, and fails whatever is asked of it"));
            }
            Fault::Data { file } | Fault::DataAndSlowReads { file, .. } => {
                upper.at_mount()?;
                match upper.file(LayerSet::First, file).map(|file| file.disk) {
                    Some(OnDisk::Data(_)) => {}
                    _ => return Err(OutOfModel("a file that was not written back may have no blocks to break")),
                }
            }
            _ => {}
        }
        upper.fault = Some(fault.clone());
        Ok(())
    }

    pub(super) fn upper(&mut self, disk: Disk) -> ModelResult<&mut Upper> {
        let attached = self.attached.contains(&disk);
        self.uppers.get_mut(&disk).filter(|_| attached).ok_or(OutOfModel("the disk is not attached"))
    }

    fn mounted(&mut self) -> impl Iterator<Item = &mut Upper> {
        self.uppers.values_mut().filter(|upper| upper.superblock.is_some())
    }

    pub(super) fn is_mounted(&self, disk: Disk, layers: LayerSet) -> bool {
        self.overlays.contains_key(&(disk, layers))
    }

    /// Overlays of these directories, those that are on their way out included.
    pub(super) fn overlays_of(&self, disk: Disk, layers: LayerSet) -> usize {
        self.every_overlay_on(disk).filter(|overlay| overlay.has_directories_of(layers)).count()
    }

    /// Mounted, or on its way out.
    pub(super) fn every_overlay_on(&self, disk: Disk) -> impl Iterator<Item = &Overlay> {
        let mounted = self.overlays.iter().map(|((on, _), overlay)| (on, overlay));
        let detached = self.detached.iter().map(|(on, overlay)| (on, overlay));
        mounted.chain(detached).filter(move |(on, _)| **on == disk).map(|(_, overlay)| overlay)
    }

    /// All overlays on a disk.
    pub(super) fn overlays_on(&self, disk: Disk) -> usize {
        [LayerSet::First, LayerSet::Other].map(|layers| self.overlays_of(disk, layers)).iter().sum()
    }

    /// Whether a mount is busy.
    pub(super) fn holds(&self, disk: Disk, place: FileLocation) -> bool {
        self.held.contains(&OpenFile { disk, place, detached: false })
    }

    pub(super) fn detach(&mut self, disk: Disk, place: FileLocation) {
        let opened = self.held.iter_mut().filter(|held| held.disk == disk && held.place == place);
        opened.for_each(|held| held.detached = true);
    }

    /// A superblock goes with its last user.
    pub(super) fn drop_unused(&mut self) -> ModelResult<()> {
        for (disk, upper) in &mut self.uppers {
            let held = self.held.iter().any(|held| held.disk == *disk && held.place == FileLocation::Upper);
            let mounted =
                self.overlays.keys().any(|(on, _)| on == disk) || self.detached.iter().any(|(on, _)| on == disk);
            if upper.superblock.is_some() && upper.reach.is_empty() && !held && !mounted {
                upper.unmounted()?;
            }
        }
        Ok(())
    }

    pub(super) fn number(&mut self) -> u64 {
        self.next += 1;
        self.next
    }
}

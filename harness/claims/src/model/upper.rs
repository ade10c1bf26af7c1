// SPDX-License-Identifier: MIT OR Apache-2.0
//! An upper filesystem: its disk, its superblock while it has one, its directories and files.

use std::collections::{BTreeMap, BTreeSet};

use vremount_machine::image::Fs;
use vremount_protocol::{AccessPath, Fault, LayerSet};

use crate::model::errseq::{ErrSeq, errseq_check_and_advance, errseq_sample};
use crate::model::marker::{Instance, Marker};
use crate::model::page_cache::{File, MISSING, OnDisk, hits};
use crate::model::{ModelResult, OutOfModel};

/// What a mounted filesystem is to the kernel, from the first mount to the last user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Superblock {
    pub instance: Instance,
    /// `s_wb_err`
    pub wb_err: ErrSeq,
    pub read_only: bool,
    pub frozen: bool,
}

/// The work directory of an overlay's layers, and whose the upper beside it is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct WorkDirState {
    pub marker: Option<Marker>,
    /// What else `work/incompat` names.
    pub features: BTreeSet<String>,
    /// Something that no overlay can clean.
    pub left_behind: bool,
    /// The overlay that has the in-use lock of the work directory, by its number.
    pub lock: Option<u64>,
    /// The one that has that of the upper beside it.
    pub upper_lock: Option<u64>,
}

/// Whether a disk was asked for anything since somebody began to count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Io {
    None,
    Some,
    Perhaps,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Upper {
    pub fs: Fs,
    pub fault: Option<Fault>,
    pub superblock: Option<Superblock>,
    /// The ways it is mounted.
    pub reach: BTreeSet<AccessPath>,
    /// The cursor of the file descriptor that was opened at the last mount.
    pub witness: Option<ErrSeq>,
    pub works: BTreeMap<LayerSet, WorkDirState>,
    /// By layers and path.
    pub files: BTreeMap<(LayerSet, String), File>,
    /// All but what is dirty in files has reached the disk.
    pub settled: bool,
    /// How often anything in it changed.
    pub changes: u64,
    pub io: Io,
}

/// First and second overlay have the same directories.
pub(super) fn directories(layers: LayerSet) -> LayerSet {
    if layers == LayerSet::Second { LayerSet::First } else { layers }
}

/// What could not be written is read from the disk again; others keep it in memory as long as they like.
fn forgets_what_is_lost(fs: Fs) -> bool {
    matches!(fs, Fs::Btrfs | Fs::BtrfsSubvolume)
}

/// Read-only once there is no room for its journal.
fn stops_without_journal(fs: Fs) -> bool {
    matches!(fs, Fs::Ext4 | Fs::Btrfs | Fs::BtrfsSubvolume)
}

impl Upper {
    pub fn new(fs: Fs) -> Self {
        let works = [LayerSet::First, LayerSet::Other].map(|layers| (layers, WorkDirState::default()));
        Upper {
            fs,
            fault: None,
            superblock: None,
            reach: BTreeSet::new(),
            witness: None,
            works: works.into(),
            files: BTreeMap::new(),
            settled: true,
            changes: 0,
            io: Io::Perhaps,
        }
    }

    pub fn superblock(&mut self) -> ModelResult<&mut Superblock> {
        self.superblock.as_mut().ok_or(OutOfModel("the upper filesystem is not mounted"))
    }

    /// Reached at its own mount point, where the guest's own operations look.
    pub fn at_mount(&mut self) -> ModelResult<&mut Superblock> {
        match self.reach.contains(&AccessPath::Mount) {
            true => self.superblock(),
            false => Err(OutOfModel("the upper filesystem is not at its mount point")),
        }
    }

    pub fn work(&mut self, layers: LayerSet) -> &mut WorkDirState {
        self.works.entry(directories(layers)).or_default()
    }

    /// Something but file data changed.
    pub fn changed(&mut self) {
        self.changes += 1;
        self.settled = false;
    }

    fn broken_file(&self, layers: LayerSet, path: &str) -> bool {
        let broken = match &self.fault {
            Some(Fault::Data { file } | Fault::DataAndSlowReads { file, .. }) => file == path,
            _ => false,
        };
        broken && directories(layers) == LayerSet::First
    }

    /// Whether the disk answers when the file is read.
    pub fn unreadable(&self, layers: LayerSet, path: &str) -> bool {
        self.broken_file(layers, path) || self.fault == Some(Fault::Everything)
    }

    pub fn file(&mut self, layers: LayerSet, path: &str) -> Option<&mut File> {
        self.files.get_mut(&(directories(layers), path.to_string()))
    }

    /// Writes one file back.
    pub fn write_back_file(&mut self, layers: LayerSet, path: &str) -> ModelResult<()> {
        let key = (directories(layers), path.to_string());
        let broken_file = self.broken_file(key.0, path);
        let superblock = self.superblock.as_mut().ok_or(OutOfModel("the upper filesystem is not mounted"))?;
        if let Some(file) = self.files.get_mut(&key) {
            let hit = file.dirty && hits(self.fault.as_ref(), file, broken_file)?;
            if file.write_back(hit, &mut superblock.wb_err) {
                self.io = Io::Some;
            }
            if hit && forgets_what_is_lost(self.fs) {
                file.cached = None;
            }
            if hit && self.fault == Some(Fault::NoSpace) && stops_without_journal(self.fs) {
                // Nor is there room for its journal.
                superblock.read_only = true;
            }
        }
        Ok(())
    }

    /// Writes back all data.
    pub fn write_back_data(&mut self) -> ModelResult<()> {
        let files: Vec<_> = self.files.keys().cloned().collect();
        files.iter().try_for_each(|(layers, path)| self.write_back_file(*layers, path))
    }

    /// Writes back everything and reports to nobody.
    pub fn write_back(&mut self) -> ModelResult<()> {
        if self.superblock()?.read_only {
            return Ok(());
        }
        if matches!(self.fault, Some(Fault::Everything | Fault::Writes | Fault::Flush)) {
            return Err(OutOfModel("what a filesystem does that cannot write its metadata is its own business"));
        }
        if !self.settled {
            self.io = Io::Some;
        } else if self.io == Io::None {
            self.io = Io::Perhaps;
        }
        self.write_back_data()?;
        self.settled = true;
        Ok(())
    }

    /// syncfs(2): the errno that the owner of the cursor is told.
    pub fn syncfs(&mut self, cursor: Option<ErrSeq>) -> ModelResult<(i32, ErrSeq)> {
        let wb_err = self.superblock()?.wb_err;
        let mut cursor = cursor.unwrap_or_else(|| errseq_sample(&wb_err));
        self.write_back()?;
        let told = errseq_check_and_advance(&mut self.superblock()?.wb_err, &mut cursor);
        Ok((-told, cursor))
    }

    /// fsync(2) of a file that was opened just now: the errno it is told.
    pub fn fsync(&mut self, path: &str) -> ModelResult<i32> {
        let mut cursor = errseq_sample(&self.there(path)?.wb_err);
        self.write_back_file(LayerSet::First, path)?;
        Ok(-errseq_check_and_advance(&mut self.there(path)?.wb_err, &mut cursor))
    }

    /// sync_file_range(2) of one. It waits for what is on its way first, and an error that it is told of then keeps it from
    /// writing anything.
    pub fn sync_file_range(&mut self, path: &str) -> ModelResult<i32> {
        let file = self.there(path)?;
        let mut cursor = errseq_sample(&file.wb_err);
        match errseq_check_and_advance(&mut file.wb_err, &mut cursor) {
            0 => self.fsync(path),
            told => Ok(-told),
        }
    }

    fn there(&mut self, path: &str) -> ModelResult<&mut File> {
        self.file(LayerSet::First, path).ok_or(MISSING)
    }

    /// The last user has gone. What could not be written is lost, and nobody will be told.
    pub fn unmounted(&mut self) -> ModelResult<()> {
        if !self.fs.on_disk() {
            return Err(OutOfModel("a filesystem in memory is gone once it is unmounted"));
        }
        if self.superblock()?.read_only && !self.settled {
            return Err(OutOfModel("what of the metadata reached the disk before it went read-only is open"));
        }
        self.write_back()?;
        self.files.values_mut().for_each(File::forget);
        self.superblock = None;
        self.witness = None;
        Ok(())
    }

    /// The machine has lost its power. What was on its way to the disk may have reached it.
    pub fn lost_power(&mut self) -> ModelResult<()> {
        if self.superblock.is_some() && !self.settled {
            return Err(OutOfModel("what of the metadata reached the disk before the power was cut is open"));
        }
        for file in self.files.values_mut() {
            if file.dirty {
                file.disk = OnDisk::Unknown;
            }
            file.forget();
        }
        self.superblock = None;
        self.reach.clear();
        self.witness = None;
        self.fault = None;
        Ok(())
    }

    /// Clean pages and unused inodes are dropped.
    pub fn drop_caches(&mut self) {
        for file in self.files.values_mut().filter(|file| !file.dirty) {
            file.forget();
        }
    }
}

// SPDX-License-Identifier: MIT OR Apache-2.0
//! An upper filesystem: its disk, its superblock while it is mounted, its work directories and
//! files.

use std::collections::{BTreeMap, BTreeSet};

use vremount_machine::image::Fs;
use vremount_protocol::{AccessPath, Fault, LayerSet};

use crate::model::errseq::{ErrSeq, errseq_check_and_advance, errseq_sample};
use crate::model::marker::{Instance, Marker};
use crate::model::page_cache::{File, OnDisk, writeback_fails};
use crate::model::{ModelResult, OutOfModel};

/// Superblock of a mounted filesystem. It lives from the first mount until its last user is gone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Superblock {
    pub instance: Instance,
    /// `s_wb_err`.
    pub wb_err: ErrSeq,
    pub read_only: bool,
    pub frozen: bool,
}

/// Work directory of a layer set, and the in-use locks of the work and the upper directory.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct WorkDirState {
    pub marker: Option<Marker>,
    /// Entries of `work/incompat` other than the marker.
    pub features: BTreeSet<String>,
    /// `work/work` has content that overlayfs cannot remove.
    pub left_behind: bool,
    /// Number of the overlay that holds the in-use lock of the work directory.
    pub lock: Option<u64>,
    /// Number of the overlay that holds the in-use lock of the upper directory.
    pub upper_lock: Option<u64>,
}

/// Writes and flushes of a disk since the counters were reset.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Io {
    /// No I/O.
    None,
    /// At least one write or flush.
    Some,
    /// The filesystem may have done I/O on its own.
    Unknown,
}

/// State of an upper filesystem.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Upper {
    pub fs: Fs,
    pub fault: Option<Fault>,
    pub superblock: Option<Superblock>,
    /// Mounts through which the filesystem is accessible.
    pub access_paths: BTreeSet<AccessPath>,
    /// Errseq cursor of the file descriptor that the guest opened at the last mount, for syncfs(2).
    pub sync_cursor: Option<ErrSeq>,
    pub work_dirs: BTreeMap<LayerSet, WorkDirState>,
    /// Files by layer set and path.
    pub files: BTreeMap<(LayerSet, String), File>,
    /// Everything except dirty file content is on the disk.
    pub metadata_clean: bool,
    /// Number of changes to the filesystem.
    pub changes: u64,
    pub io: Io,
}

/// Layer set that owns the directories: the second overlay uses the directories of the first.
pub(super) fn directories(layers: LayerSet) -> LayerSet {
    if layers == LayerSet::Second { LayerSet::First } else { layers }
}

/// Whether pages are dropped from the page cache if their writeback fails. Other filesystems keep
/// them.
fn drops_unwritten_pages(fs: Fs) -> bool {
    matches!(fs, Fs::Btrfs | Fs::BtrfsSubvolume)
}

/// Whether the filesystem becomes read-only if its disk has no space for the journal.
fn becomes_read_only_without_space(fs: Fs) -> bool {
    matches!(fs, Fs::Ext4 | Fs::Btrfs | Fs::BtrfsSubvolume)
}

impl Upper {
    pub fn new(fs: Fs) -> Self {
        let work_dirs = [LayerSet::First, LayerSet::Other].map(|layers| (layers, WorkDirState::default()));
        Upper {
            fs,
            fault: None,
            superblock: None,
            access_paths: BTreeSet::new(),
            sync_cursor: None,
            work_dirs: work_dirs.into(),
            files: BTreeMap::new(),
            metadata_clean: true,
            changes: 0,
            io: Io::Unknown,
        }
    }

    /// The superblock.
    ///
    /// # Errors
    /// If the filesystem is not mounted.
    pub fn superblock(&mut self) -> ModelResult<&mut Superblock> {
        self.superblock.as_mut().ok_or(OutOfModel::NOT_MOUNTED)
    }

    /// The superblock, for operations that use the usual mount point.
    ///
    /// # Errors
    /// If the filesystem is not mounted there.
    pub fn superblock_at_mount_point(&mut self) -> ModelResult<&mut Superblock> {
        match self.access_paths.contains(&AccessPath::Mount) {
            true => self.superblock(),
            false => Err(OutOfModel::NOT_AT_MOUNT_POINT),
        }
    }

    /// Work directory of a layer set.
    pub fn work_dir(&mut self, layers: LayerSet) -> &mut WorkDirState {
        self.work_dirs.entry(directories(layers)).or_default()
    }

    /// Records a change other than to file content.
    pub fn record_change(&mut self) {
        self.changes += 1;
        self.metadata_clean = false;
    }

    /// Whether a fault covers the data blocks of a file. Faults cover files of the first layer set
    /// only.
    fn has_broken_data(&self, layers: LayerSet, path: &str) -> bool {
        let is_covered = match &self.fault {
            Some(Fault::Data { file } | Fault::DataAndSlowReads { file, .. }) => file == path,
            _ => false,
        };
        is_covered && directories(layers) == LayerSet::First
    }

    /// Whether reads of a file from the disk fail.
    pub fn is_unreadable(&self, layers: LayerSet, path: &str) -> bool {
        self.has_broken_data(layers, path) || self.fault == Some(Fault::Everything)
    }

    /// A file by its layer set and path.
    pub fn file(&mut self, layers: LayerSet, path: &str) -> Option<&mut File> {
        self.files.get_mut(&(directories(layers), path.to_string()))
    }

    /// Writes one file back.
    pub fn write_back_file(&mut self, layers: LayerSet, path: &str) -> ModelResult<()> {
        let key = (directories(layers), path.to_string());
        let has_broken_data = self.has_broken_data(key.0, path);
        let superblock = self.superblock.as_mut().ok_or(OutOfModel::NOT_MOUNTED)?;
        if let Some(file) = self.files.get_mut(&key) {
            let fails = file.dirty && writeback_fails(self.fault.as_ref(), file, has_broken_data)?;
            if file.write_back(fails, &mut superblock.wb_err) {
                self.io = Io::Some;
            }
            if fails && drops_unwritten_pages(self.fs) {
                file.cached = None;
            }
            if fails && self.fault == Some(Fault::NoSpace) && becomes_read_only_without_space(self.fs) {
                // The journal has no space either.
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

    /// Writes back everything, without a report to any file descriptor.
    pub fn write_back(&mut self) -> ModelResult<()> {
        if self.superblock()?.read_only {
            return Ok(());
        }
        if matches!(self.fault, Some(Fault::Everything | Fault::Writes | Fault::Flush)) {
            return Err(OutOfModel::UNWRITABLE_METADATA);
        }
        if !self.metadata_clean {
            self.io = Io::Some;
        } else if self.io == Io::None {
            self.io = Io::Unknown;
        }
        self.write_back_data()?;
        self.metadata_clean = true;
        Ok(())
    }

    /// syncfs(2): the errno that a file descriptor with this cursor gets (0 for none), and its next
    /// cursor. Without a cursor the file descriptor is new.
    pub fn syncfs(&mut self, cursor: Option<ErrSeq>) -> ModelResult<(i32, ErrSeq)> {
        let wb_err = self.superblock()?.wb_err;
        let mut cursor = cursor.unwrap_or_else(|| errseq_sample(&wb_err));
        self.write_back()?;
        let error = errseq_check_and_advance(&mut self.superblock()?.wb_err, &mut cursor);
        Ok((-error, cursor))
    }

    /// fsync(2) of a newly opened file: its errno, 0 for none.
    pub fn fsync(&mut self, path: &str) -> ModelResult<i32> {
        let mut cursor = errseq_sample(&self.existing_file(path)?.wb_err);
        self.write_back_file(LayerSet::First, path)?;
        Ok(-errseq_check_and_advance(&mut self.existing_file(path)?.wb_err, &mut cursor))
    }

    /// sync_file_range(2) of a newly opened file: its errno, 0 for none. It first waits for
    /// writeback in progress, and writes nothing if that reports an error.
    pub fn sync_file_range(&mut self, path: &str) -> ModelResult<i32> {
        let file = self.existing_file(path)?;
        let mut cursor = errseq_sample(&file.wb_err);
        match errseq_check_and_advance(&mut file.wb_err, &mut cursor) {
            0 => self.fsync(path),
            error => Ok(-error),
        }
    }

    fn existing_file(&mut self, path: &str) -> ModelResult<&mut File> {
        self.file(LayerSet::First, path).ok_or(OutOfModel::NO_FILE)
    }

    /// Writes back and drops the superblock after its last user is gone. Errors are lost with the
    /// superblock.
    pub fn unmount(&mut self) -> ModelResult<()> {
        if !self.fs.is_on_disk() {
            return Err(OutOfModel::IN_MEMORY_UNMOUNTED);
        }
        if self.superblock()?.read_only && !self.metadata_clean {
            return Err(OutOfModel::METADATA_AT_READ_ONLY);
        }
        self.write_back()?;
        self.files.values_mut().for_each(File::evict);
        self.superblock = None;
        self.sync_cursor = None;
        Ok(())
    }

    /// Drops everything that is not on the disk. Whether dirty content reached the disk is
    /// undefined.
    pub fn cut_power(&mut self) -> ModelResult<()> {
        if self.superblock.is_some() && !self.metadata_clean {
            return Err(OutOfModel::METADATA_AT_POWER_CUT);
        }
        for file in self.files.values_mut() {
            if file.dirty {
                file.disk = OnDisk::Unknown;
            }
            file.evict();
        }
        self.superblock = None;
        self.access_paths.clear();
        self.sync_cursor = None;
        self.fault = None;
        Ok(())
    }

    /// Drops clean pages and unused inodes.
    pub fn drop_caches(&mut self) {
        for file in self.files.values_mut().filter(|file| !file.dirty) {
            file.evict();
        }
    }
}

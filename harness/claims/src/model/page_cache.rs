// SPDX-License-Identifier: MIT OR Apache-2.0
//! Files of an upper directory: what is in memory, what is on the disk, and which errors were recorded on the way.

use vremount_protocol::Fault;

use crate::model::errseq::{ErrSeq, errseq_set};
use crate::model::{ModelResult, OutOfModel};

pub(super) const EIO: i32 = -libc::EIO;

/// Content drawn from a seed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Data {
    pub bytes: u64,
    pub seed: u64,
}

/// What a disk has of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum OnDisk {
    /// No block yet.
    Nothing,
    Data(Data),
    /// Blocks that nobody has written.
    Garbage,
    /// One or the other: the power was cut.
    Unknown,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct File {
    /// In the page cache.
    pub cached: Option<Data>,
    /// The cache has what the disk does not have yet.
    pub dirty: bool,
    pub disk: OnDisk,
    /// Of the file's mapping: what fsync(2) of it reports.
    pub wb_err: ErrSeq,
}

impl File {
    pub fn new() -> Self {
        File { cached: None, dirty: false, disk: OnDisk::Nothing, wb_err: ErrSeq::default() }
    }

    pub fn write(&mut self, data: Data) {
        self.cached = Some(data);
        self.dirty = true;
    }

    /// Writes back what is dirty. A page that could not be written is clean afterwards: the error is recorded for the file
    /// and its superblock, and never tried again. True if the disk was asked for anything.
    pub fn write_back(&mut self, hit: bool, sb_wb_err: &mut ErrSeq) -> bool {
        let (Some(data), true) = (self.cached, self.dirty) else { return false };
        self.dirty = false;
        if hit {
            errseq_set(&mut self.wb_err, EIO);
            errseq_set(sb_wb_err, EIO);
            if self.disk == OnDisk::Nothing {
                self.disk = OnDisk::Garbage;
            }
        } else {
            self.disk = OnDisk::Data(data);
        }
        true
    }

    /// Memory forgets it; what was dirty is lost.
    pub fn forget(&mut self) {
        *self = File { disk: self.disk, ..File::new() };
    }

    /// What reading gives: none if it is no content of ours. `broken`: the disk does not answer; that is an I/O error.
    pub fn read(&mut self, broken: bool) -> ModelResult<Result<Option<Data>, i32>> {
        if self.cached.is_some() {
            return Ok(Ok(self.cached));
        }
        match self.disk {
            OnDisk::Unknown => Err(OutOfModel("what a power cut left of a file that was being written is open")),
            OnDisk::Nothing | OnDisk::Garbage => Ok(Ok(None)),
            OnDisk::Data(_) if broken => Ok(Err(libc::EIO)),
            OnDisk::Data(data) => {
                self.cached = Some(data);
                Ok(Ok(self.cached))
            }
        }
    }
}

/// Whether a fault of the disk keeps a file from being written back. `broken_file`: it is the one that a fault is about.
pub(super) fn hits(fault: Option<&Fault>, file: &File, broken_file: bool) -> ModelResult<bool> {
    match fault {
        None | Some(Fault::Flush | Fault::SlowReads { .. }) => Ok(false),
        Some(Fault::Data { .. } | Fault::DataAndSlowReads { .. }) => Ok(broken_file),
        Some(Fault::Everything | Fault::Writes) => Ok(true),
        Some(Fault::NoSpace) => Ok(file.disk == OnDisk::Nothing),
        Some(Fault::PoolFull) if file.disk == OnDisk::Nothing => Ok(true),
        Some(Fault::PoolFull) => {
            Err(OutOfModel("which blocks of a file the pool has given already is the pool's business"))
        }
        Some(Fault::Checkpoint | Fault::Reads) => Err(FAULT),
    }
}

pub(super) const FAULT: OutOfModel =
    OutOfModel("what of the metadata must be read from the disk is the filesystem's business");
pub(super) const MISSING: OutOfModel = OutOfModel("there is no such file");

// SPDX-License-Identifier: MIT OR Apache-2.0
//! Files of an upper directory: content in the page cache and on the disk, and recorded writeback
//! errors.

use vremount_protocol::Fault;

use crate::model::errseq::{ErrSeq, errseq_set};
use crate::model::{ModelResult, OutOfModel};

pub(super) const EIO: i32 = -libc::EIO;

/// Content of a file: pseudorandom bytes of a seed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Data {
    pub bytes: u64,
    pub seed: u64,
}

/// Content of a file on the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum OnDisk {
    /// No blocks are allocated.
    Nothing,
    /// The blocks hold this content.
    Data(Data),
    /// Blocks are allocated, but their write failed.
    Garbage,
    /// The file was dirty at a power cut.
    Unknown,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct File {
    /// Content in the page cache; none if it is not cached.
    pub cached: Option<Data>,
    /// The cached content is not written back yet.
    pub dirty: bool,
    pub disk: OnDisk,
    /// `wb_err` of the file's mapping, which fsync(2) reports.
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

    /// Writes back dirty content; returns whether it did any I/O. If the write fails, the error is
    /// recorded for the file and its superblock, and the page becomes clean, so the write is not
    /// retried.
    pub fn write_back(&mut self, write_fails: bool, sb_wb_err: &mut ErrSeq) -> bool {
        let (Some(data), true) = (self.cached, self.dirty) else { return false };
        self.dirty = false;
        if write_fails {
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

    /// Drops the file from memory. Dirty content is lost.
    pub fn evict(&mut self) {
        *self = File { disk: self.disk, ..File::new() };
    }

    /// Reads the file: its content, none if the content is undefined, or an errno. `unreadable`
    /// says whether reads from the disk fail.
    pub fn read(&mut self, unreadable: bool) -> ModelResult<Result<Option<Data>, i32>> {
        if self.cached.is_some() {
            return Ok(Ok(self.cached));
        }
        match self.disk {
            OnDisk::Unknown => Err(OutOfModel::DATA_AT_POWER_CUT),
            OnDisk::Nothing | OnDisk::Garbage => Ok(Ok(None)),
            OnDisk::Data(_) if unreadable => Ok(Err(libc::EIO)),
            OnDisk::Data(data) => {
                self.cached = Some(data);
                Ok(Ok(self.cached))
            }
        }
    }
}

/// Whether a fault makes the writeback of a file fail. `has_broken_data` says whether a fault
/// covers the data blocks of this file.
pub(super) fn writeback_fails(fault: Option<&Fault>, file: &File, has_broken_data: bool) -> ModelResult<bool> {
    match fault {
        None | Some(Fault::Flush | Fault::SlowReads { .. }) => Ok(false),
        Some(Fault::Data { .. } | Fault::DataAndSlowReads { .. }) => Ok(has_broken_data),
        Some(Fault::Everything | Fault::Writes) => Ok(true),
        Some(Fault::NoSpace) => Ok(file.disk == OnDisk::Nothing),
        Some(Fault::PoolFull) if file.disk == OnDisk::Nothing => Ok(true),
        Some(Fault::PoolFull) => Err(OutOfModel::POOL_ALLOCATION),
        Some(Fault::Checkpoint | Fault::Reads) => Err(OutOfModel::UNREADABLE_METADATA),
    }
}

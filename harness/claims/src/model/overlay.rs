// SPDX-License-Identifier: MIT OR Apache-2.0
//! Rules for overlay mounts: whether a mount is accepted, and for which reason it is refused, in
//! the documented order.

use vremount_kernel::base::Level;
use vremount_protocol::{AccessPath, LayerSet, Mode};

use crate::Expectation;
use crate::model::ModelResult;
use crate::model::errseq::{ErrSeq, errseq_check, errseq_sample};
use crate::model::marker::{Checkpoint, Instance, Marker, ModuleLoad, Xattr};
use crate::model::upper::{Superblock, Upper, directories};
use crate::refusal_reason::Reason;

/// First level that supports reuse.
const REUSE_LEVEL: u8 = 3;
/// First level that records an errseq in the checkpoint and compares it.
const ERRSEQ_LEVEL: u8 = 4;

/// Properties of the kernel that decide about mounts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Kernel {
    pub level: Level,
    pub module_load: ModuleLoad,
    /// The overlayfs of this base reports writeback errors to syncs of a volatile overlay, and so
    /// refuses unseen errors even without the series.
    pub reports_errors_to_syncs: bool,
}

impl Kernel {
    /// Whether the level supports reuse.
    pub fn supports_reuse(self) -> bool {
        self.level.number() >= REUSE_LEVEL
    }

    /// Whether a volatile mount is refused if the upper filesystem has an unseen error.
    pub fn refuses_unseen_errors(self) -> bool {
        self.reports_errors_to_syncs || self.records_errseq()
    }

    /// Whether checkpoints have an errseq.
    pub fn records_errseq(self) -> bool {
        self.level.number() >= ERRSEQ_LEVEL
    }
}

/// A requested overlay mount.
#[derive(Debug, Clone, Copy)]
pub(super) struct MountRequest {
    pub layers: LayerSet,
    /// Layer set whose work directory it uses.
    pub work: LayerSet,
    pub mode: Mode,
    pub index: bool,
    pub read_only: bool,
}

/// A mounted overlay.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Overlay {
    /// Unique number of the mount.
    pub number: u64,
    pub layers: LayerSet,
    pub work: LayerSet,
    pub mode: Mode,
    pub index: bool,
    pub read_only: bool,
    /// It shares or has shared its directories with another overlay, so the behaviour of its files
    /// is undefined.
    pub shared: bool,
}

/// Prefix of temporary index entries, relative to the upper directory.
const TEMPORARY_INDEX_ENTRY: &str = "../work/index/#";

fn refused(errno: i32, reason: Reason) -> Expectation {
    Expectation::Refused { errno, reason }
}

/// Checkpoint that a mount would write now.
fn current_checkpoint(kernel: Kernel, instance: Instance, wb_err: &ErrSeq) -> Checkpoint {
    Checkpoint::new(kernel.module_load, instance, errseq_sample(wb_err))
}

/// Whether the last error was not reported to any file descriptor.
fn has_unseen_error(wb_err: &ErrSeq) -> bool {
    errseq_check(wb_err, errseq_sample(wb_err)) != 0
}

/// Predicts the outcome of a mount; does not change the state.
pub(super) fn mount_outcome(
    kernel: Kernel,
    upper: &mut Upper,
    request: MountRequest,
    via: AccessPath,
) -> ModelResult<Expectation> {
    if !upper.access_paths.contains(&via) {
        return Ok(refused(libc::ENOENT, Reason::Unreadable));
    }
    let &mut Superblock { instance, wb_err, read_only, .. } = upper.superblock()?;
    let in_use = upper.work_dir(request.layers).upper_lock.is_some() || upper.work_dir(request.work).lock.is_some();
    let work = upper.work_dir(request.work);
    let volatile = request.mode == Mode::Volatile;
    if read_only {
        return Ok(refused(libc::EINVAL, Reason::UpperReadOnly));
    }
    if request.index && in_use {
        return Ok(refused(libc::EBUSY, Reason::Busy));
    }
    if volatile && kernel.refuses_unseen_errors() && has_unseen_error(&wb_err) {
        return Ok(refused(libc::EIO, Reason::UnseenError));
    }
    // A kernel without reuse refuses the marker like any other unsupported feature.
    if !work.features.is_empty() || (work.marker.is_some() && !kernel.supports_reuse()) {
        return Ok(refused(libc::EINVAL, Reason::Incompat));
    }
    if let Some(marker) = &work.marker {
        let reason = if !volatile {
            Some(Reason::NotVolatile)
        } else if in_use {
            Some(Reason::InUse)
        } else {
            marker.refusal_reason(&current_checkpoint(kernel, instance, &wb_err), kernel.records_errseq())?
        };
        if let Some(reason) = reason {
            return Ok(refused(libc::EINVAL, reason));
        }
    }
    // If the work directory cannot be emptied, overlayfs mounts read-only.
    Ok(if work.left_behind || request.read_only { Expectation::MountedReadOnly } else { Expectation::Mounted })
}

/// Executes a mount that [`mount_outcome`] accepts, under a unique number.
pub(super) fn mount(kernel: Kernel, upper: &mut Upper, request: MountRequest, number: u64) -> ModelResult<Overlay> {
    let has_xattrs = upper.fs.has_xattrs();
    let &mut Superblock { instance, wb_err, .. } = upper.superblock()?;
    let locks_upper = *upper.work_dir(request.layers).upper_lock.get_or_insert(number) == number;
    let work = upper.work_dir(request.work);
    let locks_work = *work.lock.get_or_insert(number) == number;
    let has_both_locks = locks_upper && locks_work;
    if request.mode == Mode::Volatile && work.marker.is_none() && !work.left_behind {
        // The first volatile mount stores a checkpoint, unless another overlay uses the
        // directories.
        let xattr = match kernel.supports_reuse() && has_xattrs && has_both_locks {
            true => Xattr::Written(current_checkpoint(kernel, instance, &wb_err)),
            false => Xattr::Missing,
        };
        work.marker = Some(Marker { xattr, is_replaced: false, number, changes: 0 });
    }
    upper.record_change();
    if request.index {
        upper.files.retain(|(_, path), _| !path.starts_with(TEMPORARY_INDEX_ENTRY));
    }
    let MountRequest { layers, work, mode, index, .. } = request;
    let read_only = request.read_only || upper.work_dir(work).left_behind;
    Ok(Overlay { number, layers, work, mode, index, read_only, shared: false })
}

/// Releases the locks of an unmounted overlay. A durable overlay syncs the upper filesystem first;
/// a volatile one does no I/O.
pub(super) fn unmount(upper: &mut Upper, overlay: Overlay) -> ModelResult<()> {
    if overlay.mode == Mode::Durable && !overlay.read_only {
        upper.write_back()?;
    }
    let is_own = |number: &mut u64| *number == overlay.number;
    upper.work_dir(overlay.layers).upper_lock.take_if(is_own);
    upper.work_dir(overlay.work).lock.take_if(is_own);
    Ok(())
}

impl Overlay {
    /// Whether the requested mount would use its upper or its work directory.
    pub fn shares_with(&self, request: MountRequest) -> bool {
        self.uses_directories_of(request.layers) || directories(self.work) == directories(request.work)
    }

    /// Whether its upper directory is that of a layer set.
    pub fn uses_directories_of(&self, layers: LayerSet) -> bool {
        directories(self.layers) == directories(layers)
    }
}

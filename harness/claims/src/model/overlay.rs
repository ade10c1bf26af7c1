// SPDX-License-Identifier: MIT OR Apache-2.0
//! What becomes of a mount: the rules of reuse, in the order in which they are stated.

use vremount_kernel::base::Level;
use vremount_protocol::{AccessPath, LayerSet, Mode};

use crate::Expectation;
use crate::model::ModelResult;
use crate::model::errseq::{ErrSeq, errseq_check, errseq_sample};
use crate::model::marker::{Checkpoint, Instance, Marker, ModuleLoad, Xattr};
use crate::model::upper::{Superblock, Upper, directories};
use crate::refusal_reason::Reason;

/// From this patch on there is reuse.
const REUSE: u8 = 3;
/// From this patch on writeback errors count.
const ERRSEQ: u8 = 4;

/// What of the kernel a mount depends on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Kernel {
    pub level: Level,
    pub epoch: ModuleLoad,
    /// A volatile overlay of this base tells syncs of errors: it looks for those that nobody was told of without the series.
    pub tells_errors: bool,
}

impl Kernel {
    pub fn reuses(self) -> bool {
        self.level.number() >= REUSE
    }

    pub fn looks_for_unseen_errors(self) -> bool {
        self.tells_errors || self.checks_errors()
    }

    pub fn checks_errors(self) -> bool {
        self.level.number() >= ERRSEQ
    }
}

/// A mount that is asked for.
#[derive(Debug, Clone, Copy)]
pub(super) struct MountRequest {
    pub layers: LayerSet,
    /// Whose work directory it uses.
    pub work: LayerSet,
    pub mode: Mode,
    pub index: bool,
    pub read_only: bool,
}

/// An overlay that is mounted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Overlay {
    /// Which of all that were ever mounted.
    pub number: u64,
    pub layers: LayerSet,
    pub work: LayerSet,
    pub mode: Mode,
    pub index: bool,
    pub read_only: bool,
    /// It has shared its directories with another: "accessing files from both mounts will result in undefined behavior".
    pub shared: bool,
}

/// What begins so, seen from the upper directory, was on its way to the index, and never came there.
const LEFT_IN_INDEX: &str = "../work/index/#";

fn refused(errno: i32, reason: Reason) -> Expectation {
    Expectation::Refused { errno, reason }
}

/// What a mount of the upper as it is now would remember.
fn checkpoint(kernel: Kernel, instance: Instance, wb_err: &ErrSeq) -> Checkpoint {
    Checkpoint::of(kernel.epoch, instance, errseq_sample(wb_err))
}

/// Whether there is an error that nobody was told of.
fn unseen(wb_err: &ErrSeq) -> bool {
    errseq_check(wb_err, errseq_sample(wb_err)) != 0
}

/// What a mount leads to. Nothing changes by asking.
pub(super) fn outcome(
    kernel: Kernel,
    upper: &mut Upper,
    asked: MountRequest,
    via: AccessPath,
) -> ModelResult<Expectation> {
    if !upper.reach.contains(&via) {
        return Ok(refused(libc::ENOENT, Reason::Unreadable));
    }
    let &mut Superblock { instance, wb_err, read_only, .. } = upper.superblock()?;
    let in_use = upper.work(asked.layers).upper_lock.is_some() || upper.work(asked.work).lock.is_some();
    let work = upper.work(asked.work);
    let volatile = asked.mode == Mode::Volatile;
    if read_only {
        return Ok(refused(libc::EINVAL, Reason::UpperReadOnly));
    }
    if asked.index && in_use {
        return Ok(refused(libc::EBUSY, Reason::Busy));
    }
    if volatile && kernel.looks_for_unseen_errors() && unseen(&wb_err) {
        return Ok(refused(libc::EIO, Reason::UnseenError));
    }
    // A kernel without reuse does not know the marker either.
    if !work.features.is_empty() || (work.marker.is_some() && !kernel.reuses()) {
        return Ok(refused(libc::EINVAL, Reason::Incompat));
    }
    if let Some(marker) = &work.marker {
        let reason = if !volatile {
            Some(Reason::NotVolatile)
        } else if in_use {
            Some(Reason::InUse)
        } else {
            marker.refuses(&checkpoint(kernel, instance, &wb_err), kernel.checks_errors())?
        };
        if let Some(reason) = reason {
            return Ok(refused(libc::EINVAL, reason));
        }
    }
    // Without a work directory nothing can be written.
    Ok(if work.left_behind || asked.read_only { Expectation::MountedReadOnly } else { Expectation::Mounted })
}

/// Carries out a mount that succeeds, the so manieth.
pub(super) fn mount(kernel: Kernel, upper: &mut Upper, asked: MountRequest, number: u64) -> ModelResult<Overlay> {
    let has_xattrs = upper.fs.has_xattrs();
    let &mut Superblock { instance, wb_err, .. } = upper.superblock()?;
    let has_upper = *upper.work(asked.layers).upper_lock.get_or_insert(number) == number;
    let work = upper.work(asked.work);
    let has_work = *work.lock.get_or_insert(number) == number;
    let alone = has_upper && has_work;
    if asked.mode == Mode::Volatile && work.marker.is_none() && !work.left_behind {
        // "The first volatile mount stores a checkpoint", unless "another overlay used the directories".
        let xattr = match kernel.reuses() && has_xattrs && alone {
            true => Xattr::Written(checkpoint(kernel, instance, &wb_err)),
            false => Xattr::Missing,
        };
        work.marker = Some(Marker { xattr, impostor: false, made: number, touched: 0 });
    }
    upper.changed();
    if asked.index {
        upper.files.retain(|(_, path), _| !path.starts_with(LEFT_IN_INDEX));
    }
    let MountRequest { layers, work, mode, index, .. } = asked;
    let read_only = asked.read_only || upper.work(work).left_behind;
    Ok(Overlay { number, layers, work, mode, index, read_only, shared: false })
}

/// The overlay has gone: a durable one syncs the upper filesystem first, a volatile one asks the disk for nothing.
pub(super) fn unmount(upper: &mut Upper, overlay: Overlay) -> ModelResult<()> {
    if overlay.mode == Mode::Durable && !overlay.read_only {
        upper.write_back()?;
    }
    let own = |number: &mut u64| *number == overlay.number;
    upper.work(overlay.layers).upper_lock.take_if(own);
    upper.work(overlay.work).lock.take_if(own);
    Ok(())
}

impl Overlay {
    /// One of its directories would be the other's, too.
    pub fn shares_with(&self, asked: MountRequest) -> bool {
        self.has_directories_of(asked.layers) || directories(self.work) == directories(asked.work)
    }

    pub fn has_directories_of(&self, layers: LayerSet) -> bool {
        directories(self.layers) == directories(layers)
    }
}

// SPDX-License-Identifier: MIT OR Apache-2.0
//! Operations that mount, remount, freeze and unmount upper filesystems and overlays.

use vremount_machine::image::Fs;
use vremount_protocol::{AccessPath, Disk, Fault, FileLocation, LayerSet, Mode, Op};

use crate::model::errseq::{ErrSeq, errseq_sample};
use crate::model::marker::{Instance, Xattr};
use crate::model::overlay::MountRequest;
use crate::model::state::ModelState;
use crate::model::upper::Superblock;
use crate::model::{ModelResult, OutOfModel, overlay};
use crate::refusal_reason::Reason;
use crate::{BORROWED_WORK, Expectation};

impl ModelState {
    pub(super) fn execute_on_upper(&mut self, disk: Disk, op: &Op) -> ModelResult<Expectation> {
        match op {
            Op::MountUpper { .. } => self.mount_upper(disk)?,
            Op::UnmountUpper { lazy, .. } => return self.unmount_upper(disk, *lazy),
            Op::RemountUpper { options, .. } => {
                if self.count_overlays_on_disk(disk) > 0 {
                    return Err(OutOfModel::OVERLAY_MAY_WRITE);
                }
                let upper = self.upper(disk)?;
                upper.superblock_at_mount_point()?;
                match options.as_str() {
                    "ro" => {
                        upper.write_back()?;
                        upper.superblock()?.read_only = true;
                    }
                    "rw" => upper.superblock()?.read_only = false,
                    _ => return Err(OutOfModel::UNKNOWN_OPTION),
                }
            }
            Op::AddAccessPath { via, .. } => {
                let upper = self.upper(disk)?;
                upper.superblock_at_mount_point()?;
                if *via == AccessPath::SecondMount && !upper.fs.is_on_disk() {
                    return Err(OutOfModel::IN_MEMORY_MOUNTED_TWICE);
                }
                if !upper.access_paths.insert(*via) {
                    return Err(OutOfModel::ACCESS_PATH_EXISTS);
                }
                if *via == AccessPath::Moved {
                    upper.access_paths.remove(&AccessPath::Mount);
                }
            }
            Op::RemoveAccessPath { via, .. } => {
                let upper = self.upper(disk)?;
                if !upper.access_paths.remove(via) {
                    return Err(OutOfModel::NO_ACCESS_PATH);
                }
                if *via == AccessPath::Moved {
                    upper.access_paths.insert(AccessPath::Mount);
                }
                self.drop_unused_superblocks()?;
            }
            Op::FreezeUpper { .. } => {
                let upper = self.upper(disk)?;
                upper.superblock_at_mount_point()?;
                upper.write_back()?;
                upper.superblock()?.frozen = true;
            }
            Op::ThawUpper { .. } => self.upper(disk)?.superblock_at_mount_point()?.frozen = false,
            _ => return Err(OutOfModel::UNKNOWN_OPERATION),
        }
        Ok(Expectation::Done)
    }

    /// Mounts the existing superblock if the device still has one, and else a new one.
    fn mount_upper(&mut self, disk: Disk) -> ModelResult<()> {
        let instance = Instance(self.take_number());
        let other_disk_is_used = self.uppers.iter().any(|(on, upper)| *on != disk && upper.changes > 0);
        if matches!(self.fs, Fs::Btrfs | Fs::BtrfsSubvolume) && other_disk_is_used {
            return Err(OutOfModel::DUPLICATE_UUID);
        }
        let upper = self.upper(disk)?;
        if !matches!(upper.fault, None | Some(Fault::Data { .. })) {
            return Err(OutOfModel::UPPER_MOUNT_ON_FAILING_DISK);
        }
        if !upper.fs.is_on_disk() && upper.superblock.is_some() {
            return Err(OutOfModel::IN_MEMORY_MOUNTED_TWICE);
        }
        if !upper.access_paths.insert(AccessPath::Mount) {
            return Err(OutOfModel::MOUNTED_TWICE);
        }
        if upper.superblock.as_ref().is_some_and(|superblock| superblock.read_only) {
            return Err(OutOfModel::READ_ONLY_SUPERBLOCK_MOUNTED);
        }
        if upper.superblock.is_none() {
            let wb_err = ErrSeq::default();
            upper.superblock = Some(Superblock { instance, wb_err, read_only: false, frozen: false });
            upper.record_change();
        }
        upper.sync_cursor = Some(errseq_sample(&upper.superblock()?.wb_err));
        Ok(())
    }

    fn unmount_upper(&mut self, disk: Disk, lazy: bool) -> ModelResult<Expectation> {
        let busy = self.is_busy(disk, FileLocation::Upper);
        let upper = self.upper(disk)?;
        upper.superblock_at_mount_point()?;
        upper.sync_cursor = None;
        if busy && !lazy {
            return Ok(Expectation::Fails(libc::EBUSY));
        }
        // An overlay holds a private clone of the mount: it keeps the superblock alive, and this
        // mount is not busy.
        upper.access_paths.remove(&AccessPath::Mount);
        self.detach_open_files(disk, FileLocation::Upper);
        self.drop_unused_superblocks()?;
        Ok(Expectation::Done)
    }

    pub(super) fn execute_on_overlay(&mut self, op: &Op) -> ModelResult<Expectation> {
        match op {
            Op::MountOverlay { disk, layers, mode, via, options } => {
                self.mount_overlay(*disk, parse_request(*disk, *layers, *mode, options)?, *via)
            }
            Op::UnmountOverlay { disk, layers, lazy } => self.unmount_overlay(*disk, *layers, *lazy),
            Op::RemountOverlay { disk, options } => {
                let overlay = self.overlays.get_mut(&(*disk, LayerSet::First)).ok_or(OutOfModel::NO_OVERLAY)?;
                if overlay.mode == Mode::Durable {
                    return Err(OutOfModel::REMOUNTED_DURABLE_OVERLAY);
                }
                overlay.read_only = options == "ro";
                Ok(if overlay.read_only { Expectation::MountedReadOnly } else { Expectation::Mounted })
            }
            Op::MountRepeatedly { disk, count: times } => {
                for _ in 0..*times {
                    if self.mount_overlay(*disk, volatile_mount(LayerSet::First), AccessPath::Mount)?
                        != Expectation::Mounted
                    {
                        return Ok(Expectation::Differs);
                    }
                    self.unmount_overlay(*disk, LayerSet::First, false)?;
                }
                Ok(Expectation::Done)
            }
            // One mount takes the lock. If a single mount is refused, all are.
            Op::MountConcurrently { disk, mounts } => {
                let single = self.mount_overlay(*disk, volatile_mount(LayerSet::First), AccessPath::Mount)?;
                if single != Expectation::Mounted {
                    return Ok(single);
                }
                self.unmount_overlay(*disk, LayerSet::First, false)?;
                Ok(Expectation::AtMostOneMountedOthersRefused { others: mounts - 1, reason: Reason::InUse })
            }
            Op::FuzzCheckpoint { disk, .. } => {
                let upper = self.upper(*disk)?;
                upper.superblock_at_mount_point()?;
                let marker = upper.work_dir(LayerSet::First).marker.as_mut().ok_or(OutOfModel::NO_MARKER)?;
                match marker.xattr {
                    Xattr::Missing => return Ok(Expectation::Fails(0)),
                    Xattr::Written(_) => {}
                    _ => return Err(OutOfModel::INVALID_CHECKPOINT),
                }
                marker.changes += 1;
                upper.record_change();
                Ok(Expectation::Done)
            }
            _ => Err(OutOfModel::UNKNOWN_OPERATION),
        }
    }

    fn mount_overlay(&mut self, disk: Disk, request: MountRequest, via: AccessPath) -> ModelResult<Expectation> {
        let number = self.take_number();
        if self.is_mounted(disk, request.layers) {
            return Err(OutOfModel::OVERLAY_MOUNTED_TWICE);
        }
        let kernel = self.kernel;
        let shared = self.overlays_on_disk(disk).any(|overlay| overlay.shares_with(request));
        let upper = self.upper(disk)?;
        if matches!(upper.fault, Some(Fault::Everything | Fault::Writes)) {
            return Err(OutOfModel::MOUNT_ON_FAILING_DISK);
        }
        let outcome = overlay::mount_outcome(kernel, upper, request, via)?;
        if matches!(outcome, Expectation::Mounted | Expectation::MountedReadOnly) {
            let mut overlay = overlay::mount(kernel, upper, request, number)?;
            if shared {
                overlay.shared = true;
                let others =
                    self.overlays.iter_mut().filter(|((on, _), other)| *on == disk && other.shares_with(request));
                others.for_each(|(_, other)| other.shared = true);
            }
            self.overlays.insert((disk, request.layers), overlay);
        }
        Ok(outcome)
    }

    fn unmount_overlay(&mut self, disk: Disk, layers: LayerSet, lazy: bool) -> ModelResult<Expectation> {
        let busy = layers == LayerSet::First && self.is_busy(disk, FileLocation::Overlay);
        if !self.is_mounted(disk, layers) {
            return Err(OutOfModel::NO_OVERLAY);
        }
        if busy && !lazy {
            return Ok(Expectation::Fails(libc::EBUSY));
        }
        if let Some(overlay) = self.overlays.remove(&(disk, layers)) {
            if busy {
                self.detached.push((disk, overlay));
                self.detach_open_files(disk, FileLocation::Overlay);
            } else {
                overlay::unmount(self.upper(disk)?, overlay)?;
            }
        }
        self.drop_unused_superblocks()?;
        Ok(Expectation::Done)
    }
}

fn volatile_mount(layers: LayerSet) -> MountRequest {
    MountRequest { layers, work: layers, mode: Mode::Volatile, index: false, read_only: false }
}

/// Reads the mount options that decide whether an overlay is mounted.
fn parse_request(disk: Disk, layers: LayerSet, mode: Mode, options: &str) -> ModelResult<MountRequest> {
    const IRRELEVANT: [&str; 5] = ["", "nfs_export=on", "metacopy=on", "redirect_dir=on", "xino=on"];
    if layers == LayerSet::LowerOnly {
        return Err(OutOfModel::NO_UPPER_LAYER);
    }
    let mut request = MountRequest { layers, work: layers, mode, index: false, read_only: false };
    for option in options.split(',') {
        match option {
            "index=on" => request.index = true,
            "ro" => request.read_only = true,
            // With an index, the borrowed work directory would hold the index of another overlay.
            BORROWED_WORK if disk == Disk::A && !options.contains("index") => request.work = LayerSet::First,
            _ if IRRELEVANT.contains(&option) || option.starts_with("lowerdir=") => {}
            _ => return Err(OutOfModel::UNKNOWN_OPTION),
        }
    }
    Ok(request)
}

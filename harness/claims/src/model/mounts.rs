// SPDX-License-Identifier: MIT OR Apache-2.0
//! Operations that mount and unmount: upper filesystems and overlays.

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
    pub(super) fn on_superblock(&mut self, disk: Disk, op: &Op) -> ModelResult<Expectation> {
        match op {
            Op::MountUpper { .. } => self.mount_upper(disk)?,
            Op::UnmountUpper { lazy, .. } => return self.unmount_upper(disk, *lazy),
            Op::RemountUpper { options, .. } => {
                if self.overlays_on(disk) > 0 {
                    return Err(OutOfModel("an overlay may be writing"));
                }
                let upper = self.upper(disk)?;
                upper.at_mount()?;
                match options.as_str() {
                    "ro" => {
                        upper.write_back()?;
                        upper.superblock()?.read_only = true;
                    }
                    "rw" => upper.superblock()?.read_only = false,
                    _ => return Err(OutOfModel("the model knows no other options")),
                }
            }
            Op::Reach { via, .. } => {
                let upper = self.upper(disk)?;
                upper.at_mount()?;
                if *via == AccessPath::Again && !upper.fs.on_disk() {
                    return Err(OutOfModel("each mount of it is another filesystem, in memory"));
                }
                if !upper.reach.insert(*via) {
                    return Err(OutOfModel("it can be reached that way already"));
                }
                if *via == AccessPath::Moved {
                    upper.reach.remove(&AccessPath::Mount);
                }
            }
            Op::Unreach { via, .. } => {
                let upper = self.upper(disk)?;
                if !upper.reach.remove(via) {
                    return Err(OutOfModel("it cannot be reached that way"));
                }
                if *via == AccessPath::Moved {
                    upper.reach.insert(AccessPath::Mount);
                }
                self.drop_unused()?;
            }
            Op::FreezeUpper { .. } => {
                let upper = self.upper(disk)?;
                upper.at_mount()?;
                upper.write_back()?;
                upper.superblock()?.frozen = true;
            }
            Op::ThawUpper { .. } => self.upper(disk)?.at_mount()?.frozen = false,
            _ => return Err(OutOfModel("the model does not know this operation")),
        }
        Ok(Expectation::Done)
    }

    /// A device that still has a superblock is mounted as that.
    fn mount_upper(&mut self, disk: Disk) -> ModelResult<()> {
        let instance = Instance(self.number());
        let elsewhere = self.uppers.iter().any(|(on, upper)| *on != disk && upper.changes > 0);
        if matches!(self.fs, Fs::Btrfs | Fs::BtrfsSubvolume) && elsewhere {
            return Err(OutOfModel("a filesystem that is known by its UUID is not mounted from a copy of its device"));
        }
        let upper = self.upper(disk)?;
        if !matches!(upper.fault, None | Some(Fault::Data { .. })) {
            return Err(OutOfModel(
                "what a filesystem does with a disk that fails while it is mounted is its own business",
            ));
        }
        if !upper.fs.on_disk() && upper.superblock.is_some() {
            return Err(OutOfModel("each mount of it is another filesystem, in memory"));
        }
        if !upper.reach.insert(AccessPath::Mount) {
            return Err(OutOfModel("it is mounted already"));
        }
        if upper.superblock.as_ref().is_some_and(|superblock| superblock.read_only) {
            return Err(OutOfModel("one superblock is not read-only for one mount and writable for another"));
        }
        if upper.superblock.is_none() {
            let wb_err = ErrSeq::default();
            upper.superblock = Some(Superblock { instance, wb_err, read_only: false, frozen: false });
            upper.changed();
        }
        upper.witness = Some(errseq_sample(&upper.superblock()?.wb_err));
        Ok(())
    }

    fn unmount_upper(&mut self, disk: Disk, lazy: bool) -> ModelResult<Expectation> {
        let held = self.holds(disk, FileLocation::Upper);
        let upper = self.upper(disk)?;
        upper.at_mount()?;
        upper.witness = None;
        if held && !lazy {
            return Ok(Expectation::Fails(libc::EBUSY));
        }
        // Overlays have a mount of their own, and so keep the superblock, not this mount.
        upper.reach.remove(&AccessPath::Mount);
        self.detach(disk, FileLocation::Upper);
        self.drop_unused()?;
        Ok(Expectation::Done)
    }

    pub(super) fn on_overlay(&mut self, op: &Op) -> ModelResult<Expectation> {
        match op {
            Op::MountOverlay { disk, layers, mode, via, options } => {
                self.mount_overlay(*disk, asked(*disk, *layers, *mode, options)?, *via)
            }
            Op::UnmountOverlay { disk, layers, lazy } => self.unmount_overlay(*disk, *layers, *lazy),
            Op::RemountOverlay { disk, options } => {
                let overlay =
                    self.overlays.get_mut(&(*disk, LayerSet::First)).ok_or(OutOfModel("there is no overlay"))?;
                if overlay.mode == Mode::Durable {
                    return Err(OutOfModel(
                        "nothing is said about durable overlays that are mounted with other options",
                    ));
                }
                overlay.read_only = options == "ro";
                Ok(if overlay.read_only { Expectation::MountedReadOnly } else { Expectation::Mounted })
            }
            Op::Cycle { disk, times } => {
                for _ in 0..*times {
                    if self.mount_overlay(*disk, volatile(LayerSet::First), AccessPath::Mount)? != Expectation::Mounted
                    {
                        return Ok(Expectation::Differs);
                    }
                    self.unmount_overlay(*disk, LayerSet::First, false)?;
                }
                Ok(Expectation::Done)
            }
            // One takes the lock. Where even that one is refused, so is each.
            Op::Race { disk, mounts } => {
                let alone = self.mount_overlay(*disk, volatile(LayerSet::First), AccessPath::Mount)?;
                if alone != Expectation::Mounted {
                    return Ok(alone);
                }
                self.unmount_overlay(*disk, LayerSet::First, false)?;
                Ok(Expectation::OneWins { others: mounts - 1, reason: Reason::InUse })
            }
            Op::ForgeMany { disk, .. } => {
                let upper = self.upper(*disk)?;
                upper.at_mount()?;
                let marker = upper.work(LayerSet::First).marker.as_mut().ok_or(OutOfModel("there is no marker"))?;
                match marker.xattr {
                    Xattr::Missing => return Ok(Expectation::Fails(0)),
                    Xattr::Written(_) => {}
                    _ => return Err(OutOfModel("what is forged has to be real")),
                }
                marker.touched += 1;
                upper.changed();
                Ok(Expectation::Done)
            }
            _ => Err(OutOfModel("the model does not know this operation")),
        }
    }

    fn mount_overlay(&mut self, disk: Disk, asked: MountRequest, via: AccessPath) -> ModelResult<Expectation> {
        let number = self.number();
        if self.is_mounted(disk, asked.layers) {
            return Err(OutOfModel("there is an overlay already where it would be mounted"));
        }
        let kernel = self.kernel;
        let shared = self.every_overlay_on(disk).any(|overlay| overlay.shares_with(asked));
        let upper = self.upper(disk)?;
        if matches!(upper.fault, Some(Fault::Everything | Fault::Writes)) {
            return Err(OutOfModel("whether a mount must ask the disk for anything is the filesystem's business"));
        }
        let outcome = overlay::outcome(kernel, upper, asked, via)?;
        if matches!(outcome, Expectation::Mounted | Expectation::MountedReadOnly) {
            let mut overlay = overlay::mount(kernel, upper, asked, number)?;
            if shared {
                overlay.shared = true;
                let others =
                    self.overlays.iter_mut().filter(|((on, _), other)| *on == disk && other.shares_with(asked));
                others.for_each(|(_, other)| other.shared = true);
            }
            self.overlays.insert((disk, asked.layers), overlay);
        }
        Ok(outcome)
    }

    fn unmount_overlay(&mut self, disk: Disk, layers: LayerSet, lazy: bool) -> ModelResult<Expectation> {
        let held = layers == LayerSet::First && self.holds(disk, FileLocation::Overlay);
        if !self.is_mounted(disk, layers) {
            return Err(OutOfModel("there is no overlay"));
        }
        if held && !lazy {
            return Ok(Expectation::Fails(libc::EBUSY));
        }
        if let Some(overlay) = self.overlays.remove(&(disk, layers)) {
            if held {
                self.detached.push((disk, overlay));
                self.detach(disk, FileLocation::Overlay);
            } else {
                overlay::unmount(self.upper(disk)?, overlay)?;
            }
        }
        self.drop_unused()?;
        Ok(Expectation::Done)
    }
}

fn volatile(layers: LayerSet) -> MountRequest {
    MountRequest { layers, work: layers, mode: Mode::Volatile, index: false, read_only: false }
}

/// Options that have a say in whether an overlay is mounted.
fn asked(disk: Disk, layers: LayerSet, mode: Mode, options: &str) -> ModelResult<MountRequest> {
    const NO_MATTER: [&str; 5] = ["", "nfs_export=on", "metacopy=on", "redirect_dir=on", "xino=on"];
    if layers == LayerSet::LowerOnly {
        return Err(OutOfModel("there is nothing to reuse without an upper"));
    }
    let mut asked = MountRequest { layers, work: layers, mode, index: false, read_only: false };
    for option in options.split(',') {
        match option {
            "index=on" => asked.index = true,
            "ro" => asked.read_only = true,
            // What is left in the index would be another's.
            BORROWED_WORK if disk == Disk::A && !options.contains("index") => asked.work = LayerSet::First,
            _ if NO_MATTER.contains(&option) || option.starts_with("lowerdir=") => {}
            _ => return Err(OutOfModel("the model knows no other options")),
        }
    }
    Ok(asked)
}

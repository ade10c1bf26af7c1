// SPDX-License-Identifier: MIT OR Apache-2.0
//! Operations that mount and unmount: upper filesystems and overlays.

use vremount_machine::image::Fs;
use vremount_protocol::{Disk, Fault, Layers, Mode, Op, Place, Via};

use crate::model::errseq::{ErrSeq, errseq_sample};
use crate::model::marker::{Instance, Xattr};
use crate::model::overlay::Asked;
use crate::model::state::World;
use crate::model::upper::Superblock;
use crate::model::{Beyond, Outlook, overlay};
use crate::refusal_reason::Reason;
use crate::{BORROWED_WORK, Want};

impl World {
    pub(super) fn on_superblock(&mut self, disk: Disk, op: &Op) -> Outlook<Want> {
        match op {
            Op::MountUpper { .. } => self.mount_upper(disk)?,
            Op::UnmountUpper { lazy, .. } => return self.unmount_upper(disk, *lazy),
            Op::RemountUpper { options, .. } => {
                if self.overlays_on(disk) > 0 {
                    return Err(Beyond("an overlay may be writing"));
                }
                let upper = self.upper(disk)?;
                upper.at_mount()?;
                match options.as_str() {
                    "ro" => {
                        upper.write_back()?;
                        upper.superblock()?.read_only = true;
                    }
                    "rw" => upper.superblock()?.read_only = false,
                    _ => return Err(Beyond("the model knows no other options")),
                }
            }
            Op::Reach { via, .. } => {
                let upper = self.upper(disk)?;
                upper.at_mount()?;
                if *via == Via::Again && !upper.fs.on_disk() {
                    return Err(Beyond("each mount of it is another filesystem, in memory"));
                }
                if !upper.reach.insert(*via) {
                    return Err(Beyond("it can be reached that way already"));
                }
                if *via == Via::Moved {
                    upper.reach.remove(&Via::Mount);
                }
            }
            Op::Unreach { via, .. } => {
                let upper = self.upper(disk)?;
                if !upper.reach.remove(via) {
                    return Err(Beyond("it cannot be reached that way"));
                }
                if *via == Via::Moved {
                    upper.reach.insert(Via::Mount);
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
            _ => return Err(Beyond("the model does not know this operation")),
        }
        Ok(Want::Done)
    }

    /// A device that still has a superblock is mounted as that.
    fn mount_upper(&mut self, disk: Disk) -> Outlook<()> {
        let instance = Instance(self.number());
        let elsewhere = self.uppers.iter().any(|(on, upper)| *on != disk && upper.changes > 0);
        if matches!(self.fs, Fs::Btrfs | Fs::BtrfsSubvolume) && elsewhere {
            return Err(Beyond("a filesystem that is known by its UUID is not mounted from a copy of its device"));
        }
        let upper = self.upper(disk)?;
        if !matches!(upper.fault, None | Some(Fault::Data { .. })) {
            return Err(Beyond(
                "what a filesystem does with a disk that fails while it is mounted is its own business",
            ));
        }
        if !upper.fs.on_disk() && upper.superblock.is_some() {
            return Err(Beyond("each mount of it is another filesystem, in memory"));
        }
        if !upper.reach.insert(Via::Mount) {
            return Err(Beyond("it is mounted already"));
        }
        if upper.superblock.as_ref().is_some_and(|superblock| superblock.read_only) {
            return Err(Beyond("one superblock is not read-only for one mount and writable for another"));
        }
        if upper.superblock.is_none() {
            let wb_err = ErrSeq::default();
            upper.superblock = Some(Superblock { instance, wb_err, read_only: false, frozen: false });
            upper.changed();
        }
        upper.witness = Some(errseq_sample(&upper.superblock()?.wb_err));
        Ok(())
    }

    fn unmount_upper(&mut self, disk: Disk, lazy: bool) -> Outlook<Want> {
        let held = self.holds(disk, Place::Upper);
        let upper = self.upper(disk)?;
        upper.at_mount()?;
        upper.witness = None;
        if held && !lazy {
            return Ok(Want::Fails(libc::EBUSY));
        }
        // Overlays have a mount of their own, and so keep the superblock, not this mount.
        upper.reach.remove(&Via::Mount);
        self.detach(disk, Place::Upper);
        self.drop_unused()?;
        Ok(Want::Done)
    }

    pub(super) fn on_overlay(&mut self, op: &Op) -> Outlook<Want> {
        match op {
            Op::MountOverlay { disk, layers, mode, via, options } => {
                self.mount_overlay(*disk, asked(*disk, *layers, *mode, options)?, *via)
            }
            Op::UnmountOverlay { disk, layers, lazy } => self.unmount_overlay(*disk, *layers, *lazy),
            Op::RemountOverlay { disk, options } => {
                let overlay = self.overlays.get_mut(&(*disk, Layers::First)).ok_or(Beyond("there is no overlay"))?;
                if overlay.mode == Mode::Durable {
                    return Err(Beyond("nothing is said about durable overlays that are mounted with other options"));
                }
                overlay.read_only = options == "ro";
                Ok(if overlay.read_only { Want::MountedReadOnly } else { Want::Mounted })
            }
            Op::Cycle { disk, times } => {
                for _ in 0..*times {
                    if self.mount_overlay(*disk, volatile(Layers::First), Via::Mount)? != Want::Mounted {
                        return Ok(Want::Differs);
                    }
                    self.unmount_overlay(*disk, Layers::First, false)?;
                }
                Ok(Want::Done)
            }
            // One takes the lock. Where even that one is refused, so is each.
            Op::Race { disk, mounts } => {
                let alone = self.mount_overlay(*disk, volatile(Layers::First), Via::Mount)?;
                if alone != Want::Mounted {
                    return Ok(alone);
                }
                self.unmount_overlay(*disk, Layers::First, false)?;
                Ok(Want::OneWins { others: mounts - 1, reason: Reason::InUse })
            }
            Op::ForgeMany { disk, .. } => {
                let upper = self.upper(*disk)?;
                upper.at_mount()?;
                let marker = upper.work(Layers::First).marker.as_mut().ok_or(Beyond("there is no marker"))?;
                match marker.xattr {
                    Xattr::Missing => return Ok(Want::Fails(0)),
                    Xattr::Written(_) => {}
                    _ => return Err(Beyond("what is forged has to be real")),
                }
                marker.touched += 1;
                upper.changed();
                Ok(Want::Done)
            }
            _ => Err(Beyond("the model does not know this operation")),
        }
    }

    fn mount_overlay(&mut self, disk: Disk, asked: Asked, via: Via) -> Outlook<Want> {
        let number = self.number();
        if self.is_mounted(disk, asked.layers) {
            return Err(Beyond("there is an overlay already where it would be mounted"));
        }
        let kernel = self.kernel;
        let shared = self.every_overlay_on(disk).any(|overlay| overlay.shares_with(asked));
        let upper = self.upper(disk)?;
        if matches!(upper.fault, Some(Fault::Everything | Fault::Writes)) {
            return Err(Beyond("whether a mount must ask the disk for anything is the filesystem's business"));
        }
        let outcome = overlay::outcome(kernel, upper, asked, via)?;
        if matches!(outcome, Want::Mounted | Want::MountedReadOnly) {
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

    fn unmount_overlay(&mut self, disk: Disk, layers: Layers, lazy: bool) -> Outlook<Want> {
        let held = layers == Layers::First && self.holds(disk, Place::Overlay);
        if !self.is_mounted(disk, layers) {
            return Err(Beyond("there is no overlay"));
        }
        if held && !lazy {
            return Ok(Want::Fails(libc::EBUSY));
        }
        if let Some(overlay) = self.overlays.remove(&(disk, layers)) {
            if held {
                self.detached.push((disk, overlay));
                self.detach(disk, Place::Overlay);
            } else {
                overlay::unmount(self.upper(disk)?, overlay)?;
            }
        }
        self.drop_unused()?;
        Ok(Want::Done)
    }
}

fn volatile(layers: Layers) -> Asked {
    Asked { layers, work: layers, mode: Mode::Volatile, index: false, read_only: false }
}

/// Options that have a say in whether an overlay is mounted.
fn asked(disk: Disk, layers: Layers, mode: Mode, options: &str) -> Outlook<Asked> {
    const NO_MATTER: [&str; 5] = ["", "nfs_export=on", "metacopy=on", "redirect_dir=on", "xino=on"];
    if layers == Layers::LowerOnly {
        return Err(Beyond("there is nothing to reuse without an upper"));
    }
    let mut asked = Asked { layers, work: layers, mode, index: false, read_only: false };
    for option in options.split(',') {
        match option {
            "index=on" => asked.index = true,
            "ro" => asked.read_only = true,
            // What is left in the index would be another's.
            BORROWED_WORK if disk == Disk::A && !options.contains("index") => asked.work = Layers::First,
            _ if NO_MATTER.contains(&option) || option.starts_with("lowerdir=") => {}
            _ => return Err(Beyond("the model knows no other options")),
        }
    }
    Ok(asked)
}

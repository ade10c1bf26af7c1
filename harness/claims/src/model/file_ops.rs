// SPDX-License-Identifier: MIT OR Apache-2.0
//! Operations on what is in an upper filesystem: files, work directories, and what was remembered of them.

use vremount_protocol::{Disk, Elsewhere, Fault, Forgery, Impostor, Layers, Op, Place, Scope};

use crate::Want;
use crate::model::marker::{BYTES, BYTES_WITHOUT_ERRSEQ, Xattr};
use crate::model::page_cache::{Data, EIO, FAULT, File, MISSING, OnDisk};
use crate::model::state::{Held, World, fails};
use crate::model::upper::Work;
use crate::model::{Beyond, Outlook};

/// The two names of one file of the lower layer, which are one with `index=on` alone.
const LOWER_NAMES: [&str; 2] = ["data/lower-file", "data/lower-link"];

impl World {
    pub(super) fn on_file(&mut self, disk: Disk, op: &Op) -> Outlook<Want> {
        match op {
            Op::Write { layers, place, file, bytes, seed, .. } => {
                let data = Data { bytes: *bytes, seed: *seed };
                self.write(disk, *layers, *place, file, data)
            }
            Op::WriteDirect { file, bytes, seed, .. } => {
                let path = self.in_overlay(disk, Layers::First, file)?;
                let upper = self.upper(disk)?;
                let broken = upper.unreadable(Layers::First, path) || upper.fault == Some(Fault::Writes);
                upper.write_back_file(Layers::First, path)?;
                let file = upper.file(Layers::First, path).ok_or(MISSING)?;
                file.cached = None;
                if broken {
                    // Told to who wrote it, and to nobody else.
                    return Ok(Want::Fails(libc::EIO));
                }
                file.disk = OnDisk::Data(Data { bytes: *bytes, seed: *seed });
                upper.changes += 1;
                Ok(Want::Done)
            }
            Op::Compare { layers, file, bytes, seed, .. } => {
                let path = self.in_overlay(disk, *layers, file)?;
                let upper = self.upper(disk)?;
                let broken = upper.unreadable(*layers, path);
                let Some(file) = upper.file(*layers, path) else { return Ok(Want::Fails(libc::ENOENT)) };
                Ok(compared(file.read(broken)?, Data { bytes: *bytes, seed: *seed }))
            }
            Op::CompareOnDisk { file, bytes, seed, .. } => {
                let upper = self.upper(disk)?;
                upper.at_mount()?;
                let broken = upper.unreadable(Layers::First, file);
                upper.write_back_file(Layers::First, file)?;
                let file = upper.file(Layers::First, file).ok_or(MISSING)?;
                let mut on_disk = File { cached: None, ..file.clone() };
                Ok(compared(on_disk.read(broken)?, Data { bytes: *bytes, seed: *seed }))
            }
            Op::HoldFile { place, file, .. } => self.hold(disk, *place, file),
            Op::WriteBackData { file, .. } => {
                let upper = self.upper(disk)?;
                upper.at_mount()?;
                Ok(fails(upper.sync_file_range(file)?))
            }
            Op::FsyncUpperFile { file, .. } => {
                let upper = self.upper(disk)?;
                upper.at_mount()?;
                let told = upper.fsync(file)?;
                // A flush that failed is told, and not recorded.
                Ok(fails(if upper.fault == Some(Fault::Flush) { -EIO } else { told }))
            }
            _ => Err(Beyond("the model does not know this operation")),
        }
    }

    fn write(&mut self, disk: Disk, layers: Layers, place: Place, file: &str, data: Data) -> Outlook<Want> {
        let path = match place {
            Place::Overlay => self.in_overlay(disk, layers, file)?,
            Place::Upper => file,
        };
        let directories = if place == Place::Upper { Layers::First } else { layers };
        if place == Place::Overlay && self.overlays.get(&(disk, layers)).is_some_and(|overlay| overlay.read_only) {
            return Err(Beyond("the overlay is read-only"));
        }
        let upper = self.upper(disk)?;
        let superblock = if place == Place::Upper { upper.at_mount()? } else { upper.superblock()? };
        if superblock.frozen {
            return Err(Beyond("who writes to a frozen filesystem waits"));
        }
        if superblock.read_only {
            return Ok(Want::Fails(libc::EROFS));
        }
        if matches!(upper.fault, Some(Fault::Everything)) {
            return Err(Beyond("whether a write must read from the disk is the filesystem's business"));
        }
        let key = (super::upper::directories(directories), path.to_string());
        if !upper.files.contains_key(&key) {
            upper.settled = false;
        }
        upper.files.entry(key).or_insert_with(File::new).write(data);
        upper.changes += 1;
        Ok(Want::Done)
    }

    /// The name that a file of an overlay has in its upper directory.
    fn in_overlay<'a>(&self, disk: Disk, layers: Layers, file: &'a str) -> Outlook<&'a str> {
        let overlay = self.overlays.get(&(disk, layers)).ok_or(Beyond("there is no overlay"))?;
        if overlay.shared {
            return Err(Beyond("two overlays share their directories, and what files come to is undefined"));
        }
        match LOWER_NAMES.contains(&file) {
            true if overlay.index => Ok(LOWER_NAMES[0]),
            _ => Ok(file),
        }
    }

    fn hold(&mut self, disk: Disk, place: Place, path: &str) -> Outlook<Want> {
        if place == Place::Overlay {
            self.in_overlay(disk, Layers::First, path)?;
        }
        let upper = self.upper(disk)?;
        if place == Place::Upper {
            upper.at_mount()?;
        }
        if matches!(upper.fault, Some(Fault::Everything)) {
            return Err(FAULT);
        }
        upper.file(Layers::First, path).ok_or(MISSING)?;
        self.held.push(Held { disk, place, detached: false });
        Ok(Want::Done)
    }

    pub(super) fn on_work(&mut self, disk: Disk, op: &Op) -> Outlook<Want> {
        let bytes = if self.kernel.checks_errors() { BYTES } else { BYTES_WITHOUT_ERRSEQ };
        let of_other = match op {
            Op::Forge { forgery: Forgery::Of(other, layers), .. } => {
                let marker = self.upper(*other)?.work(*layers).marker.as_ref();
                Some(marker.ok_or(Beyond("the other overlay has no marker"))?.xattr)
            }
            _ => None,
        };
        let in_use = self.overlays_of(disk, Layers::First) > 0 || !self.held.is_empty();
        let upper = self.upper(disk)?;
        if !upper.fs.has_xattrs() && matches!(op, Op::Forge { .. }) {
            return Err(Beyond("the filesystem has no xattrs"));
        }
        if upper.at_mount()?.read_only {
            return Err(Beyond("the upper filesystem is read-only"));
        }
        let broken = upper.fault.is_some();
        let work = upper.work(Layers::First);
        match op {
            Op::FreshUpper { .. } if in_use => return Err(Beyond("its files are in use")),
            Op::FreshUpper { .. } if broken => return Err(Beyond("which file gets the broken blocks is open")),
            Op::FreshUpper { .. } => {
                *work = Work::default();
                upper.files.retain(|(layers, _), _| *layers != Layers::First);
            }
            Op::RemoveMarker { .. } if work.marker.is_none() => return Ok(Want::Fails(libc::ENOENT)),
            Op::RemoveMarker { .. } if work.marker.as_ref().is_some_and(|marker| marker.impostor) => {
                return Err(Beyond("what takes the place of a marker is not removed like one"));
            }
            Op::RemoveMarker { .. } => work.marker = None,
            Op::Forge { .. } if work.marker.is_none() => return Ok(Want::Fails(libc::ENOENT)),
            Op::Forge { forgery, .. } => {
                if let Some(marker) = &mut work.marker {
                    if marker.impostor {
                        return Err(Beyond("what takes the place of a marker may take no xattr"));
                    }
                    let before = marker.xattr;
                    marker.forge(*forgery, bytes, || of_other.ok_or(Beyond("there is no other disk")))?;
                    // Its new place is no place for it, but must be known to who removes it.
                    if matches!(forgery, Forgery::MoveTo(Elsewhere::Dirty | Elsewhere::Incompat)) {
                        marker.xattr = Xattr::Missing;
                    }
                    if before == Xattr::Missing && matches!(forgery, Forgery::Remove | Forgery::MoveTo(_)) {
                        return Ok(Want::Done);
                    }
                }
            }
            Op::ReplaceMarker { .. } if work.marker.is_none() => return Ok(Want::Fails(libc::ENOENT)),
            Op::ReplaceMarker { with: Impostor::UpperCase, .. } => {
                work.marker = None;
                work.features.insert("VOLATILE".to_string());
            }
            Op::ReplaceMarker { with: Impostor::IncompatFile, .. } => {
                work.marker = None;
                work.features.clear();
            }
            Op::ReplaceMarker { .. } => {
                if let Some(marker) = &mut work.marker {
                    marker.impostor = true;
                    marker.touched += 1;
                }
            }
            Op::MakeIncompat { name, .. } if name.is_empty() => {}
            Op::MakeIncompat { name, .. } => drop(work.features.insert(name.clone())),
            Op::RemoveIncompat { name, .. } if name.contains('/') => {}
            Op::RemoveIncompat { name, .. } if !work.features.remove(name) => return Ok(Want::Fails(libc::ENOENT)),
            Op::RemoveIncompat { .. } => {}
            Op::LeaveBehind { .. } => work.left_behind = true,
            Op::RemoveLeftBehind { .. } if !work.left_behind => return Ok(Want::Fails(libc::ENOENT)),
            Op::RemoveLeftBehind { .. } => work.left_behind = false,
            _ => return Err(Beyond("the model does not know this operation")),
        }
        upper.changed();
        Ok(Want::Done)
    }

    pub(super) fn on_snapshot(&mut self, op: &Op) -> Outlook<Want> {
        let (Op::Snapshot { disk, scope } | Op::SameAsSnapshot { disk, scope }) = op else {
            return Err(Beyond("the model does not know this operation"));
        };
        let upper = self.upper(*disk)?;
        upper.at_mount()?;
        match scope {
            Scope::Tree => {
                // To look is to read every file.
                let keys: Vec<_> = upper.files.keys().cloned().collect();
                for (layers, path) in keys {
                    let broken = upper.unreadable(layers, &path);
                    let known =
                        upper.file(layers, &path).filter(|file| file.cached.is_some() || file.disk != OnDisk::Unknown);
                    let read = known.map(|file| file.read(broken)).transpose()?;
                    if read.is_some_and(|read| read.is_err()) {
                        return Err(Beyond("a file cannot be read"));
                    }
                }
                let changes = upper.changes;
                if let Op::Snapshot { .. } = op {
                    self.trees.insert(*disk, changes);
                    return Ok(Want::Done);
                }
                match self.trees.get(disk) {
                    Some(before) if *before == changes => Ok(Want::Done),
                    _ => Err(Beyond("what else changes with a change is open")),
                }
            }
            Scope::Marker => {
                if matches!(op, Op::SameAsSnapshot { .. }) && !self.markers.contains_key(disk) {
                    return Err(Beyond("nothing was remembered"));
                }
                let upper = self.upper(*disk)?;
                let Some(marker) = &upper.work(Layers::First).marker else { return Ok(Want::Fails(libc::ENOENT)) };
                let now = (marker.made, marker.touched, marker.xattr);
                if let Op::Snapshot { .. } = op {
                    self.markers.insert(*disk, now);
                    return Ok(Want::Done);
                }
                match self.markers.get(disk) {
                    Some(before) if *before == now => Ok(Want::Done),
                    Some((_, _, xattr)) if *xattr != now.2 => Ok(Want::Differs),
                    _ => Err(Beyond("whether another marker looks the same is open")),
                }
            }
        }
    }
}

fn compared(read: Result<Option<Data>, i32>, expected: Data) -> Want {
    match read {
        Err(errno) => Want::Fails(errno),
        Ok(Some(data)) if data == expected => Want::Done,
        Ok(_) => Want::Differs,
    }
}

// SPDX-License-Identifier: MIT OR Apache-2.0
//! Operations on what is in an upper filesystem: files, work directories, and what was remembered of them.

use vremount_protocol::{
    CheckpointTamper, Disk, Fault, FileLocation, LayerSet, MarkerReplacement, Op, SnapshotScope, XattrLocation,
};

use crate::Expectation;
use crate::model::marker::{BYTES, BYTES_WITHOUT_ERRSEQ, Xattr};
use crate::model::page_cache::{Data, EIO, FAULT, File, MISSING, OnDisk};
use crate::model::state::{ModelState, OpenFile, fails};
use crate::model::upper::WorkDirState;
use crate::model::{ModelResult, OutOfModel};

/// The two names of one file of the lower layer, which are one with `index=on` alone.
const LOWER_NAMES: [&str; 2] = ["data/lower-file", "data/lower-link"];

impl ModelState {
    pub(super) fn on_file(&mut self, disk: Disk, op: &Op) -> ModelResult<Expectation> {
        match op {
            Op::Write { layers, place, file, bytes, seed, .. } => {
                let data = Data { bytes: *bytes, seed: *seed };
                self.write(disk, *layers, *place, file, data)
            }
            Op::WriteDirect { file, bytes, seed, .. } => {
                let path = self.in_overlay(disk, LayerSet::First, file)?;
                let upper = self.upper(disk)?;
                let broken = upper.unreadable(LayerSet::First, path) || upper.fault == Some(Fault::Writes);
                upper.write_back_file(LayerSet::First, path)?;
                let file = upper.file(LayerSet::First, path).ok_or(MISSING)?;
                file.cached = None;
                if broken {
                    // Told to who wrote it, and to nobody else.
                    return Ok(Expectation::Fails(libc::EIO));
                }
                file.disk = OnDisk::Data(Data { bytes: *bytes, seed: *seed });
                upper.changes += 1;
                Ok(Expectation::Done)
            }
            Op::Compare { layers, file, bytes, seed, .. } => {
                let path = self.in_overlay(disk, *layers, file)?;
                let upper = self.upper(disk)?;
                let broken = upper.unreadable(*layers, path);
                let Some(file) = upper.file(*layers, path) else { return Ok(Expectation::Fails(libc::ENOENT)) };
                Ok(compared(file.read(broken)?, Data { bytes: *bytes, seed: *seed }))
            }
            Op::CompareOnDisk { file, bytes, seed, .. } => {
                let upper = self.upper(disk)?;
                upper.at_mount()?;
                let broken = upper.unreadable(LayerSet::First, file);
                upper.write_back_file(LayerSet::First, file)?;
                let file = upper.file(LayerSet::First, file).ok_or(MISSING)?;
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
            _ => Err(OutOfModel("the model does not know this operation")),
        }
    }

    fn write(
        &mut self,
        disk: Disk,
        layers: LayerSet,
        place: FileLocation,
        file: &str,
        data: Data,
    ) -> ModelResult<Expectation> {
        let path = match place {
            FileLocation::Overlay => self.in_overlay(disk, layers, file)?,
            FileLocation::Upper => file,
        };
        let directories = if place == FileLocation::Upper { LayerSet::First } else { layers };
        if place == FileLocation::Overlay && self.overlays.get(&(disk, layers)).is_some_and(|overlay| overlay.read_only)
        {
            return Err(OutOfModel("the overlay is read-only"));
        }
        let upper = self.upper(disk)?;
        let superblock = if place == FileLocation::Upper { upper.at_mount()? } else { upper.superblock()? };
        if superblock.frozen {
            return Err(OutOfModel("who writes to a frozen filesystem waits"));
        }
        if superblock.read_only {
            return Ok(Expectation::Fails(libc::EROFS));
        }
        if matches!(upper.fault, Some(Fault::Everything)) {
            return Err(OutOfModel("whether a write must read from the disk is the filesystem's business"));
        }
        let key = (super::upper::directories(directories), path.to_string());
        if !upper.files.contains_key(&key) {
            upper.settled = false;
        }
        upper.files.entry(key).or_insert_with(File::new).write(data);
        upper.changes += 1;
        Ok(Expectation::Done)
    }

    /// The name that a file of an overlay has in its upper directory.
    fn in_overlay<'a>(&self, disk: Disk, layers: LayerSet, file: &'a str) -> ModelResult<&'a str> {
        let overlay = self.overlays.get(&(disk, layers)).ok_or(OutOfModel("there is no overlay"))?;
        if overlay.shared {
            return Err(OutOfModel("two overlays share their directories, and what files come to is undefined"));
        }
        match LOWER_NAMES.contains(&file) {
            true if overlay.index => Ok(LOWER_NAMES[0]),
            _ => Ok(file),
        }
    }

    fn hold(&mut self, disk: Disk, place: FileLocation, path: &str) -> ModelResult<Expectation> {
        if place == FileLocation::Overlay {
            self.in_overlay(disk, LayerSet::First, path)?;
        }
        let upper = self.upper(disk)?;
        if place == FileLocation::Upper {
            upper.at_mount()?;
        }
        if matches!(upper.fault, Some(Fault::Everything)) {
            return Err(FAULT);
        }
        upper.file(LayerSet::First, path).ok_or(MISSING)?;
        self.held.push(OpenFile { disk, place, detached: false });
        Ok(Expectation::Done)
    }

    pub(super) fn on_work(&mut self, disk: Disk, op: &Op) -> ModelResult<Expectation> {
        let bytes = if self.kernel.checks_errors() { BYTES } else { BYTES_WITHOUT_ERRSEQ };
        let of_other = match op {
            Op::Forge { forgery: CheckpointTamper::Of(other, layers), .. } => {
                let marker = self.upper(*other)?.work(*layers).marker.as_ref();
                Some(marker.ok_or(OutOfModel("the other overlay has no marker"))?.xattr)
            }
            _ => None,
        };
        let in_use = self.overlays_of(disk, LayerSet::First) > 0 || !self.held.is_empty();
        let upper = self.upper(disk)?;
        if !upper.fs.has_xattrs() && matches!(op, Op::Forge { .. }) {
            return Err(OutOfModel("the filesystem has no xattrs"));
        }
        if upper.at_mount()?.read_only {
            return Err(OutOfModel("the upper filesystem is read-only"));
        }
        let broken = upper.fault.is_some();
        let work = upper.work(LayerSet::First);
        match op {
            Op::FreshUpper { .. } if in_use => return Err(OutOfModel("its files are in use")),
            Op::FreshUpper { .. } if broken => return Err(OutOfModel("which file gets the broken blocks is open")),
            Op::FreshUpper { .. } => {
                *work = WorkDirState::default();
                upper.files.retain(|(layers, _), _| *layers != LayerSet::First);
            }
            Op::RemoveMarker { .. } if work.marker.is_none() => return Ok(Expectation::Fails(libc::ENOENT)),
            Op::RemoveMarker { .. } if work.marker.as_ref().is_some_and(|marker| marker.impostor) => {
                return Err(OutOfModel("what takes the place of a marker is not removed like one"));
            }
            Op::RemoveMarker { .. } => work.marker = None,
            Op::Forge { .. } if work.marker.is_none() => return Ok(Expectation::Fails(libc::ENOENT)),
            Op::Forge { forgery, .. } => {
                if let Some(marker) = &mut work.marker {
                    if marker.impostor {
                        return Err(OutOfModel("what takes the place of a marker may take no xattr"));
                    }
                    let before = marker.xattr;
                    marker.forge(*forgery, bytes, || of_other.ok_or(OutOfModel("there is no other disk")))?;
                    // Its new place is no place for it, but must be known to who removes it.
                    if matches!(forgery, CheckpointTamper::MoveTo(XattrLocation::Dirty | XattrLocation::Incompat)) {
                        marker.xattr = Xattr::Missing;
                    }
                    if before == Xattr::Missing
                        && matches!(forgery, CheckpointTamper::Remove | CheckpointTamper::MoveTo(_))
                    {
                        return Ok(Expectation::Done);
                    }
                }
            }
            Op::ReplaceMarker { .. } if work.marker.is_none() => return Ok(Expectation::Fails(libc::ENOENT)),
            Op::ReplaceMarker { with: MarkerReplacement::UpperCase, .. } => {
                work.marker = None;
                work.features.insert("VOLATILE".to_string());
            }
            Op::ReplaceMarker { with: MarkerReplacement::IncompatFile, .. } => {
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
            Op::RemoveIncompat { name, .. } if !work.features.remove(name) => {
                return Ok(Expectation::Fails(libc::ENOENT));
            }
            Op::RemoveIncompat { .. } => {}
            Op::LeaveBehind { .. } => work.left_behind = true,
            Op::RemoveLeftBehind { .. } if !work.left_behind => return Ok(Expectation::Fails(libc::ENOENT)),
            Op::RemoveLeftBehind { .. } => work.left_behind = false,
            _ => return Err(OutOfModel("the model does not know this operation")),
        }
        upper.changed();
        Ok(Expectation::Done)
    }

    pub(super) fn on_snapshot(&mut self, op: &Op) -> ModelResult<Expectation> {
        let (Op::Snapshot { disk, scope } | Op::SameAsSnapshot { disk, scope }) = op else {
            return Err(OutOfModel("the model does not know this operation"));
        };
        let upper = self.upper(*disk)?;
        upper.at_mount()?;
        match scope {
            SnapshotScope::Tree => {
                // To look is to read every file.
                let keys: Vec<_> = upper.files.keys().cloned().collect();
                for (layers, path) in keys {
                    let broken = upper.unreadable(layers, &path);
                    let known =
                        upper.file(layers, &path).filter(|file| file.cached.is_some() || file.disk != OnDisk::Unknown);
                    let read = known.map(|file| file.read(broken)).transpose()?;
                    if read.is_some_and(|read| read.is_err()) {
                        return Err(OutOfModel("a file cannot be read"));
                    }
                }
                let changes = upper.changes;
                if let Op::Snapshot { .. } = op {
                    self.trees.insert(*disk, changes);
                    return Ok(Expectation::Done);
                }
                match self.trees.get(disk) {
                    Some(before) if *before == changes => Ok(Expectation::Done),
                    _ => Err(OutOfModel("what else changes with a change is open")),
                }
            }
            SnapshotScope::Marker => {
                if matches!(op, Op::SameAsSnapshot { .. }) && !self.markers.contains_key(disk) {
                    return Err(OutOfModel("nothing was remembered"));
                }
                let upper = self.upper(*disk)?;
                let Some(marker) = &upper.work(LayerSet::First).marker else {
                    return Ok(Expectation::Fails(libc::ENOENT));
                };
                let now = (marker.made, marker.touched, marker.xattr);
                if let Op::Snapshot { .. } = op {
                    self.markers.insert(*disk, now);
                    return Ok(Expectation::Done);
                }
                match self.markers.get(disk) {
                    Some(before) if *before == now => Ok(Expectation::Done),
                    Some((_, _, xattr)) if *xattr != now.2 => Ok(Expectation::Differs),
                    _ => Err(OutOfModel("whether another marker looks the same is open")),
                }
            }
        }
    }
}

fn compared(read: Result<Option<Data>, i32>, expected: Data) -> Expectation {
    match read {
        Err(errno) => Expectation::Fails(errno),
        Ok(Some(data)) if data == expected => Expectation::Done,
        Ok(_) => Expectation::Differs,
    }
}

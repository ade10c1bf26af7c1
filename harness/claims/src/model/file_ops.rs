// SPDX-License-Identifier: MIT OR Apache-2.0
//! Operations on files of an overlay or of its upper directory.

use vremount_protocol::{Disk, Fault, FileLocation, LayerSet, Op};

use crate::Expectation;
use crate::model::page_cache::{Data, EIO, File, OnDisk};
use crate::model::state::{ModelState, OpenFile, expect_errno};
use crate::model::upper::directories;
use crate::model::{ModelResult, OutOfModel};

/// Two hard links to one file of the lower layer. After copy-up they are still one file only with
/// `index=on`.
const LOWER_LINKS: [&str; 2] = ["data/lower-file", "data/lower-link"];

impl ModelState {
    pub(super) fn execute_on_file(&mut self, disk: Disk, op: &Op) -> ModelResult<Expectation> {
        match op {
            Op::Write { layers, location: place, file, bytes, seed, .. } => {
                let data = Data { bytes: *bytes, seed: *seed };
                self.write(disk, *layers, *place, file, data)
            }
            Op::WriteDirect { file, bytes, seed, .. } => {
                let path = self.upper_path(disk, LayerSet::First, file)?;
                let upper = self.upper(disk)?;
                let write_fails = upper.is_unreadable(LayerSet::First, path) || upper.fault == Some(Fault::Writes);
                upper.write_back_file(LayerSet::First, path)?;
                let file = upper.file(LayerSet::First, path).ok_or(OutOfModel::NO_FILE)?;
                file.cached = None;
                if write_fails {
                    // The kernel returns the error of a direct write to its caller and does not
                    // record it.
                    return Ok(Expectation::Fails(libc::EIO));
                }
                file.disk = OnDisk::Data(Data { bytes: *bytes, seed: *seed });
                upper.changes += 1;
                Ok(Expectation::Done)
            }
            Op::Compare { layers, file, bytes, seed, .. } => {
                let path = self.upper_path(disk, *layers, file)?;
                let upper = self.upper(disk)?;
                let unreadable = upper.is_unreadable(*layers, path);
                let Some(file) = upper.file(*layers, path) else { return Ok(Expectation::Fails(libc::ENOENT)) };
                Ok(compare(file.read(unreadable)?, Data { bytes: *bytes, seed: *seed }))
            }
            Op::CompareOnDisk { file, bytes, seed, .. } => {
                let upper = self.upper(disk)?;
                upper.superblock_at_mount_point()?;
                let unreadable = upper.is_unreadable(LayerSet::First, file);
                upper.write_back_file(LayerSet::First, file)?;
                let file = upper.file(LayerSet::First, file).ok_or(OutOfModel::NO_FILE)?;
                let mut on_disk = File { cached: None, ..file.clone() };
                Ok(compare(on_disk.read(unreadable)?, Data { bytes: *bytes, seed: *seed }))
            }
            Op::OpenFile { location: place, file, .. } => self.open_file(disk, *place, file),
            Op::WriteBackData { file, .. } => {
                let upper = self.upper(disk)?;
                upper.superblock_at_mount_point()?;
                Ok(expect_errno(upper.sync_file_range(file)?))
            }
            Op::FsyncUpperFile { file, .. } => {
                let upper = self.upper(disk)?;
                upper.superblock_at_mount_point()?;
                let errno = upper.fsync(file)?;
                // fsync(2) returns the error of a failed flush, and the kernel does not record it.
                Ok(expect_errno(if upper.fault == Some(Fault::Flush) { -EIO } else { errno }))
            }
            _ => Err(OutOfModel::UNKNOWN_OPERATION),
        }
    }

    fn write(
        &mut self,
        disk: Disk,
        layers: LayerSet,
        location: FileLocation,
        file: &str,
        data: Data,
    ) -> ModelResult<Expectation> {
        let (path, layers) = match location {
            FileLocation::Overlay => (self.upper_path(disk, layers, file)?, layers),
            FileLocation::Upper => (file, LayerSet::First),
        };
        let in_overlay = location == FileLocation::Overlay;
        if in_overlay && self.overlays.get(&(disk, layers)).is_some_and(|overlay| overlay.read_only) {
            return Err(OutOfModel::READ_ONLY_OVERLAY);
        }
        let upper = self.upper(disk)?;
        let superblock = if in_overlay { upper.superblock()? } else { upper.superblock_at_mount_point()? };
        if superblock.frozen {
            return Err(OutOfModel::WRITE_TO_FROZEN);
        }
        if superblock.read_only {
            return Ok(Expectation::Fails(libc::EROFS));
        }
        if matches!(upper.fault, Some(Fault::Everything)) {
            return Err(OutOfModel::WRITE_ON_FAILING_DISK);
        }
        let key = (directories(layers), path.to_string());
        if !upper.files.contains_key(&key) {
            upper.metadata_clean = false;
        }
        upper.files.entry(key).or_insert_with(File::new).write(data);
        upper.changes += 1;
        Ok(Expectation::Done)
    }

    /// Path in the upper directory of a file that is named by its path in an overlay.
    fn upper_path<'a>(&self, disk: Disk, layers: LayerSet, file: &'a str) -> ModelResult<&'a str> {
        let overlay = self.overlays.get(&(disk, layers)).ok_or(OutOfModel::NO_OVERLAY)?;
        if overlay.shared {
            return Err(OutOfModel::SHARED_DIRECTORIES);
        }
        match LOWER_LINKS.contains(&file) {
            true if overlay.index => Ok(LOWER_LINKS[0]),
            _ => Ok(file),
        }
    }

    fn open_file(&mut self, disk: Disk, location: FileLocation, path: &str) -> ModelResult<Expectation> {
        if location == FileLocation::Overlay {
            self.upper_path(disk, LayerSet::First, path)?;
        }
        let upper = self.upper(disk)?;
        if location == FileLocation::Upper {
            upper.superblock_at_mount_point()?;
        }
        if matches!(upper.fault, Some(Fault::Everything)) {
            return Err(OutOfModel::UNREADABLE_METADATA);
        }
        upper.file(LayerSet::First, path).ok_or(OutOfModel::NO_FILE)?;
        self.open_files.push(OpenFile { disk, location, detached: false });
        Ok(Expectation::Done)
    }
}

fn compare(read: Result<Option<Data>, i32>, expected: Data) -> Expectation {
    match read {
        Err(errno) => Expectation::Fails(errno),
        Ok(Some(data)) if data == expected => Expectation::Done,
        Ok(_) => Expectation::Differs,
    }
}

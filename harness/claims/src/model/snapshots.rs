// SPDX-License-Identifier: MIT OR Apache-2.0
//! Snapshots of an upper filesystem or of its marker, and comparisons with them.

use vremount_protocol::{Disk, LayerSet, Op, SnapshotScope};

use crate::Expectation;
use crate::model::marker::Xattr;
use crate::model::page_cache::{File, OnDisk};
use crate::model::state::ModelState;
use crate::model::upper::Upper;
use crate::model::{ModelResult, OutOfModel};

/// State of a marker at the time of a snapshot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct MarkerSnapshot {
    /// [`Marker::number`](crate::model::marker::Marker::number)
    number: u64,
    /// [`Marker::changes`](crate::model::marker::Marker::changes)
    changes: u32,
    xattr: Xattr,
}

impl ModelState {
    pub(super) fn execute_snapshot(&mut self, op: &Op) -> ModelResult<Expectation> {
        let (disk, scope, is_comparison) = match op {
            Op::Snapshot { disk, scope } => (*disk, scope, false),
            Op::CompareSnapshot { disk, scope } => (*disk, scope, true),
            _ => return Err(OutOfModel::UNKNOWN_OPERATION),
        };
        self.upper(disk)?.superblock_at_mount_point()?;
        match scope {
            SnapshotScope::Tree => self.snapshot_tree(disk, is_comparison),
            SnapshotScope::Marker => self.snapshot_marker(disk, is_comparison),
        }
    }

    fn snapshot_tree(&mut self, disk: Disk, is_comparison: bool) -> ModelResult<Expectation> {
        let upper = self.upper(disk)?;
        read_all_files(upper)?;
        let changes = upper.changes;
        if !is_comparison {
            self.tree_snapshots.insert(disk, changes);
            return Ok(Expectation::Done);
        }
        match self.tree_snapshots.get(&disk) {
            Some(before) if *before == changes => Ok(Expectation::Done),
            _ => Err(OutOfModel::CHANGED_TREE),
        }
    }

    fn snapshot_marker(&mut self, disk: Disk, is_comparison: bool) -> ModelResult<Expectation> {
        if is_comparison && !self.marker_snapshots.contains_key(&disk) {
            return Err(OutOfModel::NO_SNAPSHOT);
        }
        let Some(marker) = &self.upper(disk)?.work_dir(LayerSet::First).marker else {
            return Ok(Expectation::Fails(libc::ENOENT));
        };
        let now = MarkerSnapshot { number: marker.number, changes: marker.changes, xattr: marker.xattr };
        if !is_comparison {
            self.marker_snapshots.insert(disk, now);
            return Ok(Expectation::Done);
        }
        match self.marker_snapshots.get(&disk) {
            Some(before) if *before == now => Ok(Expectation::Done),
            Some(before) if before.xattr != now.xattr => Ok(Expectation::Differs),
            _ => Err(OutOfModel::CHANGED_MARKER),
        }
    }
}

/// A snapshot of the tree reads every file, and so loads it into the page cache.
fn read_all_files(upper: &mut Upper) -> ModelResult<()> {
    let keys: Vec<_> = upper.files.keys().cloned().collect();
    for (layers, path) in keys {
        let unreadable = upper.is_unreadable(layers, &path);
        let has_known_content = |file: &&mut File| file.cached.is_some() || file.disk != OnDisk::Unknown;
        let file = upper.file(layers, &path).filter(has_known_content);
        if file.map(|file| file.read(unreadable)).transpose()?.is_some_and(|read| read.is_err()) {
            return Err(OutOfModel::UNREADABLE_FILE);
        }
    }
    Ok(())
}

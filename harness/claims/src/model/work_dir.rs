// SPDX-License-Identifier: MIT OR Apache-2.0
//! Operations on the work directory of the first overlay: its marker, checkpoint and `incompat`
//! entries.

use vremount_protocol::{CheckpointTamper, Disk, LayerSet, MarkerReplacement, Op};

use crate::Expectation;
use crate::model::marker::{CHECKPOINT_BYTES, CHECKPOINT_BYTES_WITHOUT_ERRSEQ, Xattr};
use crate::model::state::ModelState;
use crate::model::upper::WorkDirState;
use crate::model::{ModelResult, OutOfModel};

impl ModelState {
    pub(super) fn execute_on_work_dir(&mut self, disk: Disk, op: &Op) -> ModelResult<Expectation> {
        let checkpoint_bytes =
            if self.kernel.records_errseq() { CHECKPOINT_BYTES } else { CHECKPOINT_BYTES_WITHOUT_ERRSEQ };
        let other_xattr = match op {
            Op::TamperCheckpoint { tamper: CheckpointTamper::CopyFrom(other, layers), .. } => {
                let marker = self.upper(*other)?.work_dir(*layers).marker.as_ref();
                Some(marker.ok_or(OutOfModel::NO_OTHER_MARKER)?.xattr)
            }
            _ => None,
        };
        let in_use = self.count_overlays(disk, LayerSet::First) > 0 || !self.open_files.is_empty();
        let upper = self.upper(disk)?;
        if !upper.fs.has_xattrs() && matches!(op, Op::TamperCheckpoint { .. }) {
            return Err(OutOfModel::NO_XATTRS);
        }
        if upper.superblock_at_mount_point()?.read_only {
            return Err(OutOfModel::READ_ONLY_UPPER);
        }
        let has_fault = upper.fault.is_some();
        let work_dir = upper.work_dir(LayerSet::First);
        match op {
            Op::RecreateUpper { .. } if in_use => return Err(OutOfModel::FILES_IN_USE),
            Op::RecreateUpper { .. } if has_fault => return Err(OutOfModel::REUSED_BROKEN_BLOCKS),
            Op::RecreateUpper { .. } => {
                *work_dir = WorkDirState::default();
                upper.files.retain(|(layers, _), _| *layers != LayerSet::First);
            }
            Op::MakeIncompat { name, .. } if name.is_empty() => {}
            Op::MakeIncompat { name, .. } => drop(work_dir.features.insert(name.clone())),
            Op::RemoveIncompat { name, .. } if name.contains('/') => {}
            Op::RemoveIncompat { name, .. } if !work_dir.features.remove(name) => {
                return Ok(Expectation::Fails(libc::ENOENT));
            }
            Op::RemoveIncompat { .. } => {}
            Op::CreateLeftover { .. } => work_dir.left_behind = true,
            Op::RemoveLeftover { .. } if !work_dir.left_behind => return Ok(Expectation::Fails(libc::ENOENT)),
            Op::RemoveLeftover { .. } => work_dir.left_behind = false,
            _ => {
                let Some(marker) = &mut work_dir.marker else { return Ok(Expectation::Fails(libc::ENOENT)) };
                match op {
                    Op::RemoveMarker { .. } if marker.is_replaced => return Err(OutOfModel::REMOVAL_OF_REPLACEMENT),
                    Op::RemoveMarker { .. } => work_dir.marker = None,
                    Op::TamperCheckpoint { .. } if marker.is_replaced => return Err(OutOfModel::XATTR_OF_REPLACEMENT),
                    Op::TamperCheckpoint { tamper, .. } => {
                        let had_xattr = marker.xattr != Xattr::Missing;
                        marker.tamper(*tamper, checkpoint_bytes, || other_xattr.ok_or(OutOfModel::NO_OTHER_DISK))?;
                        let removes_xattr = matches!(tamper, CheckpointTamper::Remove | CheckpointTamper::MoveTo(_));
                        if removes_xattr && !had_xattr {
                            return Ok(Expectation::Done);
                        }
                    }
                    Op::ReplaceMarker { replacement: MarkerReplacement::UpperCase, .. } => {
                        work_dir.marker = None;
                        work_dir.features.insert("VOLATILE".to_string());
                    }
                    Op::ReplaceMarker { replacement: MarkerReplacement::IncompatFile, .. } => {
                        work_dir.marker = None;
                        work_dir.features.clear();
                    }
                    Op::ReplaceMarker { .. } => {
                        marker.is_replaced = true;
                        marker.changes += 1;
                    }
                    _ => return Err(OutOfModel::UNKNOWN_OPERATION),
                }
            }
        }
        upper.record_change();
        Ok(Expectation::Done)
    }
}

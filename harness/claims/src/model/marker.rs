// SPDX-License-Identifier: MIT OR Apache-2.0
//! The marker of a volatile mount, `work/incompat/volatile`, and the checkpoint in its xattr.

use vremount_protocol::{CheckpointField, CheckpointTamper};

use crate::model::errseq::ErrSeq;
use crate::model::{ModelResult, OutOfModel};
use crate::refusal_reason::Reason;

/// Identity of a load of the overlay module, which the checkpoint stores as the boot id.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct ModuleLoad {
    /// Number of the boot of the machine.
    pub boot: u32,
    /// Number of the module load within the boot.
    pub load: u32,
}

/// Instance id of a superblock. The kernel also counts superblocks that the model does not know, so
/// only equality is comparable with the kernel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Instance(pub u64);

/// A checkpoint with a valid format.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Checkpoint {
    module_load: ModuleLoad,
    instance: Instance,
    errseq: ErrSeq,
    /// Number of times that the test incremented the boot id.
    boot_id_increments: u32,
    /// Number of times that the test incremented the instance id.
    instance_id_increments: u32,
}

impl Checkpoint {
    pub fn new(module_load: ModuleLoad, instance: Instance, errseq: ErrSeq) -> Self {
        Checkpoint { module_load, instance, errseq, boot_id_increments: 0, instance_id_increments: 0 }
    }

    /// Reason to refuse reuse, given the checkpoint that a mount would write now; none if the upper
    /// can be reused.
    pub fn refusal_reason(&self, now: &Checkpoint, with_errseq: bool) -> ModelResult<Option<Reason>> {
        Ok(if self.module_load != now.module_load || self.boot_id_increments != 0 {
            Some(Reason::OtherBoot)
        } else if self.instance != now.instance && self.instance_id_increments != 0 {
            return Err(OutOfModel::INSTANCE_ID_COLLISION);
        } else if self.instance != now.instance || self.instance_id_increments != 0 {
            Some(Reason::UpperRemounted)
        } else if with_errseq && self.errseq != now.errseq {
            Some(Reason::WritebackError)
        } else {
            None
        })
    }
}

/// Content of the xattr of a marker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Xattr {
    /// The marker has no such xattr.
    Missing,
    /// A checkpoint with a valid format.
    Written(Checkpoint),
    /// Bytes that the kernel does not accept as a checkpoint.
    Invalid,
}

/// The marker `work/incompat/volatile`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Marker {
    pub xattr: Xattr,
    /// Another kind of object has taken its place: a file, a symbolic link, a fifo or a device.
    pub is_replaced: bool,
    /// Unique number of the marker: the number of the mount that created it.
    pub number: u64,
    /// Number of times that the test changed the marker.
    pub changes: u32,
}

impl Marker {
    /// Reason to refuse reuse, given the checkpoint that a mount would write now; none if the upper
    /// can be reused.
    pub fn refusal_reason(&self, now: &Checkpoint, with_errseq: bool) -> ModelResult<Option<Reason>> {
        match self.xattr {
            _ if self.is_replaced => Ok(Some(Reason::BadCheckpoint)),
            Xattr::Missing => Ok(Some(Reason::NoCheckpoint)),
            Xattr::Invalid => Ok(Some(Reason::BadCheckpoint)),
            Xattr::Written(checkpoint) => checkpoint.refusal_reason(now, with_errseq),
        }
    }

    /// Tampers with the checkpoint. `checkpoint_bytes` is the size that this kernel writes;
    /// `other_xattr` gives the xattr of the marker on another disk.
    pub fn tamper(
        &mut self,
        tamper: CheckpointTamper,
        checkpoint_bytes: usize,
        other_xattr: impl Fn() -> ModelResult<Xattr>,
    ) -> ModelResult<()> {
        self.changes += 1;
        self.xattr = match (tamper, self.xattr) {
            (CheckpointTamper::Remove | CheckpointTamper::MoveTo(_), _) => Xattr::Missing,
            (CheckpointTamper::Resize(length), Xattr::Written(checkpoint)) if length == checkpoint_bytes => {
                Xattr::Written(checkpoint)
            }
            (CheckpointTamper::Resize(length), Xattr::Invalid) if length == checkpoint_bytes => {
                return Err(OutOfModel::RESTORED_CHECKPOINT);
            }
            (CheckpointTamper::Resize(_) | CheckpointTamper::Fill(_), _) => Xattr::Invalid,
            (CheckpointTamper::Random { seed }, _) if has_valid_format(seed) => {
                return Err(OutOfModel::RANDOM_VALID_CHECKPOINT);
            }
            (CheckpointTamper::Random { .. }, _) => Xattr::Invalid,
            (CheckpointTamper::CopyFrom(..), _) => match other_xattr()? {
                // A missing xattr is copied as an empty one.
                Xattr::Missing => Xattr::Invalid,
                xattr => xattr,
            },
            (CheckpointTamper::Increment(field), Xattr::Written(mut checkpoint)) => {
                match field {
                    CheckpointField::BootId => checkpoint.boot_id_increments += 1,
                    CheckpointField::InstanceId => checkpoint.instance_id_increments += 1,
                    CheckpointField::Errseq if checkpoint_bytes == CHECKPOINT_BYTES => {
                        checkpoint.errseq.0 = checkpoint.errseq.0.wrapping_add(1);
                    }
                    // Checkpoints of patch 3 have no errseq.
                    CheckpointField::Errseq => {}
                }
                Xattr::Written(checkpoint)
            }
            (CheckpointTamper::Increment(_), _) => Xattr::Invalid,
        };
        Ok(())
    }
}

/// Size of a checkpoint: boot id, instance id and errseq.
pub(super) const CHECKPOINT_BYTES: usize = 16 + 8 + 4;
/// Size of a checkpoint that patch 3 writes without patch 4: boot id and instance id.
pub(super) const CHECKPOINT_BYTES_WITHOUT_ERRSEQ: usize = 16 + 8;

/// Whether random bytes of a seed have the format of a checkpoint: a UUID of version 4 and an
/// instance id other than 0.
fn has_valid_format(seed: u64) -> bool {
    let mut bytes = [0; CHECKPOINT_BYTES];
    vremount_protocol::Prng::new(seed).fill(&mut bytes);
    bytes[6] >> 4 == 4 && bytes[8] >> 6 == 2 && bytes[16..24].iter().any(|byte| *byte != 0)
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::uuid_of_version_4(40, true)]
    #[case::version_only(24, false)]
    #[case::variant_only(8, false)]
    #[case::neither_version_nor_variant(5, false)]
    fn random_bytes_are_a_checkpoint_only_with_a_version_4_uuid(#[case] seed: u64, #[case] expected: bool) {
        assert_eq!(has_valid_format(seed), expected);
        let mut marker = Marker { xattr: Xattr::Invalid, is_replaced: false, number: 1, changes: 0 };
        let tampered = marker.tamper(CheckpointTamper::Random { seed }, CHECKPOINT_BYTES, || Ok(Xattr::Missing));
        assert_eq!(tampered.is_err(), expected);
    }
}

// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a volatile mount leaves in a work directory, and what is done to it there.

use vremount_protocol::{CheckpointTamper, Field};

use crate::model::errseq::ErrSeq;
use crate::model::{ModelResult, OutOfModel};
use crate::refusal_reason::Reason;

/// A load of the overlay module: "a UUID at load time which can be used to uniquely identify it".
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct ModuleLoad {
    /// Of the machine.
    pub boot: u32,
    /// Of the module in it.
    pub load: u32,
}

/// The number of a superblock: "a per boot monotonically increasing integer". Ours are not the kernel's, which numbers
/// others too; what counts is which are equal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Instance(pub u64);

/// A checkpoint that can be compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Checkpoint {
    epoch: ModuleLoad,
    instance: Instance,
    errseq: ErrSeq,
    /// How often a field was counted up by a forger.
    forged_boot_id: u8,
    forged_instance: u32,
}

impl Checkpoint {
    pub fn of(epoch: ModuleLoad, instance: Instance, errseq: ErrSeq) -> Self {
        Checkpoint { epoch, instance, errseq, forged_boot_id: 0, forged_instance: 0 }
    }

    /// Why an upper that is now like this is not what it was.
    pub fn refuses(&self, now: &Checkpoint, with_errseq: bool) -> ModelResult<Option<Reason>> {
        Ok(if self.epoch != now.epoch || self.forged_boot_id != 0 {
            Some(Reason::OtherBoot)
        } else if self.instance != now.instance && self.forged_instance != 0 {
            return Err(OutOfModel("a number that was counted up may be that of another superblock"));
        } else if self.instance != now.instance || self.forged_instance != 0 {
            Some(Reason::UpperRemounted)
        } else if with_errseq && self.errseq != now.errseq {
            Some(Reason::WritebackError)
        } else {
            None
        })
    }
}

/// The xattr of a marker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Xattr {
    Missing,
    Written(Checkpoint),
    /// Bytes that no kernel writes.
    Spoilt,
}

/// `work/incompat/volatile`
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Marker {
    pub xattr: Xattr,
    /// Something else that only has its name.
    pub impostor: bool,
    /// Which of all that were ever made, and how often it was touched since.
    pub made: u64,
    pub touched: u32,
}

impl Marker {
    /// Why it does not let an upper be reused that is now like this; none: it does.
    pub fn refuses(&self, now: &Checkpoint, with_errseq: bool) -> ModelResult<Option<Reason>> {
        match self.xattr {
            _ if self.impostor => Ok(Some(Reason::BadCheckpoint)),
            Xattr::Missing => Ok(Some(Reason::NoCheckpoint)),
            Xattr::Spoilt => Ok(Some(Reason::BadCheckpoint)),
            Xattr::Written(then) => then.refuses(now, with_errseq),
        }
    }

    /// `bytes`: as many as this kernel writes. `of_other`: the xattr of another disk's marker.
    pub fn forge(
        &mut self,
        forgery: CheckpointTamper,
        bytes: usize,
        of_other: impl Fn() -> ModelResult<Xattr>,
    ) -> ModelResult<()> {
        self.touched += 1;
        self.xattr = match (forgery, self.xattr) {
            (CheckpointTamper::Remove | CheckpointTamper::MoveTo(_), _) => Xattr::Missing,
            (CheckpointTamper::Length(length), Xattr::Written(there)) if length == bytes => Xattr::Written(there),
            (CheckpointTamper::Length(length), Xattr::Spoilt) if length == bytes => {
                return Err(OutOfModel("what was cut off and filled up may be whole again"));
            }
            (CheckpointTamper::Length(_) | CheckpointTamper::All(_), _) => Xattr::Spoilt,
            (CheckpointTamper::Random { seed }, _) if looks_written(seed) => {
                return Err(OutOfModel("these random bytes look like a checkpoint"));
            }
            (CheckpointTamper::Random { .. }, _) => Xattr::Spoilt,
            (CheckpointTamper::Of(..), _) => match of_other()? {
                // What is not there is copied as nothing.
                Xattr::Missing => Xattr::Spoilt,
                there => there,
            },
            (CheckpointTamper::Next(field), Xattr::Written(mut there)) => {
                match field {
                    Field::BootId => there.forged_boot_id = there.forged_boot_id.wrapping_add(1),
                    Field::InstanceId => there.forged_instance += 1,
                    // Before patch 4 there is no such field.
                    Field::Errseq if bytes == BYTES => there.errseq.0 = there.errseq.0.wrapping_add(1),
                    Field::Errseq => {}
                }
                Xattr::Written(there)
            }
            (CheckpointTamper::Next(_), _) => Xattr::Spoilt,
        };
        Ok(())
    }
}

/// Boot id, instance id and errseq; patch 3 alone has no errseq.
pub(super) const BYTES: usize = 16 + 8 + 4;
pub(super) const BYTES_WITHOUT_ERRSEQ: usize = 16 + 8;

/// A random UUID of version 4, and not instance 0.
fn looks_written(seed: u64) -> bool {
    let mut bytes = [0; BYTES];
    vremount_protocol::Prng::of(seed).fill(&mut bytes);
    bytes[6] >> 4 == 4 && bytes[8] >> 6 == 2 && bytes[16..24].iter().any(|byte| *byte != 0)
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::as_the_kernel_would(40, true)]
    #[case::version_alone(24, false)]
    #[case::variant_alone(8, false)]
    #[case::neither(5, false)]
    fn a_checkpoint_begins_with_a_random_uuid(#[case] seed: u64, #[case] expected: bool) {
        assert_eq!(looks_written(seed), expected);
        let mut marker = Marker { xattr: Xattr::Spoilt, impostor: false, made: 1, touched: 0 };
        let forged = marker.forge(CheckpointTamper::Random { seed }, BYTES, || Ok(Xattr::Missing));
        assert_eq!(forged.is_err(), expected);
    }
}

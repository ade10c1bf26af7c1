// SPDX-License-Identifier: MIT OR Apache-2.0
//! The checkpoint that patches 3 and 4 of the series store in an xattr of the marker: its layout,
//! its text form, and the ways in which claims tamper with it.
//!
//! The kernel stores a packed structure: `uuid_t boot_id; u64 instance_id; errseq_t errseq;`.
//! Integers have the byte order of the kernel, which is little-endian on every architecture that
//! the harness boots. Patch 3 alone (level 3) stores the structure without errseq.

use std::fmt;
use std::ops::Range;

use serde::{Deserialize, Serialize};
use uuid::{Uuid, Variant};

use crate::prng::Prng;
use crate::types::{Disk, LayerSet};

/// Name of the xattr of the marker that contains the checkpoint. With the option `userxattr`,
/// overlayfs uses `user.overlay.volatile` instead.
pub const CHECKPOINT_XATTR: &str = "trusted.overlay.volatile";

/// The state of the upper filesystem at the first volatile mount.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Checkpoint {
    /// Random UUID (version 4) that the overlay module draws once per load.
    pub boot_id: Uuid,
    /// `s_instance_id` of the superblock of the upper filesystem. Starts at 1 in each boot.
    pub instance_id: u64,
    /// Sample of `s_wb_err` of the same superblock.
    pub errseq: u32,
}

/// The bytes are not a checkpoint: they have the wrong length.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("failed to parse a checkpoint: it has {found} bytes instead of {}", Checkpoint::LEN)]
pub struct CheckpointLengthError {
    /// Number of bytes found.
    pub found: usize,
}

impl Checkpoint {
    /// Length of a checkpoint in bytes.
    pub const LEN: usize = 28;
    /// Length of a checkpoint without errseq, which kernels at level 3 store.
    pub const LEN_WITHOUT_ERRSEQ: usize = 24;

    /// Parses a checkpoint with errseq.
    ///
    /// # Errors
    /// If `bytes` does not contain exactly [`Self::LEN`] bytes.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, CheckpointLengthError> {
        bytes.try_into().map(Self::from_array).map_err(|_| CheckpointLengthError { found: bytes.len() })
    }

    /// Parses the value of the xattr: a checkpoint with errseq, or one without, whose errseq is
    /// taken as 0.
    ///
    /// # Errors
    /// If `bytes` has neither [`Self::LEN`] nor [`Self::LEN_WITHOUT_ERRSEQ`] bytes.
    pub fn from_xattr(bytes: &[u8]) -> Result<Self, CheckpointLengthError> {
        match bytes.len() {
            Self::LEN_WITHOUT_ERRSEQ => Ok(Self::from_array(padded(bytes))),
            _ => Self::from_bytes(bytes),
        }
    }

    /// Creates a checkpoint from random bytes. Most seeds give one that the kernel refuses as
    /// `bad-checkpoint`.
    #[must_use]
    pub fn from_seed(seed: u64) -> Self {
        let mut bytes = [0; Self::LEN];
        Prng::new(seed).fill(&mut bytes);
        Self::from_array(bytes)
    }

    fn from_array(bytes: [u8; Self::LEN]) -> Self {
        Checkpoint {
            boot_id: Uuid::from_bytes(field_bytes(&bytes, CheckpointField::BootId)),
            instance_id: u64::from_le_bytes(field_bytes(&bytes, CheckpointField::InstanceId)),
            errseq: u32::from_le_bytes(field_bytes(&bytes, CheckpointField::Errseq)),
        }
    }

    /// The bytes that a kernel with all patches stores.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; Self::LEN] {
        let mut bytes = [0; Self::LEN];
        bytes[CheckpointField::BootId.range()].copy_from_slice(self.boot_id.as_bytes());
        bytes[CheckpointField::InstanceId.range()].copy_from_slice(&self.instance_id.to_le_bytes());
        bytes[CheckpointField::Errseq.range()].copy_from_slice(&self.errseq.to_le_bytes());
        bytes
    }

    /// Whether a kernel can have written it: the boot id is a random UUID, and the instance id is
    /// not 0. The kernel refuses all others as `bad-checkpoint`.
    #[must_use]
    pub fn is_well_formed(&self) -> bool {
        self.boot_id.get_version_num() == 4 && self.boot_id.get_variant() == Variant::RFC4122 && self.instance_id != 0
    }

    /// Adds 1 to a field, with wraparound. The boot id counts with its first byte as the least
    /// significant one.
    pub fn increment(&mut self, field: CheckpointField) {
        match field {
            CheckpointField::BootId => {
                let number = u128::from_le_bytes(self.boot_id.into_bytes()).wrapping_add(1);
                self.boot_id = Uuid::from_bytes(number.to_le_bytes());
            }
            CheckpointField::InstanceId => self.instance_id = self.instance_id.wrapping_add(1),
            CheckpointField::Errseq => self.errseq = self.errseq.wrapping_add(1),
        }
    }

    /// Adds 1 to a field of an xattr value of any length. A value that does not contain the whole
    /// field stays as it is.
    pub fn increment_in_xattr(value: &mut [u8], field: CheckpointField) {
        if value.len() < field.range().end {
            return;
        }
        let mut checkpoint = Self::from_array(padded(value));
        checkpoint.increment(field);
        for (byte, incremented) in value.iter_mut().zip(checkpoint.to_bytes()) {
            *byte = incremented;
        }
    }

    /// An xattr value as text: a checkpoint with its fields, any other value as hexadecimal digits
    /// and its length.
    #[must_use]
    pub fn format_xattr(value: &[u8]) -> String {
        match (value.len(), Self::from_xattr(value)) {
            (Self::LEN, Ok(checkpoint)) => checkpoint.to_string(),
            (_, Ok(Checkpoint { boot_id, instance_id, .. })) => {
                format!("boot id {boot_id}, instance id {instance_id}, no errseq")
            }
            (length, Err(_)) => {
                let digits: String = value.iter().map(|byte| format!("{byte:02x}")).collect();
                format!("{length} bytes 0x{digits}")
            }
        }
    }
}

/// The bytes of a field; `N` is its length.
fn field_bytes<const N: usize>(bytes: &[u8; Checkpoint::LEN], field: CheckpointField) -> [u8; N] {
    let mut copy = [0; N];
    copy.copy_from_slice(&bytes[field.range()]);
    copy
}

/// The first [`Checkpoint::LEN`] bytes of `bytes`, filled up with zeros.
fn padded(bytes: &[u8]) -> [u8; Checkpoint::LEN] {
    let mut padded = [0; Checkpoint::LEN];
    padded.iter_mut().zip(bytes).for_each(|(to, from)| *to = *from);
    padded
}

impl fmt::Display for Checkpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Checkpoint { boot_id, instance_id, errseq } = self;
        write!(f, "boot id {boot_id}, instance id {instance_id}, errseq {errseq:#010x}")
    }
}

/// A field of the checkpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CheckpointField {
    /// 16 bytes.
    BootId,
    /// 8 bytes.
    InstanceId,
    /// 4 bytes; absent at level 3.
    Errseq,
}

impl CheckpointField {
    /// The bytes of the field in the checkpoint.
    #[must_use]
    pub const fn range(self) -> Range<usize> {
        match self {
            CheckpointField::BootId => 0..16,
            CheckpointField::InstanceId => 16..24,
            CheckpointField::Errseq => 24..28,
        }
    }
}

/// A modification of the checkpoint xattr of the marker.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CheckpointTamper {
    /// Removes the xattr. Succeeds if there is none.
    Remove,
    /// Truncates the value to this many bytes, or extends it with zeros.
    #[serde(rename = "length")]
    Resize(usize),
    /// Replaces the value by [`Checkpoint::LEN`] random bytes.
    Random {
        /// Seed of the [`Prng`].
        seed: u64,
    },
    /// Replaces the value by [`Checkpoint::LEN`] bytes with this value.
    #[serde(rename = "all")]
    Fill(u8),
    /// Adds 1 to a field ([`Checkpoint::increment_in_xattr`]).
    #[serde(rename = "next")]
    Increment(CheckpointField),
    /// Copies the value from the marker of another overlay. Stores an empty value if that marker
    /// has no checkpoint.
    #[serde(rename = "of")]
    CopyFrom(Disk, LayerSet),
    /// Moves the xattr to another inode. Succeeds if there is none.
    MoveTo(XattrLocation),
}

impl CheckpointTamper {
    /// The value that replaces `stored`. None for modifications that do not compute a value:
    /// `Remove`, `Of`, `MoveTo`.
    #[must_use]
    pub fn forge(self, stored: &[u8]) -> Option<Vec<u8>> {
        match self {
            CheckpointTamper::Resize(length) => {
                let mut value = stored.to_vec();
                value.resize(length, 0);
                Some(value)
            }
            CheckpointTamper::Random { seed } => Some(Checkpoint::from_seed(seed).to_bytes().to_vec()),
            CheckpointTamper::Fill(byte) => Some(vec![byte; Checkpoint::LEN]),
            CheckpointTamper::Increment(field) => {
                let mut value = stored.to_vec();
                Checkpoint::increment_in_xattr(&mut value, field);
                Some(value)
            }
            CheckpointTamper::Remove | CheckpointTamper::CopyFrom(..) | CheckpointTamper::MoveTo(_) => None,
        }
    }
}

/// An inode other than the marker to which the checkpoint xattr is moved.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum XattrLocation {
    /// The file `work/incompat/volatile/dirty`.
    Dirty,
    /// The directory `work/incompat`.
    Incompat,
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    fn counting(length: u8) -> Vec<u8> {
        (1..=length).collect()
    }

    #[test]
    fn bytes_are_parsed_as_the_packed_kernel_structure() {
        let checkpoint = Checkpoint::from_bytes(&counting(28)).unwrap();
        assert_eq!(checkpoint.boot_id.to_string(), "01020304-0506-0708-090a-0b0c0d0e0f10");
        assert_eq!(checkpoint.instance_id, 0x1817_1615_1413_1211);
        assert_eq!(checkpoint.errseq, 0x1c1b_1a19);
        assert_eq!(checkpoint.to_bytes().to_vec(), counting(28));
    }

    #[rstest]
    #[case::empty(0)]
    #[case::without_errseq(24)]
    #[case::one_byte_short(27)]
    #[case::one_byte_long(29)]
    fn only_28_bytes_are_a_checkpoint(#[case] length: u8) {
        let found = usize::from(length);
        assert_eq!(Checkpoint::from_bytes(&counting(length)), Err(CheckpointLengthError { found }));
    }

    #[rstest]
    #[case::complete(28, Some(0x1c1b_1a19))]
    #[case::without_errseq(24, Some(0))]
    #[case::one_byte_short(27, None)]
    fn xattr_of_level_3_is_parsed_without_errseq(#[case] length: u8, #[case] errseq: Option<u32>) {
        assert_eq!(Checkpoint::from_xattr(&counting(length)).ok().map(|checkpoint| checkpoint.errseq), errseq);
    }

    #[rstest]
    #[case::complete(
        counting(28),
        "boot id 01020304-0506-0708-090a-0b0c0d0e0f10, instance id 1735880461161533969, errseq 0x1c1b1a19"
    )]
    #[case::without_errseq(
        counting(24),
        "boot id 01020304-0506-0708-090a-0b0c0d0e0f10, instance id 1735880461161533969, no errseq"
    )]
    #[case::malformed(vec![1, 0xff], "2 bytes 0x01ff")]
    #[case::empty(vec![], "0 bytes 0x")]
    fn xattr_is_formatted(#[case] value: Vec<u8>, #[case] expected: &str) {
        assert_eq!(Checkpoint::format_xattr(&value), expected);
    }

    /// The values are part of the claims: a change makes old transcripts incomparable.
    #[rstest]
    #[case::random_5(
        CheckpointTamper::Random { seed: 5 },
        counting(28),
        "7d42c05b47c39056075e4aafd1a0b7d7cbcd2b9602d14a04de9d916f"
    )]
    #[case::random_40(
        CheckpointTamper::Random { seed: 40 },
        vec![],
        "f2fbfbc743184981a8149021226a824941785aeae247486b83aff610"
    )]
    #[case::all(CheckpointTamper::Fill(0xff), vec![], "ffffffffffffffffffffffffffffffffffffffffffffffffffffffff")]
    #[case::truncated(CheckpointTamper::Resize(3), counting(28), "010203")]
    #[case::extended(CheckpointTamper::Resize(4), counting(2), "01020000")]
    #[case::boot_id(
        CheckpointTamper::Increment(CheckpointField::BootId),
        counting(28),
        "0202030405060708090a0b0c0d0e0f101112131415161718191a1b1c"
    )]
    #[case::boot_id_wraps(
        CheckpointTamper::Increment(CheckpointField::BootId),
        vec![0xff; 28],
        "00000000000000000000000000000000ffffffffffffffffffffffff"
    )]
    #[case::boot_id_carries(
        CheckpointTamper::Increment(CheckpointField::BootId),
        [vec![0xff; 2], vec![7; 26]].concat(),
        "00000807070707070707070707070707070707070707070707070707"
    )]
    #[case::instance_id(
        CheckpointTamper::Increment(CheckpointField::InstanceId),
        counting(28),
        "0102030405060708090a0b0c0d0e0f101212131415161718191a1b1c"
    )]
    #[case::instance_id_of_24_bytes(
        CheckpointTamper::Increment(CheckpointField::InstanceId),
        counting(24),
        "0102030405060708090a0b0c0d0e0f101212131415161718"
    )]
    #[case::errseq(
        CheckpointTamper::Increment(CheckpointField::Errseq),
        counting(28),
        "0102030405060708090a0b0c0d0e0f1011121314151617181a1a1b1c"
    )]
    #[case::errseq_of_30_bytes(
        CheckpointTamper::Increment(CheckpointField::Errseq),
        vec![0xff; 30],
        "ffffffffffffffffffffffffffffffffffffffffffffffff00000000ffff"
    )]
    #[case::errseq_of_24_bytes(
        CheckpointTamper::Increment(CheckpointField::Errseq),
        counting(24),
        "0102030405060708090a0b0c0d0e0f101112131415161718"
    )]
    #[case::field_cut_off(CheckpointTamper::Increment(CheckpointField::BootId), vec![7; 10], "07070707070707070707")]
    fn forged_bytes_do_not_change(#[case] tamper: CheckpointTamper, #[case] stored: Vec<u8>, #[case] expected: &str) {
        assert_eq!(tamper.forge(&stored).map(|value| hex(&value)).as_deref(), Some(expected));
    }

    #[rstest]
    #[case::remove(CheckpointTamper::Remove)]
    #[case::copy(CheckpointTamper::CopyFrom(Disk::B, LayerSet::First))]
    #[case::elsewhere(CheckpointTamper::MoveTo(XattrLocation::Dirty))]
    fn tampering_without_new_value_forges_nothing(#[case] tamper: CheckpointTamper) {
        assert_eq!(tamper.forge(&counting(28)), None);
    }

    #[rstest]
    #[case::well_formed(40, true)]
    #[case::wrong_variant(24, false)]
    #[case::wrong_version(8, false)]
    #[case::neither(5, false)]
    fn well_formed_checkpoint_starts_with_random_uuid(#[case] seed: u64, #[case] expected: bool) {
        let mut checkpoint = Checkpoint::from_seed(seed);
        assert_eq!(checkpoint.is_well_formed(), expected);
        checkpoint.instance_id = 0;
        assert!(!checkpoint.is_well_formed());
    }

    #[rstest]
    #[case::length(CheckpointTamper::Resize(3), r#"{"length":3}"#)]
    #[case::all(CheckpointTamper::Fill(1), r#"{"all":1}"#)]
    #[case::next(CheckpointTamper::Increment(CheckpointField::BootId), r#"{"next":"boot-id"}"#)]
    #[case::of(CheckpointTamper::CopyFrom(Disk::B, LayerSet::First), r#"{"of":["b","first"]}"#)]
    fn json_names_do_not_change(#[case] tamper: CheckpointTamper, #[case] json: &str) {
        assert_eq!(serde_json::to_string(&tamper).unwrap(), json);
    }
}

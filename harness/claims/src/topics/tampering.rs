// SPDX-License-Identifier: MIT OR Apache-2.0
//! Changed checkpoints and markers, and other entries of a work directory.

use libc::{EINVAL, EIO};
use vremount_machine::image::Fs;
use vremount_protocol::Mode::{Durable, Volatile};
use vremount_protocol::{
    AccessPath, CheckpointField, CheckpointTamper, Disk, Fault, FileLocation, LayerSet, MarkerReplacement, Op,
    SnapshotScope, XattrLocation,
};

use crate::Claim;
use crate::builder::{ClaimBuilder, mount_layers, mount_overlay, unmount_layers};
use crate::citations::{BOOT_ID, CHECKPOINT, ERRSEQ, INSTANCE, OURS_INCOMPAT, OURS_LIMIT};
use crate::refusal_reason::Reason;
use crate::step::Expectation;

pub fn claims() -> Vec<Claim> {
    [changed(), misplaced(), replaced(), unreadable(), incompat()].into_iter().flatten().collect()
}

/// Changes the checkpoint of a volatile upper and asserts that reuse is refused for this reason.
fn refused_after(
    name: &'static str,
    title: &'static str,
    sentence: &'static str,
    change: CheckpointTamper,
    reason: Reason,
) -> Claim {
    let builder =
        ClaimBuilder::with_upper().setup_volatile_upper().tamper(change).assert_refused(Volatile, EINVAL, reason);
    // At level 3 the checkpoint contains no errseq.
    let min_level = if change == CheckpointTamper::Increment(CheckpointField::Errseq) { 4 } else { 3 };
    Claim::new(name, title, sentence, min_level, builder)
}

/// Checkpoints with changed contents.
fn changed() -> Vec<Claim> {
    let bad = |name, title, change| refused_after(name, title, CHECKPOINT, change, Reason::BadCheckpoint);
    vec![
        refused_after(
            "no-checkpoint",
            "A marker without a checkpoint, as an older kernel leaves it, is refused as `no-checkpoint`",
            CHECKPOINT,
            CheckpointTamper::Remove,
            Reason::NoCheckpoint,
        ),
        bad("empty-checkpoint", "A checkpoint of 0 bytes is refused as `bad-checkpoint`", CheckpointTamper::Resize(0)),
        bad(
            "short-checkpoint",
            "A checkpoint of 20 bytes is refused as `bad-checkpoint`",
            CheckpointTamper::Resize(20),
        ),
        bad(
            "checkpoint-one-byte-short",
            "A checkpoint that is one byte too short is refused as `bad-checkpoint`",
            CheckpointTamper::Resize(27),
        ),
        bad(
            "checkpoint-one-byte-long",
            "A checkpoint that is one byte too long is refused as `bad-checkpoint`",
            CheckpointTamper::Resize(29),
        ),
        bad("long-checkpoint", "A checkpoint of 64 bytes is refused as `bad-checkpoint`", CheckpointTamper::Resize(64)),
        bad(
            "huge-checkpoint",
            "A checkpoint of 2000 bytes is refused as `bad-checkpoint`",
            CheckpointTamper::Resize(2000),
        ),
        bad(
            "random-checkpoint",
            "A checkpoint of random bytes is refused as `bad-checkpoint`",
            CheckpointTamper::Random { seed: 5 },
        ),
        bad(
            "zero-checkpoint",
            "A checkpoint with all bytes zero is refused as `bad-checkpoint`",
            CheckpointTamper::Fill(0),
        ),
        bad(
            "ones-checkpoint",
            "A checkpoint with all bytes 0xff is refused as `bad-checkpoint`",
            CheckpointTamper::Fill(0xff),
        ),
        Claim::new(
            "checkpoint-without-instance",
            "A checkpoint with instance id 0, which no superblock has, is refused as `bad-checkpoint`",
            CHECKPOINT,
            3,
            ClaimBuilder::with_upper()
                .setup_volatile_upper()
                // This keeps the boot id and sets the rest to zero.
                .tamper(CheckpointTamper::Resize(16))
                .tamper(CheckpointTamper::Resize(28))
                .assert_refused(Volatile, EINVAL, Reason::BadCheckpoint),
        ),
        refused_after(
            "changed-boot-id",
            "A checkpoint with a different boot id is refused as `other-boot`",
            BOOT_ID,
            CheckpointTamper::Increment(CheckpointField::BootId),
            Reason::OtherBoot,
        ),
        refused_after(
            "changed-instance-id",
            "A checkpoint with a different instance id is refused as `upper-remounted`",
            INSTANCE,
            CheckpointTamper::Increment(CheckpointField::InstanceId),
            Reason::UpperRemounted,
        ),
        refused_after(
            "changed-errseq",
            "A checkpoint with a different errseq is refused as `writeback-error`, even without an error",
            ERRSEQ,
            CheckpointTamper::Increment(CheckpointField::Errseq),
            Reason::WritebackError,
        ),
        Claim::new(
            "ten-thousand-forgeries",
            "10,000 tampered checkpoints are each refused for the reason that fits, and no kernel memory leaks",
            CHECKPOINT,
            3,
            ClaimBuilder::with_upper()
                .setup_volatile_upper()
                .assert(Op::FuzzCheckpoint { disk: Disk::A, seed: 20_201_127, count: 10_000 }, Expectation::Done)
                .assert_mounts(Volatile)
                .assert_data_intact(),
        )
        // ext4 stores xattrs both in the inode and in blocks.
        .on_filesystems(
            &[Fs::Ext4, Fs::Tmpfs],
            "the check does not depend on the filesystem; ext4 and tmpfs are tested",
        ),
    ]
}

/// Checkpoints at the wrong place, of another upper, or missing.
fn misplaced() -> Vec<Claim> {
    vec![
        refused_after(
            "checkpoint-on-the-dirty-file",
            "A checkpoint on the file `dirty` instead of on the marker is refused as `no-checkpoint`",
            CHECKPOINT,
            CheckpointTamper::MoveTo(XattrLocation::Dirty),
            Reason::NoCheckpoint,
        ),
        refused_after(
            "checkpoint-on-incompat",
            "A checkpoint on `work/incompat` instead of on the marker is refused as `no-checkpoint`",
            CHECKPOINT,
            CheckpointTamper::MoveTo(XattrLocation::Incompat),
            Reason::NoCheckpoint,
        ),
        Claim::new(
            "checkpoint-of-another-filesystem",
            "A checkpoint copied from an upper on another filesystem is refused as `upper-remounted`",
            INSTANCE,
            3,
            ClaimBuilder::with_upper()
                .setup_volatile_upper()
                .attach(Disk::B)
                .require(mount_overlay(Disk::B, Volatile, AccessPath::Mount), Expectation::Mounted)
                .tamper(CheckpointTamper::CopyFrom(Disk::B, LayerSet::First))
                .assert_refused(Volatile, EINVAL, Reason::UpperRemounted),
        ),
        Claim::new(
            "checkpoint-of-another-upper",
            "Known limit: a checkpoint copied from another upper on the same filesystem is accepted",
            OURS_LIMIT,
            3,
            ClaimBuilder::with_upper()
                .require(mount_layers(LayerSet::Other, Volatile), Expectation::Mounted)
                .run(unmount_layers(LayerSet::Other))
                .setup_volatile_upper()
                .tamper(CheckpointTamper::Remove)
                .assert_refused(Volatile, EINVAL, Reason::NoCheckpoint)
                .tamper(CheckpointTamper::CopyFrom(Disk::A, LayerSet::Other))
                .assert_mounts(Volatile)
                .assert_data_intact(),
        ),
        Claim::new(
            "no-xattrs",
            "On a filesystem without xattrs, a first volatile mount succeeds and reuse is refused as `no-checkpoint`",
            CHECKPOINT,
            3,
            ClaimBuilder::with_upper().setup_volatile_upper().assert_refused(Volatile, EINVAL, Reason::NoCheckpoint),
        )
        .on_filesystems(&[Fs::Ramfs], "the filesystem has xattrs"),
    ]
}

/// Other files in place of the marker.
fn replaced() -> Vec<Claim> {
    let refused_with = |name, title, with| {
        let builder = ClaimBuilder::with_upper().setup_volatile_upper().replace_marker(with).assert_refused(
            Volatile,
            EINVAL,
            Reason::BadCheckpoint,
        );
        Claim::new(name, title, CHECKPOINT, 3, builder)
    };
    vec![
        refused_with(
            "marker-is-a-file",
            "A regular file with the checkpoint in place of the marker is refused as `bad-checkpoint`",
            MarkerReplacement::File,
        ),
        refused_with(
            "marker-is-a-symlink",
            "A symbolic link to the marker in place of the marker is refused as `bad-checkpoint`",
            MarkerReplacement::Symlink,
        ),
        refused_with(
            "marker-is-a-fifo",
            "A FIFO with the checkpoint in place of the marker is refused as `bad-checkpoint`",
            MarkerReplacement::Fifo,
        ),
        refused_with(
            "marker-is-a-device",
            "A whiteout with the checkpoint in place of the marker is refused as `bad-checkpoint`",
            MarkerReplacement::Device,
        ),
        Claim::new(
            "marker-in-upper-case",
            "A marker whose name is in upper case is refused as an unknown feature",
            OURS_INCOMPAT,
            0,
            ClaimBuilder::with_upper()
                .setup_volatile_upper()
                .replace_marker(MarkerReplacement::UpperCase)
                .assert_refused(Volatile, EINVAL, Reason::Incompat),
        ),
    ]
}

const SENSITIVE_TO_MEMORY: &str = "the filesystem stops or becomes read-only when some of its own allocations fail";

/// Mounts during which a read or an allocation fails.
fn unreadable() -> Vec<Claim> {
    vec![
        Claim::new(
            "checkpoint-cannot-be-read",
            "If the checkpoint cannot be read, the mount fails with EIO; reuse succeeds once it can be read",
            CHECKPOINT,
            3,
            ClaimBuilder::with_upper()
                .setup_volatile_upper()
                .assert_mounts(Volatile)
                .unmount()
                .sync_and_drop_caches()
                .inject(Fault::Checkpoint)
                // Evidence: the guest reads the checkpoint before it changes it.
                .require(
                    Op::TamperCheckpoint {
                        disk: Disk::A,
                        tamper: CheckpointTamper::Increment(CheckpointField::InstanceId),
                    },
                    Expectation::Fails(EIO),
                )
                .assert(
                    mount_overlay(Disk::A, Volatile, AccessPath::Mount),
                    Expectation::Refused { errno: EIO, reason: Reason::CheckpointUnreadable },
                )
                .clear_fault_and_require_read_write()
                .assert_mounts(Volatile)
                .assert_data_intact(),
        )
        .on_filesystems(
            &[Fs::Ext4NoJournal],
            "the filesystem stores xattrs in inodes, or does not report the block that holds them",
        ),
        Claim::new(
            "mount-without-memory",
            "If an allocation fails during reuse, no mount is read-write over an uncleaned `work`; the marker is kept",
            CHECKPOINT,
            3,
            ClaimBuilder::with_upper()
                .setup_volatile_upper()
                .run(Op::Snapshot { disk: Disk::A, scope: SnapshotScope::Marker })
                .assert(
                    Op::MountWithFailingAllocations { disk: Disk::A, first_mount: false },
                    Expectation::SomeRefusedWithEnomem,
                )
                .assert(Op::CompareSnapshot { disk: Disk::A, scope: SnapshotScope::Marker }, Expectation::Done)
                .assert_mounts(Volatile)
                .assert_data_intact(),
        )
        .on_filesystems(&[Fs::Ext2, Fs::Tmpfs], SENSITIVE_TO_MEMORY),
        Claim::new(
            "first-mount-without-memory",
            "If an allocation fails in a first volatile mount, the next mount succeeds or is refused as \
             `no-checkpoint`",
            CHECKPOINT,
            3,
            ClaimBuilder::with_upper()
                .assert(
                    Op::MountWithFailingAllocations { disk: Disk::A, first_mount: true },
                    Expectation::SomeMountedOthersNoCheckpoint,
                )
                .assert_mounts(Volatile),
        )
        .on_filesystems(&[Fs::Ext2, Fs::Tmpfs], SENSITIVE_TO_MEMORY),
    ]
}

/// Other contents of `work` and `work/incompat`.
fn incompat() -> Vec<Claim> {
    let feature = || Op::MakeIncompat { disk: Disk::A, name: "feature".to_string() };
    let refuse_beside_marker = |builder: ClaimBuilder, name: &str| {
        builder
            .run(Op::MakeIncompat { disk: Disk::A, name: name.to_string() })
            .assert_refused(Volatile, EINVAL, Reason::Incompat)
            .assert_refused(Durable, EINVAL, Reason::Incompat)
            .run(Op::RemoveIncompat { disk: Disk::A, name: name.to_string() })
    };
    // Names that sort before and after the marker, that resemble its name, and that are as short as
    // `.` and `..`.
    let names = ["a-feature", "zz-feature", "volatile2", "volatil", "volatilf", "x", "xx"];
    let beside_features =
        names.into_iter().fold(ClaimBuilder::with_upper().setup_volatile_upper(), refuse_beside_marker);
    // A kernel without the series removes names that begin with a dot, so that name comes last.
    let beside_features = beside_features.assert_mounts(Volatile).assert_data_intact().unmount();
    vec![
        Claim::new(
            "no-feature",
            "An empty `work/incompat` prevents neither a durable nor a volatile mount",
            OURS_INCOMPAT,
            0,
            ClaimBuilder::with_upper()
                .run(Op::MakeIncompat { disk: Disk::A, name: String::new() })
                .assert_mounts(Durable)
                .unmount()
                .run(Op::MakeIncompat { disk: Disk::A, name: String::new() })
                .assert_mounts(Volatile),
        ),
        Claim::new(
            "incompat-is-a-file",
            "A regular file in place of `work/incompat` is removed, and the upper can be mounted and reused",
            OURS_INCOMPAT,
            3,
            ClaimBuilder::with_upper()
                .setup_volatile_upper()
                .replace_marker(MarkerReplacement::IncompatFile)
                .assert_mounts(Volatile)
                .unmount()
                .assert_mounts(Volatile)
                .assert_data_intact(),
        ),
        Claim::new(
            "other-feature",
            "An unknown feature in `work/incompat` refuses volatile and durable mounts",
            OURS_INCOMPAT,
            0,
            ClaimBuilder::with_upper()
                .run(feature())
                .assert_refused(Volatile, EINVAL, Reason::Incompat)
                .assert_refused(Durable, EINVAL, Reason::Incompat),
        ),
        Claim::new(
            "other-feature-beside-the-marker",
            "An unknown feature beside a valid marker refuses every mount; reuse succeeds after its removal",
            OURS_INCOMPAT,
            3,
            refuse_beside_marker(beside_features, ".x").assert_mounts(Volatile).assert_data_intact(),
        ),
        Claim::new(
            "dirty-file-is-made-again",
            "If the file `dirty` is missing, reuse succeeds and creates it again for older kernels",
            OURS_INCOMPAT,
            3,
            ClaimBuilder::with_upper()
                .setup_volatile_upper()
                .run(Op::RemoveIncompat { disk: Disk::A, name: "volatile/dirty".to_string() })
                .assert_mounts(Volatile)
                .assert_data_intact()
                .assert(
                    Op::OpenFile {
                        disk: Disk::A,
                        location: FileLocation::Upper,
                        file: "../work/work/incompat/volatile/dirty".to_string(),
                    },
                    Expectation::Done,
                ),
        ),
        Claim::new(
            "work-cannot-be-cleaned",
            "If an entry of `work` cannot be removed, reuse is read-only; it is read-write once the entry is gone",
            OURS_INCOMPAT,
            3,
            ClaimBuilder::with_upper()
                .setup_volatile_upper()
                .run(Op::CreateLeftover { disk: Disk::A })
                .assert(mount_overlay(Disk::A, Volatile, AccessPath::Mount), Expectation::MountedReadOnly)
                .assert_data_intact()
                .unmount()
                .run(Op::RemoveLeftover { disk: Disk::A })
                .assert_mounts(Volatile)
                .assert_data_intact(),
        ),
    ]
}

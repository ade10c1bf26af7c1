// SPDX-License-Identifier: MIT OR Apache-2.0
//! Checkpoints and markers that are not what the kernel wrote, and what else a work directory may hold.

use libc::{EINVAL, EIO};
use vremount_machine::image::Fs;
use vremount_protocol::Mode::{Durable, Volatile};
use vremount_protocol::{
    AccessPath, CheckpointTamper, Disk, Fault, Field, FileLocation, LayerSet, MarkerReplacement, Op, XattrLocation,
};

use crate::Claim;
use crate::citations::{BOOT_ID, CHECKPOINT, ERRSEQ, INSTANCE, OURS_INCOMPAT, OURS_LIMIT};
use crate::refusal_reason::Reason;
use crate::step::{ClaimBuilder, Expectation, overlay, overlay_on, unmount};

pub fn claims() -> Vec<Claim> {
    [forgeries(), elsewhere(), impostors(), unreadable(), incompat()].into_iter().flatten().collect()
}

fn forged(
    name: &'static str,
    title: &'static str,
    sentence: &'static str,
    forgery: CheckpointTamper,
    reason: Reason,
) -> Claim {
    let script = ClaimBuilder::on_upper().volatile_session().forge(forgery).assert_refused(Volatile, EINVAL, reason);
    // Level 3 has no sample to forge.
    let since = if forgery == CheckpointTamper::Next(Field::Errseq) { 4 } else { 3 };
    Claim::new(name, title, sentence, since, script)
}

fn forgeries() -> Vec<Claim> {
    let bad = |name, title, forgery| forged(name, title, CHECKPOINT, forgery, Reason::BadCheckpoint);
    vec![
        forged(
            "no-checkpoint",
            "A marker without a checkpoint is refused, such as an older kernel leaves",
            CHECKPOINT,
            CheckpointTamper::Remove,
            Reason::NoCheckpoint,
        ),
        bad("empty-checkpoint", "A checkpoint of no bytes is refused", CheckpointTamper::Length(0)),
        bad("short-checkpoint", "A checkpoint that is cut off is refused", CheckpointTamper::Length(20)),
        bad("checkpoint-one-byte-short", "A checkpoint that lacks a byte is refused", CheckpointTamper::Length(27)),
        bad("checkpoint-one-byte-long", "A checkpoint with a byte behind it is refused", CheckpointTamper::Length(29)),
        bad("long-checkpoint", "A checkpoint with more behind it is refused", CheckpointTamper::Length(64)),
        bad("huge-checkpoint", "A checkpoint of two thousand bytes is refused", CheckpointTamper::Length(2000)),
        bad("random-checkpoint", "A checkpoint of random bytes is refused", CheckpointTamper::Random { seed: 5 }),
        bad("zero-checkpoint", "A checkpoint of zeros is refused", CheckpointTamper::All(0)),
        bad("ones-checkpoint", "A checkpoint of ones is refused", CheckpointTamper::All(0xff)),
        Claim::new(
            "checkpoint-without-instance",
            "A checkpoint with instance id 0, which no superblock has, is refused",
            CHECKPOINT,
            3,
            ClaimBuilder::on_upper()
                .volatile_session()
                // All but the boot id is cut off, and becomes zeros.
                .forge(CheckpointTamper::Length(16))
                .forge(CheckpointTamper::Length(28))
                .assert_refused(Volatile, EINVAL, Reason::BadCheckpoint),
        ),
        forged(
            "changed-boot-id",
            "A checkpoint with another boot id is refused",
            BOOT_ID,
            CheckpointTamper::Next(Field::BootId),
            Reason::OtherBoot,
        ),
        forged(
            "changed-instance-id",
            "A checkpoint with the next instance id is refused",
            INSTANCE,
            CheckpointTamper::Next(Field::InstanceId),
            Reason::UpperRemounted,
        ),
        forged(
            "changed-errseq",
            "A checkpoint with another sample is refused, though there was no error",
            ERRSEQ,
            CheckpointTamper::Next(Field::Errseq),
            Reason::WritebackError,
        ),
        Claim::new(
            "ten-thousand-forgeries",
            "Ten thousand forged checkpoints are refused, each with its reason and nothing else, and leave no memory behind",
            CHECKPOINT,
            3,
            ClaimBuilder::on_upper()
                .volatile_session()
                .assertion(Op::ForgeMany { disk: Disk::A, seed: 20_201_127, times: 10_000 }, Expectation::Done)
                .assert_mounts(Volatile)
                .assert_data_intact(),
        )
        // What is compared does not depend on the filesystem, and ext4 keeps xattrs in the inode and in blocks.
        .on_filesystems(&[Fs::Ext4, Fs::Tmpfs], "compares bytes, on whatever filesystem; ext4 and tmpfs stand for all"),
    ]
}

fn elsewhere() -> Vec<Claim> {
    vec![
        forged(
            "checkpoint-on-the-dirty-file",
            "A checkpoint on the dirty file is none",
            CHECKPOINT,
            CheckpointTamper::MoveTo(XattrLocation::Dirty),
            Reason::NoCheckpoint,
        ),
        forged(
            "checkpoint-on-incompat",
            "A checkpoint on work/incompat is none",
            CHECKPOINT,
            CheckpointTamper::MoveTo(XattrLocation::Incompat),
            Reason::NoCheckpoint,
        ),
        Claim::new(
            "checkpoint-of-another-filesystem",
            "The checkpoint of an upper on another filesystem is refused",
            INSTANCE,
            3,
            ClaimBuilder::on_upper()
                .volatile_session()
                .attach(Disk::B)
                .precondition(overlay(Disk::B, Volatile, AccessPath::Mount), Expectation::Mounted)
                .forge(CheckpointTamper::Of(Disk::B, LayerSet::First))
                .assert_refused(Volatile, EINVAL, Reason::UpperRemounted),
        ),
        Claim::new(
            "checkpoint-of-another-upper",
            "A known limit: the checkpoint of another upper on the same filesystem is as good as its own",
            OURS_LIMIT,
            3,
            ClaimBuilder::on_upper()
                .precondition(overlay_on(LayerSet::Other, Volatile), Expectation::Mounted)
                .run(unmount(LayerSet::Other))
                .volatile_session()
                .forge(CheckpointTamper::Remove)
                .assert_refused(Volatile, EINVAL, Reason::NoCheckpoint)
                .forge(CheckpointTamper::Of(Disk::A, LayerSet::Other))
                .assert_mounts(Volatile)
                .assert_data_intact(),
        ),
        Claim::new(
            "no-xattrs",
            "An upper without xattrs is mounted volatile once, and then refused",
            CHECKPOINT,
            3,
            ClaimBuilder::on_upper().volatile_session().assert_refused(Volatile, EINVAL, Reason::NoCheckpoint),
        )
        .on_filesystems(&[Fs::Ramfs], "has xattrs"),
    ]
}

fn impostors() -> Vec<Claim> {
    let impostor = |name, title, with| {
        let script = ClaimBuilder::on_upper().volatile_session().replace_marker(with).assert_refused(
            Volatile,
            EINVAL,
            Reason::BadCheckpoint,
        );
        Claim::new(name, title, CHECKPOINT, 3, script)
    };
    vec![
        impostor("marker-is-a-file", "A file with the checkpoint is no marker", MarkerReplacement::File),
        impostor("marker-is-a-symlink", "A symbolic link to the marker is no marker", MarkerReplacement::Symlink),
        impostor("marker-is-a-fifo", "A fifo with the checkpoint is no marker", MarkerReplacement::Fifo),
        impostor("marker-is-a-device", "A whiteout with the checkpoint is no marker", MarkerReplacement::Device),
        Claim::new(
            "marker-in-upper-case",
            "A marker in upper case is a feature that nobody knows",
            OURS_INCOMPAT,
            0,
            ClaimBuilder::on_upper().volatile_session().replace_marker(MarkerReplacement::UpperCase).assert_refused(
                Volatile,
                EINVAL,
                Reason::Incompat,
            ),
        ),
    ]
}

fn unreadable() -> Vec<Claim> {
    vec![
        Claim::new(
            "checkpoint-cannot-be-read",
            "A checkpoint that cannot be read fails the mount with that error, and says nothing about the upper",
            CHECKPOINT,
            3,
            ClaimBuilder::on_upper()
                .volatile_session()
                .assert_mounts(Volatile)
                .unmount()
                .sync_and_drop_caches()
                .break_with(Fault::Checkpoint)
                // It is read before it would be changed.
                .precondition(Op::Forge { disk: Disk::A, forgery: CheckpointTamper::Next(Field::InstanceId) }, Expectation::Fails(EIO))
                .assertion(
                    overlay(Disk::A, Volatile, AccessPath::Mount),
                    Expectation::Refused { errno: EIO, reason: Reason::CheckpointUnreadable },
                )
                .upper_still_writable()
                .assert_mounts(Volatile)
                .assert_data_intact(),
        )
        .on_filesystems(&[Fs::Ext4NoJournal], "keeps its xattrs in inodes, or does not tell in which block they are"),
        Claim::new(
            "mount-without-memory",
            "Whichever allocation of a reuse mount fails, it is over a clean work directory or none, and the marker stays",
            CHECKPOINT,
            3,
            ClaimBuilder::on_upper()
                .volatile_session()
                .run(Op::Snapshot { disk: Disk::A, scope: vremount_protocol::SnapshotScope::Marker })
                .assertion(Op::Starve { disk: Disk::A, first: false }, Expectation::RefusedUntilFed)
                .assertion(Op::SameAsSnapshot { disk: Disk::A, scope: vremount_protocol::SnapshotScope::Marker }, Expectation::Done)
                .assert_mounts(Volatile)
                .assert_data_intact(),
        )
        .on_filesystems(&[Fs::Ext2, Fs::Tmpfs], "gives up or goes read-only over some allocations of its own"),
        Claim::new(
            "first-mount-without-memory",
            "Whichever allocation of a first volatile mount fails, the next is accepted, or refused for want of a checkpoint",
            CHECKPOINT,
            3,
            ClaimBuilder::on_upper()
                .assertion(Op::Starve { disk: Disk::A, first: true }, Expectation::AcceptedOrUnchecked)
                .assert_mounts(Volatile),
        )
        .on_filesystems(&[Fs::Ext2, Fs::Tmpfs], "gives up or goes read-only over some allocations of its own"),
    ]
}

fn incompat() -> Vec<Claim> {
    let feature = || Op::MakeIncompat { disk: Disk::A, name: "feature".to_string() };
    let beside = |script: ClaimBuilder, name: &str| {
        script
            .run(Op::MakeIncompat { disk: Disk::A, name: name.to_string() })
            .assert_refused(Volatile, EINVAL, Reason::Incompat)
            .assert_refused(Durable, EINVAL, Reason::Incompat)
            .run(Op::RemoveIncompat { disk: Disk::A, name: name.to_string() })
    };
    // Before the marker and behind it, in whatever order they are read; almost of its name, and almost `.` and `..`.
    let names = ["a-feature", "zz-feature", "volatile2", "volatil", "volatilf", "x", "xx"];
    let beside_features = names.into_iter().fold(ClaimBuilder::on_upper().volatile_session(), beside);
    // What begins with a dot a kernel without the series cleans away: it comes last.
    let beside_features = beside_features.assert_mounts(Volatile).assert_data_intact().unmount();
    vec![
        Claim::new(
            "no-feature",
            "A work/incompat with nothing in it stands in nobody's way",
            OURS_INCOMPAT,
            0,
            ClaimBuilder::on_upper()
                .run(Op::MakeIncompat { disk: Disk::A, name: String::new() })
                .assert_mounts(Durable)
                .unmount()
                .run(Op::MakeIncompat { disk: Disk::A, name: String::new() })
                .assert_mounts(Volatile),
        ),
        Claim::new(
            "incompat-is-a-file",
            "A file in the place of work/incompat is no feature, and is cleaned away like anything in work/",
            OURS_INCOMPAT,
            3,
            ClaimBuilder::on_upper()
                .volatile_session()
                .replace_marker(MarkerReplacement::IncompatFile)
                .assert_mounts(Volatile)
                .unmount()
                .assert_mounts(Volatile)
                .assert_data_intact(),
        ),
        Claim::new(
            "other-feature",
            "A feature in work/incompat that this kernel does not know is refused, volatile or not",
            OURS_INCOMPAT,
            0,
            ClaimBuilder::on_upper().run(feature()).assert_refused(Volatile, EINVAL, Reason::Incompat).assert_refused(
                Durable,
                EINVAL,
                Reason::Incompat,
            ),
        ),
        Claim::new(
            "other-feature-beside-the-marker",
            "A feature that this kernel does not know is refused beside a valid marker too, and the marker stays valid",
            OURS_INCOMPAT,
            3,
            beside(beside_features, ".x").assert_mounts(Volatile).assert_data_intact(),
        ),
        Claim::new(
            "dirty-file-is-made-again",
            "A dirty file that is gone does not matter and is made again, for kernels that only know it",
            OURS_INCOMPAT,
            3,
            ClaimBuilder::on_upper()
                .volatile_session()
                .run(Op::RemoveIncompat { disk: Disk::A, name: "volatile/dirty".to_string() })
                .assert_mounts(Volatile)
                .assert_data_intact()
                .assertion(
                    Op::HoldFile {
                        disk: Disk::A,
                        place: FileLocation::Upper,
                        file: "../work/work/incompat/volatile/dirty".to_string(),
                    },
                    Expectation::Done,
                ),
        ),
        Claim::new(
            "work-cannot-be-cleaned",
            "Over a work directory that cannot be cleaned a reuse is read-only, as any mount always was",
            OURS_INCOMPAT,
            3,
            ClaimBuilder::on_upper()
                .volatile_session()
                .run(Op::LeaveBehind { disk: Disk::A })
                .assertion(overlay(Disk::A, Volatile, AccessPath::Mount), Expectation::MountedReadOnly)
                .assert_data_intact()
                .unmount()
                .run(Op::RemoveLeftBehind { disk: Disk::A })
                .assert_mounts(Volatile)
                .assert_data_intact(),
        ),
    ]
}

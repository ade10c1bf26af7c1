// SPDX-License-Identifier: MIT OR Apache-2.0
//! Mounts at the same time, and errors in the middle of a mount.

use libc::EIO;
use vremount_machine::image::Fs;
use vremount_protocol::Mode::Volatile;
use vremount_protocol::{AccessPath, Disk, Fault, FileLocation, LayerSet, Op};

use crate::Claim;
use crate::citations::{ERRSEQ, OURS_IN_USE};
use crate::refusal_reason::Reason;
use crate::step::{BYTES, ClaimBuilder, Expectation, FILE, SECOND_SEED, SYNC, overlay, unmount};

/// A read takes so long while an error is to happen between two of them.
const READ_MS: u32 = 1000;
/// The same while mounts race.
const RACE_READ_MS: u32 = 50;
/// As many reads as a mount makes with empty caches, and one more.
const READS: u64 = 9;
const READS_IN_MOUNTS: &[Fs] = &[Fs::Ext4, Fs::Ext4NoJournal, Fs::Ext2, Fs::Xfs, Fs::F2fs];
const NO_READS: &str = "keeps in memory what a mount reads: the tree of so small a filesystem is one node";

pub fn claims() -> Vec<Claim> {
    let race = |mounts| Op::Race { disk: Disk::A, mounts };
    let one_wins = |mounts: u32| Expectation::OneWins { others: mounts - 1, reason: Reason::InUse };
    // What a mount has to read makes it sleep, and lets in the others.
    let slow = |script: ClaimBuilder| {
        script.sync_and_drop_caches().break_with(Fault::SlowReads { ms: RACE_READ_MS }).run(Op::DropCaches)
    };
    let raced = |name, title, mounts| {
        let script = slow(ClaimBuilder::on_upper().volatile_session()).assertion(race(mounts), one_wins(mounts)).heal();
        Claim::new(name, title, OURS_IN_USE, 3, script.assert_mounts(Volatile).assert_data_intact())
            .on_filesystems(READS_IN_MOUNTS, NO_READS)
    };
    vec![
        raced("two-mounts-race", "Of two mounts at the same time at most one wins, and the upper can be reused after it", 2),
        raced("sixteen-mounts-race", "Of sixteen mounts at the same time at most one wins, and the upper can be reused after it", 16),
        Claim::new(
            "error-while-mounts-race",
            "An error while mounts race is found by the next mount at the latest",
            ERRSEQ,
            4,
            ClaimBuilder::on_upper()
                .volatile_session()
                .sync_and_drop_caches()
                .break_with(Fault::DataAndSlowReads { file: FILE.to_string(), ms: READ_MS })
                .run(lost())
                // What the first lets go of, xfs frees with the second: a mount that reads nothing races with no error.
                .run(Op::DropCaches)
                .run(Op::DropCaches)
                .run(Op::SyncUpperLater { disk: Disk::A, ms: u64::from(READ_MS) / 2 })
                .assertion(race(4), Expectation::AtMostOneWins)
                .run(Op::HasEnded)
                .precondition(Op::Join, Expectation::Fails(EIO))
                .precondition(SYNC, Expectation::Fails(EIO))
                .upper_still_writable()
                .assert_refused_for_writeback_error(),
        )
        .on_filesystems(READS_IN_MOUNTS, NO_READS),
        Claim::new(
            "error-during-reuse",
            "An error at any time during a reuse refuses it, or the one after it",
            ERRSEQ,
            4,
            (0..READS).fold(ClaimBuilder::on_upper(), error_during),
        )
        .on_filesystems(READS_IN_MOUNTS, NO_READS),
        Claim::new(
            "error-during-first-mount",
            "An error during the first volatile mount, before there is a checkpoint, refuses every reuse",
            ERRSEQ,
            4,
            error_during_first(ClaimBuilder::on_upper()),
        )
        .on_filesystems(
            &[Fs::Ext4, Fs::Ext4NoJournal, Fs::Ext2, Fs::Xfs],
            "has all in memory, or reads so much on the way to the upper that the error may come before the mount counts",
        ),
    ]
}

/// What is written to the upper and does not reach the disk.
fn lost() -> Op {
    Op::Write {
        disk: Disk::A,
        layers: LayerSet::First,
        place: FileLocation::Upper,
        file: FILE.to_string(),
        bytes: BYTES,
        seed: SECOND_SEED,
    }
}

/// Reuse of a fresh upper, from the disk, with an error after so many of its reads.
fn error_during(script: ClaimBuilder, reads: u64) -> ClaimBuilder {
    // Every mount makes a read; some make no more, and the last errors come after them.
    let in_the_middle = if reads == 0 { Expectation::Done } else { Expectation::Whatever };
    script
        .run(Op::FreshUpper { disk: Disk::A })
        .volatile_session()
        .sync_and_drop_caches()
        .break_with(Fault::DataAndSlowReads { file: FILE.to_string(), ms: READ_MS })
        .run(lost())
        .run(Op::DropCaches)
        .run(Op::SyncUpperLater { disk: Disk::A, ms: reads * u64::from(READ_MS) + 500 })
        .assertion(overlay(Disk::A, Volatile, AccessPath::Mount), Expectation::MountedOrError)
        .precondition(Op::HasEnded, in_the_middle)
        .precondition(Op::Join, Expectation::Fails(EIO))
        .precondition(SYNC, Expectation::Fails(EIO))
        .upper_still_writable()
        .precondition(unmount(LayerSet::First), Expectation::Whatever)
        .assert_refused_for_writeback_error()
}

/// The same for the first mount of an upper that has files. What is dirty keeps the way to it in memory: the mount's reads
/// are those of its work directory, and the error comes after the first of them.
fn error_during_first(script: ClaimBuilder) -> ClaimBuilder {
    script
        .run(Op::FreshUpper { disk: Disk::A })
        .run(lost())
        .sync_and_drop_caches()
        .break_with(Fault::DataAndSlowReads { file: FILE.to_string(), ms: READ_MS })
        .run(lost())
        .run(Op::DropCaches)
        .run(Op::SyncUpperLater { disk: Disk::A, ms: u64::from(READ_MS) * 3 / 2 })
        .precondition(overlay(Disk::A, Volatile, AccessPath::Mount), Expectation::Mounted)
        .precondition(Op::HasEnded, Expectation::Done)
        .precondition(Op::Join, Expectation::Fails(EIO))
        .precondition(SYNC, Expectation::Fails(EIO))
        .upper_still_writable()
        .unmount()
        .assert_refused_for_writeback_error()
}

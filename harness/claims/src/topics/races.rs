// SPDX-License-Identifier: MIT OR Apache-2.0
//! Simultaneous mounts, and writeback errors during a mount.

use libc::EIO;
use vremount_machine::image::Fs;
use vremount_protocol::Mode::Volatile;
use vremount_protocol::{AccessPath, Disk, Fault, FileLocation, LayerSet, Op};

use crate::Claim;
use crate::builder::{BYTES, ClaimBuilder, FILE, SECOND_SEED, SYNC, mount_overlay, unmount_layers};
use crate::citations::{ERRSEQ, OURS_IN_USE};
use crate::refusal_reason::Reason;
use crate::step::Expectation;

/// Delay of each read, in milliseconds, in claims where an error happens between two reads.
const READ_MS: u32 = 1000;
/// Delay of each read, in milliseconds, while mounts race.
const RACE_READ_MS: u32 = 50;
/// One more than the number of reads of a mount with empty caches.
const READS: u64 = 9;
/// Filesystems on which a mount with empty caches reads from the disk.
const READS_IN_MOUNTS: &[Fs] = &[Fs::Ext4, Fs::Ext4NoJournal, Fs::Ext2, Fs::Xfs, Fs::F2fs];
const NO_READS: &str = "the filesystem keeps in memory what a mount reads, so that no disk read can be delayed";

pub fn claims() -> Vec<Claim> {
    let race = |mounts| Op::MountConcurrently { disk: Disk::A, mounts };
    let one_wins =
        |mounts: u32| Expectation::AtMostOneMountedOthersRefused { others: mounts - 1, reason: Reason::InUse };
    // A mount sleeps during a delayed read, so that other mounts run.
    let delay_reads = |builder: ClaimBuilder| {
        builder.sync_and_drop_caches().inject(Fault::SlowReads { ms: RACE_READ_MS }).run(Op::DropCaches)
    };
    let race_claim = |name, title, mounts| {
        let builder = delay_reads(ClaimBuilder::with_upper().setup_volatile_upper())
            .assert(race(mounts), one_wins(mounts))
            .clear_fault();
        Claim::new(name, title, OURS_IN_USE, 3, builder.assert_mounts(Volatile).assert_data_intact())
            .on_filesystems(READS_IN_MOUNTS, NO_READS)
    };
    vec![
        race_claim(
            "two-mounts-race",
            "If 2 reuse mounts race, at most one succeeds, the others are refused as `in-use`; later reuse succeeds",
            2,
        ),
        race_claim(
            "sixteen-mounts-race",
            "If 16 reuse mounts race, at most one succeeds, the others are refused as `in-use`; later reuse succeeds",
            16,
        ),
        Claim::new(
            "error-while-mounts-race",
            "After a writeback error while 4 reuse mounts race, the next mount is refused as `writeback-error`",
            ERRSEQ,
            4,
            ClaimBuilder::with_upper()
                .setup_volatile_upper()
                .sync_and_drop_caches()
                .inject(Fault::DataAndSlowReads { file: FILE.to_string(), ms: READ_MS })
                .run(write_lost_data())
                // xfs frees inodes only when caches are dropped a second time, and a mount must
                // read to overlap the error.
                .run(Op::DropCaches)
                .run(Op::DropCaches)
                .run(Op::SyncUpperInThread { disk: Disk::A, ms: u64::from(READ_MS) / 2 })
                .assert(race(4), Expectation::AtMostOneMounted)
                .run(Op::ThreadHasEnded)
                .require(Op::JoinThread, Expectation::Fails(EIO))
                .require(SYNC, Expectation::Fails(EIO))
                .clear_fault_and_require_read_write()
                .assert_refused_for_writeback_error(),
        )
        .on_filesystems(READS_IN_MOUNTS, NO_READS),
        Claim::new(
            "error-during-reuse",
            "A writeback error at any time during reuse refuses that mount or, at the latest, the next one",
            ERRSEQ,
            4,
            (0..READS).fold(ClaimBuilder::with_upper(), error_during),
        )
        .on_filesystems(READS_IN_MOUNTS, NO_READS),
        Claim::new(
            "error-during-first-mount",
            "A writeback error during the first volatile mount refuses reuse as `writeback-error`",
            ERRSEQ,
            4,
            error_during_first(ClaimBuilder::with_upper()),
        )
        .on_filesystems(
            &[Fs::Ext4, Fs::Ext4NoJournal, Fs::Ext2, Fs::Xfs],
            "the error cannot be timed: a mount reads nothing, or too much before it takes its errseq sample",
        ),
    ]
}

/// Write to a file of the upper whose blocks fail.
fn write_lost_data() -> Op {
    Op::Write {
        disk: Disk::A,
        layers: LayerSet::First,
        location: FileLocation::Upper,
        file: FILE.to_string(),
        bytes: BYTES,
        seed: SECOND_SEED,
    }
}

/// Reuse of a fresh upper with empty caches and a writeback error after `reads` reads of the mount.
fn error_during(builder: ClaimBuilder, reads: u64) -> ClaimBuilder {
    // Only the first read is certain. Later errors may come after the end of the mount.
    let error_before_end = if reads == 0 { Expectation::Done } else { Expectation::AnyOutcome };
    builder
        .run(Op::RecreateUpper { disk: Disk::A })
        .setup_volatile_upper()
        .sync_and_drop_caches()
        .inject(Fault::DataAndSlowReads { file: FILE.to_string(), ms: READ_MS })
        .run(write_lost_data())
        .run(Op::DropCaches)
        .run(Op::SyncUpperInThread { disk: Disk::A, ms: reads * u64::from(READ_MS) + 500 })
        .assert(mount_overlay(Disk::A, Volatile, AccessPath::Mount), Expectation::MountedOrWritebackError)
        .require(Op::ThreadHasEnded, error_before_end)
        .require(Op::JoinThread, Expectation::Fails(EIO))
        .require(SYNC, Expectation::Fails(EIO))
        .clear_fault_and_require_read_write()
        .require(unmount_layers(LayerSet::First), Expectation::AnyOutcome)
        .assert_refused_for_writeback_error()
}

/// A first volatile mount of an upper that has files, with a writeback error after its first read.
/// The dirty file keeps the path to the upper in memory, so that the mount reads only its work
/// directory.
fn error_during_first(builder: ClaimBuilder) -> ClaimBuilder {
    builder
        .run(Op::RecreateUpper { disk: Disk::A })
        .run(write_lost_data())
        .sync_and_drop_caches()
        .inject(Fault::DataAndSlowReads { file: FILE.to_string(), ms: READ_MS })
        .run(write_lost_data())
        .run(Op::DropCaches)
        .run(Op::SyncUpperInThread { disk: Disk::A, ms: u64::from(READ_MS) * 3 / 2 })
        .require(mount_overlay(Disk::A, Volatile, AccessPath::Mount), Expectation::Mounted)
        .require(Op::ThreadHasEnded, Expectation::Done)
        .require(Op::JoinThread, Expectation::Fails(EIO))
        .require(SYNC, Expectation::Fails(EIO))
        .clear_fault_and_require_read_write()
        .unmount()
        .assert_refused_for_writeback_error()
}

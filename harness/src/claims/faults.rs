// SPDX-License-Identifier: MIT OR Apache-2.0
//! Other faults, what becomes of the upper filesystem, and what patch 4 cannot see.

use libc::{EINVAL, EIO};
use vremount_wire::Mode::Volatile;
use vremount_wire::{Disk, Fault, Op, Place, Stack, Via};

use super::step::{BYTES, FILE, SECOND_SEED, SYNC, Script, Want, overlay};
use super::writeback::{ERRSEQ, EXPIRED_MS, HAD_ERRORS};
use super::{Claim, claim};
use crate::image::Fs;
use crate::reason::Reason;

const SUBSET: &str = "this mechanism only determines a subset of the error scenarios";
const REMOUNTED: &str = "It can also make sure the underlying filesystem wasn't remounted";

pub fn claims() -> Vec<Claim> {
    [windows(), full(), unseen(), shut()].into_iter().flatten().collect()
}

fn windows() -> Vec<Claim> {
    vec![
        claim(
            "writes-fail-for-a-moment",
            "Writes that fail for a second in which nobody writes do not matter",
            HAD_ERRORS,
            3,
            Script::on_upper()
                .after_volatile()
                .break_with(Fault::Writes)
                .run(Op::Sleep { ms: 1000 })
                .still_writable()
                .run(SYNC)
                .mounts(Volatile)
                .intact(),
        ),
        claim(
            "errors-before-and-after",
            "An error that was seen before the first mount does not matter, the same error after it does",
            ERRSEQ,
            4,
            Script::on_upper()
                .doomed()
                .fails_seen_by(SYNC)
                .unmount()
                .run(Op::FreshUpper { disk: Disk::A })
                .doomed()
                .unmount()
                .fails_seen_by(SYNC)
                .refuses_for_error(),
        ),
    ]
}

fn full() -> Vec<Claim> {
    Vec::new()
}

fn unseen() -> Vec<Claim> {
    vec![
        claim(
            "direct-write-error-is-not-seen",
            "A known limit: an error of an O_DIRECT write is told its writer alone, and the upper is reused",
            SUBSET,
            3,
            Script::on_upper()
                .mounted(Volatile)
                .write()
                .run(SYNC)
                .break_data(Disk::A)
                .given(
                    Op::WriteDirect { disk: Disk::A, file: FILE.to_string(), bytes: BYTES, seed: SECOND_SEED },
                    Want::Fails(EIO),
                )
                .still_writable()
                .unmount()
                .mounts(Volatile)
                .intact(),
        ),
        claim(
            "flush-error-is-not-seen",
            "A known limit: a failed flush does not reach s_wb_err, and the upper is reused",
            SUBSET,
            3,
            Script::on_upper()
                .mounted(Volatile)
                .write()
                .unmount()
                // With the journal committed, the next sync is a bare flush.
                .run(SYNC)
                .break_with(Fault::Flush)
                .fails_seen_by(Op::FsyncUpperFile { disk: Disk::A, file: FILE.into() })
                .mounts(Volatile)
                .intact(),
        )
        .only(&[Fs::Ext4, Fs::Ext2, Fs::Xfs, Fs::F2fs], "fsync of a file with nothing to write does not flush"),
        claim(
            "read-error-is-not-seen",
            "An error of a read is no writeback error: the mount fails while it lasts, and is accepted after it",
            SUBSET,
            3,
            Script::on_upper()
                .after_volatile()
                .forget()
                .break_with(Fault::Reads)
                .given(Op::HoldFile { disk: Disk::A, place: Place::Upper, file: FILE.to_string() }, Want::Fails(EIO))
                .then(overlay(Disk::A, Volatile, Via::Mount), Want::Refused { errno: EIO, reason: Reason::Unreadable })
                .still_writable()
                .mounts(Volatile)
                .intact(),
        )
        .only(
            &[Fs::Ext4, Fs::Ext4NoJournal, Fs::Ext2, Fs::Xfs, Fs::F2fs],
            "keeps its metadata in memory while it is mounted",
        ),
    ]
}

fn shut() -> Vec<Claim> {
    Vec::new()
}

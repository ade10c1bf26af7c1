// SPDX-License-Identifier: MIT OR Apache-2.0
//! Mounts at the same time, and errors in the middle of a mount.

use libc::EIO;
use vremount_wire::Mode::Volatile;
use vremount_wire::{Disk, Fault, Layers, Op, Place, Via};

use super::sentence::{ERRSEQ, OURS_IN_USE};
use super::step::{BYTES, FILE, SECOND_SEED, SYNC, Script, Want, overlay, unmount};
use super::{Claim, claim};
use crate::reason::Reason;

/// A read takes so long while an error is to happen between two of them.
const READ_MS: u32 = 1000;
/// As many reads as a mount makes with empty caches, and one more.
const READS: u64 = 9;

pub fn claims() -> Vec<Claim> {
    let race = |mounts| Op::Race { disk: Disk::A, mounts };
    let one_wins = |mounts: u32| Want::OneWins { others: mounts - 1, reason: Reason::InUse };
    let raced = |name, title, mounts| {
        let script = Script::on_upper().after_volatile().then(race(mounts), one_wins(mounts)).mounts(Volatile).intact();
        claim(name, title, OURS_IN_USE, 3, script)
    };
    vec![
        raced("two-mounts-race", "Of two mounts at the same time one wins, and the upper can be reused after it", 2),
        raced("sixteen-mounts-race", "Of sixteen mounts at the same time one wins", 16),
        claim(
            "error-while-mounts-race",
            "An error while mounts race is found by the next mount at the latest",
            ERRSEQ,
            4,
            Script::on_upper()
                .doomed()
                .unmount()
                .run(Op::SyncUpperLater { disk: Disk::A, ms: 0 })
                .given(race(4), Want::AtMostOneWins)
                .given(Op::Join, Want::Fails(EIO))
                .still_writable()
                .refuses_for_error(),
        ),
        claim(
            "error-during-reuse",
            "An error at any time during a reuse refuses it, or the one after it",
            ERRSEQ,
            4,
            (0..READS).fold(Script::on_upper(), |script, read| error_during(script, read * 1000 + 500)),
        ),
    ]
}

/// Reuse of a fresh upper, from the disk, with an error so long after its start.
fn error_during(script: Script, ms: u64) -> Script {
    let again = Op::Write {
        disk: Disk::A,
        layers: Layers::First,
        place: Place::Upper,
        file: FILE.to_string(),
        bytes: BYTES,
        seed: SECOND_SEED,
    };
    script
        .run(Op::FreshUpper { disk: Disk::A })
        .after_volatile()
        .forget()
        .break_with(Fault::DataAndSlowReads { file: FILE.to_string(), ms: READ_MS })
        .run(again)
        .run(Op::DropCaches)
        .run(Op::SyncUpperLater { disk: Disk::A, ms })
        .then(overlay(Disk::A, Volatile, Via::Mount), Want::MountedOrError)
        .given(Op::Join, Want::Fails(EIO))
        .given(SYNC, Want::Fails(EIO))
        .still_writable()
        .given(unmount(Layers::First), Want::Whatever)
        .refuses_for_error()
}

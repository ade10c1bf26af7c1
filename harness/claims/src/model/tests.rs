// SPDX-License-Identifier: MIT OR Apache-2.0
//! Claims and model were written apart: each must say what the other says, on every filesystem and at every level.

use std::collections::BTreeSet;

use vremount_kernel::base::{Base, Level};
use vremount_machine::image::Fs;

use crate as claims;
use crate::model::{OutOfModel, predict};
use crate::verdict::Verdict;

fn levels() -> impl Iterator<Item = Level> {
    [Level::PRISTINE].into_iter().chain(Level::patched())
}

/// What is not promised, or not to be foretold, and so cannot be agreed on: on which filesystems where not on all, and from which
/// level on. It grows only by a change of this list.
const BEYOND: [(&str, &[Fs], u8, &str); 41] = [
    ("checkpoint-cannot-be-read", &[], 3, METADATA),
    ("checkpoint-without-instance", &[], 4, "what was cut off and filled up may be whole again"),
    ("dirty-file-is-made-again", &[], 3, "there is no such file"),
    ("error-during-first-mount", &[], 0, THREADS),
    ("error-during-reuse", &[], 0, THREADS),
    ("error-while-mounts-race", &[], 0, THREADS),
    ("first-mount-without-memory", &[], 0, "nothing is promised to who is short of memory"),
    ("marker-lost-to-a-power-cut", &[], 0, POWER),
    ("metadata-error", &[], 0, UNWRITTEN),
    ("mount-without-memory", &[], 0, "nothing is promised to who is short of memory"),
    ("no-space-below", &[Fs::F2fs], 0, STOPPED),
    ("overlay-as-upper", &[], 0, OPTIONS),
    ("pool-full", &[Fs::F2fs], 0, STOPPED),
    ("read-error-is-not-seen", &[], 0, METADATA),
    ("reuse-with-a-leftover-in-the-index", &[], 3, "there is no such file"),
    ("upper-and-work-on-two-mounts", &[], 0, OPTIONS),
    ("upper-shut-down", &[], 0, SHUT_DOWN),
    ("upper-shut-down-f2fs", &[], 0, SHUT_DOWN),
    ("upper-shut-down-xfs", &[], 0, SHUT_DOWN),
    ("upper-went-read-only", &[], 0, METADATA),
    ("volatile-without-upper", &[], 0, "there is nothing to reuse without an upper"),
    // Of other bases than the default one.
    ("direct-write-error", &[Fs::Btrfs, Fs::BtrfsSubvolume], 0, ELSEWHERE),
    ("error-is-told-by-sync", &[], 0, OPERATION),
    ("error-is-told-by-sync-after-reuse", &[], 3, OPERATION),
    ("fsopen-is-told-of-errors", &[], 0, OPERATION),
    ("fsopen-is-told-why", &[], 0, OPERATION),
    ("fsync-option-last-one-wins", &[], 0, OPTIONS),
    ("metadata-error-is-not-seen", &[], 0, UNWRITTEN),
    ("no-space-below-a-journal-that-shuts-down", &[], 0, ELSEWHERE),
    ("no-space-below-a-quiet-journal", &[], 0, ELSEWHERE),
    ("reuse-by-fsopen", &[], 0, OPERATION),
    ("reuse-ignoring-case", &[], 0, OPERATION),
    ("reuse-in-user-namespace", &[], 0, OPERATION),
    ("reuse-with-fsync-volatile", &[], 0, OPTIONS),
    ("reuse-with-userxattr", &[], 0, OPTIONS),
    ("trusted-after-userxattr", &[], 0, OPTIONS),
    ("upper-in-an-emergency", &[], 0, ELSEWHERE),
    ("upper-shut-itself-down", &[], 0, ELSEWHERE),
    ("upper-went-quietly-read-only", &[], 0, ELSEWHERE),
    ("user-namespace-without-userxattr", &[], 0, OPERATION),
    ("userxattr-after-trusted", &[], 0, OPTIONS),
];
const ELSEWHERE: &str = "filesystems are as in the default base";
const OPERATION: &str = "the model does not know this operation";
const METADATA: &str = "what of the metadata must be read from the disk is the filesystem's business";
const OPTIONS: &str = "the model knows no other options";
const UNWRITTEN: &str = "what a filesystem does that cannot write its metadata is its own business";
const POWER: &str = "what of the metadata reached the disk before the power was cut is open";
const STOPPED: &str = "f2fs stops over a disk without room, and fails whatever is asked of it";
const THREADS: &str = "which of two threads is first is open";
const SHUT_DOWN: &str = "what a filesystem that was shut down still answers is its own business";

#[test]
fn every_claim_agrees_with_the_model_or_is_beyond_it() {
    let mut beyond = BTreeSet::new();
    let (mut agreed, mut disagreed) = (0, Vec::new());
    let root = vremount_kernel::testing::checkout();
    // What one base lacks another has.
    let bases = Base::all(&root).unwrap();
    let claims: Vec<_> =
        bases.iter().flat_map(|base| claims::for_base(base).into_iter().map(move |claim| (base, claim))).collect();
    for (base, claim) in &claims {
        for fs in Fs::ALL.into_iter().filter(|fs| claim.skip_reason_on(*fs).is_none()) {
            for level in levels() {
                let claimed = if claim.min_level <= level.number() { Verdict::Holds } else { Verdict::Broken };
                match predict(base, claim, fs, level) {
                    Ok(foretold)
                        if foretold.as_ref().map_or(Verdict::Holds, |foretold| foretold.verdict) == claimed =>
                    {
                        agreed += 1;
                    }
                    Ok(foretold) => {
                        disagreed.push(format!(
                            "{}: {} on {} at {level}: {foretold:?}",
                            base.name,
                            claim.name,
                            fs.name()
                        ));
                    }
                    Err(OutOfModel(why)) => drop(beyond.insert((&base.name, claim.name, fs, level.number(), why))),
                }
            }
        }
    }
    assert!(disagreed.is_empty(), "{disagreed:#?}");
    println!("{agreed} verdicts agree; {} claims are beyond the model: {beyond:#?}", beyond.len());
    let known = claims.iter().flat_map(|(base, claim)| {
        let of_it = BEYOND.iter().filter(|(name, ..)| *name == claim.name);
        of_it.flat_map(move |(name, on, since, why)| {
            let on = Fs::ALL.into_iter().filter(|fs| on.is_empty() || on.contains(fs));
            let on = on.filter(|fs| claim.skip_reason_on(*fs).is_none());
            on.flat_map(move |fs| (*since..=4).map(move |level| (&base.name, *name, fs, level, *why)))
        })
    });
    let known: BTreeSet<_> = known.collect();
    let differ: Vec<_> = beyond.symmetric_difference(&known).collect();
    assert!(differ.is_empty(), "{differ:#?}");
}

// SPDX-License-Identifier: MIT OR Apache-2.0
//! Claims and model were written apart: each must say what the other says, on every filesystem and at every level.

use std::collections::BTreeSet;

use super::{Beyond, foretell};
use crate::base::{Base, Level};
use crate::claims;
use crate::image::Fs;
use crate::verdict::Verdict;

fn levels() -> impl Iterator<Item = Level> {
    [Level::PRISTINE].into_iter().chain(Level::patched())
}

/// What is not promised, or not to be foretold, and so cannot be agreed on, on which filesystems where not on all. It grows only
/// by a change of this list.
const BEYOND: [(&str, &[Fs], &str); 23] = [
    ("checkpoint-cannot-be-read", &[], METADATA),
    ("checkpoint-without-instance", &[], "what was cut off and filled up may be whole again"),
    ("dirty-file-is-made-again", &[], "there is no such file"),
    ("error-during-first-mount", &[], THREADS),
    ("error-during-reuse", &[], THREADS),
    ("error-while-mounts-race", &[], THREADS),
    ("first-mount-of-a-work-directory-in-use", &[], OPTIONS),
    ("first-mount-without-memory", &[], "nothing is promised to who is short of memory"),
    ("marker-lost-to-a-power-cut", &[], POWER),
    ("metadata-error", &[], UNWRITTEN),
    ("mount-without-memory", &[], "nothing is promised to who is short of memory"),
    ("no-space-below", &[Fs::F2fs], STOPPED),
    ("overlay-as-upper", &[], OPTIONS),
    ("pool-full", &[Fs::F2fs], STOPPED),
    ("read-error-is-not-seen", &[], METADATA),
    ("second-mount-of-a-work-directory", &[], OPTIONS),
    ("reuse-with-a-leftover-in-the-index", &[], "there is no such file"),
    ("upper-and-work-on-two-mounts", &[], OPTIONS),
    ("upper-shut-down", &[], SHUT_DOWN),
    ("upper-shut-down-f2fs", &[], SHUT_DOWN),
    ("upper-shut-down-xfs", &[], SHUT_DOWN),
    ("upper-went-read-only", &[], METADATA),
    ("volatile-without-upper", &[], "there is nothing to reuse without an upper"),
];
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
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let claims = claims::of(&Base::find(&root, None).unwrap());
    for claim in &claims {
        for fs in Fs::ALL.into_iter().filter(|fs| claim.skipped_on(*fs).is_none()) {
            for level in levels() {
                let claimed = if claim.since <= level.number() { Verdict::Holds } else { Verdict::Broken };
                match foretell(claim, fs, level) {
                    Ok(foretold)
                        if foretold.as_ref().map_or(Verdict::Holds, |foretold| foretold.verdict) == claimed =>
                    {
                        agreed += 1;
                    }
                    Ok(foretold) => {
                        disagreed.push(format!("{} on {} at {level}: {foretold:?}", claim.name, fs.name()));
                    }
                    Err(Beyond(why)) => drop(beyond.insert((claim.name, fs, why))),
                }
            }
        }
    }
    assert!(disagreed.is_empty(), "{disagreed:#?}");
    println!("{agreed} verdicts agree; {} claims are beyond the model: {beyond:#?}", beyond.len());
    let about = |name: &str, fs: Fs| claims.iter().any(|claim| claim.name == name && claim.skipped_on(fs).is_none());
    let known = BEYOND.iter().flat_map(|(name, on, why)| {
        let on = if on.is_empty() { &Fs::ALL } else { *on };
        on.iter().filter(|fs| about(name, **fs)).map(|fs| (*name, *fs, *why)).collect::<Vec<_>>()
    });
    assert_eq!(beyond, known.collect());
}

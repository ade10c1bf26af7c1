// SPDX-License-Identifier: MIT OR Apache-2.0
//! Compares the claims with the model, which was written independently: on every base, filesystem
//! and level, the predicted verdict must be the claimed one.

use std::collections::BTreeSet;

use vremount_kernel::base::{Base, Level};
use vremount_machine::image::Fs;

use crate as claims;
use crate::Claim;
use crate::model::{OutOfModel, predict};
use crate::verdict::Verdict;

fn levels() -> impl Iterator<Item = Level> {
    [Level::PRISTINE].into_iter().chain(Level::patched())
}

/// Claims on which the model makes no prediction: claim, filesystems (none means all), first level
/// and reason. The test fails if a claim is missing or listed without need.
const OUT_OF_MODEL: &[(&str, &[Fs], u8, OutOfModel)] = &[
    ("checkpoint-cannot-be-read", &[], 3, OutOfModel::UNREADABLE_METADATA),
    ("checkpoint-without-instance", &[], 4, OutOfModel::RESTORED_CHECKPOINT),
    ("dirty-file-is-made-again", &[], 3, OutOfModel::NO_FILE),
    ("error-during-first-mount", &[], 0, OutOfModel::THREAD_ORDER),
    ("error-during-reuse", &[], 0, OutOfModel::THREAD_ORDER),
    ("error-while-mounts-race", &[], 0, OutOfModel::THREAD_ORDER),
    ("first-mount-without-memory", &[], 0, OutOfModel::LACK_OF_MEMORY),
    ("marker-lost-to-a-power-cut", &[], 0, OutOfModel::METADATA_AT_POWER_CUT),
    ("metadata-error", &[], 0, OutOfModel::UNWRITABLE_METADATA),
    ("mount-without-memory", &[], 0, OutOfModel::LACK_OF_MEMORY),
    ("no-space-below", &[Fs::F2fs], 0, OutOfModel::F2FS_WITHOUT_SPACE),
    ("overlay-as-upper", &[], 0, OutOfModel::UNKNOWN_OPTION),
    ("pool-full", &[Fs::F2fs], 0, OutOfModel::F2FS_WITHOUT_SPACE),
    ("read-error-is-not-seen", &[], 0, OutOfModel::UNREADABLE_METADATA),
    ("reuse-with-a-leftover-in-the-index", &[], 3, OutOfModel::NO_FILE),
    ("upper-and-work-on-two-mounts", &[], 0, OutOfModel::UNKNOWN_OPTION),
    ("upper-shut-down", &[], 0, OutOfModel::SHUT_DOWN_UPPER),
    ("upper-shut-down-f2fs", &[], 0, OutOfModel::SHUT_DOWN_UPPER),
    ("upper-shut-down-xfs", &[], 0, OutOfModel::SHUT_DOWN_UPPER),
    ("upper-went-read-only", &[], 0, OutOfModel::UNREADABLE_METADATA),
    ("volatile-without-upper", &[], 0, OutOfModel::NO_UPPER_LAYER),
    // Claims that apply to other bases than the default one.
    ("direct-write-error", &[Fs::Btrfs, Fs::BtrfsSubvolume], 0, OutOfModel::OTHER_BASE),
    ("error-is-told-by-sync", &[], 0, OutOfModel::UNKNOWN_OPERATION),
    ("error-is-told-by-sync-after-reuse", &[], 3, OutOfModel::UNKNOWN_OPERATION),
    ("fsopen-is-told-of-errors", &[], 0, OutOfModel::UNKNOWN_OPERATION),
    ("fsopen-is-told-why", &[], 0, OutOfModel::UNKNOWN_OPERATION),
    ("fsync-option-last-one-wins", &[], 0, OutOfModel::UNKNOWN_OPTION),
    ("metadata-error-is-not-seen", &[], 0, OutOfModel::UNWRITABLE_METADATA),
    ("no-space-below-a-journal-that-shuts-down", &[], 0, OutOfModel::OTHER_BASE),
    ("no-space-below-a-quiet-journal", &[], 0, OutOfModel::OTHER_BASE),
    ("reuse-by-fsopen", &[], 0, OutOfModel::UNKNOWN_OPERATION),
    ("reuse-ignoring-case", &[], 0, OutOfModel::UNKNOWN_OPERATION),
    ("reuse-in-user-namespace", &[], 0, OutOfModel::UNKNOWN_OPERATION),
    ("reuse-with-fsync-volatile", &[], 0, OutOfModel::UNKNOWN_OPTION),
    ("reuse-with-userxattr", &[], 0, OutOfModel::UNKNOWN_OPTION),
    ("trusted-after-userxattr", &[], 0, OutOfModel::UNKNOWN_OPTION),
    ("upper-in-an-emergency", &[], 0, OutOfModel::OTHER_BASE),
    ("upper-shut-itself-down", &[], 0, OutOfModel::OTHER_BASE),
    ("upper-went-quietly-read-only", &[], 0, OutOfModel::OTHER_BASE),
    ("user-namespace-without-userxattr", &[], 0, OutOfModel::UNKNOWN_OPERATION),
    ("userxattr-after-trusted", &[], 0, OutOfModel::UNKNOWN_OPTION),
];

/// Identifies a case at a level, with the reason why the model makes no prediction.
type Unpredicted<'a> = (&'a str, &'a str, Fs, u8, OutOfModel);

/// Expands [`OUT_OF_MODEL`] for the claims of all bases.
fn known_unpredicted<'a>(claims: &'a [(Base, Claim)]) -> BTreeSet<Unpredicted<'a>> {
    let mut known = BTreeSet::new();
    for (base, claim) in claims {
        for (_, filesystems, first_level, reason) in OUT_OF_MODEL.iter().filter(|(name, ..)| *name == claim.name) {
            let is_listed = |fs: &Fs| filesystems.is_empty() || filesystems.contains(fs);
            for fs in Fs::ALL.into_iter().filter(is_listed).filter(|fs| claim.skip_reason_on(*fs).is_none()) {
                let listed_levels = levels().map(Level::number).filter(|level| level >= first_level);
                known.extend(listed_levels.map(|level| (base.name.as_str(), claim.name, fs, level, *reason)));
            }
        }
    }
    known
}

#[test]
fn every_claim_agrees_with_the_model_or_is_listed_as_out_of_model() {
    let mut unpredicted = BTreeSet::new();
    let (mut agreed, mut disagreed) = (0, Vec::new());
    let root = vremount_kernel::testing::checkout();
    // Some claims apply only to some bases.
    let claims: Vec<_> = Base::all(&root)
        .unwrap()
        .into_iter()
        .flat_map(|base| claims::for_base(&base).into_iter().map(move |claim| (base.clone(), claim)))
        .collect();
    for (base, claim) in &claims {
        for fs in Fs::ALL.into_iter().filter(|fs| claim.skip_reason_on(*fs).is_none()) {
            for level in levels() {
                let claimed = if claim.min_level <= level.number() { Verdict::Holds } else { Verdict::Broken };
                match predict(base, claim, fs, level) {
                    Ok(prediction) if prediction.as_ref().map_or(Verdict::Holds, |it| it.verdict) == claimed => {
                        agreed += 1;
                    }
                    Ok(prediction) => {
                        let case = format!("{}: {} on {} at level {level}", base.name, claim.name, fs.name());
                        disagreed.push(format!("{case}: claimed {claimed}, predicted {prediction:?}"));
                    }
                    Err(reason) => {
                        unpredicted.insert((base.name.as_str(), claim.name, fs, level.number(), reason));
                    }
                }
            }
        }
    }
    println!("{agreed} verdicts agree, {} are out of the model: {unpredicted:#?}", unpredicted.len());
    assert!(disagreed.is_empty(), "{disagreed:#?}");
    let known = known_unpredicted(&claims);
    let differences: Vec<_> = unpredicted.symmetric_difference(&known).collect();
    assert!(differences.is_empty(), "OUT_OF_MODEL is not up to date: {differences:#?}");
}

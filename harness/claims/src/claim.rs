// SPDX-License-Identifier: MIT OR Apache-2.0
//! A claim: one statement about the kernel, as a list of steps with expected outcomes.

use std::collections::BTreeSet;
use std::time::Duration;

use vremount_kernel::base::{Base, Feature};
use vremount_kernel::build::Arch;
use vremount_machine::image::Fs;
use vremount_protocol::{Disk, Op};

use crate::builder::ClaimBuilder;
use crate::step::{HostStep, Step};
use crate::topics::{accepted, faults, features, interfaces, lifecycle, races, refused, tampering, writeback};

/// A statement about the kernel that can be tested.
pub struct Claim {
    /// Unique and stable name: the argument of `--claim`, and the name in JSON.
    pub name: &'static str,
    /// The topic, which is the argument of `--tag`.
    pub topic: &'static str,
    /// What the claim states, in one sentence without a period.
    pub title: &'static str,
    /// The passage that the claim tests: a quote from the cover letter of 2020 or, where it does
    /// not mention the subject, a statement of this series.
    pub sentence: &'static str,
    /// The lowest level at which the claim holds. It is broken at every lower level. 0: it holds
    /// without the series.
    pub min_level: u8,
    /// The steps in order.
    pub steps: Vec<Step>,
    /// The filesystems that the claim applies to, and the skip reason for all others. `None`: all
    /// filesystems.
    pub filesystems: Option<(&'static [Fs], &'static str)>,
    /// The claim applies only to bases that have all of these features.
    pub requires: &'static [Feature],
    /// The claim applies only to bases that have none of these features.
    pub conflicts: &'static [Feature],
    /// Filesystems that the claim does not apply to if the base has this feature.
    pub excluded_on: Option<(&'static [Fs], Feature)>,
    /// If the base has this feature, this level replaces `min_level`.
    pub since_override: Option<(Feature, u8)>,
    /// Why the claim does not apply to the base that it was adapted to. `None`: it applies, or no
    /// base was given.
    pub skip_reason: Option<&'static str>,
}

impl Claim {
    /// A claim about every filesystem and every base.
    pub(crate) fn new(
        name: &'static str,
        title: &'static str,
        sentence: &'static str,
        min_level: u8,
        builder: ClaimBuilder,
    ) -> Self {
        Claim {
            name,
            topic: "",
            title,
            sentence,
            min_level,
            steps: builder.build(),
            filesystems: None,
            requires: &[],
            conflicts: &[],
            excluded_on: None,
            since_override: None,
            skip_reason: None,
        }
    }

    /// Limits the claim to some filesystems. `skip_reason` is shown for all others.
    #[must_use]
    pub(crate) fn on_filesystems(self, filesystems: &'static [Fs], skip_reason: &'static str) -> Self {
        Claim { filesystems: Some((filesystems, skip_reason)), ..self }
    }

    /// Limits the claim to bases that have all of these features.
    #[must_use]
    pub(crate) fn requiring(self, features: &'static [Feature]) -> Self {
        Claim { requires: features, ..self }
    }

    /// Limits the claim to bases that have none of these features.
    #[must_use]
    pub(crate) fn conflicting_with(self, features: &'static [Feature]) -> Self {
        Claim { conflicts: features, ..self }
    }

    /// Excludes some filesystems on bases that have this feature.
    #[must_use]
    pub(crate) fn excluding(self, filesystems: &'static [Fs], feature: Feature) -> Self {
        Claim { excluded_on: Some((filesystems, feature)), ..self }
    }

    /// Sets the lowest level at which the claim holds on bases that have this feature.
    #[must_use]
    pub(crate) fn holding_since(self, feature: Feature, min_level: u8) -> Self {
        Claim { since_override: Some((feature, min_level)), ..self }
    }

    /// Adapts the claim to a base: sets the minimum level, the skip reason and the excluded
    /// filesystems.
    #[must_use]
    fn for_base(self, base: &Base) -> Self {
        let has = |feature: &Feature| base.features.contains(feature);
        let level = self.since_override.filter(|(feature, _)| has(feature)).map_or(self.min_level, |(_, level)| level);
        let missing = self.requires.iter().copied().find(|feature| !has(feature)).map(Feature::missing_reason);
        let conflict = || self.conflicts.iter().copied().find(|f| has(f)).map(Feature::present_reason);
        let skip_reason = missing.or_else(conflict);
        let excluded_on = self.excluded_on.filter(|(_, feature)| has(feature));
        Claim { min_level: level, skip_reason, excluded_on, ..self }
    }

    /// Why the claim is skipped on a filesystem. `None`: it applies.
    #[must_use]
    pub fn skip_reason_on(&self, fs: Fs) -> Option<&'static str> {
        if self.skip_reason.is_some() {
            return self.skip_reason;
        }
        if let Some((_, feature)) = self.excluded_on.filter(|(excluded, _)| excluded.contains(&fs)) {
            return Some(feature.present_reason());
        }
        let needs_disk = self.steps.iter().any(|step| step.op().is_none_or(Op::needs_block_device));
        match self.filesystems {
            Some((filesystems, _)) if filesystems.contains(&fs) => None,
            _ if needs_disk && !fs.is_on_disk() => Some("the filesystem is in memory and the claim needs a disk"),
            _ if self.min_level > 0 && !fs.has_xattrs() => {
                Some("the filesystem has no xattrs, so no checkpoint is stored and no upper is reused")
            }
            Some((_, skip_reason)) => Some(skip_reason),
            None if self.has_two_disks() && matches!(fs, Fs::Btrfs | Fs::BtrfsSubvolume) => {
                Some("two copies of a btrfs image cannot be mounted at the same time")
            }
            None => None,
        }
    }

    fn has_two_disks(&self) -> bool {
        self.steps.iter().any(|step| matches!(step.op(), Some(Op::Attach { disk: Disk::B, .. })))
    }

    /// Whether the claim has host steps and therefore more than one boot.
    #[must_use]
    pub fn has_host_steps(&self) -> bool {
        self.steps.iter().any(|step| step.op().is_none())
    }

    /// Why the claim is skipped on an architecture. `None`: it applies.
    #[must_use]
    pub fn skip_reason_for_arch(&self, arch: Arch) -> Option<&'static str> {
        let kexec = self.steps.contains(&Step::Host(HostStep::Kexec));
        (kexec && arch == Arch::Um).then_some("User Mode Linux has no kexec; use QEMU")
    }

    /// How long the guest sleeps in total. Under time travel this takes no real time.
    #[must_use]
    pub fn sleep_time(&self) -> Duration {
        self.steps.iter().filter_map(Step::op).map(Op::sleep_duration).sum()
    }

    /// The names of the injected faults, which `--fault` selects.
    #[must_use]
    pub fn fault_names(&self) -> BTreeSet<&'static str> {
        self.steps.iter().filter_map(Step::op).filter_map(Op::fault_name).collect()
    }
}

/// All claims, adapted to a base. Claims that do not apply to the base have a skip reason.
#[must_use]
pub fn for_base(base: &Base) -> Vec<Claim> {
    all().into_iter().map(|claim| claim.for_base(base)).collect()
}

/// All claims, not adapted to any base, in the order in which they are listed and run.
#[must_use]
pub fn all() -> Vec<Claim> {
    let topics = [
        ("accepted", accepted::claims()),
        ("lifecycle", lifecycle::claims()),
        ("features", features::claims()),
        ("interfaces", interfaces::claims()),
        ("refused", refused::claims()),
        ("hostile", tampering::claims()),
        ("races", races::claims()),
        ("writeback", writeback::claims()),
        ("faults", faults::claims()),
    ];
    let claims = topics.into_iter().flat_map(|(topic, claims)| claims.into_iter().map(move |c| Claim { topic, ..c }));
    claims.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::step::Expectation;

    /// A title fits on one line of a table or a terminal.
    const TITLE_LENGTH: usize = 110;

    #[test]
    fn names_are_unique_and_kebab_case() {
        let claims = all();
        let names: BTreeSet<_> = claims.iter().map(|c| c.name).collect();
        assert_eq!(names.len(), claims.len());
        assert!(names.iter().all(|n| n.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-')));
    }

    #[test]
    fn titles_are_short_and_without_period() {
        for Claim { name, title, .. } in all() {
            assert!(title.len() <= TITLE_LENGTH && !title.ends_with('.'), "{name}: {title}");
            assert_eq!(title.matches('`').count() % 2, 0, "{name}: {title}");
        }
    }

    #[test]
    fn every_claim_has_an_assertion_and_a_valid_level() {
        for claim in all() {
            assert!(claim.steps.iter().any(|s| matches!(s, Step::Assertion(..))), "{} has no assertion", claim.name);
            assert!(
                matches!(claim.min_level, 0 | 3 | 4),
                "{}: only patches 3 and 4 change the behaviour of mounts",
                claim.name
            );
        }
    }

    /// Without such evidence a claim would hold although its fault had no effect.
    #[test]
    fn every_disk_fault_is_followed_by_evidence_of_its_effect() {
        for claim in all() {
            let injects = |step: &Step| matches!(step, Step::Precondition(Op::InjectFault { .. }, _));
            // A race has its own evidence: the guest reports whether two mounts overlapped in time.
            let evidence = |step: &Step| match step {
                Step::Precondition(
                    _,
                    Expectation::Fails(_) | Expectation::FailsWithEioOrEnospc | Expectation::IoErrors,
                ) => true,
                Step::Assertion(op, _) => matches!(op, Op::MountConcurrently { .. }),
                _ => false,
            };
            for after in claim.steps.split(injects).skip(1) {
                assert!(after.iter().any(evidence), "{}: no evidence that the fault had an effect", claim.name);
            }
        }
    }
}

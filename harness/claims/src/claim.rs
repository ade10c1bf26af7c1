// SPDX-License-Identifier: MIT OR Apache-2.0
//! A claim: a sentence of the cover letter as a list of steps with their expected outcomes.

use std::collections::BTreeSet;
use std::time::Duration;

use vremount_kernel::base::{Base, Feature};
use vremount_kernel::build::Arch;
use vremount_machine::image::Fs;
use vremount_protocol::{Disk, Op};

use crate::step::{ClaimBuilder, HostStep, Step};
use crate::topics::{accepted, faults, features, interfaces, lifecycle, races, refused, tampering, writeback};

/// A sentence of the cover letter, made checkable.
pub struct Claim {
    /// Short and stable: what `--claim` takes and JSON carries.
    pub name: &'static str,
    /// The module it is in: what `--tag` takes.
    pub topic: &'static str,
    /// What is claimed, in a sentence of our own.
    pub title: &'static str,
    /// The words it stands for: of the cover letter of 2020, or of ours where that one is silent.
    pub sentence: &'static str,
    /// From the lowest level at which it holds; at every level below it is broken. 0 was true before the series.
    pub min_level: u8,
    pub steps: Vec<Step>,
    /// The filesystems it is about, and what is different on the others; none: all.
    pub filesystems: Option<(&'static [Fs], &'static str)>,
    /// What a base must have all of for it to be about that base.
    pub requires: &'static [Feature],
    /// What a base must have none of.
    pub conflicts: &'static [Feature],
    /// The filesystems that it is not about on bases that have this.
    pub excluded_on: Option<(&'static [Fs], Feature)>,
    /// With this in the base it holds from another level on.
    pub since_override: Option<(Feature, u8)>,
    /// Why it is not about the base it is made for.
    pub skip_reason: Option<&'static str>,
}

impl Claim {
    /// A claim about every filesystem and base.
    pub(crate) fn new(
        name: &'static str,
        title: &'static str,
        sentence: &'static str,
        since: u8,
        script: ClaimBuilder,
    ) -> Self {
        Claim {
            name,
            topic: "",
            title,
            sentence,
            min_level: since,
            steps: script.0,
            filesystems: None,
            requires: &[],
            conflicts: &[],
            excluded_on: None,
            since_override: None,
            skip_reason: None,
        }
    }

    /// Says that it is about these filesystems, and why not about others.
    #[must_use]
    pub(crate) fn on_filesystems(self, on: &'static [Fs], why: &'static str) -> Self {
        Claim { filesystems: Some((on, why)), ..self }
    }

    /// Says that it is about bases that have all of these.
    #[must_use]
    pub(crate) fn requiring(self, features: &'static [Feature]) -> Self {
        Claim { requires: features, ..self }
    }

    /// Says that it is about bases that have none of these.
    #[must_use]
    pub(crate) fn conflicting_with(self, features: &'static [Feature]) -> Self {
        Claim { conflicts: features, ..self }
    }

    /// Says that it is not about these filesystems on bases that have this.
    #[must_use]
    pub(crate) fn excluding(self, on: &'static [Fs], with: Feature) -> Self {
        Claim { excluded_on: Some((on, with)), ..self }
    }

    /// Says that with this in the base less of the series makes it hold.
    #[must_use]
    pub(crate) fn holding_since(self, feature: Feature, since: u8) -> Self {
        Claim { since_override: Some((feature, since)), ..self }
    }

    /// As it is on a base.
    #[must_use]
    fn for_base(self, base: &Base) -> Self {
        let has = |feature: &Feature| base.has.contains(feature);
        let since = self.since_override.filter(|(feature, _)| has(feature)).map_or(self.min_level, |(_, since)| since);
        let missing = self.requires.iter().copied().find(|feature| !has(feature)).map(Feature::missing_reason);
        let unfit = missing.or_else(|| self.conflicts.iter().copied().find(|f| has(f)).map(Feature::present_reason));
        let but = self.excluded_on.filter(|(_, feature)| has(feature));
        Claim { min_level: since, skip_reason: unfit, excluded_on: but, ..self }
    }

    /// Why it says nothing about a filesystem of its base.
    #[must_use]
    pub fn skip_reason_on(&self, fs: Fs) -> Option<&'static str> {
        if self.skip_reason.is_some() {
            return self.skip_reason;
        }
        if let Some((_, feature)) = self.excluded_on.filter(|(but, _)| but.contains(&fs)) {
            return Some(feature.present_reason());
        }
        let needs_disk = self.steps.iter().any(|step| step.op().is_none_or(Op::needs_disk));
        match self.filesystems {
            Some((on, _)) if on.contains(&fs) => None,
            _ if needs_disk && !fs.on_disk() => Some("is in memory: no disk that could fail, be counted at or stay"),
            _ if self.min_level > 0 && !fs.has_xattrs() => Some("has no xattrs, and so no checkpoint and no reuse"),
            Some((_, why)) => Some(why),
            None if self.has_two_disks() && matches!(fs, Fs::Btrfs | Fs::BtrfsSubvolume) => {
                Some("is one filesystem: two copies of its image cannot be mounted side by side")
            }
            None => None,
        }
    }

    fn has_two_disks(&self) -> bool {
        self.steps.iter().any(|step| matches!(step.op(), Some(Op::Attach { disk: Disk::B, .. })))
    }

    /// Whether something happens to its machine.
    #[must_use]
    pub fn needs_host(&self) -> bool {
        self.steps.iter().any(|step| step.op().is_none())
    }

    /// Why it says nothing about machines of an architecture.
    #[must_use]
    pub fn skip_reason_for_arch(&self, arch: Arch) -> Option<&'static str> {
        let kexec = self.steps.contains(&Step::Host(HostStep::Kexec));
        (kexec && arch == Arch::Um).then_some("a process of the host has no kexec; QEMU does")
    }

    /// How long its guest sleeps: nothing under time travel, as long as it says elsewhere.
    #[must_use]
    pub fn sleeps(&self) -> Duration {
        self.steps.iter().filter_map(Step::op).map(Op::sleeps).sum()
    }

    /// What is broken on purpose, by name.
    #[must_use]
    pub fn faults(&self) -> BTreeSet<&'static str> {
        self.steps.iter().filter_map(Step::op).filter_map(Op::fault).collect()
    }
}

/// Every claim as it is on a base.
#[must_use]
pub fn for_base(base: &Base) -> Vec<Claim> {
    all().into_iter().map(|claim| claim.for_base(base)).collect()
}

/// Every claim, in the order in which they are told, whatever base there is.
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

    #[test]
    fn names_are_unique_and_plain() {
        let claims = all();
        let names: BTreeSet<_> = claims.iter().map(|c| c.name).collect();
        assert_eq!(names.len(), claims.len());
        assert!(names.iter().all(|n| n.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-')));
    }

    #[test]
    fn every_claim_claims_something() {
        for claim in all() {
            assert!(claim.steps.iter().any(|s| matches!(s, Step::Assertion(..))), "{} has no outcome", claim.name);
            assert!(
                matches!(claim.min_level, 0 | 3 | 4),
                "{}: the patches that change behaviour are 3 and 4",
                claim.name
            );
        }
    }

    /// A claim about a fault must be able to say that the fault did not happen.
    #[test]
    fn every_fault_is_evidenced() {
        for claim in all() {
            let breaks = |step: &Step| matches!(step, Step::Precondition(Op::Break { .. }, _));
            // A race that is not slowed down, and a mount that no allocation fails, cannot be told by themselves.
            let evidence = |step: &Step| match step {
                Step::Precondition(
                    _,
                    Expectation::Fails(_) | Expectation::FailsToWriteBack | Expectation::IoErrors,
                ) => true,
                Step::Assertion(op, _) => matches!(op, Op::Race { .. }),
                _ => false,
            };
            for after in claim.steps.split(breaks).skip(1) {
                assert!(after.iter().any(evidence), "{}: nothing proves that a fault hit", claim.name);
            }
        }
    }
}

// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the matrix proves, from `ci/matrix.toml`.

use std::path::Path;

use serde::Deserialize;
use vremount_claims as claims;
use vremount_claims::Claim;
use vremount_kernel::base::{Base, Source};
use vremount_machine::ExecutorChoice;
use vremount_machine::image::Fs;
use vremount_util::toml_config;

const FILE: &str = "ci/matrix.toml";

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MatrixConfig {
    /// Suites whose versions stay for good.
    frozen: Vec<String>,
    #[serde(rename = "lane")]
    pub entries: Vec<MatrixEntry>,
}

/// What an executor proves on every base.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MatrixEntry {
    pub executor: ExecutorChoice,
    /// None: all.
    #[serde(default)]
    filesystems: Vec<Fs>,
    /// None: all.
    #[serde(default)]
    claims: Vec<String>,
}

/// Why it cannot be told what to prove.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    Table(#[from] toml_config::Error),
    #[error("failed to find claim {0:?} of ci/matrix.toml: `vremount claims --names` lists all")]
    UnknownClaim(String),
}

impl MatrixConfig {
    /// # Errors
    /// If the file is not what it should be.
    pub fn read(root: &Path) -> Result<Self, Error> {
        Ok(toml_config::read(root, FILE)?)
    }

    /// Whether the source of a base can always be had.
    #[must_use]
    pub fn is_frozen(&self, base: &Base) -> bool {
        matches!(&base.source, Source::Package(package) if self.frozen.contains(&package.suite))
    }
}

impl MatrixEntry {
    /// As they are on a base.
    ///
    /// # Errors
    /// If it names one that is not there.
    pub fn claims(&self, base: &Base) -> Result<Vec<Claim>, Error> {
        let all = claims::for_base(base);
        if let Some(unknown) = self.claims.iter().find(|name| !all.iter().any(|claim| claim.name == name.as_str())) {
            return Err(Error::UnknownClaim(unknown.clone()));
        }
        let chosen = |claim: &Claim| self.claims.is_empty() || self.claims.iter().any(|name| name == claim.name);
        Ok(all.into_iter().filter(chosen).collect())
    }

    #[must_use]
    pub fn filesystems(&self) -> Vec<Fs> {
        Fs::selected(&self.filesystems)
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use vremount_claims::refusal_reason::Reason;
    use vremount_claims::{Expectation, Step};

    use super::*;

    fn base() -> Base {
        Base::find(&vremount_kernel::testing::checkout(), None).unwrap()
    }

    fn shipped() -> MatrixConfig {
        MatrixConfig::read(&vremount_kernel::testing::checkout()).unwrap()
    }

    /// Every lane, so that a core that is made smaller still is one.
    #[rstest]
    #[case(Reason::NotVolatile)]
    #[case(Reason::InUse)]
    #[case(Reason::NoCheckpoint)]
    #[case(Reason::BadCheckpoint)]
    #[case(Reason::OtherBoot)]
    #[case(Reason::UpperRemounted)]
    #[case(Reason::WritebackError)]
    #[case(Reason::UnseenError)]
    fn every_lane_has_every_stated_reason(#[case] reason: Reason) {
        for entry in shipped().entries {
            let states = |step: &Step| match step {
                Step::Precondition(_, want) | Step::Assertion(_, want) => {
                    matches!(want, Expectation::Refused { reason: stated, .. } if *stated == reason)
                }
                Step::Host(_) => false,
            };
            let claims = entry.claims(&base()).unwrap();
            assert!(claims.iter().any(|claim| claim.steps.iter().any(states)), "{:?}: {reason:?}", entry.executor);
        }
    }

    #[test]
    fn no_claim_of_a_lane_is_skipped_on_all_its_filesystems() {
        for entry in shipped().entries {
            for claim in entry.claims(&base()).unwrap() {
                let on_some = entry.filesystems().iter().any(|fs| claim.skip_reason_on(*fs).is_none());
                // Other bases may have what this one lacks.
                assert!(on_some || claim.skip_reason.is_some(), "{}", claim.name);
            }
        }
    }

    #[test]
    fn a_claim_that_is_not_there_is_named() {
        let entry =
            MatrixEntry { executor: ExecutorChoice::Uml, filesystems: Vec::new(), claims: vec!["resue".to_string()] };
        assert!(matches!(entry.claims(&base()), Err(Error::UnknownClaim(name)) if name == "resue"));
    }

    #[test]
    fn only_packages_of_frozen_suites_can_always_be_had() {
        let bases = Base::all(&vremount_kernel::testing::checkout()).unwrap();
        let frozen = |base: &Base| match &base.source {
            Source::Package(package) => ["bullseye", "bookworm"].contains(&package.suite.as_str()),
            _ => false,
        };
        let both: std::collections::BTreeSet<_> = bases.iter().map(frozen).collect();
        assert_eq!(both.len(), 2);
        bases.iter().for_each(|base| assert_eq!(shipped().is_frozen(base), frozen(base), "{}", base.name));
    }
}

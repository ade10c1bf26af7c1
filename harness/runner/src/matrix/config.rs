// SPDX-License-Identifier: MIT OR Apache-2.0
//! The configuration of the matrix, `ci/matrix.toml`.

use std::path::Path;

use serde::Deserialize;
use vremount_claims as claims;
use vremount_claims::Claim;
use vremount_kernel::base::{Base, Source};
use vremount_machine::ExecutorChoice;
use vremount_machine::image::Fs;
use vremount_util::toml_config;

/// Path of the file in the checkout.
const FILE: &str = "ci/matrix.toml";

/// The content of `ci/matrix.toml`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MatrixConfig {
    /// Debian suites that no longer change, so that a package version in them stays available.
    frozen: Vec<String>,
    /// The executors, each with its claims and filesystems.
    #[serde(rename = "lane")]
    pub entries: Vec<MatrixEntry>,
}

/// An executor with the claims and filesystems that it tests on every base.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MatrixEntry {
    /// The executor.
    pub executor: ExecutorChoice,
    /// Upper filesystems. Default: all.
    #[serde(default)]
    filesystems: Vec<Fs>,
    /// Names of claims. Default: all.
    #[serde(default)]
    claims: Vec<String>,
}

/// Reasons why `ci/matrix.toml` cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file cannot be read or is malformed.
    #[error(transparent)]
    Table(#[from] toml_config::Error),
    /// An entry names a claim that does not exist.
    #[error("failed to find claim {0:?} of ci/matrix.toml: `vremount claims --names` lists all")]
    UnknownClaim(String),
}

impl MatrixConfig {
    /// Reads the file in the checkout `root`.
    ///
    /// # Errors
    /// [`Error::Table`] if the file cannot be read or is malformed.
    pub fn read(root: &Path) -> Result<Self, Error> {
        Ok(toml_config::read(root, FILE)?)
    }

    /// Whether the source of a base is a package of a frozen suite and thus stays available.
    #[must_use]
    pub fn is_frozen(&self, base: &Base) -> bool {
        matches!(&base.source, Source::Package(package) if self.frozen.contains(&package.suite))
    }
}

impl MatrixEntry {
    /// The claims of the entry, as they apply to `base`.
    ///
    /// # Errors
    /// [`Error::UnknownClaim`] if the entry names a claim that does not exist.
    pub fn claims(&self, base: &Base) -> Result<Vec<Claim>, Error> {
        let all = claims::for_base(base);
        if let Some(unknown) = self.claims.iter().find(|name| !all.iter().any(|claim| claim.name == name.as_str())) {
            return Err(Error::UnknownClaim(unknown.clone()));
        }
        let is_selected = |claim: &Claim| self.claims.is_empty() || self.claims.iter().any(|name| name == claim.name);
        Ok(all.into_iter().filter(is_selected).collect())
    }

    /// The filesystems of the entry.
    #[must_use]
    pub fn filesystems(&self) -> Vec<Fs> {
        Fs::select(&self.filesystems)
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

    fn config() -> MatrixConfig {
        MatrixConfig::read(&vremount_kernel::testing::checkout()).unwrap()
    }

    #[rstest]
    #[case(Reason::NotVolatile)]
    #[case(Reason::InUse)]
    #[case(Reason::NoCheckpoint)]
    #[case(Reason::BadCheckpoint)]
    #[case(Reason::OtherBoot)]
    #[case(Reason::UpperRemounted)]
    #[case(Reason::WritebackError)]
    #[case(Reason::UnseenError)]
    fn every_entry_tests_every_refusal_reason(#[case] reason: Reason) {
        for entry in config().entries {
            let expects_reason = |step: &Step| match step {
                Step::Precondition(_, want) | Step::Assertion(_, want) => {
                    matches!(want, Expectation::Refused { reason: expected, .. } if *expected == reason)
                }
                Step::Host(_) => false,
            };
            let claims = entry.claims(&base()).unwrap();
            assert!(
                claims.iter().any(|claim| claim.steps.iter().any(expects_reason)),
                "{:?}: {reason:?}",
                entry.executor
            );
        }
    }

    #[test]
    fn every_claim_of_an_entry_runs_on_some_filesystem() {
        for entry in config().entries {
            for claim in entry.claims(&base()).unwrap() {
                let runs_on_some = entry.filesystems().iter().any(|fs| claim.skip_reason_on(*fs).is_none());
                // A claim that is skipped on this base may run on another.
                assert!(runs_on_some || claim.skip_reason.is_some(), "{}", claim.name);
            }
        }
    }

    #[test]
    fn unknown_claim_is_an_error_with_its_name() {
        let entry =
            MatrixEntry { executor: ExecutorChoice::Uml, filesystems: Vec::new(), claims: vec!["resue".to_string()] };
        assert!(matches!(entry.claims(&base()), Err(Error::UnknownClaim(name)) if name == "resue"));
    }

    #[test]
    fn only_packages_of_frozen_suites_are_frozen() {
        let bases = Base::all(&vremount_kernel::testing::checkout()).unwrap();
        let frozen = |base: &Base| match &base.source {
            Source::Package(package) => ["bullseye", "bookworm"].contains(&package.suite.as_str()),
            _ => false,
        };
        let both: std::collections::BTreeSet<_> = bases.iter().map(frozen).collect();
        assert_eq!(both.len(), 2);
        bases.iter().for_each(|base| assert_eq!(config().is_frozen(base), frozen(base), "{}", base.name));
    }
}

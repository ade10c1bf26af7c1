// SPDX-License-Identifier: MIT OR Apache-2.0
//! Selects claims and filesystems by the filters of the command line.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use vremount_kernel::base::Base;
use vremount_kernel::build::Arch;
use vremount_machine::image::Fs;
use vremount_util::suggest::{closest, did_you_mean};

use crate as claims;
use crate::Claim;
use crate::case::Case;

/// A filter names something unknown, or no claim passes all filters.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No claim has this name.
    #[error(
        "failed to find claim {name:?}: {suggestion}`vremount claims --names` lists all",
        suggestion = did_you_mean(closest.as_deref())
    )]
    UnknownClaim {
        /// Name as given.
        name: String,
        /// Closest name of a claim, if one is close.
        closest: Option<String>,
    },
    /// No claim has this tag.
    #[error(
        "failed to find tag {name:?}: {suggestion}the tags are {known}",
        suggestion = did_you_mean(closest.as_deref())
    )]
    UnknownTag {
        /// Tag as given.
        name: String,
        /// Closest tag, if one is close.
        closest: Option<String>,
        /// All tags, separated by commas.
        known: String,
    },
    /// No claim injects this fault.
    #[error(
        "failed to find fault {name:?}: {suggestion}the faults are {known}",
        suggestion = did_you_mean(closest.as_deref())
    )]
    UnknownFault {
        /// Fault as given.
        name: String,
        /// Closest fault, if one is close.
        closest: Option<String>,
        /// All faults, separated by commas.
        known: String,
    },
    /// Each filter matches a claim, but no claim matches all of them.
    #[error("failed to find a claim that matches all filters: each filter alone matches some; leave one out")]
    NoMatch,
}

/// Filters of claims and filesystems. A claim passes if every non-empty list has a value that
/// matches it.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Filters {
    /// Names of claims.
    pub claims: Vec<String>,
    /// Tags (topics) of claims.
    pub tags: Vec<String>,
    /// Faults that claims inject.
    pub faults: Vec<String>,
    /// Upper filesystems; none means all.
    pub filesystems: Vec<Fs>,
}

impl Filters {
    /// Filters by names of claims and by filesystems only; an empty list means all.
    #[must_use]
    pub fn new(claims: Vec<String>, filesystems: Vec<Fs>) -> Self {
        Filters { claims, filesystems, ..Filters::default() }
    }

    /// Claims that pass the filters, as they are for a base, in the order of [`claims::all`].
    ///
    /// # Errors
    /// Fails if a filter names an unknown claim, tag or fault, or if no claim passes all filters.
    pub fn select_claims(&self, base: &Base) -> Result<Vec<Claim>, Error> {
        let all = claims::for_base(base);
        let names = all.iter().map(|claim| claim.name).collect();
        if let Some((name, closest)) = find_unknown(&self.claims, &names) {
            return Err(Error::UnknownClaim { name, closest });
        }
        let tags = all.iter().map(|claim| claim.topic).collect();
        if let Some((name, closest)) = find_unknown(&self.tags, &tags) {
            return Err(Error::UnknownTag { name, closest, known: join(&tags) });
        }
        let faults = all.iter().flat_map(Claim::fault_names).collect();
        if let Some((name, closest)) = find_unknown(&self.faults, &faults) {
            return Err(Error::UnknownFault { name, closest, known: join(&faults) });
        }
        let passes = |claim: &Claim| {
            is_empty_or_any(&self.claims, |name| name == claim.name)
                && is_empty_or_any(&self.tags, |tag| tag == claim.topic)
                && is_empty_or_any(&self.faults, |fault| claim.fault_names().contains(fault))
        };
        let chosen: Vec<_> = all.into_iter().filter(passes).collect();
        if chosen.is_empty() {
            return Err(Error::NoMatch);
        }
        Ok(chosen)
    }

    /// Filesystems that pass the filter, each once, in the order of [`Fs::ALL`].
    #[must_use]
    pub fn select_filesystems(&self) -> Vec<Fs> {
        Fs::select(&self.filesystems)
    }
}

/// Cases of every claim on every filesystem, in the order of the claims.
#[must_use]
pub fn cases<'a>(claims: &'a [Claim], filesystems: &[Fs]) -> Vec<Case<'a>> {
    claims.iter().flat_map(|claim| filesystems.iter().map(move |fs| Case { claim, fs: *fs })).collect()
}

/// Line of a list of cases: claim, filesystem, tag, faults (`-` for none), level, and the reason if
/// it is skipped.
#[must_use]
pub fn format_case(case: &Case<'_>) -> String {
    let Case { claim, fs } = case;
    let faults: Vec<_> = claim.fault_names().into_iter().collect();
    let faults = if faults.is_empty() { "-".to_string() } else { faults.join(",") };
    let skip_on_arch = || Arch::ALL.into_iter().find_map(|arch| Some((arch.name(), claim.skip_reason_for_arch(arch)?)));
    let skipped = match (claim.skip_reason_on(*fs), skip_on_arch()) {
        (Some(reason), _) => format!("   skipped: {reason}"),
        (None, Some((arch, reason))) => format!("   skipped on {arch}: {reason}"),
        (None, None) => String::new(),
    };
    format!("{:<28} {:<15} {:<10} {faults:<16} {}{skipped}", claim.name, fs.name(), claim.topic, claim.min_level)
}

fn is_empty_or_any(filter: &[String], matches: impl Fn(&str) -> bool) -> bool {
    filter.is_empty() || filter.iter().any(|name| matches(name))
}

/// First name in a filter that is unknown, with the closest known one.
fn find_unknown(filter: &[String], known: &BTreeSet<&str>) -> Option<(String, Option<String>)> {
    let unknown = filter.iter().find(|name| !known.contains(name.as_str()))?;
    Some((unknown.clone(), closest(unknown, known.iter().copied()).map(str::to_string)))
}

fn join(names: &BTreeSet<&str>) -> String {
    names.iter().copied().collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn base() -> Base {
        Base::find(&vremount_kernel::testing::checkout(), None).unwrap()
    }

    fn select(claims: &[&str], tags: &[&str], faults: &[&str]) -> Result<Vec<&'static str>, String> {
        let owned = |names: &[&str]| names.iter().map(ToString::to_string).collect();
        let filters =
            Filters { claims: owned(claims), tags: owned(tags), faults: owned(faults), filesystems: Vec::new() };
        let claims = filters.select_claims(&base()).map_err(|error| error.to_string())?;
        Ok(claims.iter().map(|claim| claim.name).collect())
    }

    #[rstest]
    #[case::one_claim(&["reuse"], &[], &[], &["reuse"])]
    #[case::two_claims(&["error-unseen", "reuse"], &[], &[], &["reuse", "error-unseen"])]
    #[case::claims_and_tag(&["error-unseen", "reuse"], &["writeback"], &[], &["error-unseen"])]
    #[case::fault(&[], &[], &["flush"], &["flush-error-is-not-seen"])]
    fn filters_of_different_kinds_are_intersected(
        #[case] claims: &[&str],
        #[case] tags: &[&str],
        #[case] faults: &[&str],
        #[case] expected: &[&str],
    ) {
        assert_eq!(select(claims, tags, faults).unwrap(), expected);
    }

    #[rstest]
    #[case::claim(
        &["reus"],
        &[],
        &[],
        "failed to find claim \"reus\": did you mean \"reuse\"? `vremount claims --names` lists all"
    )]
    #[case::unrelated_claim(
        &["tuesday"],
        &[],
        &[],
        "failed to find claim \"tuesday\": `vremount claims --names` lists all"
    )]
    #[case::tag(
        &[],
        &["accept"],
        &[],
        "failed to find tag \"accept\": did you mean \"accepted\"? the tags are accepted, "
    )]
    #[case::fault(&[], &[], &["flsh"], "failed to find fault \"flsh\": did you mean \"flush\"? the faults are ")]
    #[case::no_match(&["reuse"], &[], &["data"], "failed to find a claim that matches all filters: ")]
    fn unknown_name_is_refused_with_the_closest_known_name(
        #[case] claims: &[&str],
        #[case] tags: &[&str],
        #[case] faults: &[&str],
        #[case] expected: &str,
    ) {
        let error = select(claims, tags, faults).unwrap_err();
        assert!(error.starts_with(expected), "{error}");
    }

    #[test]
    fn every_claim_has_a_tag_and_every_claim_that_injects_a_fault_names_it() {
        assert_eq!(select(&[], &[], &[]).unwrap().len(), claims::all().len());
        for claim in claims::all() {
            assert!(!claim.topic.is_empty());
            let injects_fault = claim.steps.iter().any(claims::Step::is_fault);
            assert!(!injects_fault || !claim.fault_names().is_empty(), "{}", claim.name);
        }
    }

    #[test]
    fn filesystem_that_is_given_twice_is_selected_once() {
        let filters = Filters { filesystems: vec![Fs::Tmpfs, Fs::Ext4, Fs::Tmpfs], ..Filters::default() };
        assert_eq!(filters.select_filesystems(), [Fs::Ext4, Fs::Tmpfs]);
        assert_eq!(Filters::default().select_filesystems(), Fs::ALL);
    }
}

// SPDX-License-Identifier: MIT OR Apache-2.0
//! Which claims, on which filesystems.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use vremount_kernel::base::Base;
use vremount_kernel::build::Arch;
use vremount_machine::image::Fs;

use crate as claims;
use crate::Claim;
use crate::case::Case;

/// A filter names what does not exist, or nothing passes all filters.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Error(String);

/// Options of different kinds narrow the choice, more of one kind widen it.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Filters {
    /// Prove this claim only; may be given more than once, as all that narrow the choice
    pub claims: Vec<String>,
    /// Prove claims of this topic only
    pub tags: Vec<String>,
    /// Prove claims only that break something this way
    pub faults: Vec<String>,
    /// Upper filesystem [default: all]
    pub filesystems: Vec<Fs>,
}

impl Filters {
    /// These claims on these filesystems; of either, none is all.
    #[must_use]
    pub fn new(claims: Vec<String>, filesystems: Vec<Fs>) -> Self {
        Filters { claims, filesystems, ..Filters::default() }
    }

    /// The claims that pass, as they are on a base, in the order in which they are told.
    ///
    /// # Errors
    /// If a filter names something that is not there, or nothing passes.
    pub fn claims(&self, base: &Base) -> Result<Vec<Claim>, Error> {
        let all = claims::for_base(base);
        let names = all.iter().map(|claim| claim.name).collect();
        require_known("claim", &self.claims, &names, "`vremount claims --names` lists all")?;
        let tags: BTreeSet<_> = all.iter().map(|claim| claim.topic).collect();
        require_known("tag", &self.tags, &tags, &list_names(&tags))?;
        let faults: BTreeSet<_> = all.iter().flat_map(Claim::faults).collect();
        require_known("fault", &self.faults, &faults, &list_names(&faults))?;
        let passes = |claim: &Claim| {
            one_of(&self.claims, |name| name == claim.name)
                && one_of(&self.tags, |tag| tag == claim.topic)
                && one_of(&self.faults, |fault| claim.faults().contains(fault))
        };
        let chosen: Vec<_> = all.into_iter().filter(passes).collect();
        if chosen.is_empty() {
            let why = "each option finds some, but none is found by all of them; leave one out";
            return Err(Error(format!("failed to find a claim: {why}")));
        }
        Ok(chosen)
    }

    /// Each of them once, in the order in which they are told.
    #[must_use]
    pub fn filesystems(&self) -> Vec<Fs> {
        Fs::selected(&self.filesystems)
    }
}

/// Every claim on every filesystem.
#[must_use]
pub fn cases<'a>(claims: &'a [Claim], filesystems: &[Fs]) -> Vec<Case<'a>> {
    claims.iter().flat_map(|claim| filesystems.iter().map(move |fs| Case { claim, fs: *fs })).collect()
}

/// A case as a line of a list: claim, filesystem, tag, faults, level, and why it will be skipped.
#[must_use]
pub fn line(case: &Case<'_>) -> String {
    let Case { claim, fs } = case;
    let faults: Vec<_> = claim.faults().into_iter().collect();
    let faults = if faults.is_empty() { "-".to_string() } else { faults.join(",") };
    let on_arch = || Arch::ALL.into_iter().find_map(|arch| Some((arch.name(), claim.skip_reason_for_arch(arch)?)));
    let skipped = match (claim.skip_reason_on(*fs), on_arch()) {
        (Some(why), _) => format!("   skipped: {why}"),
        (None, Some((arch, why))) => format!("   skipped on {arch}: {why}"),
        (None, None) => String::new(),
    };
    format!("{:<28} {:<15} {:<10} {faults:<16} {}{skipped}", claim.name, fs.name(), claim.topic, claim.min_level)
}

fn one_of(filter: &[String], passes: impl Fn(&str) -> bool) -> bool {
    filter.is_empty() || filter.iter().any(|name| passes(name))
}

fn require_known(what: &str, filter: &[String], names: &BTreeSet<&str>, hint: &str) -> Result<(), Error> {
    match filter.iter().find(|name| !names.contains(name.as_str())) {
        Some(unknown) => Err(Error(format!("failed to find {what} {unknown:?}: {hint}"))),
        None => Ok(()),
    }
}

fn list_names(names: &BTreeSet<&str>) -> String {
    format!("there is {}", names.iter().copied().collect::<Vec<_>>().join(", "))
}

#[cfg(test)]
mod tests {

    use rstest::rstest;

    use super::*;

    fn base() -> Base {
        Base::find(&vremount_kernel::testing::checkout(), None).unwrap()
    }

    fn chosen(claims: &[&str], tags: &[&str], faults: &[&str]) -> Result<Vec<&'static str>, String> {
        let owned = |names: &[&str]| names.iter().map(ToString::to_string).collect();
        let filters =
            Filters { claims: owned(claims), tags: owned(tags), faults: owned(faults), filesystems: Vec::new() };
        let claims = filters.claims(&base()).map_err(|error| error.to_string())?;
        Ok(claims.iter().map(|claim| claim.name).collect())
    }

    #[rstest]
    #[case::one(&["reuse"], &[], &[], &["reuse"])]
    #[case::any_of_a_kind(&["error-unseen", "reuse"], &[], &[], &["reuse", "error-unseen"])]
    #[case::all_kinds(&["error-unseen", "reuse"], &["writeback"], &[], &["error-unseen"])]
    #[case::fault(&[], &[], &["flush"], &["flush-error-is-not-seen"])]
    fn kinds_narrow_and_names_widen(
        #[case] claims: &[&str],
        #[case] tags: &[&str],
        #[case] faults: &[&str],
        #[case] expected: &[&str],
    ) {
        assert_eq!(chosen(claims, tags, faults).unwrap(), expected);
    }

    #[test]
    fn every_claim_has_a_tag_and_a_fault_if_it_breaks_something() {
        assert_eq!(chosen(&[], &[], &[]).unwrap().len(), claims::all().len());
        for claim in claims::all() {
            assert!(!claim.topic.is_empty());
            let breaks = claim.steps.iter().any(claims::Step::is_fault);
            assert!(!breaks || !claim.faults().is_empty(), "{}", claim.name);
        }
    }

    #[test]
    fn a_filesystem_that_is_named_twice_is_one() {
        let filters = Filters { filesystems: vec![Fs::Tmpfs, Fs::Ext4, Fs::Tmpfs], ..Filters::default() };
        assert_eq!(filters.filesystems(), [Fs::Ext4, Fs::Tmpfs]);
        assert_eq!(Filters::default().filesystems(), Fs::ALL);
    }
}

// SPDX-License-Identifier: MIT OR Apache-2.0
//! Shards: disjoint parts of a run for parallel jobs. The shard of a case depends only on the names
//! of its claim and its filesystem, so a new claim does not move other cases, and the order of
//! claims does not matter.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use vremount_machine::image::Fs;

/// Shard `number` of `total`; numbers start at 1. Written as `number/total`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Shard {
    number: u32,
    total: u32,
}

/// The text is not a shard.
#[derive(Debug, thiserror::Error)]
#[error("failed to parse shard {0:?}: give K/N for part K of N, with K from 1 to N")]
pub struct ParseShardError(String);

impl Shard {
    /// Number of shards of the run.
    #[must_use]
    pub fn total(self) -> u32 {
        self.total
    }

    /// All shards of a run with `total` shards.
    pub fn all(total: u32) -> impl Iterator<Item = Shard> {
        (1..=total).map(move |number| Shard { number, total })
    }

    /// Whether a case belongs to this shard.
    #[must_use]
    pub fn contains(self, claim: &str, fs: Fs) -> bool {
        // Names have no newline, so different cases have different texts.
        let digest = Sha256::digest(format!("{claim}\n{}", fs.name()));
        let hash = digest.iter().take(8).fold(0_u64, |hash, byte| hash << 8 | u64::from(*byte));
        hash % u64::from(self.total) == u64::from(self.number - 1)
    }
}

impl FromStr for Shard {
    type Err = ParseShardError;

    fn from_str(text: &str) -> Result<Self, ParseShardError> {
        let parse = || {
            let (number, total) = text.split_once('/')?;
            Some(Shard { number: number.parse().ok()?, total: total.parse().ok()? })
        };
        let is_in_range = |shard: &Shard| (1..=shard.total).contains(&shard.number);
        parse().filter(is_in_range).ok_or_else(|| ParseShardError(text.to_string()))
    }
}

impl TryFrom<String> for Shard {
    type Error = ParseShardError;

    fn try_from(text: String) -> Result<Self, ParseShardError> {
        text.parse()
    }
}

impl From<Shard> for String {
    fn from(shard: Shard) -> String {
        shard.to_string()
    }
}

impl fmt::Display for Shard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.number, self.total)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("1/1", true)]
    #[case("3/3", true)]
    #[case("0/3", false)]
    #[case("4/3", false)]
    #[case("1/0", false)]
    #[case("1", false)]
    #[case("-1/3", false)]
    #[case("1/3/5", false)]
    #[case("a/b", false)]
    fn shard_numbers_are_from_1_to_total(#[case] text: &str, #[case] expected: bool) {
        let shard = text.parse::<Shard>();
        assert_eq!(shard.is_ok(), expected);
        assert!(shard.is_ok_and(|shard| shard.to_string() == text) || !expected);
    }

    proptest! {
        #[test]
        fn every_case_is_in_exactly_one_shard(claim in "[a-z0-9-]{1,40}", fs in 0..Fs::ALL.len(), total in 1_u32..100) {
            let fs = Fs::ALL[fs];
            prop_assert_eq!(Shard::all(total).filter(|shard| shard.contains(&claim, fs)).count(), 1);
        }
    }

    /// Jobs that run another version of the harness must agree on the shard of a case.
    #[rstest]
    #[case("reuse", Fs::Ext4, "2/4")]
    #[case("power-cut", Fs::Xfs, "3/4")]
    fn shard_of_a_case_never_changes(#[case] claim: &str, #[case] fs: Fs, #[case] expected: &str) {
        let shard = Shard::all(4).find(|shard| shard.contains(claim, fs)).unwrap();
        assert_eq!(shard.to_string(), expected);
    }

    #[test]
    fn sizes_of_four_shards_are_within_a_fifth_of_the_mean() {
        let cases: Vec<_> = crate::all().iter().flat_map(|claim| Fs::ALL.map(move |fs| (claim.name, fs))).collect();
        for shard in Shard::all(4) {
            let count = cases.iter().filter(|(claim, fs)| shard.contains(claim, *fs)).count();
            // In units of a tenth of the mean.
            let relative_size = 10 * count * 4 / cases.len();
            assert!((8..12).contains(&relative_size), "shard {shard} has {count} of {} cases", cases.len());
        }
    }
}

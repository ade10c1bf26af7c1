// SPDX-License-Identifier: MIT OR Apache-2.0
//! A part of a run that jobs share. What a case belongs to depends on nothing but its own name: a claim that is added
//! moves no other, and no order matters.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use vremount_machine::image::Fs;

/// Part `number` of `of`, from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Shard {
    number: u32,
    of: u32,
}

/// `--shard` was something else.
#[derive(Debug, thiserror::Error)]
#[error("failed to understand shard {0:?}: it is K/N, part K of N, from 1/N to N/N")]
pub struct NotAShard(String);

impl Shard {
    #[must_use]
    pub fn of(self) -> u32 {
        self.of
    }

    /// Every part of the same whole.
    pub fn all(of: u32) -> impl Iterator<Item = Shard> {
        (1..=of).map(move |number| Shard { number, of })
    }

    /// Whether a case belongs to it.
    #[must_use]
    pub fn contains(self, claim: &str, fs: Fs) -> bool {
        // Neither name has a newline.
        let digest = Sha256::digest(format!("{claim}\n{}", fs.name()));
        let number = digest.iter().take(8).fold(0_u64, |number, byte| number << 8 | u64::from(*byte));
        number % u64::from(self.of) == u64::from(self.number - 1)
    }
}

impl FromStr for Shard {
    type Err = NotAShard;

    fn from_str(text: &str) -> Result<Self, NotAShard> {
        let numbers = || {
            let (number, of) = text.split_once('/')?;
            Some(Shard { number: number.parse().ok()?, of: of.parse().ok()? })
        };
        let is_one = |shard: &Shard| (1..=shard.of).contains(&shard.number);
        numbers().filter(is_one).ok_or_else(|| NotAShard(text.to_string()))
    }
}

impl TryFrom<String> for Shard {
    type Error = NotAShard;

    fn try_from(text: String) -> Result<Self, NotAShard> {
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
        write!(f, "{}/{}", self.number, self.of)
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
    fn shards_are_counted_from_one(#[case] text: &str, #[case] expected: bool) {
        let shard = text.parse::<Shard>();
        assert_eq!(shard.is_ok(), expected);
        assert!(shard.is_ok_and(|shard| shard.to_string() == text) || !expected);
    }

    proptest! {
        /// Complete and disjoint: every case is in one part, whatever it is called.
        #[test]
        fn every_case_is_in_exactly_one(claim in "[a-z0-9-]{1,40}", fs in 0..Fs::ALL.len(), of in 1_u32..100) {
            let fs = Fs::ALL[fs];
            prop_assert_eq!(Shard::all(of).filter(|shard| shard.contains(&claim, fs)).count(), 1);
        }
    }

    /// Jobs of another version of the harness must agree: what is where never changes.
    #[rstest]
    #[case("reuse", Fs::Ext4, "2/4")]
    #[case("power-cut", Fs::Xfs, "3/4")]
    fn a_case_stays_where_it_is(#[case] claim: &str, #[case] fs: Fs, #[case] expected: &str) {
        let shard = Shard::all(4).find(|shard| shard.contains(claim, fs)).unwrap();
        assert_eq!(shard.to_string(), expected);
    }

    /// Of the claims there are, each part of four has its share, about.
    #[test]
    fn parts_are_of_a_size() {
        let cases: Vec<_> = crate::all().iter().flat_map(|claim| Fs::ALL.map(move |fs| (claim.name, fs))).collect();
        for shard in Shard::all(4) {
            let share = cases.iter().filter(|(claim, fs)| shard.contains(claim, *fs)).count() * 4;
            assert!(
                share * 10 > cases.len() * 8 && share * 10 < cases.len() * 12,
                "{shard}: {share} of {}",
                cases.len()
            );
        }
    }
}

// SPDX-License-Identifier: MIT OR Apache-2.0
//! How much of a series is applied.

use std::fmt;
use std::str::FromStr;

/// How many patches of a series are applied: 0 is the pristine kernel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Level(u8);

impl Level {
    pub const PRISTINE: Level = Level(0);
    /// The first patch, the only one that changes more than overlayfs and documentation.
    pub const FIRST: Level = Level(1);
    /// The second patch, which is documentation.
    pub const DOCUMENTED: Level = Level(2);
    pub const FULL: Level = Level(4);

    #[must_use]
    pub fn number(self) -> u8 {
        self.0
    }

    /// The levels that run on the patched kernel.
    pub fn patched() -> impl Iterator<Item = Level> {
        (Level::FIRST.0..=Level::FULL.0).map(Level)
    }
}

/// `--level` was something else.
#[derive(Debug, thiserror::Error)]
#[error("failed to understand level {0:?}: it is a number of patches, 0 to 4")]
pub struct NotALevel(String);

impl FromStr for Level {
    type Err = NotALevel;

    fn from_str(text: &str) -> Result<Self, NotALevel> {
        match text.parse() {
            // A number has other forms, such as +4.
            Ok(number @ 0..=4) if text.len() == 1 => Ok(Level(number)),
            _ => Err(NotALevel(text.to_string())),
        }
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("0", Some(0))]
    #[case("4", Some(4))]
    #[case("5", None)]
    #[case("+4", None)]
    #[case("-1", None)]
    #[case("", None)]
    #[case("four", None)]
    fn levels_are_zero_to_four(#[case] text: &str, #[case] expected: Option<u8>) {
        assert_eq!(text.parse::<Level>().ok().map(Level::number), expected);
    }
}

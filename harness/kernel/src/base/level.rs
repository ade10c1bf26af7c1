// SPDX-License-Identifier: MIT OR Apache-2.0
//! Levels: how many patches of a series are applied.

use std::fmt;
use std::str::FromStr;

/// Number of patches of a series that are applied, 0 to 4. Level 0 is the pristine kernel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Level(u8);

impl Level {
    /// No patch: the pristine kernel.
    pub const PRISTINE: Level = Level(0);
    /// The first patch, the only one that changes more than overlayfs and documentation.
    pub const FIRST: Level = Level(1);
    /// The first two patches. The second is documentation.
    pub const DOCUMENTED: Level = Level(2);
    /// All four patches.
    pub const FULL: Level = Level(4);

    /// The number of patches.
    #[must_use]
    pub fn number(self) -> u8 {
        self.0
    }

    /// Levels 1 to 4, which share a kernel image: they only differ in overlay.ko.
    pub fn patched() -> impl Iterator<Item = Level> {
        (Level::FIRST.0..=Level::FULL.0).map(Level)
    }
}

/// A text that is no level.
#[derive(Debug, thiserror::Error)]
#[error("failed to parse level {0:?}: it is a number of patches, 0 to 4")]
pub struct ParseLevelError(String);

impl FromStr for Level {
    type Err = ParseLevelError;

    fn from_str(text: &str) -> Result<Self, ParseLevelError> {
        match text.parse() {
            // parse() also accepts +4 and 04.
            Ok(number @ 0..=4) if text.len() == 1 => Ok(Level(number)),
            _ => Err(ParseLevelError(text.to_string())),
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
    #[case::lowest("0", Some(0))]
    #[case::highest("4", Some(4))]
    #[case::too_high("5", None)]
    #[case::with_sign("+4", None)]
    #[case::negative("-1", None)]
    #[case::empty("", None)]
    #[case::word("four", None)]
    fn levels_are_digits_from_zero_to_four(#[case] text: &str, #[case] expected: Option<u8>) {
        assert_eq!(text.parse::<Level>().ok().map(Level::number), expected);
    }
}

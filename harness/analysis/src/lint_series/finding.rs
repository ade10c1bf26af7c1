// SPDX-License-Identifier: MIT OR Apache-2.0
//! The checks of a series and their results.

use std::fmt;

use vremount_kernel::base::Level;

/// A check of the series.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Check {
    /// The features in `ci/bases.toml` are the ones that the source shows.
    Has,
    /// Each patch applies with `git am`, which allows no fuzz.
    Applies,
    /// The second patch, documentation only, applies to the pristine tree.
    AppliesAlone,
    /// The diffstat of the cover letter is the one of the series.
    CoverLetter,
    /// Each mutant applies on top of the series.
    Mutants,
    /// `checkpatch.pl --strict`.
    Style,
    /// gcc with W=1, and kernel-doc of sources, with overlayfs as a module.
    Module,
    /// gcc with W=1, and kernel-doc of sources, with overlayfs built in.
    BuiltIn,
    /// sparse, with overlayfs built in.
    Sparse,
    /// A whole kernel with overlayfs built in.
    Links,
    /// kernel-doc of all files that the series changes.
    KernelDoc,
    /// The documentation is valid reStructuredText.
    Rst,
}

impl fmt::Display for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Check::Has => "ci/bases.toml",
            Check::Applies => "git am",
            Check::AppliesAlone => "git am, alone",
            Check::CoverLetter => "cover letter",
            Check::Mutants => "mutants",
            Check::Style => "checkpatch",
            Check::Module => "W=1",
            Check::BuiltIn => "W=1, built in",
            Check::Links => "built in",
            Check::Sparse => "sparse",
            Check::KernelDoc => "kernel-doc",
            Check::Rst => "rst",
        })
    }
}

/// The result of a check at a level.
pub struct Finding {
    /// The level.
    pub level: Level,
    /// The check.
    pub check: Check,
    /// The result.
    pub outcome: Outcome,
}

impl Finding {
    /// A check that was not made, or whose tool failed.
    pub(super) fn undecided(level: Level, check: Check, why: &str) -> Self {
        Finding { level, check, outcome: Outcome::CannotTell(why.to_string()) }
    }
}

/// The result of a check.
#[derive(Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The tool reports nothing.
    Clean,
    /// The messages of the tool.
    Found(Vec<String>),
    /// Why the check was not made.
    CannotTell(String),
}

impl From<Vec<String>> for Outcome {
    fn from(messages: Vec<String>) -> Self {
        if messages.is_empty() { Outcome::Clean } else { Outcome::Found(messages) }
    }
}

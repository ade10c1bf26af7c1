// SPDX-License-Identifier: MIT OR Apache-2.0
//! What need not be executed, with the reason.

use std::path::Path;

use serde::{Deserialize, Serialize};
use vremount_util::toml_config;

/// Below the root of the checkout.
pub const FILE: &str = "patches/unexecuted.toml";

/// Why a line, or some of its branches, is not executed by any claim.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CoverageExemption {
    /// The series that has it; none if that is so in all of them.
    pub series: Option<String>,
    /// The function that has it.
    pub function: String,
    /// Its text, without the blanks around it.
    pub line: String,
    /// How many of its branches are not taken; none if the line is not executed at all.
    pub branches: Option<usize>,
    pub because: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    #[serde(default)]
    unexecuted: Vec<CoverageExemption>,
}

impl CoverageExemption {
    /// All of them, whatever series they are about.
    ///
    /// # Errors
    /// If the file is not what it should be.
    pub fn all(root: &Path) -> Result<Vec<CoverageExemption>, toml_config::Error> {
        Ok(toml_config::read::<Table>(root, FILE)?.unexecuted)
    }

    #[must_use]
    pub fn is_of(&self, series: &str) -> bool {
        self.series.as_ref().is_none_or(|of| of == series)
    }

    #[must_use]
    pub fn is_about(&self, function: &str, text: &str) -> bool {
        self.function == function && self.line == text.trim()
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use vremount_kernel::series;

    use super::*;

    /// One that no series has any more argues about nothing.
    #[test]
    fn every_argument_is_about_a_line_of_a_series() {
        let root = vremount_kernel::testing::checkout();
        let folders = fs::read_dir(root.join("patches")).unwrap().map(|entry| entry.unwrap().path());
        let folders: Vec<_> = folders.filter(|folder| folder.is_dir()).collect();
        for argument in CoverageExemption::all(&root).unwrap() {
            let name = |folder: &Path| folder.file_name().unwrap().to_string_lossy().into_owned();
            let of = folders.iter().filter(|folder| argument.is_of(&name(folder)));
            let patches: Vec<_> = of.flat_map(|folder| series::patches(folder).unwrap()).collect();
            let text: String = patches.iter().map(|patch| fs::read_to_string(patch).unwrap()).collect();
            let mut added = text.lines().filter_map(|line| line.strip_prefix('+')).map(str::trim);
            assert!(added.any(|line| line == argument.line), "{}", argument.line);
            assert!(!argument.because.is_empty(), "{}", argument.line);
        }
    }
}

// SPDX-License-Identifier: MIT OR Apache-2.0
//! Lines and branches of the series that no claim can execute, with reasons.

use std::path::Path;

use serde::{Deserialize, Serialize};
use vremount_util::toml_config;

/// The file with all exemptions, relative to the root of the checkout.
pub const FILE: &str = "patches/unexecuted.toml";

/// Why no claim executes a line, or some of its branches.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CoverageExemption {
    /// The series that contains the line; none if the exemption is for all series.
    pub series: Option<String>,
    /// The function that contains the line.
    pub function: String,
    /// Text of the line, without surrounding white space.
    pub line: String,
    /// Number of branches that are not taken; none if the line itself is not executed.
    pub branches: Option<usize>,
    /// The reason.
    pub because: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    #[serde(default)]
    unexecuted: Vec<CoverageExemption>,
}

impl CoverageExemption {
    /// All exemptions of a checkout, for all series.
    ///
    /// # Errors
    /// If the file cannot be read, is not TOML, or has an unknown key.
    pub fn all(root: &Path) -> Result<Vec<CoverageExemption>, toml_config::Error> {
        Ok(toml_config::read::<Table>(root, FILE)?.unexecuted)
    }

    /// Whether the exemption is for this series.
    #[must_use]
    pub fn is_for_series(&self, series: &str) -> bool {
        self.series.as_ref().is_none_or(|own| own == series)
    }

    /// Whether the exemption is for a line with this text in this function.
    #[must_use]
    pub fn is_for_line(&self, function: &str, text: &str) -> bool {
        self.function == function && self.line == text.trim()
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use vremount_kernel::series;

    use super::*;

    #[test]
    fn every_exemption_is_for_a_line_of_a_series() {
        let root = vremount_kernel::testing::checkout();
        let folders = fs::read_dir(root.join("patches")).unwrap().map(|entry| entry.unwrap().path());
        let folders: Vec<_> = folders.filter(|folder| folder.is_dir()).collect();
        for exemption in CoverageExemption::all(&root).unwrap() {
            let name = |folder: &Path| folder.file_name().unwrap().to_string_lossy().into_owned();
            let own = folders.iter().filter(|folder| exemption.is_for_series(&name(folder)));
            let patches: Vec<_> = own.flat_map(|folder| series::list_patches(folder).unwrap()).collect();
            let text: String = patches.iter().map(|patch| fs::read_to_string(patch).unwrap()).collect();
            let mut added = text.lines().filter_map(|line| line.strip_prefix('+')).map(str::trim);
            assert!(added.any(|line| line == exemption.line), "{}", exemption.line);
            assert!(!exemption.because.is_empty(), "{}", exemption.line);
        }
    }
}

// SPDX-License-Identifier: MIT OR Apache-2.0
//! A line of the series and its coverage.

use std::fmt;

use serde::{Deserialize, Serialize};
use vremount_kernel::series::AddedLine;
use vremount_runner::gcov_data::{LineCount, LineCounts};

use crate::coverage::exemption::CoverageExemption;

/// Coverage of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LineStatus {
    /// It is executed, and each of its branches is taken.
    Executed,
    /// It is not executed, or a branch is not taken, and an exemption explains why.
    #[serde(rename = "argued")]
    Exempt,
    /// It is not executed, or a branch is not taken.
    Unexecuted,
    /// The compiler generated no code for it: a declaration, a comment, or a continuation of the
    /// line above.
    NoCode,
}

/// A line that the series adds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Line {
    /// The file, relative to the kernel tree.
    pub file: String,
    /// Line number in the file with the whole series, from 1.
    pub number: u32,
    /// The text, with indentation.
    pub text: String,
    /// The function that contains the line; empty if the line has no code.
    pub function: String,
    /// How often the line was executed.
    pub executed: u64,
    /// How often each of its branches was taken.
    pub branches: Vec<u64>,
    /// The coverage.
    #[serde(rename = "ruling")]
    pub status: LineStatus,
    /// Reason of the exemption; none without one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub because: Option<String>,
}

impl Line {
    /// The coverage of an added line, from the counts of all lines.
    pub(super) fn new(added: &AddedLine, counts: &LineCounts, exemptions: &[CoverageExemption]) -> Self {
        let count = counts.get(&(added.file.clone(), added.number)).cloned();
        let has_code = count.is_some();
        let LineCount { function, executions: executed, branches } = count.unwrap_or_default();
        let mut line = Line {
            file: added.file.clone(),
            number: added.number,
            text: added.text.clone(),
            function,
            executed,
            branches,
            status: LineStatus::Unexecuted,
            because: None,
        };
        if !has_code {
            line.status = LineStatus::NoCode;
        } else if line.untaken_branches() == Some(0) {
            line.status = LineStatus::Executed;
        } else if let Some(exemption) = exemptions.iter().find(|exemption| line.is_exempt_by(exemption)) {
            line.status = LineStatus::Exempt;
            line.because = Some(exemption.because.clone());
        }
        line
    }

    /// Number of branches that were not taken; none if the line was not executed.
    fn untaken_branches(&self) -> Option<usize> {
        (self.executed > 0).then(|| self.branches.iter().filter(|count| **count == 0).count())
    }

    /// Whether the exemption is for this line and states exactly what is not executed.
    pub(super) fn is_exempt_by(&self, exemption: &CoverageExemption) -> bool {
        exemption.is_for_line(&self.function, &self.text) && exemption.branches == self.untaken_branches()
    }
}

/// What of the line is not executed, with file, line number and function.
impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Line { file, number, function, text, branches, .. } = self;
        write!(f, "{file}:{number}: {function}: ")?;
        if let Some(count) = self.untaken_branches() {
            write!(f, "{count} of {} branches of ", branches.len())?;
        }
        write!(f, "`{}`", text.trim())
    }
}

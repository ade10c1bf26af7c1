// SPDX-License-Identifier: MIT OR Apache-2.0
//! Totals over lines and branches.

use serde::{Deserialize, Serialize};

use crate::coverage::line::{Line, LineStatus};

/// Totals over the lines of a patch.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Totals {
    /// Lines with code.
    pub lines: Sum,
    /// Branches of these lines.
    pub branches: Sum,
    /// Number of lines without code.
    pub no_code: usize,
}

/// How many lines or branches are executed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sum {
    /// The number of all.
    pub all: usize,
    /// How many of them are executed or taken.
    pub executed: usize,
    /// How many of the others are exempt.
    #[serde(rename = "argued")]
    pub exempt: usize,
}

impl Totals {
    /// The totals over these lines.
    #[must_use]
    pub fn new(lines: &[Line]) -> Self {
        let mut totals = Totals::default();
        for line in lines {
            if line.status == LineStatus::NoCode {
                totals.no_code += 1;
                continue;
            }
            let is_exempt = line.status == LineStatus::Exempt;
            totals.lines.count(line.executed, is_exempt);
            line.branches.iter().for_each(|taken| totals.branches.count(*taken, is_exempt));
        }
        totals
    }
}

impl Sum {
    fn count(&mut self, times: u64, is_exempt: bool) {
        self.all += 1;
        self.executed += usize::from(times > 0);
        self.exempt += usize::from(times == 0 && is_exempt);
    }

    /// Formats the sum, such as `7 of 9, 1 exempt`; `-` if there is nothing to execute.
    #[must_use]
    pub fn to_text(&self) -> String {
        let exempt = if self.exempt > 0 { format!(", {} exempt", self.exempt) } else { String::new() };
        if self.all == 0 { "-".to_string() } else { format!("{} of {}{exempt}", self.executed, self.all) }
    }
}

// SPDX-License-Identifier: MIT OR Apache-2.0
//! Measures which lines and branches of the series the claims execute, on a kernel built with gcov
//! (`coverage.config`). Every added line with code must be executed, or be exempt with a reason.

mod exemption;
mod line;
mod record;
mod report;
mod totals;

pub use exemption::{CoverageExemption, FILE as EXEMPTIONS_FILE};
pub use line::{Line, LineStatus};
pub use record::{Coverage, FILE, FRAGMENT, Patch, kernel};
pub use report::{exit, to_text};
pub use totals::{Sum, Totals};

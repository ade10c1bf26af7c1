// SPDX-License-Identifier: MIT OR Apache-2.0
//! Results of runs, as the log of a run stores them and as all reports read them.

mod invocation;
mod log;
mod merged;
mod record;
mod run_error;
mod run_outcome;
mod run_plan;
mod run_results;
mod tally;
#[cfg(any(test, feature = "testing"))]
pub mod testing;

pub use invocation::Invocation;
pub use log::Log;
pub use merged::{Expected, MergedResults};
pub use record::{PhaseTimes, Record};
pub use run_error::RunError;
pub use run_outcome::RunOutcome;
pub use run_plan::{PlannedCase, RunOptions, RunPlan, SCHEMA};
pub use run_results::{LOG_FILE, Results};
pub use tally::Tally;

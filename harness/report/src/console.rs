// SPDX-License-Identifier: MIT OR Apache-2.0
//! One line a claim.

use std::time::Duration;

use vremount_claims::verdict::{ObservedOutcome, Verdict};
use vremount_runner::results::{PlannedCase, Record};

/// The line of a case: verdict, claim, filesystem, outcome, time; below it, why it is not `holds`.
#[must_use]
pub fn line(record: &Record) -> String {
    let outcome = record.observed.as_ref().map_or_else(|| "-".to_string(), ObservedOutcome::to_string);
    let mut line = format!(
        "{:<12} {:<28} {:<15} {:<32} {:>5.2} s",
        record.verdict.to_string(),
        record.claim,
        record.fs.name(),
        outcome,
        Duration::from_millis(record.ms).as_secs_f64()
    );
    if let Some(because) = &record.because {
        line += &format!("\n             {because}");
    }
    // Of what was skipped there is nothing to see.
    if !matches!(record.verdict, Verdict::Holds | Verdict::Skipped) {
        line += &format!("\n             see {}", record.log.display());
    }
    line
}

/// The line of a case that never ran to its end.
#[must_use]
pub fn missing(case: &PlannedCase) -> String {
    format!("{:<12} {:<28} {}", "missing", case.claim, case.fs.name())
}

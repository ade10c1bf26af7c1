// SPDX-License-Identifier: MIT OR Apache-2.0
//! One line for each case.

use std::time::Duration;

use vremount_claims::verdict::{ObservedOutcome, Verdict};
use vremount_runner::results::{PlannedCase, Record};

use crate::style::{Style, pad};

/// Width of the column of verdicts.
const VERDICT_WIDTH: usize = 12;

/// The line of a finished case: verdict, claim, filesystem, observed outcome, time. If it does not hold, the lines below have
/// the reason and the path of the transcript.
#[must_use]
pub fn case_line(record: &Record, style: &Style) -> String {
    let outcome = record.observed.as_ref().map_or_else(|| "-".to_string(), ObservedOutcome::to_string);
    let verdict = record.verdict.to_string();
    let mut line = format!(
        "{} {:<28} {:<15} {:<32} {:>5.2} s",
        pad(style.verdict(Some(record.verdict), &verdict), &verdict, VERDICT_WIDTH),
        record.claim,
        record.fs.name(),
        outcome,
        Duration::from_millis(record.ms).as_secs_f64()
    );
    if let Some(because) = &record.because {
        line += &format!("\n             {because}");
    }
    // A skipped case has no transcript worth reading.
    if !matches!(record.verdict, Verdict::Holds | Verdict::Skipped) {
        line += &format!("\n             see {}", record.log.display());
    }
    line
}

/// The line of a case that did not finish.
#[must_use]
pub fn missing_case_line(case: &PlannedCase, style: &Style) -> String {
    let verdict = pad(style.verdict(None, "missing"), "missing", VERDICT_WIDTH);
    format!("{verdict} {:<28} {}", case.claim, case.fs.name())
}

#[cfg(test)]
mod tests {
    use vremount_runner::testing::one_of_each;

    use super::*;

    #[test]
    fn colour_does_not_move_columns() {
        let results = one_of_each();
        for (case, record) in results.cases() {
            let text =
                |style| record.map_or_else(|| missing_case_line(case, &style), |record| case_line(record, &style));
            let without_codes = ["32", "1;31", "33", "2", "0"]
                .iter()
                .fold(text(Style::colour()), |text, code| text.replace(&format!("\x1b[{code}m"), ""));
            assert_eq!(without_codes, text(Style::plain()));
            assert_ne!(text(Style::colour()), text(Style::plain()));
        }
    }
}

// SPDX-License-Identifier: MIT OR Apache-2.0
//! Compares the last good and the first bad kernel, transcript by transcript.

use std::fs;

use similar::TextDiff;
use vremount_runner::results::Record;
use vremount_runner::transcript;
use vremount_util::io_error;

use crate::bisect::log::Step;
use crate::bisect::policy::{Mark, Rule, judge};
use crate::error::Error;

/// The cases that make the bad kernel bad, each as the record of the good kernel and that of the
/// bad one. A case that has no record on the good kernel is left out.
#[must_use]
pub fn differing_cases<'a>(good: &'a Step, bad: &'a Step, rule: Rule<'_>) -> Vec<(&'a Record, &'a Record)> {
    let is_bad = |record: &&Record| judge(&[vec![(*record).clone()]], rule).0 == Mark::Bad;
    let on_good =
        |record: &Record| good.records.iter().find(|other| (&other.claim, other.fs) == (&record.claim, record.fs));
    bad.records.iter().filter(is_bad).filter_map(|record| Some((on_good(record)?, record))).collect()
}

/// A unified diff of two transcripts of a case, with all lines. Times are left out: they differ in
/// every run.
///
/// # Errors
/// If a transcript cannot be read, or is not one.
pub fn diff((good, good_title): (&Record, &str), (bad, bad_title): (&Record, &str)) -> Result<String, Error> {
    let (good, bad) = (transcript_text(good)?, transcript_text(bad)?);
    let diff = TextDiff::from_lines(&good, &bad);
    Ok(diff.unified_diff().context_radius(usize::MAX >> 1).header(good_title, bad_title).to_string())
}

fn transcript_text(record: &Record) -> Result<String, Error> {
    let text = fs::read_to_string(&record.log).map_err(io_error("read", &record.log))?;
    let lines: Result<String, _> = text.lines().map(transcript::format_line_without_times).collect();
    Ok(lines.map_err(|why| vremount_runner::Error::Results { path: record.log.clone(), why: why.to_string() })?)
}

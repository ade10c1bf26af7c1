// SPDX-License-Identifier: MIT OR Apache-2.0
//! The last that is good and the first that is bad, side by side.

use std::fs;

use similar::TextDiff;
use vremount_runner::results::Record;
use vremount_runner::transcript;
use vremount_util::io_error;

use crate::bisect::{Mark, Rule, Step, judge};
use crate::error::Error;

/// The cases in which a bad kernel differs from a good one, each with its transcript on the good one.
#[must_use]
pub fn difference<'a>(good: &'a Step, bad: &'a Step, rule: Rule<'_>) -> Vec<(&'a Record, &'a Record)> {
    let is_bad = |record: &&Record| judge(&[vec![(*record).clone()]], rule).0 == Mark::Bad;
    let on_good =
        |record: &Record| good.records.iter().find(|other| (&other.claim, other.fs) == (&record.claim, record.fs));
    bad.records.iter().filter(is_bad).filter_map(|record| Some((on_good(record)?, record))).collect()
}

/// Two transcripts of a case as a diff; times are left out, for they are never the same.
///
/// # Errors
/// If one of them is gone, or is none.
pub fn parallel_map((good, good_title): (&Record, &str), (bad, bad_title): (&Record, &str)) -> Result<String, Error> {
    let (good, bad) = (words(good)?, words(bad)?);
    let diff = TextDiff::from_lines(&good, &bad);
    Ok(diff.unified_diff().context_radius(usize::MAX >> 1).header(good_title, bad_title).to_string())
}

fn words(record: &Record) -> Result<String, Error> {
    let text = fs::read_to_string(&record.log).map_err(io_error("read", &record.log))?;
    let words: Result<String, _> = text.lines().map(transcript::in_words_without_times).collect();
    Ok(words.map_err(|why| vremount_runner::Error::Results { path: record.log.clone(), why: why.to_string() })?)
}

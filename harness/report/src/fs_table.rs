// SPDX-License-Identifier: MIT OR Apache-2.0
//! The table of one run: claims in rows, filesystems in columns, and below it the reasons of skipped cases.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use vremount_claims::verdict::Verdict;
use vremount_machine::image::Fs;
use vremount_runner::results::{Record, Results};

use crate::style::{Style, pad};
use crate::verdict_label::VerdictLabel;

/// The table of a run.
#[must_use]
pub fn filesystem_table(results: &Results, style: &Style) -> String {
    let filesystems = filesystems(results);
    let claim_width = results.cases().map(|(case, _)| case.claim.len()).max().unwrap_or_default();
    let width = |fs: Fs| fs.name().len().max(VerdictLabel::new(None).sign.len());
    let heads: String = filesystems.iter().map(|fs| format!("  {:width$}", fs.name(), width = width(*fs))).collect();
    let mut text = format!("{:claim_width$}{heads}\n", "").trim_end().to_string() + "\n";
    for (claim, verdicts) in rows(results, &filesystems) {
        let cell = |(fs, verdict): (&Fs, Option<Option<Verdict>>)| {
            let sign = verdict.map_or("", |verdict| VerdictLabel::new(verdict).sign);
            format!("  {}", pad(style.verdict(verdict.flatten(), sign), sign, width(*fs)))
        };
        let cells: String = filesystems.iter().zip(verdicts).map(cell).collect();
        let _ = writeln!(text, "{}", format!("{claim:claim_width$}{cells}").trim_end());
    }
    text + &skipped(results)
}

/// The filesystems that the run has cases on.
pub(super) fn filesystems(results: &Results) -> Vec<Fs> {
    Fs::ALL.into_iter().filter(|fs| results.cases().any(|(case, _)| case.fs == *fs)).collect()
}

/// Each claim with its verdicts on these filesystems. The outer `None`: no case was planned; the inner `None`: the case did
/// not finish.
pub(super) fn rows<'a>(
    results: &'a Results,
    filesystems: &[Fs],
) -> impl Iterator<Item = (&'a str, Vec<Option<Option<Verdict>>>)> {
    results.claims().map(move |cases| {
        let verdict = |fs: &Fs| {
            let (_, record) = cases.iter().find(|(case, _)| case.fs == *fs)?;
            Some(record.map(|record| record.verdict))
        };
        let claim = cases.first().map_or("", |(case, _)| case.claim.as_str());
        (claim, filesystems.iter().map(verdict).collect())
    })
}

/// Each reason for skipping, with the number of skipped claims on each filesystem.
pub(super) fn skip_reasons(results: &Results) -> BTreeMap<&str, BTreeMap<Fs, usize>> {
    let mut reasons: BTreeMap<&str, BTreeMap<Fs, usize>> = BTreeMap::new();
    for (case, record) in results.cases() {
        if let Some(Record { verdict: Verdict::Skipped, because: Some(because), .. }) = record {
            *reasons.entry(because).or_default().entry(case.fs).or_default() += 1;
        }
    }
    reasons
}

/// Filesystems, each with its number of claims.
pub(super) fn format_counts(claims: &BTreeMap<Fs, usize>) -> String {
    let counts: Vec<_> = claims.iter().map(|(fs, count)| format!("{} {count}", fs.name())).collect();
    counts.join(", ")
}

fn skipped(results: &Results) -> String {
    let reasons = skip_reasons(results);
    let text: String =
        reasons.iter().map(|(because, claims)| format!("\n- {}: {because}", format_counts(claims))).collect();
    if text.is_empty() { text } else { format!("\nskipped claims on each filesystem, and the reason:{text}\n") }
}

#[cfg(test)]
mod tests {
    use vremount_runner::testing::one_of_each;

    use super::*;

    #[test]
    fn table_has_all_cases_and_skip_reasons() {
        let expected = "        ext4     ext2     xfs      ramfs
first   ok       BROKEN   ?
second  ok                         missing
third                              -

skipped claims on each filesystem, and the reason:
- ramfs 1: has no xattrs
";
        let text = filesystem_table(&one_of_each(), &Style::plain());
        assert_eq!(text, expected, "{text}");
    }

    #[test]
    fn empty_cells_have_no_colour() {
        let text = filesystem_table(&one_of_each(), &Style::colour());
        let row = text.lines().nth(1).unwrap();
        assert_eq!(row, "first   \x1b[32mok\x1b[0m       \x1b[1;31mBROKEN\x1b[0m   \x1b[33m?\x1b[0m");
    }
}

// SPDX-License-Identifier: MIT OR Apache-2.0
//! Claims down, filesystems across; below them why some are skipped.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use vremount_claims::verdict::Verdict;
use vremount_machine::image::Fs;
use vremount_runner::results::{Record, Results};

/// All of a run at a glance.
#[must_use]
pub fn matrix(results: &Results) -> String {
    let filesystems: Vec<Fs> =
        Fs::ALL.into_iter().filter(|fs| results.cases().any(|(case, _)| case.fs == *fs)).collect();
    let widest = results.cases().map(|(case, _)| case.claim.len()).max().unwrap_or_default();
    let width = |fs: Fs| fs.name().len().max(MISSING.len());
    let heads: String = filesystems.iter().map(|fs| format!("  {:width$}", fs.name(), width = width(*fs))).collect();
    let mut text = format!("{:widest$}{heads}\n", "").trim_end().to_string() + "\n";
    for claim in results.claims() {
        let name = claim.first().map_or("", |(case, _)| case.claim.as_str());
        let cell = |fs: &Fs| {
            let record = claim.iter().find(|(case, _)| case.fs == *fs).and_then(|(_, record)| *record);
            format!("  {:width$}", sign(record.map(|record| record.verdict)), width = width(*fs))
        };
        let cells: String = filesystems.iter().map(cell).collect();
        let _ = writeln!(text, "{}", format!("{name:widest$}{cells}").trim_end());
    }
    text + &skipped(results)
}

const MISSING: &str = "missing";

/// Of a case that never ran to its end, too.
pub(super) fn sign(verdict: Option<Verdict>) -> &'static str {
    match verdict {
        Some(Verdict::Holds) => "ok",
        Some(Verdict::Broken) => "BROKEN",
        Some(Verdict::CannotTell) => "?",
        Some(Verdict::Skipped) => "-",
        None => MISSING,
    }
}

/// Each reason, with the filesystems it is about and how many claims they skip for it.
pub(super) fn reasons(results: &Results) -> BTreeMap<&str, BTreeMap<Fs, usize>> {
    let mut reasons: BTreeMap<&str, BTreeMap<Fs, usize>> = BTreeMap::new();
    for (case, record) in results.cases() {
        if let Some(Record { verdict: Verdict::Skipped, because: Some(because), .. }) = record {
            *reasons.entry(because).or_default().entry(case.fs).or_default() += 1;
        }
    }
    reasons
}

/// Filesystems and how many claims each skips.
pub(super) fn counts(of: &BTreeMap<Fs, usize>) -> String {
    let counts: Vec<_> = of.iter().map(|(fs, count)| format!("{} {count}", fs.name())).collect();
    counts.join(", ")
}

fn skipped(results: &Results) -> String {
    let reasons = reasons(results);
    let text: String = reasons.iter().map(|(because, of)| format!("\n- {}: {because}", counts(of))).collect();
    if text.is_empty() { text } else { format!("\nskipped, and how many claims:{text}\n") }
}

#[cfg(test)]
mod tests {
    use vremount_runner::testing::one_of_each;

    use super::*;

    #[test]
    fn a_row_for_each_claim_and_a_reason_for_each_gap() {
        let text = matrix(&one_of_each());
        println!("{text}");
        let mut lines = text.lines();
        let head = lines.next().unwrap();
        let rows: Vec<_> = lines.by_ref().take_while(|line| !line.is_empty()).collect();
        assert_eq!(rows.len(), one_of_each().claims().count());
        for word in ["ok", "BROKEN", "?", "-", "missing"] {
            assert!(rows.iter().any(|row| row.split_whitespace().any(|cell| cell == word)), "{word}: {text}");
        }
        assert!(rows.iter().all(|row| row.len() <= head.len() + 8));
        assert_eq!(lines.next(), Some("skipped, and how many claims:"));
    }
}

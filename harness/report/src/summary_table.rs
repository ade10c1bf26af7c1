// SPDX-License-Identifier: MIT OR Apache-2.0
//! The table of several runs: claims in rows, bases and executors in columns, and below it the runs that failed.

use std::collections::BTreeMap;
use std::fmt::{self, Write as _};

use vremount_claims::verdict::Verdict;
use vremount_runner::results::{MergedResults, PlannedCase, Record, Results, RunPlan};

use crate::style::{Style, pad};
use crate::verdict_label::VerdictLabel;

/// The table of several runs. A cell has the worst verdict of a claim on any filesystem and, unless all hold or all are
/// skipped, on how many of the filesystems where it was not skipped. The level and the configuration are shown where they
/// differ.
#[must_use]
pub fn summary_table(merged: &MergedResults, style: &Style) -> String {
    let claims = claims(merged);
    let columns = columns(merged, &claims);
    let has_one_level = columns.windows(2).all(|pair| pair[0].heads[2] == pair[1].heads[2]);
    let heads = if has_one_level { 2 } else { 3 };
    let claim_width = claims.iter().map(|claim| claim.len()).max().unwrap_or_default();
    let widths: Vec<usize> = columns.iter().map(|column| column.width(heads)).collect();
    let mut text = String::new();
    let mut row = |name: &str, cells: Vec<String>| {
        let _ = writeln!(text, "{}", format!("{name:claim_width$}{}", cells.concat()).trim_end());
    };
    for head in 0..heads {
        let cell = |(column, width): (&Column, &usize)| format!("  {:width$}", column.heads[head]);
        row("", columns.iter().zip(&widths).map(cell).collect());
    }
    for (number, claim) in claims.iter().enumerate() {
        let cell = |(column, width): (&Column, &usize)| {
            let cell = &column.cells[number];
            let plain = cell.to_string();
            format!("  {}", pad(style.verdict(cell.worst.flatten(), &plain), &plain, *width))
        };
        row(claim, columns.iter().zip(&widths).map(cell).collect());
    }
    for error in &merged.run_errors {
        let verdict = style.verdict(Some(Verdict::CannotTell), "cannot tell");
        let _ = write!(text, "\n{verdict}: {}: {}\n", error.title(), error.cannot_tell.trim_end());
    }
    text
}

/// The names of all claims, in the order of the run with the most cases.
pub(super) fn claims(merged: &MergedResults) -> Vec<&str> {
    let mut claims: Vec<&str> = Vec::new();
    let longest = merged.runs.iter().max_by_key(|run| run.plan.cases.len());
    for case in longest.into_iter().chain(&merged.runs).flat_map(|run| &run.plan.cases) {
        if !claims.contains(&case.claim.as_str()) {
            claims.push(&case.claim);
        }
    }
    claims
}

/// A run, or one that could not start.
pub(super) struct Column {
    /// Base; executor; level with configuration.
    pub heads: [String; 3],
    /// The index of the run. `None` if it could not start.
    pub run: Option<usize>,
    /// The cells, in the order of the claims.
    pub cells: Vec<Cell>,
}

impl Column {
    fn width(&self, heads: usize) -> usize {
        let heads = self.heads.iter().take(heads).map(String::len);
        heads.chain(self.cells.iter().map(|cell| cell.to_string().len())).max().unwrap_or_default()
    }
}

/// The verdicts of a claim in a run.
#[derive(Clone, Default)]
pub(super) struct Cell {
    /// The worst verdict on any filesystem. The outer `None`: no case was planned; the inner `None`: a case did not finish.
    pub worst: Option<Option<Verdict>>,
    /// The number of filesystems with that verdict, and the number of filesystems where the claim was not skipped.
    counts: Option<(usize, usize)>,
}

impl fmt::Display for Cell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.worst.map_or("", |verdict| VerdictLabel::new(verdict).sign))?;
        self.counts.map_or(Ok(()), |(count, all)| write!(f, " {count}/{all}"))
    }
}

/// A column for each run, then one for each run that could not start.
pub(super) fn columns(merged: &MergedResults, claims: &[&str]) -> Vec<Column> {
    let level = |level: u8, config: Option<&String>| {
        format!("level {level}{}", config.map_or_else(String::new, |config| format!(", {config}")))
    };
    let from_run = |(number, run): (usize, &Results)| {
        let RunPlan { base, executor, config, .. } = &run.plan;
        let accel = run.plan.accel.map_or_else(String::new, |accel| format!("/{}", accel.name()));
        let heads = [base.clone(), format!("{executor}{accel}"), level(run.plan.level, config.as_ref())];
        let by_claim: BTreeMap<_, _> =
            run.claims().filter_map(|cases| Some((cases.first()?.0.claim.clone(), cell(&cases)))).collect();
        let cells = claims.iter().map(|claim| by_claim.get(*claim).cloned().unwrap_or_default()).collect();
        Column { heads, run: Some(number), cells }
    };
    let mut columns: Vec<_> = merged.runs.iter().enumerate().map(from_run).collect();
    for error in &merged.run_errors {
        let heads = [error.base.clone(), error.executor.clone(), level(error.level, None)];
        // A missing shard belongs to the column of the other shards.
        let is_shard_of =
            |plan: &RunPlan| (&plan.base, plan.level, &plan.executor) == (&error.base, error.level, &error.executor);
        if !merged.runs.iter().any(|run| is_shard_of(&run.plan)) {
            let cells = vec![Cell { worst: Some(Some(Verdict::CannotTell)), counts: None }; claims.len()];
            columns.push(Column { heads, run: None, cells });
        }
    }
    columns
}

fn cell(cases: &[(&PlannedCase, Option<&Record>)]) -> Cell {
    let verdicts = cases.iter().map(|(_, record)| record.map(|record| record.verdict));
    let ran: Vec<_> = verdicts.filter(|verdict| *verdict != Some(Verdict::Skipped)).collect();
    let from_worst = [Some(Verdict::Broken), Some(Verdict::CannotTell), None];
    let (worst, counts) = match from_worst.into_iter().find(|verdict| ran.contains(verdict)) {
        Some(worst) => (worst, Some((ran.iter().filter(|verdict| **verdict == worst).count(), ran.len()))),
        None if ran.is_empty() => (Some(Verdict::Skipped), None),
        None => (Some(Verdict::Holds), None),
    };
    Cell { worst: Some(worst), counts }
}

#[cfg(test)]
mod tests {
    use vremount_machine::image::Fs;
    use vremount_runner::results::RunError;
    use vremount_runner::testing::{one_of_each, planned};

    use super::*;

    #[test]
    fn each_run_has_a_column_with_the_worst_verdicts() {
        let mut few = planned(&[("third", Fs::Ext4)]);
        few.plan.base = "6.1.4".to_string();
        few.plan.accel = None;
        few.plan.executor = "uml".to_string();
        let lost = RunError {
            base: "7.3.4".to_string(),
            series: "s".to_string(),
            level: 4,
            executor: "uml".to_string(),
            cannot_tell: "failed to reach a mirror".to_string(),
        };
        let text =
            summary_table(&MergedResults { runs: vec![few, one_of_each()], run_errors: vec![lost] }, &Style::plain());
        let expected = "        6.1.4        5.10.13      7.3.4
        uml          qemu/tcg     uml
first                BROKEN 1/3   ?
second               missing 1/2  ?
third   missing 1/1  -            ?

cannot tell: Linux 7.3.4, series s at level 4, uml: failed to reach a mirror
";
        assert_eq!(text, expected, "{text}");
    }

    #[test]
    fn levels_and_configurations_are_shown_if_they_differ() {
        let mut other = planned(&[("first", Fs::Ext4)]);
        (other.plan.level, other.plan.config) = (3, Some("debug".to_string()));
        let text =
            summary_table(&MergedResults { runs: vec![one_of_each(), other], run_errors: vec![] }, &Style::plain());
        let expected = "        5.10.13      5.10.13
        qemu/tcg     qemu/tcg
        level 4      level 3, debug
";
        assert!(text.starts_with(expected), "{text}");
    }
}

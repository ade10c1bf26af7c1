// SPDX-License-Identifier: MIT OR Apache-2.0
//! Claims down, bases and executors across; below them what could not be run.

use std::collections::BTreeMap;
use std::fmt::{self, Write as _};

use vremount_claims::verdict::Verdict;
use vremount_runner::results::{MergedResults, PlannedCase, Record, Results, RunPlan};

use crate::fs_table::sign;

/// Many runs at a glance.
#[must_use]
pub fn across(merged: &MergedResults) -> String {
    let claims = claims(merged);
    let columns = columns(merged, &claims);
    let is_one_level = columns.windows(2).all(|pair| pair[0].heads[2] == pair[1].heads[2]);
    let heads = if is_one_level { 2 } else { 3 };
    let first = claims.iter().map(|claim| claim.len()).max().unwrap_or_default();
    let columns: Vec<Vec<String>> = columns
        .into_iter()
        .map(|Column { heads: own, cells, .. }| {
            own.into_iter().take(heads).chain(cells.iter().map(Cell::to_string)).collect()
        })
        .collect();
    let mut text = String::new();
    let mut row = |name: &str, cells: Vec<&str>| {
        let width = |column: &[String]| column.iter().map(String::len).max().unwrap_or_default();
        let cells: String = cells
            .iter()
            .zip(&columns)
            .map(|(cell, column)| format!("  {cell:width$}", width = width(column)))
            .collect();
        let _ = writeln!(text, "{}", format!("{name:first$}{cells}").trim_end());
    };
    for place in 0..claims.len() + heads {
        let name = place.checked_sub(heads).map_or("", |place| claims[place]);
        row(name, columns.iter().map(|column| column[place].as_str()).collect());
    }
    for word in &merged.not_run {
        let _ = write!(text, "\ncannot tell: {}: {}\n", word.title(), word.cannot_tell.trim_end());
    }
    text
}

/// All claims, as told by the run that has most: the others have some of them.
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
    /// Base, executor, level with configuration.
    pub heads: [String; 3],
    /// Its place among the runs.
    pub run: Option<usize>,
    /// One for each claim.
    pub cells: Vec<Cell>,
}

/// What is worst on any filesystem, and on how many of those that it is about.
#[derive(Clone, Default)]
pub(super) struct Cell {
    /// None where it was not planned; in that, none where it never ran.
    pub worst: Option<Option<Verdict>>,
    of: Option<(usize, usize)>,
}

impl fmt::Display for Cell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.worst.map_or("", sign))?;
        self.of.map_or(Ok(()), |(count, all)| write!(f, " {count}/{all}"))
    }
}

pub(super) fn columns(merged: &MergedResults, claims: &[&str]) -> Vec<Column> {
    let level = |level: u8, config: Option<&String>| {
        format!("level {level}{}", config.map_or_else(String::new, |config| format!(", {config}")))
    };
    let of_run = |(place, run): (usize, &Results)| {
        let RunPlan { base, executor, config, .. } = &run.plan;
        let accel = run.plan.accel.map_or_else(String::new, |accel| format!("/{}", accel.name()));
        let heads = [base.clone(), format!("{executor}{accel}"), level(run.plan.level, config.as_ref())];
        let by_claim: BTreeMap<_, _> =
            run.claims().filter_map(|cases| Some((cases.first()?.0.claim.clone(), cell(&cases)))).collect();
        let cells = claims.iter().map(|claim| by_claim.get(*claim).cloned().unwrap_or_default()).collect();
        Column { heads, run: Some(place), cells }
    };
    let mut columns: Vec<_> = merged.runs.iter().enumerate().map(of_run).collect();
    for word in &merged.not_run {
        let heads = [word.base.clone(), word.executor.clone(), level(word.level, None)];
        // A shard that is missing has its column already.
        let is_of =
            |plan: &RunPlan| (&plan.base, plan.level, &plan.executor) == (&word.base, word.level, &word.executor);
        if !merged.runs.iter().any(|run| is_of(&run.plan)) {
            let cells = vec![Cell { worst: Some(Some(Verdict::CannotTell)), of: None }; claims.len()];
            columns.push(Column { heads, run: None, cells });
        }
    }
    columns
}

fn cell(cases: &[(&PlannedCase, Option<&Record>)]) -> Cell {
    let verdict = |record: &Option<&Record>| record.map(|record| record.verdict);
    let told: Vec<_> =
        cases.iter().map(|(_, record)| *record).filter(|r| verdict(r) != Some(Verdict::Skipped)).collect();
    let worst = [Some(Verdict::Broken), Some(Verdict::CannotTell), None];
    let worst = worst.into_iter().find_map(|worst| told.iter().find(|record| verdict(record) == worst));
    let (worst, of) = match worst {
        Some(worst) => {
            let count = told.iter().filter(|record| verdict(record) == verdict(worst)).count();
            (verdict(worst), Some((count, told.len())))
        }
        None if told.is_empty() => (Some(Verdict::Skipped), None),
        None => (Some(Verdict::Holds), None),
    };
    Cell { worst: Some(worst), of }
}

#[cfg(test)]
mod tests {
    use vremount_machine::image::Fs;
    use vremount_runner::results::RunError;
    use vremount_runner::testing::{one_of_each, planned};

    use super::*;

    #[test]
    fn a_column_for_each_run_and_the_worst_of_each_claim() {
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
        let text = across(&MergedResults { runs: vec![few, one_of_each()], not_run: vec![lost] });
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
    fn levels_and_configurations_are_told_where_they_differ() {
        let mut other = planned(&[("first", Fs::Ext4)]);
        (other.plan.level, other.plan.config) = (3, Some("debug".to_string()));
        let text = across(&MergedResults { runs: vec![one_of_each(), other], not_run: vec![] });
        let expected = "        5.10.13      5.10.13
        qemu/tcg     qemu/tcg
        level 4      level 3, debug
";
        assert!(text.starts_with(expected), "{text}");
    }
}

// SPDX-License-Identifier: MIT OR Apache-2.0
//! Claims down, bases and executors across; below them what could not be run.

use std::fmt::Write as _;

use super::matrix::{MISSING, sign};
use crate::results::{Merged, Planned, Record, Results};
use crate::verdict::Verdict;

/// Many runs at a glance.
#[must_use]
pub fn across(merged: &Merged) -> String {
    let mut claims: Vec<&str> = Vec::new();
    // What is told by the run that has most: the others have some of it.
    let longest = merged.runs.iter().max_by_key(|run| run.plan.cases.len());
    for case in longest.into_iter().chain(&merged.runs).flat_map(|run| &run.plan.cases) {
        if !claims.contains(&case.claim.as_str()) {
            claims.push(&case.claim);
        }
    }
    let columns = columns(merged, &claims);
    let first = claims.iter().map(|claim| claim.len()).max().unwrap_or_default();
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
    for place in 0..claims.len() + HEADS {
        let name = place.checked_sub(HEADS).map_or("", |place| claims[place]);
        row(name, columns.iter().map(|column| column[place].as_str()).collect());
    }
    for word in &merged.not_run {
        let _ = write!(text, "\ncannot tell: {}: {}\n", word.title(), word.cannot_tell.trim_end());
    }
    text
}

/// Base and executor.
const HEADS: usize = 2;

/// Each with its heads and a cell for each claim.
fn columns(merged: &Merged, claims: &[&str]) -> Vec<Vec<String>> {
    let of_run = |run: &Results| {
        let accel = run.plan.accel.map_or_else(String::new, |accel| format!("/{}", accel.name()));
        let heads = [run.plan.base.clone(), format!("{}{accel}", run.plan.executor)];
        let by_claim: std::collections::BTreeMap<_, _> =
            run.claims().filter_map(|cases| Some((cases.first()?.0.claim.clone(), cell(&cases)))).collect();
        let cells = claims.iter().map(|claim| by_claim.get(*claim).cloned().unwrap_or_default());
        heads.into_iter().chain(cells).collect::<Vec<_>>()
    };
    let mut columns: Vec<_> = merged.runs.iter().map(of_run).collect();
    for word in &merged.not_run {
        let heads = [word.base.clone(), word.executor.clone()];
        // A shard that is missing has its column already.
        if !columns.iter().any(|column| column[0] == heads[0] && column[1].split('/').next() == Some(&heads[1])) {
            columns.push(heads.into_iter().chain(claims.iter().map(|_| "?".to_string())).collect());
        }
    }
    columns
}

/// What is worst on any filesystem, and on how many.
fn cell(cases: &[(&Planned, Option<&Record>)]) -> String {
    let verdict = |record: &Option<&Record>| record.map(|record| record.verdict);
    let told: Vec<_> =
        cases.iter().map(|(_, record)| *record).filter(|r| verdict(r) != Some(Verdict::Skipped)).collect();
    let worst = [Some(Verdict::Broken), Some(Verdict::CannotTell), None];
    let worst = worst.into_iter().find_map(|worst| told.iter().find(|record| verdict(record) == worst));
    match worst {
        Some(worst) => {
            let count = told.iter().filter(|record| verdict(record) == verdict(worst)).count();
            let sign = worst.map_or(MISSING, |record| sign(Some(record)));
            format!("{sign} {count}/{}", told.len())
        }
        None if told.is_empty() => "-".to_string(),
        None => "ok".to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::Fs;
    use crate::results::NotRun;
    use crate::results::tests::{one_of_each, planned};

    #[test]
    fn a_column_for_each_run_and_the_worst_of_each_claim() {
        let mut few = planned(&[("third", Fs::Ext4)]);
        few.plan.base = "6.1.4".to_string();
        few.plan.accel = None;
        few.plan.executor = "uml".to_string();
        let lost = NotRun {
            base: "7.3.4".to_string(),
            series: "s".to_string(),
            level: 4,
            executor: "uml".to_string(),
            cannot_tell: "failed to reach a mirror".to_string(),
        };
        let text = across(&Merged { runs: vec![few, one_of_each()], not_run: vec![lost] });
        let expected = "        6.1.4        5.10.13      7.3.4
        uml          qemu/tcg     uml
first                BROKEN 1/3   ?
second               missing 1/2  ?
third   missing 1/1  -            ?

cannot tell: Linux 7.3.4, series s at level 4, uml: failed to reach a mirror
";
        assert_eq!(text, expected, "{text}");
    }
}

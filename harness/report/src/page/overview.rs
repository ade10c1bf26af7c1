// SPDX-License-Identifier: MIT OR Apache-2.0
//! The table of several runs, as on the console: claims in rows, runs in columns.

use serde::Serialize;
use vremount_runner::results::MergedResults;

use crate::page::run::{Run, row_anchor};
use crate::summary_table::{Column, claims, columns};
use crate::verdict_label::VerdictLabel;

#[derive(Serialize)]
pub struct Overview {
    columns: Vec<Head>,
    rows: Vec<Row>,
}

/// A run, or one that could not start.
#[derive(Serialize)]
struct Head {
    /// Base; executor; level with configuration.
    heads: [String; 3],
    /// The anchor of the run. `None` if it could not start.
    run: Option<String>,
}

#[derive(Serialize)]
struct Row {
    claim: String,
    cells: Vec<Cell>,
}

#[derive(Serialize)]
struct Cell {
    /// `None` if the claim was not planned there.
    label: Option<VerdictLabel>,
    text: String,
    run: Option<String>,
    /// The anchor of the claim's row in the table of the run.
    link: Option<String>,
}

impl Overview {
    /// The table. `runs` are the views of the merged runs, in the same order.
    #[must_use]
    pub fn new(merged: &MergedResults, runs: &[Run]) -> Self {
        let claims = claims(merged);
        let columns = columns(merged, &claims);
        let run = |column: &Column| column.run.and_then(|index| runs.get(index)).map(|run| run.id.clone());
        let cell = |column: &Column, claim: usize| {
            let (cell, run) = (&column.cells[claim], run(column));
            let link = run.as_ref().filter(|_| cell.worst.is_some()).map(|run| row_anchor(run, claims[claim]));
            Cell { label: cell.worst.map(VerdictLabel::new), text: cell.to_string(), run, link }
        };
        let row = |(number, claim): (usize, &&str)| Row {
            claim: (*claim).to_string(),
            cells: columns.iter().map(|column| cell(column, number)).collect(),
        };
        let rows = claims.iter().enumerate().map(row).collect();
        let head = |column: &Column| Head { heads: column.heads.clone(), run: run(column) };
        Overview { columns: columns.iter().map(head).collect(), rows }
    }
}

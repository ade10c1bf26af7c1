// SPDX-License-Identifier: MIT OR Apache-2.0
//! Many runs at a glance: claims down, runs across, as in a terminal.

use serde::Serialize;
use vremount_runner::results::MergedResults;

use crate::page::Word;
use crate::page::run::{Run, row_anchor};
use crate::summary_table::{Column, claims, columns};

#[derive(Serialize)]
pub struct Overview {
    columns: Vec<Head>,
    rows: Vec<Row>,
}

/// A run, or one that could not start.
#[derive(Serialize)]
struct Head {
    words: [String; 3],
    run: Option<String>,
}

#[derive(Serialize)]
struct Row {
    claim: String,
    cells: Vec<Cell>,
}

#[derive(Serialize)]
struct Cell {
    /// None where it was not planned.
    word: Option<Word>,
    text: String,
    run: Option<String>,
    /// The row of the claim there.
    link: Option<String>,
}

impl Overview {
    /// `runs` are those of all that was merged, in the same order.
    #[must_use]
    pub fn of(merged: &MergedResults, runs: &[Run]) -> Self {
        let claims = claims(merged);
        let columns = columns(merged, &claims);
        let run = |column: &Column| column.run.and_then(|place| runs.get(place)).map(|run| run.id.clone());
        let cell = |column: &Column, place: usize| {
            let (cell, run) = (&column.cells[place], run(column));
            let link = run.as_ref().filter(|_| cell.worst.is_some()).map(|run| row_anchor(run, claims[place]));
            Cell { word: cell.worst.map(Word::of), text: cell.to_string(), run, link }
        };
        let row = |(place, claim): (usize, &&str)| Row {
            claim: (*claim).to_string(),
            cells: columns.iter().map(|column| cell(column, place)).collect(),
        };
        let rows = claims.iter().enumerate().map(row).collect();
        let head = |column: &Column| Head { words: column.heads.clone(), run: run(column) };
        Overview { columns: columns.iter().map(head).collect(), rows }
    }
}

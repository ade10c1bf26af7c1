// SPDX-License-Identifier: MIT OR Apache-2.0
//! A bench: goals, curves, figures.

use minijinja::Value;
use serde::Serialize;
use vremount_analysis::bench::{Axis, Record, axis_in_words, goal_in_words};

use crate::bench_table;
use crate::cost_page::facts;
use crate::error::Error;
use crate::plot::{Line, lines, svg};

#[derive(Serialize)]
pub struct View {
    id: String,
    title: String,
    command: String,
    facts: [String; 4],
    goals: Vec<Goal>,
    /// What the kernel complained of.
    warnings: Vec<String>,
    curves: Vec<Curve>,
    /// All of it but the samples, as in a terminal.
    table: String,
}

#[derive(Serialize)]
struct Goal {
    met: bool,
    words: String,
}

#[derive(Serialize)]
struct Curve {
    words: &'static str,
    svg: Value,
    /// The same in words.
    lines: Vec<Line>,
}

impl View {
    /// # Errors
    /// If a plot cannot be drawn.
    pub fn of((place, record): (usize, &Record)) -> Result<Self, Error> {
        let curves = Axis::SWEPT.into_iter().filter(|axis| record.along(record.fs, *axis).count() > 1).map(|axis| {
            // Of this program's own words and numbers, nothing else.
            let svg = Value::from_safe_string(svg(record, axis)?);
            Ok(Curve { words: axis_in_words(axis), svg, lines: lines(record, axis) })
        });
        Ok(View {
            id: format!("bench{place}"),
            title: format!("Linux {}, series {}, on {}", record.kernel.base, record.kernel.series, record.fs.name()),
            command: record.command.join(" "),
            facts: facts(record),
            goals: record.goals.iter().map(|goal| Goal { met: goal.met, words: goal_in_words(goal, record) }).collect(),
            warnings: record.warnings.clone(),
            curves: curves.collect::<Result<_, Error>>()?,
            table: bench_table::table(record),
        })
    }
}

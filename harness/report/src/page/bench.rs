// SPDX-License-Identifier: MIT OR Apache-2.0
//! The section of a benchmark: thresholds, plots, tables.

use minijinja::Value;
use serde::Serialize;
use vremount_analysis::bench::{Axis, BenchResults};

use crate::bench_table;
use crate::cost_page::facts;
use crate::error::Error;
use crate::plot::{LineEnds, caption, line_ends, svg};
use crate::style::Style;

#[derive(Serialize)]
pub struct View {
    id: String,
    title: String,
    command: String,
    facts: [String; 4],
    thresholds: Vec<ThresholdView>,
    /// Warnings of the kernel.
    warnings: Vec<String>,
    plots: Vec<PlotView>,
    /// The tables of the console.
    table: String,
}

#[derive(Serialize)]
struct ThresholdView {
    met: bool,
    status: &'static str,
    text: String,
}

#[derive(Serialize)]
struct PlotView {
    caption: String,
    svg: Value,
    /// The ends of the lines as text.
    lines: Vec<LineEnds>,
}

impl View {
    /// The view of the benchmark with this index.
    ///
    /// # Errors
    /// [`Error::Plot`] if a plot cannot be drawn.
    pub fn new(index: usize, results: &BenchResults) -> Result<Self, Error> {
        let record = &results.record;
        let is_swept = |axis: &Axis| record.workloads_along(record.fs, *axis).count() > 1;
        let plots = Axis::SWEPT.into_iter().filter(is_swept).map(|axis| {
            // Safe: the plot has names and numbers of this program only.
            let svg = Value::from_safe_string(svg(record, axis)?);
            Ok(PlotView { caption: caption(axis), svg, lines: line_ends(record, axis) })
        });
        let thresholds = results.thresholds.iter().map(|threshold| ThresholdView {
            met: threshold.met,
            status: threshold.status(),
            text: threshold.describe(record),
        });
        Ok(View {
            id: format!("bench{index}"),
            title: format!("Linux {}, series {}, on {}", record.kernel.base, record.kernel.series, record.fs.name()),
            command: record.command.join(" "),
            facts: facts(results),
            thresholds: thresholds.collect(),
            warnings: record.warnings.clone(),
            plots: plots.collect::<Result<_, Error>>()?,
            table: bench_table::table(results, &Style::plain()),
        })
    }
}

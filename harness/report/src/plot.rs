// SPDX-License-Identifier: MIT OR Apache-2.0
//! Plots of costs as SVG. Along an axis each strategy is a line with quartiles as bars. The names stand at the ends of the
//! lines, so that lines can be identified without colours.

use std::ops::Range;

use plotters::coord::Shift;
use plotters::prelude::*;
use serde::Serialize;
use vremount_analysis::bench::Axis;
use vremount_analysis::bench::record::{Record, WorkloadResult};
use vremount_protocol::RestartStrategy;

use crate::error::Error;
use crate::strategies;

const SIZE: (u32, u32) = (760, 400);
/// The height of a name at the end of a line, with the distance to the next one.
const NAME_HEIGHT: i32 = 16;
/// The plotted strategies, in colours that people with colour blindness can distinguish.
const LINES: [(RestartStrategy, RGBColor); 5] = [
    (RestartStrategy::Reuse, RGBColor(0, 114, 178)),
    (RestartStrategy::Sync, RGBColor(213, 94, 0)),
    (RestartStrategy::Durable, RGBColor(0, 158, 115)),
    (RestartStrategy::Rebuild, RGBColor(204, 121, 167)),
    (RestartStrategy::First, RGBColor(110, 110, 110)),
];

/// The name of the plot's file.
#[must_use]
pub fn file_name(axis: Axis) -> String {
    format!("cost-{}.svg", axis.key().replace('_', "-"))
}

/// The caption of a plot.
#[must_use]
pub fn caption(axis: Axis) -> String {
    format!("Duration of a restart cycle by {axis}")
}

/// The ends of a line as text, for narrow screens where the plot is cut off.
#[derive(Serialize)]
pub struct LineEnds {
    name: &'static str,
    colour: String,
    /// The median at the first value in milliseconds, and the value.
    start: String,
    /// The same at the last value.
    end: String,
}

/// The lines of a plot as text.
#[must_use]
pub fn line_ends(record: &Record, axis: Axis) -> Vec<LineEnds> {
    let ends = |(strategy, RGBColor(red, green, blue)): (RestartStrategy, RGBColor)| {
        let workloads = record.workloads_along(record.fs, axis);
        let mut points = workloads.filter_map(|workload| {
            let ms = workload.samples(strategy)?.ms.median;
            Some(format!("{ms:.2} ms ({})", axis.format_value(workload.value)))
        });
        let (start, end) = (points.next()?, points.last()?);
        Some(LineEnds { name: strategies::name(strategy), colour: format!("rgb({red}, {green}, {blue})"), start, end })
    };
    LINES.into_iter().filter_map(ends).collect()
}

/// The plot of an axis as SVG.
///
/// # Errors
/// [`Error::Plot`] if the plot library fails.
pub fn svg(record: &Record, axis: Axis) -> Result<String, Error> {
    let workloads: Vec<_> = record.workloads_along(record.fs, axis).collect();
    let mut text = String::new();
    {
        let area = SVGBackend::with_string(&mut text, SIZE).into_drawing_area();
        draw(&area, &workloads, axis).map_err(|error| Error::Plot { axis: axis.key(), reason: error.to_string() })?;
    }
    Ok(text)
}

fn draw<'a>(
    area: &DrawingArea<SVGBackend<'a>, Shift>,
    workloads: &[&WorkloadResult],
    axis: Axis,
) -> Result<(), Box<dyn std::error::Error + 'a>> {
    area.fill(&WHITE)?;
    let last = i32::try_from(workloads.len().saturating_sub(1))?;
    let mut chart = ChartBuilder::on(area)
        .margin(12)
        .caption(caption(axis), ("sans-serif", 18))
        .x_label_area_size(44)
        .y_label_area_size(64)
        .margin_right(180)
        .build_cartesian_2d(0..last.max(1), y_range(workloads).log_scale())?;
    chart
        .configure_mesh()
        .disable_x_mesh()
        .light_line_style(WHITE)
        .bold_line_style(RGBColor(225, 225, 225))
        .x_labels(workloads.len())
        .x_label_formatter(&|index| {
            let workload = usize::try_from(*index).ok().and_then(|index| workloads.get(index));
            workload.map_or_else(String::new, |workload| axis.format_value(workload.value))
        })
        .y_label_formatter(&|ms| format_tick(*ms))
        .x_desc(axis.to_string())
        .y_desc("milliseconds: median, quartiles")
        .draw()?;
    let plotting = chart.plotting_area();
    let mut names = Vec::new();
    for (strategy, colour) in LINES {
        let line: Vec<_> =
            (0..).zip(workloads).filter_map(|(x, workload)| Some((x, workload.samples(strategy)?.ms))).collect();
        plotting.draw(&PathElement::new(
            line.iter().map(|(x, ms)| (*x, ms.median)).collect::<Vec<_>>(),
            colour.stroke_width(2),
        ))?;
        for (x, ms) in &line {
            plotting.draw(&PathElement::new(vec![(*x, ms.q1), (*x, ms.q3)], colour.stroke_width(4)))?;
            plotting.draw(&Circle::new((*x, ms.median), 3, colour.filled()))?;
        }
        if let Some((x, ms)) = line.last() {
            let (x, y) = plotting.map_coordinate(&(*x, ms.median));
            names.push((y - NAME_HEIGHT / 2, x + NAME_HEIGHT / 2, strategy, colour));
        }
    }
    // Names are next to the last points and do not overlap.
    names.sort_by_key(|(y, ..)| *y);
    let mut free = 0;
    for (y, x, strategy, colour) in names {
        let y = y.max(free);
        free = y + NAME_HEIGHT;
        area.draw(&Text::new(strategies::name(strategy), (x, y), ("sans-serif", 13).into_font().color(&colour)))?;
    }
    area.present()?;
    Ok(())
}

/// The powers of ten around everything that is drawn.
fn y_range(workloads: &[&WorkloadResult]) -> Range<f64> {
    let drawn = || {
        let samples = |workload: &&WorkloadResult| LINES.map(|(strategy, _)| Some(workload.samples(strategy)?.ms));
        workloads.iter().flat_map(samples).flatten()
    };
    let low = drawn().map(|ms| ms.q1).fold(f64::INFINITY, f64::min).max(1e-3);
    let high = drawn().map(|ms| ms.q3).fold(low, f64::max);
    let power = |exponent: f64| 10_f64.powf(exponent);
    if low.is_finite() { power(low.log10().floor())..power((high.log10() + 0.01).ceil()) } else { 0.1..1.0 }
}

fn format_tick(ms: f64) -> String {
    if ms >= 1.0 { format!("{ms:.0}") } else { format!("{ms}") }
}

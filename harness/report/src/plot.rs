// SPDX-License-Identifier: MIT OR Apache-2.0
//! Cost curves: along an axis, each way a line, its quartiles a bar. Lines are named at their ends, so that they can be told
//! apart without colours.

use std::ops::Range;

use plotters::coord::Shift;
use plotters::prelude::*;
use serde::Serialize;
use vremount_analysis::bench::ratios::{axis_in_words, axis_name};
use vremount_analysis::bench::record::{Record, WorkloadResult};
use vremount_analysis::bench::workload::Axis;
use vremount_protocol::RestartStrategy;

use crate::bench_table::way_in_words;
use crate::error::Error;

const SIZE: (u32, u32) = (760, 400);
/// With what keeps it apart from the next.
const NAME_HEIGHT: i32 = 16;
/// Those that show how they grow, with a colour that also those see apart who see few.
const LINES: [(RestartStrategy, RGBColor); 5] = [
    (RestartStrategy::Reuse, RGBColor(0, 114, 178)),
    (RestartStrategy::Sync, RGBColor(213, 94, 0)),
    (RestartStrategy::Durable, RGBColor(0, 158, 115)),
    (RestartStrategy::Rebuild, RGBColor(204, 121, 167)),
    (RestartStrategy::First, RGBColor(110, 110, 110)),
];

/// The file of an axis.
#[must_use]
pub fn file_name(axis: Axis) -> String {
    format!("cost-{}.svg", axis_name(axis).replace('_', "-"))
}

/// A line in words, for where its name is out of sight.
#[derive(Serialize)]
pub struct Line {
    name: &'static str,
    colour: String,
    /// Medians at its ends, milliseconds, and where these are.
    start: String,
    end: String,
}

/// The lines along an axis.
#[must_use]
pub fn lines(record: &Record, axis: Axis) -> Vec<Line> {
    let line = |(way, RGBColor(red, green, blue)): (RestartStrategy, RGBColor)| {
        let mut places = record.along(record.fs, axis).filter_map(|scene| Some((scene, scene.of(way)?.ms.median)));
        let (from, start) = places.next()?;
        let (to, end) = places.last()?;
        let colour = format!("rgb({red}, {green}, {blue})");
        let told = |scene, ms: f64| format!("{ms:.2} ({})", label(scene));
        Some(Line { name: way_in_words(way), colour, start: told(from, start), end: told(to, end) })
    };
    LINES.into_iter().filter_map(line).collect()
}

/// An axis as SVG.
///
/// # Errors
/// If it cannot be drawn.
pub fn svg(record: &Record, axis: Axis) -> Result<String, Error> {
    let scenes: Vec<_> = record.along(record.fs, axis).collect();
    let mut text = String::new();
    {
        let area = SVGBackend::with_string(&mut text, SIZE).into_drawing_area();
        draw(&area, &scenes, axis).map_err(|why| Error::Plot { axis: axis_name(axis), why: why.to_string() })?;
    }
    Ok(text)
}

fn draw<'a>(
    area: &DrawingArea<SVGBackend<'a>, Shift>,
    scenes: &[&WorkloadResult],
    axis: Axis,
) -> Result<(), Box<dyn std::error::Error + 'a>> {
    area.fill(&WHITE)?;
    let last = i32::try_from(scenes.len().saturating_sub(1))?;
    let mut chart = ChartBuilder::on(area)
        .margin(12)
        .caption(format!("One stop and start, by {}", axis_in_words(axis)), ("sans-serif", 18))
        .x_label_area_size(44)
        .y_label_area_size(64)
        .margin_right(180)
        .build_cartesian_2d(0..last.max(1), heights(scenes).log_scale())?;
    chart
        .configure_mesh()
        .disable_x_mesh()
        .light_line_style(WHITE)
        .bold_line_style(RGBColor(225, 225, 225))
        .x_labels(scenes.len())
        .x_label_formatter(&|place| {
            usize::try_from(*place).ok().and_then(|at| scenes.get(at)).map_or_else(String::new, |scene| label(scene))
        })
        .y_label_formatter(&|ms| number(*ms))
        .x_desc(axis_in_words(axis))
        .y_desc("milliseconds: median, quartiles")
        .draw()?;
    let plotting = chart.plotting_area();
    let mut names = Vec::new();
    for (way, colour) in LINES {
        let line: Vec<_> = (0..).zip(scenes).filter_map(|(x, scene)| Some((x, scene.of(way)?.ms))).collect();
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
            names.push((y - NAME_HEIGHT / 2, x + NAME_HEIGHT / 2, way, colour));
        }
    }
    // Beside the last points, and none over another.
    names.sort_by_key(|(y, ..)| *y);
    let mut free = 0;
    for (y, x, way, colour) in names {
        let y = y.max(free);
        free = y + NAME_HEIGHT;
        area.draw(&Text::new(way_in_words(way), (x, y), ("sans-serif", 13).into_font().color(&colour)))?;
    }
    area.present()?;
    Ok(())
}

/// Whole powers of ten around all that is drawn.
fn heights(scenes: &[&WorkloadResult]) -> Range<f64> {
    let drawn = || scenes.iter().flat_map(|scene| LINES.iter().filter_map(|(way, _)| Some(scene.of(*way)?.ms)));
    let low = drawn().map(|ms| ms.q1).fold(f64::INFINITY, f64::min).max(1e-3);
    let high = drawn().map(|ms| ms.q3).fold(low, f64::max);
    let power = |exponent: f64| 10_f64.powf(exponent);
    if low.is_finite() { power(low.log10().floor())..power((high.log10() + 0.01).ceil()) } else { 0.1..1.0 }
}

/// A place on the axis.
pub fn label(scene: &WorkloadResult) -> String {
    match scene.axis {
        Axis::OwnDirty | Axis::NeighbourDirty | Axis::Busy | Axis::Quiet => format!("{} MiB", scene.value >> 20),
        Axis::Files | Axis::Overlays | Axis::Idle => scene.value.to_string(),
    }
}

fn number(ms: f64) -> String {
    if ms >= 1.0 { format!("{ms:.0}") } else { format!("{ms}") }
}

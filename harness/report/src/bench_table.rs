// SPDX-License-Identifier: MIT OR Apache-2.0
//! A bench for a terminal.

use std::fmt::Write;

use vremount_analysis::bench::ratios::{axis_in_words, latency};
use vremount_analysis::bench::record::{Record, WorkloadResult};
use vremount_analysis::bench::thresholds;
use vremount_analysis::bench::workload::Axis;
use vremount_protocol::{RestartCycle, RestartStrategy};

/// The ways, in the order in which they are told.
pub const WAYS: [RestartStrategy; 6] = [
    RestartStrategy::Reuse,
    RestartStrategy::Sync,
    RestartStrategy::Rebuild,
    RestartStrategy::Durable,
    RestartStrategy::First,
    RestartStrategy::Plain,
];

/// A way in words.
#[must_use]
pub fn way_in_words(way: RestartStrategy) -> &'static str {
    match way {
        RestartStrategy::Reuse => "reuse",
        RestartStrategy::Sync => "syncfs, remove marker",
        RestartStrategy::Rebuild => "rebuild the upper",
        RestartStrategy::Durable => "durable",
        RestartStrategy::First => "floor: first volatile mount",
        RestartStrategy::Plain => "floor: not volatile, unpatched",
    }
}

/// All of it but the samples.
#[must_use]
pub fn table(record: &Record) -> String {
    let mut text = String::new();
    // Writing to a string does not fail.
    let _ = write_table(&mut text, record);
    text
}

fn write_table(text: &mut String, record: &Record) -> std::fmt::Result {
    let Record { kernel, executor, disk, .. } = record;
    writeln!(
        text,
        "Linux {}, series {} at level {}, {}: {}",
        kernel.base, kernel.series, kernel.level, executor.name, executor.why
    )?;
    writeln!(text, "one stop and start, milliseconds: median (quartiles) of n; the disk does {} MB/s", disk.mb_per_s)?;
    for scene in &record.scenes {
        writeln!(text, "\n{}", title(scene))?;
        for samples in WAYS.iter().filter_map(|way| scene.of(*way)) {
            let ms = samples.ms;
            let name = way_in_words(samples.way);
            let sum = |of: fn(&RestartCycle) -> u64| samples.turns.iter().map(of).sum::<u64>();
            let (kib, flushes) = (sum(|turn| turn.io.bytes).div_ceil(1024), sum(|turn| turn.io.flushes));
            write!(text, "  {name:32} {:9.2} ({:.2} to {:.2}) of {}", ms.median, ms.q1, ms.q3, ms.n)?;
            writeln!(text, "; {kib} KiB, {flushes} flushes")?;
        }
        if let Some(left) = scene.left {
            let kib = [left.reuse, left.blind].map(|io| io.bytes.div_ceil(1024));
            writeln!(text, "  left to the next sync: {} KiB, by who removes the marker {} KiB", kib[0], kib[1])?;
        }
    }
    if !record.neighbour.is_empty() {
        writeln!(
            text,
            "\na neighbour's write and fsync beside it, milliseconds; its buffered write; what the disk did for a round"
        )?;
        writeln!(
            text,
            "  {:32} {:>8} {:>8} {:>8} {:>8} {:>8} {:>8} {:>8}",
            "", "p50", "p99", "max", "a second", "buffered", "bytes", "flushes"
        )?;
    }
    for beside in &record.neighbour {
        let name = beside.way.map_or("nobody is stopped", way_in_words);
        let name = if beside.by_itself { format!("{name}, writeback") } else { name.to_string() };
        let at = |percent| latency(beside.looks.iter().map(|look| &look.fsync), percent).unwrap_or(f64::NAN);
        let [p50, p99, max] = [50, 99, 100].map(at);
        let buffered = latency(beside.looks.iter().map(|look| &look.write), 99).unwrap_or(f64::NAN);
        let ([bytes, flushes], rate) = (beside.of_a_round(), beside.fsyncs_per_second());
        write!(text, "  {name:32} {p50:8.2} {p99:8.2} {max:8.2} {rate:8.0} ")?;
        writeln!(text, "{buffered:8.2} {bytes:8.0} {flushes:8.2}")?;
    }
    if let Some(check) = &record.check {
        writeln!(text, "\nthe mount itself, by the kernel's tracer, microseconds")?;
        for (name, us) in check.microseconds() {
            writeln!(text, "  {name:32} {:8.1} ({:.1} to {:.1})", us.median, us.q1, us.q3)?;
        }
    }
    writeln!(text, "\nratios (quartiles)")?;
    for (name, ratio) in &record.ratios {
        writeln!(text, "  {name:34} {:9.3} ({:.3} to {:.3})", ratio.value, ratio.low, ratio.high)?;
    }
    writeln!(text, "\ngoals")?;
    for goal in &record.goals {
        writeln!(text, "  {}", thresholds::in_words(goal, record))?;
    }
    for warning in &record.warnings {
        writeln!(text, "\nthe kernel complained: {warning}")?;
    }
    Ok(())
}

/// Where it was, and how much of what there was.
fn title(scene: &WorkloadResult) -> String {
    let value = match scene.axis {
        Axis::Idle => String::new(),
        Axis::Files | Axis::Overlays => format!(": {}", scene.value),
        Axis::Busy | Axis::Quiet | Axis::OwnDirty | Axis::NeighbourDirty => format!(": {} MiB", scene.value >> 20),
    };
    format!("{}, {}{value}", scene.fs.name(), axis_in_words(scene.axis))
}

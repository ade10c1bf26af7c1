// SPDX-License-Identifier: MIT OR Apache-2.0
//! The results of a benchmark for the console: everything except single samples.

use std::fmt::{self, Write};

use vremount_analysis::bench::ratios::latency;
use vremount_analysis::bench::record::{Record, WorkloadResult};
use vremount_analysis::bench::{Axis, BenchResults};

use crate::strategies::{self, STRATEGIES};
use crate::style::{Style, pad};

/// The tables of a benchmark: durations of each strategy in each workload, the neighbour, the traced mount, ratios and
/// thresholds.
#[must_use]
pub fn table(results: &BenchResults, style: &Style) -> String {
    let mut text = String::new();
    // Writing to a string does not fail.
    let _ = write_table(&mut text, results, style);
    text
}

fn write_table(text: &mut String, results: &BenchResults, style: &Style) -> fmt::Result {
    let Record { kernel, executor, disk, workloads, .. } = &results.record;
    writeln!(
        text,
        "Linux {}, series {} at level {}, {}: {}",
        kernel.base, kernel.series, kernel.level, executor.name, executor.why
    )?;
    writeln!(text, "Milliseconds of a restart cycle: median (quartiles), samples. Disk: {} MB/s.", disk.mb_per_s)?;
    workloads.iter().try_for_each(|workload| write_workload(text, workload))?;
    write_neighbour(text, &results.record)?;
    if let Some(cost) = &results.record.check_cost {
        writeln!(text, "\ntraced mount, microseconds: median (quartiles)")?;
        for (name, us) in cost.microseconds() {
            writeln!(text, "  {name:34} {:8.1} ({:.1} to {:.1})", us.median, us.q1, us.q3)?;
        }
    }
    writeln!(text, "\nratios (quartiles)")?;
    for (name, ratio) in &results.ratios {
        writeln!(text, "  {name:44} {:9.3} ({:.3} to {:.3})", ratio.value, ratio.low, ratio.high)?;
    }
    writeln!(text, "\nthresholds")?;
    for threshold in &results.thresholds {
        let status = style.threshold(threshold.met, threshold.status());
        let status = pad(status, threshold.status(), "MISSED".len());
        writeln!(text, "  {status} {}", threshold.describe(&results.record))?;
    }
    results.record.warnings.iter().try_for_each(|warning| writeln!(text, "\nkernel warning: {warning}"))
}

fn write_workload(text: &mut String, workload: &WorkloadResult) -> fmt::Result {
    let value = match workload.axis {
        Axis::Idle => String::new(),
        axis => format!(": {}", axis.format_value(workload.value)),
    };
    writeln!(text, "\n{}, {}{value}", workload.fs.name(), workload.axis)?;
    for samples in STRATEGIES.iter().filter_map(|strategy| workload.samples(*strategy)) {
        let (ms, io, name) = (samples.ms, samples.total_io(), strategies::name(samples.strategy));
        write!(text, "  {name:34} {:9.2} ({:.2} to {:.2}), {} samples", ms.median, ms.q1, ms.q3, ms.n)?;
        writeln!(text, "; {} KiB written, {} flushes", io.bytes.div_ceil(1024), io.flushes)?;
    }
    if let Some(residual) = workload.residual {
        let [reuse, removed] = [residual.reuse, residual.marker_removed].map(|io| io.bytes.div_ceil(1024));
        writeln!(text, "  left to the next sync: {reuse} KiB by reuse, {removed} KiB by removing the marker")?;
    }
    Ok(())
}

fn write_neighbour(text: &mut String, record: &Record) -> fmt::Result {
    if record.background.is_empty() {
        return Ok(());
    }
    writeln!(text, "\nneighbour while the container is restarted once a second")?;
    writeln!(
        text,
        "  write and fsync(2): p50, p99, max in ms, rounds a second; buffered write: p99 in ms; disk I/O a round"
    )?;
    writeln!(
        text,
        "  {:34} {:>8} {:>8} {:>8} {:>8} {:>8} {:>8} {:>8}",
        "", "p50", "p99", "max", "rounds", "buffered", "bytes", "flushes"
    )?;
    for runs in &record.background {
        let name = runs.strategy.map_or("not restarted", strategies::name);
        let name = if runs.kernel_writeback { format!("{name}, writeback") } else { name.to_string() };
        let fsync = |percent| latency(runs.samples.iter().map(|sample| &sample.fsync), percent).unwrap_or(f64::NAN);
        let [p50, p99, max] = [50, 99, 100].map(fsync);
        let buffered = latency(runs.samples.iter().map(|sample| &sample.write), 99).unwrap_or(f64::NAN);
        let ([bytes, flushes], rate) = (runs.io_per_round(), runs.rounds_per_second());
        write!(text, "  {name:34} {p50:8.2} {p99:8.2} {max:8.2} {rate:8.0} ")?;
        writeln!(text, "{buffered:8.2} {bytes:8.0} {flushes:8.2}")?;
    }
    Ok(())
}

// SPDX-License-Identifier: MIT OR Apache-2.0
//! The Markdown page of costs with its plots. All figures are from the results of a benchmark.

use std::fmt::{self, Write};
use std::path::Path;

use vremount_analysis::bench::plan::TRACED;
use vremount_analysis::bench::ratio::Ratio;
use vremount_analysis::bench::ratios::{growth_name, latency};
use vremount_analysis::bench::record::{BackgroundRuns, HostLoad, Record, WorkloadResult};
use vremount_analysis::bench::{Axis, BenchResults};
use vremount_protocol::{IoCounts, RestartStrategy};
use vremount_util::atomic_file::AtomicFile;
use vremount_util::stats::Summary;

use crate::cost_text::{CHECK, GROWTH, INTRODUCTION, NEIGHBOUR, OTHER_FILESYSTEMS, RESIDUAL, WRITEBACK, wrap};
use crate::error::Error;
use crate::plot;
use crate::strategies::{self, STRATEGIES};

/// The name of the page's file.
pub const PAGE: &str = "cost.md";

/// Writes the page, its plots and `cost.json`, which has every sample, to a directory.
///
/// # Errors
/// [`Error::Plot`] if a plot cannot be drawn; an I/O error if a file cannot be written.
pub fn write(results: &BenchResults, folder: &Path) -> Result<(), Error> {
    for axis in Axis::SWEPT {
        AtomicFile::new(&folder.join(plot::file_name(axis)))?.write(&plot::svg(&results.record, axis)?)?;
    }
    AtomicFile::new(&folder.join("cost.json"))?.write(&results.json()?)?;
    Ok(AtomicFile::new(&folder.join(PAGE))?.write(&page(results))?)
}

fn page(results: &BenchResults) -> String {
    let mut text = String::new();
    // Writing to a string does not fail.
    let _ = write_page(&mut text, results);
    wrap(&text)
}

fn write_page(text: &mut String, results: &BenchResults) -> fmt::Result {
    let record = &results.record;
    writeln!(text, "<!-- SPDX-License-Identifier: MIT OR Apache-2.0 -->\n\n{INTRODUCTION}")?;
    if record.quick {
        writeln!(text, "This is a quick run with few samples. The results are indicative only.\n")?;
    }
    write_comparison(text, results)?;
    write_growth(text, results)?;
    write_other_filesystems(text, results)?;
    write_residual(text, record)?;
    write_neighbours(text, results)?;
    write_check(text, results)?;
    writeln!(text, "\n## Thresholds\n\n| result | threshold |\n| --- | --- |")?;
    for threshold in &results.thresholds {
        writeln!(text, "| {} | {} |", threshold.status(), threshold.describe(record))?;
    }
    writeln!(text, "\n## Test system\n\n- `{}`", record.command.join(" "))?;
    facts(results).iter().try_for_each(|fact| writeln!(text, "- {fact}"))?;
    record.warnings.iter().try_for_each(|warning| writeln!(text, "- kernel warning: `{warning}`"))
}

fn write_comparison(text: &mut String, results: &BenchResults) -> fmt::Result {
    for axis in [Axis::Idle, Axis::Busy] {
        if let Some(workload) = results.record.workload(axis) {
            match axis {
                Axis::Idle => writeln!(text, "Nothing is dirty:\n")?,
                _ => writeln!(text, "A neighbour has {} of dirty data:\n", axis.format_value(workload.value))?,
            }
            write_strategies(text, workload)?;
        }
    }
    let mut ratio = |name: &str, before: &str, after: &str| write_ratio(text, results, name, before, after);
    ratio("syncfs_over_reuse", "With the neighbour, syncfs takes", "times as long as reuse")?;
    ratio("durable_over_reuse", "A durable restart takes", "times as long as reuse")?;
    ratio("reuse_over_floor", "With nothing dirty, reuse takes", "times as long as a first volatile mount")?;
    ratio(
        "reuse_over_plain",
        "It takes",
        "times as long as a mount without `volatile` on the unpatched module, which syncs",
    )
}

fn write_strategies(text: &mut String, workload: &WorkloadResult) -> fmt::Result {
    writeln!(text, "| strategy | median ms | quartiles | samples | bytes written | flushes |")?;
    writeln!(text, "| --- | ---: | --- | ---: | ---: | ---: |")?;
    for samples in STRATEGIES.iter().filter_map(|strategy| workload.samples(*strategy)) {
        // The sum of all samples: a median would hide rare I/O.
        let (ms, IoCounts { bytes, flushes, .. }) = (samples.ms, samples.total_io());
        let name = strategies::name(samples.strategy);
        write!(text, "| {name} | {:.2} | {:.2} to {:.2} | {} ", ms.median, ms.q1, ms.q3, ms.n)?;
        writeln!(text, "| {bytes} | {flushes} |")?;
    }
    writeln!(text)
}

/// A sentence with a ratio, if it was measured.
fn write_ratio(text: &mut String, results: &BenchResults, name: &str, before: &str, after: &str) -> fmt::Result {
    match results.ratios.get(name) {
        Some(ratio) => writeln!(text, "{before} {} {after}.", format_ratio(ratio)),
        None => Ok(()),
    }
}

fn format_ratio(Ratio { value, low, high }: &Ratio) -> String {
    let digits = if *value >= 10.0 { 0 } else { 2 };
    format!("{value:.digits$} ({low:.digits$} to {high:.digits$})")
}

/// A ratio in a cell of a table.
fn ratio_cell(results: &BenchResults, name: &str) -> String {
    results.ratios.get(name).map_or("-".to_string(), format_ratio)
}

fn write_growth(text: &mut String, results: &BenchResults) -> fmt::Result {
    let record = &results.record;
    writeln!(text, "\n{GROWTH}\n")?;
    writeln!(text, "| cost by | reuse | first volatile mount | syncfs | rebuild | samples of reuse, of syncfs |")?;
    writeln!(text, "| --- | --- | --- | --- | --- | --- |")?;
    for axis in Axis::SWEPT {
        let growth = |name: &str| ratio_cell(results, &format!("{name}_growth_{}", axis.key()));
        let ratios = ["reuse", "floor", "syncfs", "rebuild"].map(growth);
        let fewest = |strategy| {
            let workloads = record.workloads_along(record.fs, axis);
            workloads.filter_map(|workload| Some(workload.samples(strategy)?.cycles.len())).min().unwrap_or_default()
        };
        let samples = [RestartStrategy::Reuse, RestartStrategy::Sync].map(fewest);
        writeln!(text, "| {axis} | {} | {}, {} |", ratios.join(" | "), samples[0], samples[1])?;
    }
    Axis::SWEPT.iter().try_for_each(|axis| writeln!(text, "\n![{}]({})", plot::caption(*axis), plot::file_name(*axis)))
}

fn write_other_filesystems(text: &mut String, results: &BenchResults) -> fmt::Result {
    let record = &results.record;
    let mut others = record.other_filesystems.iter();
    let Some(first) = others.find_map(|fs| record.workloads_along(*fs, Axis::Busy).next()) else {
        return Ok(());
    };
    writeln!(text, "\n## Other filesystems\n")?;
    writeln!(
        text,
        "Median milliseconds with {} of dirty data of a neighbour, and with nothing dirty:\n",
        Axis::Busy.format_value(first.value)
    )?;
    let columns = [
        (Axis::Busy, RestartStrategy::Reuse, "dirty: reuse"),
        (Axis::Busy, RestartStrategy::First, "first volatile mount"),
        (Axis::Busy, RestartStrategy::Sync, "syncfs"),
        (Axis::Busy, RestartStrategy::Durable, "durable"),
        (Axis::Idle, RestartStrategy::Reuse, "nothing dirty: reuse"),
        (Axis::Idle, RestartStrategy::Plain, "not volatile, unpatched module"),
        (Axis::Idle, RestartStrategy::Rebuild, "rebuild"),
    ];
    writeln!(text, "| upper on | {} |", columns.map(|(.., name)| name).join(" | "))?;
    writeln!(text, "| --- |{}", " ---: |".repeat(columns.len()))?;
    for fs in record.other_filesystems.iter().copied() {
        let median = |(axis, strategy, _)| {
            let samples = record.workloads_along(fs, axis).next().and_then(|workload| workload.samples(strategy));
            samples.map_or("-".to_string(), |samples| format!("{:.2}", samples.ms.median))
        };
        writeln!(text, "| {} | {} |", fs.name(), columns.map(median).join(" | "))?;
    }
    writeln!(text, "\n{OTHER_FILESYSTEMS}\n")?;
    let columns = Axis::SWEPT.map(|axis| {
        let values = record.workloads_along(first.fs, axis).map(|workload| axis.format_value(workload.value));
        format!("{axis}: {}", values.collect::<Vec<_>>().join(" to "))
    });
    writeln!(text, "| upper on | {} |", columns.join(" | "))?;
    writeln!(text, "| --- |{}", " --- |".repeat(Axis::SWEPT.len()))?;
    for fs in record.other_filesystems.iter().copied() {
        let growth = Axis::SWEPT.map(|axis| ratio_cell(results, &growth_name(axis, fs)));
        writeln!(text, "| {} | {} |", fs.name(), growth.join(" | "))?;
    }
    Ok(())
}

/// The I/O that reuse causes on each filesystem.
fn write_residual(text: &mut String, record: &Record) -> fmt::Result {
    let workloads: Vec<_> = record.workloads.iter().filter(|workload| workload.axis == Axis::Quiet).collect();
    if workloads.is_empty() {
        return Ok(());
    }
    writeln!(text, "\n{RESIDUAL}\n")?;
    writeln!(text, "| upper on | cycles | written by reuse | left by reuse | left by removing the marker |")?;
    writeln!(text, "| --- | ---: | ---: | ---: | ---: |")?;
    for workload in workloads {
        let written = workload.io.map_or("-".to_string(), |io| format!("{} bytes, {} flushes", io.bytes, io.flushes));
        let kib = |io: Option<IoCounts>| io.map_or("-".to_string(), |io| format!("{} KiB", io.bytes.div_ceil(1024)));
        let cycles = workload.samples(RestartStrategy::Reuse).map_or(0, |samples| samples.cycles.len());
        let residual = workload.residual;
        let left = [residual.map(|io| io.reuse), residual.map(|io| io.marker_removed)].map(kib);
        writeln!(text, "| {} | {cycles} | {written} | {} |", workload.fs.name(), left.join(" | "))?;
    }
    Ok(())
}

fn write_neighbours(text: &mut String, results: &BenchResults) -> fmt::Result {
    for (heading, kernel_writeback) in [(NEIGHBOUR, false), (WRITEBACK, true)] {
        let background = results.record.background.iter();
        let runs: Vec<_> = background.filter(|runs| runs.kernel_writeback == kernel_writeback).collect();
        if !runs.is_empty() {
            writeln!(text, "\n{heading}\n")?;
            write_background(text, &runs)?;
        }
        if !kernel_writeback {
            writeln!(text)?;
            for (strategy, name) in [("reuse", "neighbour"), ("syncfs", "neighbour_syncfs")] {
                let [worst, rounds] = ["worst", "rounds"].map(|figure| format!("{name}_{figure}_over_idle"));
                let before = format!("With {strategy}, the highest fsync(2) latency of a sample is");
                write_ratio(text, results, &worst, &before, "times that without restarts")?;
                write_ratio(text, results, &rounds, "The neighbour completes", "times as many rounds")?;
            }
        }
    }
    Ok(())
}

#[allow(clippy::cast_precision_loss)]
fn write_background(text: &mut String, background: &[&BackgroundRuns]) -> fmt::Result {
    writeln!(
        text,
        "| restart strategy | cycle ms | samples | p50 ms | p99 ms | max ms | buffered p99 ms | buffered max ms \
         | rounds a second | MiB written | flushes |"
    )?;
    writeln!(text, "| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |")?;
    for runs in background {
        let samples = &runs.samples;
        let name = runs.strategy.map_or("not restarted", strategies::name);
        let fsync = |percent| latency(samples.iter().map(|sample| &sample.fsync), percent).unwrap_or(f64::NAN);
        let buffered = |percent| latency(samples.iter().map(|sample| &sample.write), percent).unwrap_or(f64::NAN);
        let cycle = Summary::from_values(samples.iter().flat_map(|sample| &sample.restarts).map(|ns| *ns as f64 / 1e6));
        let cycle = cycle.map_or("-".to_string(), |ms| format!("{:.2}", ms.median));
        let ([p50, p99, max], [buffered_p99, buffered_max]) = ([50, 99, 100].map(fsync), [99, 100].map(buffered));
        let (IoCounts { bytes, flushes, .. }, rate) = (runs.total_io(), runs.rounds_per_second());
        write!(text, "| {name} | {cycle} | {} of {} s ", samples.len(), runs.seconds)?;
        write!(text, "| {p50:.2} | {p99:.2} | {max:.2} | {buffered_p99:.2} | {buffered_max:.2} ")?;
        writeln!(text, "| {rate:.0} | {} | {flushes} |", bytes >> 20)?;
    }
    Ok(())
}

fn write_check(text: &mut String, results: &BenchResults) -> fmt::Result {
    writeln!(text, "\n{CHECK}\n")?;
    let Some(cost) = &results.record.check_cost else {
        return writeln!(
            text,
            "Not measured: the kernel has no tracer. The configuration `bench`, the default, has it."
        );
    };
    writeln!(text, "Time in `{TRACED}` by the function_graph tracer, microseconds:\n")?;
    writeln!(text, "| mount | median | quartiles |\n| --- | ---: | --- |")?;
    for (name, us) in cost.microseconds() {
        writeln!(text, "| {name} | {:.1} | {:.1} to {:.1} |", us.median, us.q1, us.q3)?;
    }
    writeln!(text)?;
    write_ratio(
        text,
        results,
        "check_first_over_unpatched",
        "A first mount, which writes the checkpoint, takes",
        "times as long as on the unpatched module",
    )?;
    write_ratio(
        text,
        results,
        "check_reuse_over_unpatched",
        "A reuse, which checks everything and creates nothing, takes",
        "times as long as a mount after removal of the marker, which checks nothing and creates the marker",
    )
}

/// Kernel, executor, disk and host, a line each.
#[must_use]
pub fn facts(results: &BenchResults) -> [String; 4] {
    let Record { host: HostLoad { host, load }, kernel, executor, disk, .. } = &results.record;
    let measured =
        results.disk_mb_per_s.map_or("not measured".to_string(), |speed| format!("{:.0} MB/s", speed.median));
    let options = if disk.options.is_empty() { "none".to_string() } else { disk.options.join("; ") };
    [
        format!(
            "Linux {} ({}), series {} at level {}, configuration {}",
            kernel.base,
            kernel.release,
            kernel.series,
            kernel.level,
            kernel.config.as_deref().unwrap_or("of the claims")
        ),
        format!(
            "{} ({}): {}; clock {}; {} MiB",
            executor.name, executor.version, executor.why, executor.clock, executor.memory_mib
        ),
        format!(
            "disk: {} MB/s; a burst of up to a tenth of a second is not throttled, flushes take no time; throughput of a \
             large syncfs(2): {measured}; mount options: {options}",
            disk.mb_per_s
        ),
        format!("{host}; load average {:.1} at the start, {:.1} at the end", load[0], load[1]),
    ]
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn page_has_all_plots_and_thresholds() {
        let folder = tempfile::tempdir().unwrap();
        let results = vremount_analysis::bench::testing::results();
        write(&results, folder.path()).unwrap();
        let page = fs::read_to_string(folder.path().join(PAGE)).unwrap();
        for axis in Axis::SWEPT {
            let name = plot::file_name(axis);
            assert!(page.contains(&format!("({name})")), "no plot {name}");
            let svg = fs::read_to_string(folder.path().join(name)).unwrap();
            assert!(svg.starts_with("<svg") && svg.contains("syncfs, remove marker"), "{svg}");
        }
        for threshold in &results.thresholds {
            assert!(page.contains(&format!("| {} | {}: ", threshold.status(), threshold.name)), "{page}");
        }
    }
}

// SPDX-License-Identifier: MIT OR Apache-2.0
//! A bench for people who read: `cost.md` and its plots, all of it from the record.

use std::fmt::Write;
use std::path::Path;

use vremount_analysis::bench::plan::TRACED;
use vremount_analysis::bench::ratios::{Ratio, axis_in_words, axis_name, growth_on, latency};
use vremount_analysis::bench::record::{BackgroundRuns, HostLoad, Record, WorkloadResult};
use vremount_analysis::bench::thresholds;
use vremount_analysis::bench::workload::Axis;
use vremount_protocol::{Io, RestartStrategy};
use vremount_util::atomic_file::AtomicFile;
use vremount_util::stats::Summary;

use crate::bench_table::{WAYS, way_in_words};
use crate::error::Error;
use crate::plot;

/// Its name in the folder.
pub const PAGE: &str = "cost.md";

/// Writes the page, its plots and every sample to a folder.
///
/// # Errors
/// If one of them cannot be written.
pub fn write(record: &Record, folder: &Path) -> Result<(), Error> {
    for axis in Axis::SWEPT {
        AtomicFile::new(&folder.join(plot::file_name(axis)))?.write(&plot::svg(record, axis)?)?;
    }
    AtomicFile::new(&folder.join("cost.json"))?.write(&record.json())?;
    Ok(AtomicFile::new(&folder.join(PAGE))?.write(&page(record))?)
}

fn page(record: &Record) -> String {
    let mut text = String::new();
    // Writing to a string does not fail.
    let _ = write_page(&mut text, record);
    text
}

fn write_page(text: &mut String, record: &Record) -> std::fmt::Result {
    writeln!(text, "<!-- SPDX-License-Identifier: MIT OR Apache-2.0 -->\n{HEAD}")?;
    if record.quick {
        writeln!(text, "A quick run: a look, not a proof.\n")?;
    }
    for (axis, heading) in [(Axis::Idle, "Nothing is dirty"), (Axis::Busy, "A neighbour's data is dirty")] {
        if let Some(scene) = record.scene(axis) {
            let what = if axis == Axis::Busy { format!(": {} of it", plot::label(scene)) } else { String::new() };
            writeln!(text, "**{heading}{what}.**\n")?;
            ways(text, scene)?;
        }
    }
    said(text, record, "syncfs_over_reuse", "With that neighbour, today's safe way takes", "times as long as reuse")?;
    said(text, record, "durable_over_reuse", "A durable container takes", "times as long")?;
    said(
        text,
        record,
        "reuse_over_floor",
        "Reuse takes",
        "times what the first volatile mount on an empty upper takes",
    )?;
    said(
        text,
        record,
        "reuse_over_plain",
        "It takes",
        "times what a mount without `volatile` takes on the unpatched module, which syncs",
    )?;
    writeln!(text, "\n{GROWTH}")?;
    for axis in Axis::SWEPT {
        writeln!(text, "\n![{}]({})\n", axis_in_words(axis), plot::file_name(axis))?;
        let ratio = |name: &str| {
            let ratio = record.ratios.get(&format!("{name}_{}", axis_name(axis)));
            ratio.map_or("not measured".to_string(), in_words)
        };
        let [reuse, first, syncfs] = ["reuse_growth", "floor_growth", "syncfs_growth"].map(ratio);
        let rebuilt = format!("rebuild_growth_{}", axis_name(axis));
        let rebuilt = record.ratios.get(&rebuilt).map(|ratio| format!(", rebuilding {}", in_words(ratio)));
        let turns = |way| {
            record.along(record.fs, axis).filter_map(|scene| Some(scene.of(way)?.turns.len())).min().unwrap_or_default()
        };
        let [often, seldom] = [RestartStrategy::Reuse, RestartStrategy::Sync].map(turns);
        writeln!(
            text,
            "The dearest place over the first: reuse {reuse}, a first mount on an empty upper {first}, syncfs {syncfs}{}.",
            rebuilt.unwrap_or_default()
        )?;
        writeln!(text, "At each place {often} turns of reuse, {seldom} of syncfs.")?;
    }
    filesystems(text, record)?;
    left(text, record)?;
    for (heading, by_itself) in [(NEIGHBOUR, false), (WRITEBACK, true)] {
        let looked: Vec<_> = record.neighbour.iter().filter(|beside| beside.by_itself == by_itself).collect();
        if !looked.is_empty() {
            writeln!(text, "\n{heading}\n")?;
            neighbours(text, &looked)?;
        }
        if !by_itself {
            once_a_second(text, record)?;
        }
    }
    check_itself(text, record)?;
    writeln!(text, "\n## Goals\n")?;
    for goal in &record.goals {
        writeln!(text, "- {}", thresholds::in_words(goal, record))?;
    }
    machine(text, record)
}

const HEAD: &str = "
# What reuse saves

What one stop and start of a container costs, each way. `make bench ARGS=\"--docs docs\"` measures it and writes this page; every
sample is in `cost.json` beside it, from which `vremount bench --from docs/cost.json --docs docs` makes the page again.

Each comparison is made in one guest and one run: all ways in turn, in an order that was shuffled, each after an unmount
and a mount that are not timed, so that none pays for caches of the processor that another left cold. Where nothing is
dirty, ways that sync find nothing of the others', only what the mount before them changed.
The kernel's own writeback is off but where a table says otherwise: what is dirty stays so until somebody syncs it, and no neighbour
feels what would be written later. The machine has one processor, two where there is a neighbour. What is timed is the system calls.
Times are of that guest; **the ratios are what counts**. Behind each, in brackets, the quartiles of the ratios of
every measurement of the one to every measurement of the other.

- reuse: unmount, mount volatile. Needs the series.
- syncfs, remove marker: unmount, syncfs(2) of the upper's filesystem, remove the marker, mount volatile. Today's safe way.
- rebuild the upper: unmount, remove upper and work, make its hundred files again, mount volatile. Today's other safe way.
- durable: unmount and mount without `volatile`.
- two floors: the first volatile mount on an empty upper and its unmount; and the same without `volatile`, by the module
  as it is without the series.

The files of a rebuilt upper are written, untimed, before the next turn: who rebuilds one leaves them to whoever syncs next.

## Side by side
";

const GROWTH: &str = "## How it grows

Bytes that are dirty, files in the upper, overlays on the filesystem: reuse looks at none of them. It looks at the workdir, at the
marker in it and at the checkpoint there; a way that syncs writes whatever is dirty on that filesystem, whoever wrote it; who rebuilds
an upper makes each of its files again. Bars are quartiles. Places are evenly spaced, however far apart their values are. An upper of
100,000 files is not rebuilt: it would only take long.";

const LEFT: &str = "## What reaches the disk

What reuses wrote while they lasted and in the half second after the last, with the kernel's own writeback off and commits put off
as far as each filesystem lets them be. Besides, a mount tries out in its workdir what the upper
filesystem can do, with the series or without it, and what that changes is written by whoever syncs next, or by the kernel when it is
old: so much did as many reuses leave to a syncfs(2), with nothing else dirty; and so much as many of those who remove the marker,
whatever it says, without the series.";

const NEIGHBOUR: &str = "## The neighbour

A second container on the same filesystem, durable, writes 4 KiB and calls fsync(2), writes 64 KiB without, and thinks for 2 ms: a
round of it. The first one writes 64 MiB each second and is then stopped and started, or left alone. A second has hundreds of rounds,
of which one cycle can hold up few: **a p99 does not see that**, the worst round of each look and the number of rounds do.";

const WRITEBACK: &str =
    "The same with the kernel's own writeback, as hosts have it: what nobody syncs is written when it is 30 s old, however often
it was written over until then. Commits are still put off.";

fn ways(text: &mut String, scene: &WorkloadResult) -> std::fmt::Result {
    writeln!(
        text,
        "| way | median ms | quartiles | n | bytes written | flushes |\n| --- | ---: | --- | ---: | ---: | ---: |"
    )?;
    for samples in WAYS.iter().filter_map(|way| scene.of(*way)) {
        let ms = samples.ms;
        // Of all turns, so that nothing hides in a median.
        let sum = |of: fn(&vremount_protocol::RestartCycle) -> u64| samples.turns.iter().map(of).sum::<u64>();
        let (bytes, flushes) = (sum(|turn| turn.io.bytes), sum(|turn| turn.io.flushes));
        let name = way_in_words(samples.way);
        writeln!(
            text,
            "| {name} | {:.2} | {:.2} to {:.2} | {} | {bytes} | {flushes} |",
            ms.median, ms.q1, ms.q3, ms.n
        )?;
    }
    writeln!(text)
}

fn said(text: &mut String, record: &Record, name: &str, before: &str, after: &str) -> std::fmt::Result {
    match record.ratios.get(name) {
        Some(ratio) => writeln!(text, "{before} {} {after}.", in_words(ratio)),
        None => Ok(()),
    }
}

fn in_words(Ratio { value, low, high }: &Ratio) -> String {
    let digits = if *value >= 10.0 { 0 } else { 2 };
    format!("{value:.digits$} ({low:.digits$} to {high:.digits$})")
}

/// The others, if they were measured.
fn filesystems(text: &mut String, record: &Record) -> std::fmt::Result {
    let Some(first) = record.other_filesystems.iter().find_map(|fs| record.along(*fs, Axis::Busy).next()) else {
        return Ok(());
    };
    writeln!(
        text,
        "\n## Filesystems\n\nThe same with {} of a neighbour's data dirty, and with nothing dirty. Milliseconds, medians.\n",
        plot::label(first)
    )?;
    let columns = [
        (Axis::Busy, RestartStrategy::Reuse, "reuse"),
        (Axis::Busy, RestartStrategy::First, "first volatile mount"),
        (Axis::Busy, RestartStrategy::Sync, "syncfs, remove marker"),
        (Axis::Busy, RestartStrategy::Durable, "durable"),
        (Axis::Idle, RestartStrategy::Reuse, "nothing dirty: reuse"),
        (Axis::Idle, RestartStrategy::Plain, "not volatile, unpatched"),
        (Axis::Idle, RestartStrategy::Rebuild, "rebuild"),
    ];
    writeln!(text, "| upper on | {} |", columns.map(|(.., name)| name).join(" | "))?;
    writeln!(text, "| --- |{}", " ---: |".repeat(columns.len()))?;
    for fs in record.other_filesystems.iter().copied() {
        let median = |(axis, way, _)| {
            let samples = record.along(fs, axis).next().and_then(|scene| scene.of(way));
            samples.map_or("-".to_string(), |samples| format!("{:.2}", samples.ms.median))
        };
        writeln!(text, "| {} | {} |", fs.name(), columns.map(median).join(" | "))?;
    }
    writeln!(text, "\nHow reuse grows there, the second of two places over the first.\n")?;
    let places = |axis| record.along(first.fs, axis).map(plot::label).collect::<Vec<_>>().join(" to ");
    let columns = Axis::SWEPT.map(|axis| format!("{}: {}", axis_in_words(axis), places(axis)));
    writeln!(text, "| upper on | {} |", columns.join(" | "))?;
    writeln!(text, "| --- |{}", " --- |".repeat(Axis::SWEPT.len()))?;
    for fs in record.other_filesystems.iter().copied() {
        let growth = |axis| record.ratios.get(&growth_on(axis, fs)).map_or("-".to_string(), in_words);
        writeln!(text, "| {} | {} |", fs.name(), Axis::SWEPT.map(growth).join(" | "))?;
    }
    Ok(())
}

/// What reaches the disk because of reuse, on each filesystem.
fn left(text: &mut String, record: &Record) -> std::fmt::Result {
    let scenes = || record.scenes.iter().filter(|scene| scene.axis == Axis::Quiet);
    if scenes().next().is_none() {
        return Ok(());
    }
    writeln!(text, "\n{LEFT}\n")?;
    writeln!(
        text,
        "| upper on | reuses | wrote | left | removing markers left |\n| --- | ---: | ---: | ---: | ---: |"
    )?;
    for scene in scenes() {
        let bytes =
            |io: Option<Io>| io.map_or("-".to_string(), |io| format!("{} bytes, {} flushes", io.bytes, io.flushes));
        let kib = |io: Option<Io>| io.map_or("-".to_string(), |io| format!("{} KiB", io.bytes.div_ceil(1024)));
        let turns = scene.of(RestartStrategy::Reuse).map_or(0, |samples| samples.turns.len());
        let left = [scene.left.map(|left| left.reuse), scene.left.map(|left| left.blind)].map(kib);
        writeln!(text, "| {} | {turns} | {} | {} |", scene.fs.name(), bytes(scene.io), left.join(" | "))?;
    }
    Ok(())
}

#[allow(clippy::cast_precision_loss)]
fn neighbours(text: &mut String, neighbours: &[&BackgroundRuns]) -> std::fmt::Result {
    writeln!(
        text,
        "| the first container | its cycle ms | looks | p50 ms | p99 ms | max ms | buffered p99 ms | max ms | rounds a second | MiB written | flushes |"
    )?;
    writeln!(text, "| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |")?;
    for beside in neighbours {
        let name = beside.way.map_or("is left alone", way_in_words);
        let at = |percent| latency(beside.looks.iter().map(|look| &look.fsync), percent).unwrap_or(f64::NAN);
        let buffered = |percent| latency(beside.looks.iter().map(|look| &look.write), percent).unwrap_or(f64::NAN);
        let sum = |of: fn(&vremount_protocol::Io) -> u64| beside.looks.iter().map(|look| of(&look.io)).sum::<u64>();
        let (mib, flushes) = (sum(|io| io.bytes) >> 20, sum(|io| io.flushes));
        let cycle = Summary::of(beside.looks.iter().flat_map(|look| &look.turns).map(|ns| *ns as f64 / 1e6));
        let cycle = cycle.map_or("-".to_string(), |ms| format!("{:.2}", ms.median));
        let [p50, p99, max] = [50, 99, 100].map(at);
        let [buffered, most] = [99, 100].map(buffered);
        let rate = beside.fsyncs_per_second();
        let looks = format!("{} of {} s", beside.looks.len(), beside.seconds);
        write!(text, "| {name} | {cycle} | {looks} | {p50:.2} | {p99:.2} | {max:.2} | {buffered:.2} | {most:.2} ")?;
        writeln!(text, "| {rate:.0} | {mib} | {flushes} |")?;
    }
    Ok(())
}

/// What a p99 does not see.
fn once_a_second(text: &mut String, record: &Record) -> std::fmt::Result {
    writeln!(text)?;
    for (who, name) in [("reuse", "neighbour"), ("syncfs", "neighbour_syncfs")] {
        let [worst, rounds] = ["worst", "rounds"].map(|what| format!("{name}_{what}_over_idle"));
        let before = format!("Beside {who} the worst fsync(2) of a look takes");
        said(text, record, &worst, &before, "times as long as beside nobody")?;
        said(text, record, &rounds, "There are", "times as many rounds")?;
    }
    Ok(())
}

fn check_itself(text: &mut String, record: &Record) -> std::fmt::Result {
    writeln!(text, "\n## The check itself\n")?;
    let Some(check) = &record.check else {
        return writeln!(
            text,
            "Not measured: this kernel has no tracer. With `--config bench`, as is the default, it has."
        );
    };
    writeln!(text, "Time in `{TRACED}`, by the kernel's own tracer (function_graph), microseconds.\n")?;
    writeln!(text, "| mount | median | quartiles |\n| --- | ---: | --- |")?;
    for (name, us) in check.microseconds() {
        writeln!(text, "| {name} | {:.1} | {:.1} to {:.1} |", us.median, us.q1, us.q3)?;
    }
    writeln!(text)?;
    said(
        text,
        record,
        "check_first_over_unpatched",
        "Writing the checkpoint makes a first mount take",
        "times as long",
    )?;
    said(
        text,
        record,
        "check_reuse_over_unpatched",
        "A reuse, which checks all of it and makes nothing, takes",
        "times as long as a mount after the marker was removed, which checks nothing and makes it again",
    )
}

fn machine(text: &mut String, record: &Record) -> std::fmt::Result {
    writeln!(text, "\n## What it was measured on\n")?;
    writeln!(text, "- `{}`", record.command.join(" "))?;
    facts(record).iter().try_for_each(|fact| writeln!(text, "- {fact}"))?;
    record.warnings.iter().try_for_each(|warning| writeln!(text, "- the kernel complained: `{warning}`"))
}

/// Kernel, executor, disk and machine.
#[must_use]
pub fn facts(record: &Record) -> [String; 4] {
    let Record { host: HostLoad { host, load }, kernel, executor, disk, .. } = record;
    let measured = disk.measured_mb_per_s.map_or("not measured".to_string(), |speed| format!("{:.0}", speed.median));
    [
        format!(
            "Linux {} ({}), series {} at level {}, configuration {}",
            kernel.base,
            kernel.release,
            kernel.series,
            kernel.level,
            kernel.config.as_deref().unwrap_or("as for the claims")
        ),
        format!(
            "{} ({}): {}; clock {}; {} MiB",
            executor.name, executor.version, executor.why, executor.clock, executor.memory_mib
        ),
        format!(
            "A disk of {} MB/s, whose flushes cost nothing and which takes what it does in a tenth of a second at once; in a \
             syncfs(2) of much it did {measured} MB/s. Mount options: {}",
            disk.mb_per_s,
            if disk.options.is_empty() { "none".to_string() } else { disk.options.join("; ") }
        ),
        format!("{host}; load average {:.1} at the start, {:.1} at the end", load[0], load[1]),
    ]
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn the_page_shows_its_plots_and_every_goal() {
        let folder = tempfile::tempdir().unwrap();
        let record = vremount_analysis::bench::testing::record();
        write(&record, folder.path()).unwrap();
        let page = fs::read_to_string(folder.path().join("cost.md")).unwrap();
        for axis in Axis::SWEPT {
            let name = plot::file_name(axis);
            assert!(page.contains(&format!("({name})")), "{name} is not shown");
            let svg = fs::read_to_string(folder.path().join(name)).unwrap();
            assert!(svg.starts_with("<svg") && svg.contains("syncfs, remove marker"), "{svg}");
        }
        for goal in &record.goals {
            assert!(page.contains(&goal.name), "{page}");
        }
        assert!(page.contains("MISSED p99 of the neighbour"));
    }
}

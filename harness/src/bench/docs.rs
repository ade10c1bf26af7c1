// SPDX-License-Identifier: MIT OR Apache-2.0
//! A bench for people who read: `cost.md` and its plots, all of it from the record.

use std::fmt::Write;
use std::path::Path;

use vremount_wire::Way;

use super::figures::{Goal, Ratio, axis_in_words, axis_name, growth_of, latency};
use super::plan::TRACED;
use super::plot;
use super::record::{Beside, Busy, Comparison, Record};
use super::scene::Axis;
use super::table::{WAYS, goal_in_words, way_in_words};
use crate::error::Error;
use crate::report::Whole;
use crate::spread::Spread;

/// Writes the page, its plots and every sample to a folder.
///
/// # Errors
/// If one of them cannot be written.
pub fn write(record: &Record, folder: &Path) -> Result<(), Error> {
    for axis in Axis::SWEPT {
        Whole::new(&folder.join(plot::file_name(axis)))?.write(&plot::svg(record, axis)?)?;
    }
    Whole::new(&folder.join("cost.json"))?.write(&record.json())?;
    Whole::new(&folder.join("cost.md"))?.write(&page(record))
}

fn page(record: &Record) -> String {
    let mut text = String::new();
    // Writing to a string does not fail.
    let _ = write_page(&mut text, record);
    text
}

fn write_page(text: &mut String, record: &Record) -> std::fmt::Result {
    writeln!(text, "<!-- SPDX-License-Identifier: MIT OR Apache-2.0 -->\n{HEAD}")?;
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
        let turns =
            |way| record.along(axis).filter_map(|scene| Some(scene.of(way)?.turns.len())).min().unwrap_or_default();
        let [often, seldom] = [Way::Reuse, Way::Sync].map(turns);
        writeln!(text, "Far end over start: reuse {reuse}, a first mount on an empty upper {first}, syncfs {syncfs}.")?;
        writeln!(text, "At each place {often} turns of reuse, {seldom} of syncfs.")?;
        writeln!(text, "The dearest place of reuse over its cheapest, noise included: {}.", ratio("reuse_span"))?;
    }
    filesystems(text, record)?;
    for (heading, by_itself) in [(NEIGHBOUR, false), (WRITEBACK, true)] {
        let looked: Vec<_> = record.neighbour.iter().filter(|beside| beside.by_itself == by_itself).collect();
        if !looked.is_empty() {
            writeln!(text, "\n{heading}\n")?;
            neighbours(text, &looked)?;
        }
    }
    check_itself(text, record)?;
    writeln!(text, "\n## Goals\n")?;
    for goal in &record.goals {
        let spread = goal.ratio.as_ref().map(|ratio| format!(" ({:.2} to {:.2})", ratio.low, ratio.high));
        let (spread, reason) = (spread.unwrap_or_default(), reason(goal, record).unwrap_or_default());
        writeln!(text, "- {}{spread}{reason}", goal_in_words(goal))?;
    }
    machine(text, record)
}

const HEAD: &str = "
# What reuse saves

What one stop and start of a container costs, each way. `make bench ARGS=\"--docs docs\"` measures it and writes this page; every
sample is in `cost.json` beside it, from which `vremount bench --from docs/cost.json --docs docs` makes the page again.

All ways are measured in one guest and one run, in turn, in an order that changes, each after one that is not timed, so that none
pays for caches of the processor that another left cold. The kernel's own writeback is off but where a table says otherwise: what is
dirty stays so until somebody syncs it, and no neighbour feels what would be written later. The machine has one processor, two
where there is a neighbour. What is timed is the system calls. Times are of that
guest; **the ratios are what counts**.

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

Bytes that are dirty, files in the upper, overlays on the filesystem: reuse looks at none of them. Its cost is one look-up and one
xattr; a way that syncs writes whatever is dirty on that filesystem, whoever wrote it. Bars are quartiles.";

const NEIGHBOUR: &str = "## The neighbour

A second container on the same filesystem, durable, writes 4 KiB and calls fsync(2), writes 64 KiB without, and thinks for 2 ms: a
round of it. The first one writes 64 MiB each second and is then stopped and started, or left alone.";

const WRITEBACK: &str =
    "The same with the kernel's own writeback, as hosts have it: what nobody syncs is written when it is 30 s
old, however often it was written over until then.";

fn ways(text: &mut String, scene: &Comparison) -> std::fmt::Result {
    writeln!(
        text,
        "| way | median ms | quartiles | n | bytes written | flushes |\n| --- | ---: | --- | ---: | ---: | ---: |"
    )?;
    for samples in WAYS.iter().filter_map(|way| scene.of(*way)) {
        let ms = samples.ms;
        // Of all turns, so that nothing hides in a median.
        let sum = |of: fn(&vremount_wire::Turn) -> u64| samples.turns.iter().map(of).sum::<u64>();
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
    let busy: Vec<_> = record.scenes.iter().filter(|scene| scene.axis == Axis::Busy && scene.fs != record.fs).collect();
    let Some(first) = busy.first() else { return Ok(()) };
    writeln!(
        text,
        "\n## Filesystems\n\nThe same with {} of a neighbour's data dirty. Milliseconds, medians.\n",
        plot::label(first)
    )?;
    writeln!(text, "| upper on | reuse | first volatile mount | syncfs, remove marker | durable | reuse wrote |")?;
    writeln!(text, "| --- | ---: | ---: | ---: | ---: | ---: |")?;
    for scene in busy {
        let of = |way| scene.of(way).map_or("-".to_string(), |samples| format!("{:.2}", samples.ms.median));
        let [reuse, first, sync, durable] = [Way::Reuse, Way::First, Way::Sync, Way::Durable].map(of);
        let quiet = record.scenes.iter().find(|other| other.fs == scene.fs && other.axis == Axis::Quiet);
        let wrote = quiet.and_then(|quiet| quiet.io);
        let wrote = wrote.map_or("-".to_string(), |io| format!("{} bytes, {} flushes", io.bytes, io.flushes));
        writeln!(text, "| {} | {reuse} | {first} | {sync} | {durable} | {wrote} |", scene.fs.name())?;
    }
    Ok(())
}

fn neighbours(text: &mut String, neighbours: &[&Beside]) -> std::fmt::Result {
    writeln!(
        text,
        "| the first container | looks | p50 ms | p99 ms | max ms | buffered p99 ms | max ms | rounds a second | MiB written | flushes |"
    )?;
    writeln!(text, "| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |")?;
    for beside in neighbours {
        let name = beside.way.map_or("is left alone", way_in_words);
        let at = |percent| latency(beside.looks.iter().map(|look| &look.fsync), percent).unwrap_or(f64::NAN);
        let buffered = |percent| latency(beside.looks.iter().map(|look| &look.write), percent).unwrap_or(f64::NAN);
        let sum = |of: fn(&vremount_wire::Io) -> u64| beside.looks.iter().map(|look| of(&look.io)).sum::<u64>();
        let (mib, flushes) = (sum(|io| io.bytes) >> 20, sum(|io| io.flushes));
        let [p50, p99, max] = [50, 99, 100].map(at);
        let [buffered, most] = [99, 100].map(buffered);
        let rate = beside.fsyncs_per_second();
        let looks = format!("{} of {} s", beside.looks.len(), beside.seconds);
        write!(text, "| {name} | {looks} | {p50:.2} | {p99:.2} | {max:.2} | {buffered:.2} | {most:.2} ")?;
        writeln!(text, "| {rate:.0} | {mib} | {flushes} |")?;
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
    for (name, calls) in [
        ("first volatile, unpatched module", &check.unpatched_first),
        ("first volatile, with the series", &check.patched_first),
        ("reuse, with the series", &check.patched_reuse),
    ] {
        #[allow(clippy::cast_precision_loss)]
        let us = Spread::of(calls.iter().map(|ns| *ns as f64 / 1000.0));
        if let Some(us) = us {
            writeln!(text, "| {name} | {:.1} | {:.1} to {:.1} |", us.median, us.q1, us.q3)?;
        }
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
        "A reuse, which checks it, takes",
        "times the unpatched first mount",
    )
}

/// What is to be thought of a goal, if it is not clearly met.
fn reason(goal: &Goal, record: &Record) -> Option<&'static str> {
    if goal.met {
        let within = goal.ratio.is_none_or(|ratio| goal.limit.holds(ratio.low) && goal.limit.holds(ratio.high));
        return (!within).then_some(", within noise");
    }
    Some(match &goal.ratio {
        Some(ratio) if grows_as_any_mount(goal, *ratio, record) => {
            ". So does a first mount on an empty upper, which checks nothing"
        }
        None if goal.value.is_none() => "",
        Some(ratio) if goal.limit.holds(ratio.low) || goal.limit.holds(ratio.high) => {
            ". Noise: the quartiles of what was measured next to each other are on both sides of the limit, or within it"
        }
        _ if goal.name.starts_with("p99 of the neighbour") => {
            ". More than noise. The disk saw no more of it (above); what the neighbour shares too is the processors, and a turn \
             takes its time of one"
        }
        _ => ". More than noise: it is so on this machine, or in the patches",
    })
}

/// Whether what does not look at the upper at all grows as much along its axis.
fn grows_as_any_mount(goal: &Goal, reuse: Ratio, record: &Record) -> bool {
    let axis = Axis::SWEPT.into_iter().find(|axis| goal.name == growth_of(*axis));
    let floor = axis.and_then(|axis| record.ratios.get(&format!("floor_growth_{}", axis_name(axis))));
    floor.is_some_and(|floor| floor.value >= reuse.value)
}

fn machine(text: &mut String, record: &Record) -> std::fmt::Result {
    writeln!(text, "\n## What it was measured on\n")?;
    writeln!(text, "- `{}`", record.command.join(" "))?;
    facts(record).iter().try_for_each(|fact| writeln!(text, "- {fact}"))
}

/// Kernel, executor, disk and machine.
#[must_use]
pub fn facts(record: &Record) -> [String; 4] {
    let Record { host: Busy { host, load }, kernel, executor, disk, .. } = record;
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
        format!("A disk of {} MB/s, whose flushes cost nothing; in syncfs it did {measured} MB/s", disk.mb_per_s),
        format!("{host}; load average {:.1} at the start, {:.1} at the end", load[0], load[1]),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::figures::Limit;
    use std::fs;

    #[test]
    fn the_page_shows_its_plots_and_every_goal() {
        let folder = tempfile::tempdir().unwrap();
        let record = Record::toy();
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

    #[test]
    fn what_any_mount_takes_is_not_the_checks() {
        let ratio = |value| Ratio { value, low: value, high: value };
        let goal = Goal {
            name: growth_of(Axis::Overlays),
            limit: Limit::AtMost(1.1),
            value: Some(1.2),
            ratio: Some(ratio(1.2)),
            met: false,
        };
        let mut record = Record::toy();
        for (floor, why) in [(1.3, "So does a first mount"), (1.0, "More than noise")] {
            record.ratios.insert("floor_growth_overlays".to_string(), ratio(floor));
            assert!(reason(&goal, &record).unwrap().contains(why));
        }
    }
}

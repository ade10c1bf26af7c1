// SPDX-License-Identifier: MIT OR Apache-2.0
//! The fixed text of the page of costs.

/// The title, the strategies and the method.
pub const INTRODUCTION: &str = "\
# What reuse saves

The cost of one stop and start of a container. `make bench ARGS=\"--docs docs\"` measures it and writes this page. \
`cost.json` has every sample; `vremount bench --from docs/cost.json --docs docs` writes the page from it again.

Strategies:

- reuse: unmount, mount volatile. Needs the series.
- syncfs, remove marker: unmount, syncfs(2) on the upper filesystem, remove the marker, mount volatile. Safe without the series.
- rebuild the upper: unmount, remove the upper and the work directory, create its 100 files again, mount volatile. Safe \
without the series. A sync that is not timed writes the new files before the next cycle.
- durable: unmount and mount without `volatile`.
- first volatile mount (baseline): mount volatile on an empty upper, unmount.
- not volatile, unpatched module (baseline): the same without `volatile`, without the series.

All strategies of a comparison run in one guest, in shuffled order. An unmount and a mount that are not timed warm the \
processor caches before each cycle. Where nothing is dirty, a strategy that syncs writes only what the mount before it \
changed. A neighbour is another container on the same filesystem. The kernel's own writeback is off, except where stated: data \
stays dirty until a sync, and later writeback does not slow down a neighbour. The guest has one processor, or two with a \
running neighbour. Only the system calls are timed.

**Compare the ratios**: the times are those of this guest. In parentheses are the quartiles of the ratios of every sample of \
one strategy to every sample of the other.

## Comparison
";

/// The growth of costs.
pub const GROWTH: &str = "\
## Growth

Reuse reads the work directory, the marker and its checkpoint. It does not look at dirty data, at files in the upper or at \
other overlays. A sync writes all dirty data of the filesystem, whoever wrote it. A rebuild creates every file again.

The table has the ratio of the highest cost to that at the first value. In the plots, bars are quartiles and the values are \
evenly spaced. An upper of 100,000 files is not rebuilt: it would take too long.";

/// The growth on other filesystems.
pub const OTHER_FILESYSTEMS: &str = "The ratio of the cost of reuse at the second value to that at the first:";

/// The I/O of reuse.
pub const RESIDUAL: &str = "\
## Disk writes

*Written by reuse* is the I/O during all cycles and half a second after the last, without the kernel's own writeback and with \
commits delayed as far as the filesystem allows.

A mount also tests the features of the upper filesystem in the work directory, with or without the series. The next sync, or \
later writeback, writes these changes. *Left* is what syncfs(2) wrote after the cycles, with nothing else dirty: cycles of \
reuse, or as many mounts without the series, each after removal of the marker without any check.";

/// The latencies of a neighbour.
pub const NEIGHBOUR: &str = "\
## Neighbour

The neighbour is a durable container. In each round it writes 4 KiB and calls fsync(2), writes 64 KiB without fsync(2), and \
waits 2 ms. Once a second the first container writes 64 MiB; then it is restarted, or it keeps running. A restart cycle delays few of the hundreds of rounds in a second: **the p99 latency does not show it**; the maximum of \
each sample and the number of rounds do.";

/// The same with writeback.
pub const WRITEBACK: &str = "\
With the kernel's own writeback, as on a normal host: data is written when it has been dirty for 30 s, even if it is \
overwritten meanwhile. Commits are still delayed.";

/// The traced mount.
pub const CHECK: &str = "## Cost of the check";

const MAX_COLUMNS: usize = 100;

/// Wraps paragraphs and list items. Tables, headings and images keep their lines.
pub fn wrap(page: &str) -> String {
    let is_fixed = |line: &str| ["|", "#", "!", "<"].iter().any(|start| line.starts_with(start));
    let mut text = String::new();
    for line in page.lines() {
        let indent = if line.starts_with("- ") { "  " } else { "" };
        let mut columns = 0;
        for word in line.split(' ') {
            let len = word.chars().count();
            if columns > 0 && !is_fixed(line) && columns + 1 + len > MAX_COLUMNS {
                text.push('\n');
                text.push_str(indent);
                columns = indent.len();
            } else if columns > 0 {
                text.push(' ');
                columns += 1;
            }
            text.push_str(word);
            columns += len;
        }
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paragraphs_and_items_are_wrapped_and_tables_are_not() {
        let word = "a".repeat(60);
        let page = format!("{word} {word}\n\n- {word} {word}\n| {word} {word} |\n");
        let expected = format!("{word}\n{word}\n\n- {word}\n  {word}\n| {word} {word} |\n");
        assert_eq!(wrap(&page), expected);
    }
}

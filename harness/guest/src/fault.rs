// SPDX-License-Identifier: MIT OR Apache-2.0
//! Device-mapper tables: the one that works, and those that break a disk. Pure plans; `disk` puts them in place.

use crate::ioctl::Extent;

pub const SECTOR: u64 = 512;
/// What no filesystem of ours uses, at the end of the device.
const SPARE: u64 = 8;

/// A line of a device-mapper table, in sectors.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    pub start: u64,
    pub length: u64,
    pub target: &'static str,
    pub params: String,
}

impl Line {
    /// All from `start` to `end`, handed to a target that takes a device and a place there, and whatever else.
    fn on(target: &'static str, start: u64, end: u64, below: &str, more: &str) -> Self {
        Line { start, length: end - start, target, params: format!("{below} {start}{more}") }
    }

    fn linear(start: u64, end: u64, below: &str) -> Self {
        Line::on("linear", start, end, below, "")
    }

    /// Reads are delayed, writes are not.
    fn delayed(start: u64, end: u64, below: &str, ms: u32) -> Self {
        Line::on("delay", start, end, below, &format!(" {ms} {below} {start} 0"))
    }

    fn error(start: u64, end: u64) -> Self {
        Line { start, length: end - start, target: "error", params: String::new() }
    }
}

/// Everything goes to the device below, given as `major:minor`.
pub fn healthy(sectors: u64, below: &str) -> Vec<Line> {
    vec![Line::linear(0, sectors, below)]
}

/// Nothing works.
pub fn everything(sectors: u64) -> Vec<Line> {
    vec![Line::error(0, sectors)]
}

/// From the first moment on down, practically for ever; in its down time `flakey` fails all that writes.
const DOWN: &str = " 0 1000000 1 error_writes";

/// Reads and writes work, flushes fail. A flush goes to every target of a device that takes flushes: `linear` does, and
/// so does `flakey`. It gets the spare sectors, which nobody writes.
pub fn flush(sectors: u64, below: &str) -> Vec<Line> {
    let spare = sectors - SPARE;
    vec![Line::linear(0, spare, below), Line::on("flakey", spare, sectors, below, DOWN)]
}

/// Reads work, nothing can be written.
pub fn writes(sectors: u64, below: &str) -> Vec<Line> {
    vec![Line::on("flakey", 0, sectors, below, DOWN)]
}

/// Blocks that `dust` fails to read once they are said to be bad, until they are written.
pub const DUST_SECTORS: u64 = 128;

pub fn dusty(sectors: u64, below: &str) -> Vec<Line> {
    // Its blocks start where the device below does.
    vec![Line { start: 0, length: sectors, target: "dust", params: format!("{below} 0 {}", DUST_SECTORS * SECTOR) }]
}

/// Reads and writes work, but reads take so many milliseconds.
pub fn slow(sectors: u64, below: &str, read_ms: u32) -> Vec<Line> {
    vec![Line::delayed(0, sectors, below, read_ms)]
}

/// Only these extents fail, and all else takes so many milliseconds to read. The error is why they cannot be broken.
pub fn data(sectors: u64, below: &str, extents: &[Extent], read_ms: u32) -> Result<Vec<Line>, String> {
    let works = |start, end| match read_ms {
        0 => Line::linear(start, end, below),
        ms => Line::delayed(start, end, below, ms),
    };
    const UNKNOWN: u32 = 0x2;
    const DELALLOC: u32 = 0x4;
    const NOT_ALIGNED: u32 = 0x100;
    const INLINE: u32 = 0x200;
    const UNWRITTEN: u32 = 0x800;
    if extents.is_empty() {
        return Err("the file has no blocks on the disk".to_string());
    }
    let mut extents = extents.to_vec();
    extents.sort();
    let mut lines = Vec::new();
    let mut at = 0;
    for extent in extents {
        if extent.flags & (UNKNOWN | DELALLOC | NOT_ALIGNED | INLINE | UNWRITTEN) != 0 {
            return Err(format!("the file has data that is in no block of its own yet (flags {:#x})", extent.flags));
        }
        let (start, end) = (extent.start / SECTOR, (extent.start + extent.length) / SECTOR);
        if start < at || end > sectors {
            return Err(format!("sectors {start} to {end} of the file overlap others or the end of the disk"));
        }
        if start > at {
            lines.push(works(at, start));
        }
        lines.push(Line::error(start, end));
        at = end;
    }
    if at < sectors {
        lines.push(works(at, sectors));
    }
    Ok(lines)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rstest::rstest;

    use super::*;

    const SECTORS: u64 = 1000;

    fn extent(start: u64, length: u64) -> Extent {
        Extent { start: start * SECTOR, length: length * SECTOR, flags: 0x1 }
    }

    /// `start+length target` of each line.
    fn short(lines: &[Line]) -> Vec<String> {
        lines.iter().map(|line| format!("{}+{} {}", line.start, line.length, line.target)).collect()
    }

    #[rstest]
    #[case::middle(&[extent(80, 16)], &["0+80 linear", "80+16 error", "96+904 linear"])]
    #[case::start(&[extent(0, 8)], &["0+8 error", "8+992 linear"])]
    #[case::end(&[extent(992, 8)], &["0+992 linear", "992+8 error"])]
    #[case::unsorted(&[extent(80, 8), extent(16, 8)],
        &["0+16 linear", "16+8 error", "24+56 linear", "80+8 error", "88+912 linear"])]
    #[case::adjacent(&[extent(16, 8), extent(24, 8)], &["0+16 linear", "16+8 error", "24+8 error", "32+968 linear"])]
    fn breaks_only_the_extents(#[case] extents: &[Extent], #[case] expected: &[&str]) {
        assert_eq!(short(&data(SECTORS, "7:0", extents, 0).unwrap()), expected);
    }

    #[rstest]
    #[case::none(vec![])]
    #[case::delayed(vec![Extent { flags: 0x4, ..extent(8, 8) }])]
    #[case::unwritten(vec![Extent { flags: 0x800, ..extent(8, 8) }])]
    #[case::inline(vec![Extent { flags: 0x200, ..extent(8, 8) }])]
    #[case::beyond(vec![extent(999, 8)])]
    #[case::overlapping(vec![extent(8, 16), extent(16, 8)])]
    fn refuses_what_it_cannot_break(#[case] extents: Vec<Extent>) {
        assert!(data(SECTORS, "7:0", &extents, 0).is_err());
    }

    proptest! {
        /// Whatever extents a filesystem says that a file has: these sectors fail, and no others; or none do.
        #[test]
        fn a_table_breaks_what_it_is_to_break(
            extents in prop::collection::vec((0..1200_u64, 0..80_u64, prop::sample::select(vec![0x1, 0x1, 0x1, 0x4])), 0..6),
            read_ms in 0..2_u32,
        ) {
            let extents: Vec<_> =
                extents.into_iter().map(|(start, length, flags)| Extent { flags, ..extent(start, length) }).collect();
            let Ok(lines) = data(SECTORS, "7:0", &extents, read_ms) else { return Ok(()) };
            let is_of = |sector: u64| {
                let place = sector * SECTOR;
                extents.iter().any(|extent| (extent.start..extent.start + extent.length).contains(&place))
            };
            let mut at = 0;
            for line in &lines {
                prop_assert_eq!(line.start, at);
                at += line.length;
                prop_assert!((line.start..at).all(|sector| is_of(sector) == (line.target == "error")));
            }
            prop_assert_eq!(at, SECTORS);
        }
    }

    #[test]
    fn every_table_covers_the_disk() {
        let below = "7:0";
        let slow = data(SECTORS, below, &[extent(80, 16)], 100).unwrap();
        let whole = [everything(SECTORS), writes(SECTORS, below), dusty(SECTORS, below), flush(SECTORS, below)];
        for table in whole.into_iter().chain([healthy(SECTORS, below), super::slow(SECTORS, below, 100), slow]) {
            let mut at = 0;
            for line in table {
                assert_eq!(line.start, at);
                at += line.length;
            }
            assert_eq!(at, SECTORS);
        }
    }
}

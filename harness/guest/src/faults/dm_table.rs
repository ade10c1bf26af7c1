// SPDX-License-Identifier: MIT OR Apache-2.0
//! Device-mapper tables: the healthy one, and one for each fault. This module only computes them.
//! Documentation/admin-guide/device-mapper/.

use crate::ops::ioctl::Extent;

/// Bytes per sector.
pub const SECTOR: u64 = 512;
/// Sectors at the end of the device that no filesystem of the disk images uses.
const SPARE: u64 = 8;

/// One target: a line of a device-mapper table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// First sector.
    pub start: u64,
    /// Number of sectors.
    pub length: u64,
    /// Target type.
    pub kind: &'static str,
    /// Parameters of the target.
    pub params: String,
}

impl Target {
    /// A target of the sectors from `start` to `end` whose parameters start with device and offset.
    fn new(kind: &'static str, start: u64, end: u64, below: &str, more: &str) -> Self {
        Target { start, length: end - start, kind, params: format!("{below} {start}{more}") }
    }

    fn linear(start: u64, end: u64, below: &str) -> Self {
        Target::new("linear", start, end, below, "")
    }

    /// Delays reads, not writes.
    fn delayed(start: u64, end: u64, below: &str, ms: u32) -> Self {
        Target::new("delay", start, end, below, &format!(" {ms} {below} {start} 0"))
    }

    fn error(start: u64, end: u64) -> Self {
        Target { start, length: end - start, kind: "error", params: String::new() }
    }
}

/// No fault: all requests go to the device `below` (`major:minor`).
pub fn healthy(sectors: u64, below: &str) -> Vec<Target> {
    vec![Target::linear(0, sectors, below)]
}

/// All reads and writes fail.
pub fn everything(sectors: u64) -> Vec<Target> {
    vec![Target::error(0, sectors)]
}

/// Parameters of `flakey`: always down, for 11 days, and writes fail while it is down.
const DOWN: &str = " 0 1000000 1 error_writes";

/// Flushes fail, reads and writes succeed. Device-mapper sends a flush to every target that
/// supports flushes, which includes `linear` and `flakey`. `flakey` gets the spare sectors, which
/// nothing writes.
pub fn flush(sectors: u64, below: &str) -> Vec<Target> {
    let spare = sectors - SPARE;
    vec![Target::linear(0, spare, below), Target::new("flakey", spare, sectors, below, DOWN)]
}

/// Writes fail, reads succeed.
pub fn writes(sectors: u64, below: &str) -> Vec<Target> {
    vec![Target::new("flakey", 0, sectors, below, DOWN)]
}

/// Sectors per block of `dust`. Reads of a bad block fail until the block is written.
pub const DUST_SECTORS: u64 = 128;

/// Reads of bad blocks fail. `dmsetup message` adds blocks to the list of bad blocks and enables it.
pub fn dust(sectors: u64, below: &str) -> Vec<Target> {
    // The number of a block is relative to the start of the device below, hence offset 0.
    vec![Target { start: 0, length: sectors, kind: "dust", params: format!("{below} 0 {}", DUST_SECTORS * SECTOR) }]
}

/// Reads are delayed by `read_ms` milliseconds.
pub fn slow_reads(sectors: u64, below: &str, read_ms: u32) -> Vec<Target> {
    vec![Target::delayed(0, sectors, below, read_ms)]
}

/// Reads and writes of these extents fail. Reads of all other sectors are delayed by `read_ms`
/// milliseconds.
///
/// Fails with the reason if an extent is not allocated to blocks of its own.
pub fn extents(sectors: u64, below: &str, failing: &[Extent], read_ms: u32) -> Result<Vec<Target>, String> {
    let healthy = |start, end| match read_ms {
        0 => Target::linear(start, end, below),
        ms => Target::delayed(start, end, below, ms),
    };
    const UNKNOWN: u32 = 0x2;
    const DELALLOC: u32 = 0x4;
    const NOT_ALIGNED: u32 = 0x100;
    const INLINE: u32 = 0x200;
    const UNWRITTEN: u32 = 0x800;
    if failing.is_empty() {
        return Err("the file has no blocks on the disk".to_string());
    }
    let mut failing = failing.to_vec();
    failing.sort();
    let mut targets = Vec::new();
    let mut next = 0;
    for extent in failing {
        if extent.flags & (UNKNOWN | DELALLOC | NOT_ALIGNED | INLINE | UNWRITTEN) != 0 {
            return Err(format!("the file has data without blocks of its own (FIEMAP flags {:#x})", extent.flags));
        }
        let (start, end) = (extent.start / SECTOR, (extent.start + extent.length) / SECTOR);
        if start < next || end > sectors {
            return Err(format!("sectors {start} to {end} overlap another extent or the end of the disk"));
        }
        if start > next {
            targets.push(healthy(next, start));
        }
        targets.push(Target::error(start, end));
        next = end;
    }
    if next < sectors {
        targets.push(healthy(next, sectors));
    }
    Ok(targets)
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

    /// `start+length type` of each target.
    fn short(table: &[Target]) -> Vec<String> {
        table.iter().map(|target| format!("{}+{} {}", target.start, target.length, target.kind)).collect()
    }

    #[rstest]
    #[case::middle(&[extent(80, 16)], &["0+80 linear", "80+16 error", "96+904 linear"])]
    #[case::start(&[extent(0, 8)], &["0+8 error", "8+992 linear"])]
    #[case::end(&[extent(992, 8)], &["0+992 linear", "992+8 error"])]
    #[case::unsorted(&[extent(80, 8), extent(16, 8)],
        &["0+16 linear", "16+8 error", "24+56 linear", "80+8 error", "88+912 linear"])]
    #[case::adjacent(&[extent(16, 8), extent(24, 8)], &["0+16 linear", "16+8 error", "24+8 error", "32+968 linear"])]
    fn only_given_extents_fail(#[case] failing: &[Extent], #[case] expected: &[&str]) {
        assert_eq!(short(&extents(SECTORS, "7:0", failing, 0).unwrap()), expected);
    }

    #[rstest]
    #[case::no_extents(vec![])]
    #[case::delayed(vec![Extent { flags: 0x4, ..extent(8, 8) }])]
    #[case::unwritten(vec![Extent { flags: 0x800, ..extent(8, 8) }])]
    #[case::inline(vec![Extent { flags: 0x200, ..extent(8, 8) }])]
    #[case::outside_of_disk(vec![extent(999, 8)])]
    #[case::overlapping(vec![extent(8, 16), extent(16, 8)])]
    fn unsuitable_extents_are_rejected(#[case] failing: Vec<Extent>) {
        assert!(extents(SECTORS, "7:0", &failing, 0).is_err());
    }

    proptest! {
        /// For any extents, exactly their sectors fail, or there is no table.
        #[test]
        fn exactly_the_sectors_of_any_extents_fail(
            failing in prop::collection::vec((0..1200_u64, 0..80_u64, prop::sample::select(vec![0x1, 0x1, 0x1, 0x4])), 0..6),
            read_ms in 0..2_u32,
        ) {
            let failing: Vec<_> =
                failing.into_iter().map(|(start, length, flags)| Extent { flags, ..extent(start, length) }).collect();
            let Ok(table) = extents(SECTORS, "7:0", &failing, read_ms) else { return Ok(()) };
            let must_fail = |sector: u64| {
                let offset = sector * SECTOR;
                failing.iter().any(|extent| (extent.start..extent.start + extent.length).contains(&offset))
            };
            let mut next = 0;
            for target in &table {
                prop_assert_eq!(target.start, next);
                next += target.length;
                prop_assert!((target.start..next).all(|sector| must_fail(sector) == (target.kind == "error")));
            }
            prop_assert_eq!(next, SECTORS);
        }
    }

    #[test]
    fn every_table_covers_the_disk() {
        let below = "7:0";
        let slow_data = extents(SECTORS, below, &[extent(80, 16)], 100).unwrap();
        let whole = [everything(SECTORS), writes(SECTORS, below), dust(SECTORS, below), flush(SECTORS, below)];
        for table in whole.into_iter().chain([healthy(SECTORS, below), slow_reads(SECTORS, below, 100), slow_data]) {
            let mut next = 0;
            for target in table {
                assert_eq!(target.start, next);
                next += target.length;
            }
            assert_eq!(next, SECTORS);
        }
    }
}

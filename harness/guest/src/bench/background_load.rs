// SPDX-License-Identifier: MIT OR Apache-2.0
//! A second container that works while the first is stopped and started.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use vremount_protocol::{BackgroundSample, Disk as Id, Mode, RestartStrategy};

use super::bench_overlay::Spot;
use super::fill;
use super::restart_cycle::turn;
use crate::disk::{self, Disk};
use crate::error::{Failure, context};

const SECOND: Duration = Duration::from_secs(1);
/// Between two of its rounds: it is no contest for the processor.
const THINKS: Duration = Duration::from_millis(2);
const SYNCED_BYTES: usize = 4 << 10;
const BUFFERED_BYTES: usize = 64 << 10;
/// Blocks of each file that are written over in turn.
const BLOCKS: u64 = 64;

/// What the first container does meanwhile, once a second.
pub struct Turns<'a> {
    pub id: Id,
    pub disk: &'a Disk,
    pub way: Option<RestartStrategy>,
    pub seconds: u32,
    /// Bytes that it writes and does not sync, each time.
    pub dirty: u64,
    /// Of an upper that is rebuilt.
    pub files: u32,
}

pub fn beside(first: &Turns<'_>) -> Result<BackgroundSample, Failure> {
    let spot = Spot::neighbour(first.id).anew()?;
    spot.mount(Mode::Durable)?;
    let before = first.disk.asked()?;
    let stop = AtomicBool::new(false);
    let (turns, latencies) = thread::scope(|scope| {
        let neighbour = scope.spawn(|| work(&spot.at, &stop));
        let turns = once_a_second(first);
        stop.store(true, Ordering::Relaxed);
        (turns, neighbour.join().unwrap_or_else(|_| Err(Failure::new("the neighbour panicked"))))
    });
    let io = disk::since(first.disk.asked()?, before);
    spot.unmount()?;
    let (fsync, write) = latencies?;
    Ok(BackgroundSample { fsync, write, turns: turns?, io })
}

/// The first container dirties its pages and is stopped and started.
fn once_a_second(first: &Turns<'_>) -> Result<Vec<u64>, Failure> {
    let file = Spot::container(first.id).at.join("dirty");
    let mut turns = Vec::new();
    for _ in 0..first.seconds {
        let started = Instant::now();
        fill::dirty(&file, first.dirty)?;
        if let Some(way) = first.way {
            turns.push(turn(first.id, first.disk, way, first.files)?.nanoseconds());
        }
        thread::sleep(SECOND.saturating_sub(started.elapsed()));
    }
    Ok(turns)
}

/// Latencies of small writes with their fsync(2), and of buffered writes.
fn work(folder: &Path, stop: &AtomicBool) -> Result<(Vec<u32>, Vec<u32>), Failure> {
    let open = |name: &str| {
        let path = folder.join(name);
        context("create", &path, File::options().write(true).create(true).truncate(false).open(&path))
    };
    let (synced, buffered) = (open("synced")?, open("buffered")?);
    let (small, large) = (vec![b's'; SYNCED_BYTES], vec![b'b'; BUFFERED_BYTES]);
    let (mut fsync, mut write) = (Vec::new(), Vec::new());
    for block in (0..).map(|count: u64| count % BLOCKS) {
        if stop.load(Ordering::Relaxed) {
            break;
        }
        let started = Instant::now();
        let done = synced.write_all_at(&small, block * SYNCED_BYTES as u64).and_then(|()| synced.sync_all());
        context("write and fsync in", folder, done)?;
        fsync.push(microseconds(started));
        let started = Instant::now();
        context("write in", folder, buffered.write_all_at(&large, block * BUFFERED_BYTES as u64))?;
        write.push(microseconds(started));
        thread::sleep(THINKS);
    }
    Ok((fsync, write))
}

fn microseconds(since: Instant) -> u32 {
    u32::try_from(since.elapsed().as_micros()).unwrap_or(u32::MAX)
}

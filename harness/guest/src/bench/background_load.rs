// SPDX-License-Identifier: MIT OR Apache-2.0
//! The background container, which writes while the container is restarted.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use vremount_protocol::{BackgroundSample, Disk as Id, Mode, RestartStrategy};

use super::bench_overlay::BenchOverlay;
use super::{fill, restart_cycle};
use crate::error::{Failure, context};
use crate::faults::disk::{self, Disk};

/// Interval between restarts of the container.
const INTERVAL: Duration = Duration::from_secs(1);
/// Sleep of the background container between two rounds, so that it does not compete for the
/// processor.
const PAUSE: Duration = Duration::from_millis(2);
const SYNCED_BYTES: usize = 4 << 10;
const BUFFERED_BYTES: usize = 64 << 10;
/// Number of blocks of each file that are overwritten in turn.
const BLOCKS: u64 = 64;

/// What the container does once per second.
pub struct Restarts<'a> {
    /// Disk of both containers.
    pub id: Id,
    /// The same disk.
    pub disk: &'a Disk,
    /// How to restart; none: no restart.
    pub strategy: Option<RestartStrategy>,
    /// Number of restarts.
    pub seconds: u32,
    /// Bytes that the container writes without a sync before each restart.
    pub dirty_bytes: u64,
    /// Number of files that `Rebuild` creates.
    pub files: u32,
}

/// Runs the background container during the restarts and measures it.
pub fn run(restarts: &Restarts<'_>) -> Result<BackgroundSample, Failure> {
    let overlay = BenchOverlay::background(restarts.id).recreate()?;
    overlay.mount(Mode::Durable)?;
    let before = restarts.disk.io_counters()?;
    let stop = AtomicBool::new(false);
    let (turns, latencies) = thread::scope(|scope| {
        let background = scope.spawn(|| write_until(&stop, &overlay.mount_point));
        let turns = restart_repeatedly(restarts);
        stop.store(true, Ordering::Relaxed);
        (
            turns,
            background.join().unwrap_or_else(|_| Err(Failure::new("the thread of the background container panicked"))),
        )
    });
    let io = disk::io_difference(restarts.disk.io_counters()?, before);
    overlay.unmount()?;
    let (fsync, write) = latencies?;
    Ok(BackgroundSample { fsync, write, restarts: turns?, io })
}

/// Writes dirty data in the container and restarts it once per second. Returns the duration of each
/// restart.
fn restart_repeatedly(restarts: &Restarts<'_>) -> Result<Vec<u64>, Failure> {
    let file = BenchOverlay::container(restarts.id).mount_point.join("dirty");
    let mut durations = Vec::new();
    for _ in 0..restarts.seconds {
        let started = Instant::now();
        fill::write_dirty(&file, restarts.dirty_bytes)?;
        if let Some(strategy) = restarts.strategy {
            let restart = restart_cycle::run(restarts.id, restarts.disk, strategy, restarts.files)?;
            durations.push(restart.total_ns());
        }
        thread::sleep(INTERVAL.saturating_sub(started.elapsed()));
    }
    Ok(durations)
}

/// Alternates small writes with fsync(2) and buffered writes. Returns the latencies of both in
/// microseconds.
fn write_until(stop: &AtomicBool, dir: &Path) -> Result<(Vec<u32>, Vec<u32>), Failure> {
    let open = |name: &str| {
        let path = dir.join(name);
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
        let written = synced.write_all_at(&small, block * SYNCED_BYTES as u64).and_then(|()| synced.sync_all());
        context("write and fsync in", dir, written)?;
        fsync.push(microseconds_since(started));
        let started = Instant::now();
        context("write in", dir, buffered.write_all_at(&large, block * BUFFERED_BYTES as u64))?;
        write.push(microseconds_since(started));
        thread::sleep(PAUSE);
    }
    Ok((fsync, write))
}

fn microseconds_since(started: Instant) -> u32 {
    u32::try_from(started.elapsed().as_micros()).unwrap_or(u32::MAX)
}

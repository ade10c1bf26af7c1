// SPDX-License-Identifier: MIT OR Apache-2.0
//! Operations of benchmarks. The guest measures them around the system calls; the harness compares
//! the measurements.

use serde::{Deserialize, Serialize};

use crate::types::{Disk, IoCounts};

/// An operation of a benchmark. Its outcome is `done` or `failed`, unless stated otherwise.
///
/// The *container* is the overlay of the first layers, which is restarted. The *background
/// container* has a durable overlay of its own on the same upper filesystem.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum BenchOp {
    /// Restarts the container with one strategy. The overlay is mounted before and after. Outcome:
    /// `measured`, a restart.
    #[serde(rename = "turn")]
    Restart {
        /// Disk of the upper filesystem.
        disk: Disk,
        /// How to restart.
        #[serde(rename = "way")]
        strategy: RestartStrategy,
        /// Number of files that [`RestartStrategy::Rebuild`] creates.
        files: u32,
    },
    /// Restarts the volatile container without a measurement. Preceding operations evict the caches
    /// of the processor; this fills them again, so that the next measurement does not include it.
    WarmUp {
        /// Disk of the upper filesystem.
        disk: Disk,
    },
    /// Creates small files in the upper directory, which must not be in use.
    Fill {
        /// Disk of the upper filesystem.
        disk: Disk,
        /// Number of files.
        files: u32,
    },
    /// Makes pages of the upper filesystem dirty: overwrites one file without a sync.
    Dirty {
        /// Disk of the upper filesystem.
        disk: Disk,
        /// Who writes the file.
        #[serde(rename = "whose")]
        writer: Writer,
        /// Number of bytes.
        bytes: u64,
    },
    /// Mounts further volatile overlays, each with upper and work directories of its own on the
    /// same filesystem.
    MountOthers {
        /// Disk of the upper filesystem.
        disk: Disk,
        /// Number of overlays.
        count: u32,
    },
    /// Unmounts all overlays of `MountOthers`.
    UnmountOthers {
        /// Disk of the upper filesystem.
        disk: Disk,
    },
    /// Runs the background container, which alternates small writes with fsync(2) and buffered
    /// writes. Once per second the container writes `dirty` bytes and is restarted. Outcome:
    /// `measured`, a background sample.
    #[serde(rename = "neighbour")]
    BackgroundLoad {
        /// Disk of the upper filesystem.
        disk: Disk,
        /// How to restart the container; none: it is not restarted.
        #[serde(rename = "way")]
        strategy: Option<RestartStrategy>,
        /// Duration, seconds.
        seconds: u32,
        /// Bytes that the container writes before each restart.
        #[serde(rename = "dirty")]
        dirty_bytes: u64,
        /// Number of files that [`RestartStrategy::Rebuild`] creates.
        files: u32,
    },
    /// Enables or disables periodic writeback.
    Writeback {
        /// True: the defaults of the kernel. False: the kernel writes back only on a sync.
        #[serde(rename = "by_itself")]
        enabled: bool,
    },
    /// Unloads overlay and loads another build of the module.
    SwapOverlay {
        /// Path of the module in the initramfs.
        module: String,
    },
    /// Starts tracing the duration of every call of one kernel function (function_graph).
    Trace {
        /// Name of the function.
        function: String,
    },
    /// Stops tracing. Outcome: `measured`, the duration of each call.
    Traced,
    /// Reads the name of the clock source of the guest. Outcome: `measured`, a clock.
    Clock,
}

/// A strategy for restarting a container, or one of two baselines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RestartStrategy {
    /// Unmount, mount with `volatile`. Requires the series.
    Reuse,
    /// Unmount, syncfs(2) of the upper filesystem, remove the marker, mount with `volatile`. Safe
    /// without the series.
    Sync,
    /// Unmount, remove upper and work, create the files again, mount with `volatile`. Safe without
    /// the series.
    Rebuild,
    /// Unmount and mount without `volatile`.
    Durable,
    /// Baseline: the first mount with `volatile` of an empty upper, and the unmount.
    First,
    /// Baseline: the same without `volatile`.
    Plain,
}

/// Who writes the file of [`BenchOp::Dirty`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Writer {
    /// The container that is restarted, through its overlay.
    Own,
    /// Another user of the same upper filesystem.
    #[serde(rename = "neighbour")]
    Other,
}

/// Result of a benchmark operation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Measurement {
    /// Result of [`BenchOp::Restart`].
    #[serde(rename = "turn")]
    Restart(RestartCycle),
    /// Result of [`BenchOp::BackgroundLoad`].
    #[serde(rename = "neighbour")]
    BackgroundLoad(BackgroundSample),
    /// Duration of each traced call in nanoseconds, in order.
    Calls(Vec<u64>),
    /// Name of the clock source.
    Clock(String),
}

/// One restart of the container. Durations are in nanoseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct RestartCycle {
    /// Duration of the unmount.
    pub unmount: u64,
    /// Duration of the work between unmount and mount that makes the mount safe.
    #[serde(rename = "between")]
    pub make_safe: u64,
    /// Duration of the mount.
    pub mount: u64,
    /// Requests to the disk during the restart.
    pub io: IoCounts,
}

impl RestartCycle {
    /// Duration of the whole restart, nanoseconds.
    #[must_use]
    pub fn total_ns(&self) -> u64 {
        self.unmount + self.make_safe + self.mount
    }
}

/// Latencies of the background container. Each list has one entry per call, in order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BackgroundSample {
    /// Duration of a write of 4 KiB and its fsync(2), microseconds.
    pub fsync: Vec<u32>,
    /// Duration of a buffered write of 64 KiB, microseconds.
    pub write: Vec<u32>,
    /// Duration of each restart of the container, nanoseconds.
    #[serde(rename = "turns")]
    pub restarts: Vec<u64>,
    /// Requests to the disk of both containers.
    pub io: IoCounts,
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::turn(
        BenchOp::Restart { disk: Disk::A, strategy: RestartStrategy::Reuse, files: 1 },
        r#"{"turn":{"disk":"a","way":"reuse","files":1}}"#
    )]
    #[case::dirty(
        BenchOp::Dirty { disk: Disk::A, writer: Writer::Other, bytes: 1 },
        r#"{"dirty":{"disk":"a","whose":"neighbour","bytes":1}}"#
    )]
    #[case::neighbour(
        BenchOp::BackgroundLoad { disk: Disk::A, strategy: None, seconds: 1, dirty_bytes: 2, files: 3 },
        r#"{"neighbour":{"disk":"a","way":null,"seconds":1,"dirty":2,"files":3}}"#
    )]
    #[case::writeback(BenchOp::Writeback { enabled: true }, r#"{"writeback":{"by_itself":true}}"#)]
    fn json_names_of_operations_do_not_change(#[case] op: BenchOp, #[case] json: &str) {
        assert_eq!(serde_json::to_string(&op).unwrap(), json);
    }

    #[test]
    fn json_names_of_measurements_do_not_change() {
        let io = IoCounts { writes: 1, bytes: 2, flushes: 3 };
        let restart = Measurement::Restart(RestartCycle { unmount: 1, make_safe: 2, mount: 3, io });
        let io = r#"{"writes":1,"bytes":2,"flushes":3}"#;
        assert_eq!(
            serde_json::to_string(&restart).unwrap(),
            format!(r#"{{"turn":{{"unmount":1,"between":2,"mount":3,"io":{io}}}}}"#)
        );
    }
}

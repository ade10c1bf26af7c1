// SPDX-License-Identifier: MIT OR Apache-2.0
//! Fixtures for tests of this crate and of those that use it.

use crate::bench::workload::Axis;
use std::collections::BTreeMap;
use vremount_machine::image::Fs;
use vremount_protocol::{Io, RestartCycle, RestartStrategy};

use super::record::*;

/// Reuse takes 1 ms everywhere, syncfs 1 ms and one more for each step of an axis.
#[must_use]
pub fn record() -> Record {
    let turn = |ms: u64| RestartCycle {
        unmount: ms * 1_000_000,
        between: 0,
        mount: 0,
        io: Io { writes: 0, bytes: 0, flushes: 0 },
    };
    let samples = |way, ms| Samples::new(way, vec![turn(ms); 3]);
    let scene = |axis, value: u64, step: u64| WorkloadResult {
        fs: Fs::Ext4,
        axis,
        value,
        files: 0,
        own_dirty: 0,
        neighbour_dirty: 0,
        overlays: 1,
        ways: [
            (RestartStrategy::Reuse, 1),
            (RestartStrategy::First, 1),
            (RestartStrategy::Plain, 2),
            (RestartStrategy::Sync, 1 + step),
            (RestartStrategy::Durable, 1 + step),
        ]
        .into_iter()
        .filter_map(|(way, ms)| samples(way, ms))
        .collect(),
        io: None,
        left: None,
    };
    let swept = Axis::SWEPT.into_iter().flat_map(|axis| (0..3).map(move |step| (axis, step << 20, step)));
    let compared = [(Axis::Idle, 0, 0), (Axis::Busy, 512 << 20, 199)].into_iter();
    let nowhere = String::new;
    let record = Record {
        schema: SCHEMA,
        command: vec!["vremount".to_string(), "bench".to_string()],
        quick: true,
        rounds: 3,
        host: HostLoad { host: vremount_runner::testing::host(), load: [0.0; 2] },
        kernel: Kernel {
            base: "0".to_string(),
            series: nowhere(),
            level: 4,
            config: None,
            release: nowhere(),
            build_id: nowhere(),
            patched_module_sha256: nowhere(),
            unpatched_module_sha256: nowhere(),
        },
        executor: Executor { name: nowhere(), version: nowhere(), why: nowhere(), memory_mib: 1, clock: nowhere() },
        disk: Disk { mb_per_s: 200, mib: 1, options: Vec::new(), measured_mb_per_s: None },
        fs: Fs::Ext4,
        other_filesystems: Vec::new(),
        scenes: compared.chain(swept).map(|(axis, value, step)| scene(axis, value, step)).collect(),
        neighbour: vec![],
        check: None,
        ratios: BTreeMap::new(),
        goals: Vec::new(),
        warnings: Vec::new(),
    };
    record.with_derived()
}

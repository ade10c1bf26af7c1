// SPDX-License-Identifier: MIT OR Apache-2.0
//! Fixtures for tests of this crate and of crates that use it.

use vremount_machine::image::Fs;
use vremount_protocol::{IoCounts, RestartCycle, RestartStrategy};

use super::axis::Axis;
use super::record::{Disk, Executor, HostLoad, Kernel, Record, SCHEMA, Samples, WorkloadResult};
use super::results::BenchResults;

/// A record on ext4. Reuse takes 1 ms in each workload; syncfs takes 1 ms, and 1 ms more at each further value of an axis.
#[must_use]
pub fn record() -> Record {
    let cycle = |ms: u64| RestartCycle {
        unmount: ms * 1_000_000,
        make_safe: 0,
        mount: 0,
        io: IoCounts { writes: 0, bytes: 0, flushes: 0 },
    };
    let workload = |axis, value: u64, step: u64| WorkloadResult {
        fs: Fs::Ext4,
        axis,
        value,
        files: 0,
        own_dirty: 0,
        neighbour_dirty: 0,
        overlays: 1,
        strategies: [
            (RestartStrategy::Reuse, 1),
            (RestartStrategy::First, 1),
            (RestartStrategy::Plain, 2),
            (RestartStrategy::Sync, 1 + step),
            (RestartStrategy::Durable, 1 + step),
        ]
        .into_iter()
        .filter_map(|(strategy, ms)| Samples::new(strategy, vec![cycle(ms); 3]))
        .collect(),
        io: None,
        residual: None,
    };
    let swept = Axis::SWEPT.into_iter().flat_map(|axis| (0..3).map(move |step| (axis, step << 20, step)));
    let compared = [(Axis::Idle, 0, 0), (Axis::Busy, 512 << 20, 199)].into_iter();
    let empty = String::new;
    Record {
        schema: SCHEMA,
        command: vec!["vremount".to_string(), "bench".to_string()],
        quick: true,
        rounds: 3,
        host: HostLoad { host: vremount_runner::testing::host(), load: [0.0; 2] },
        kernel: Kernel {
            base: "0".to_string(),
            series: empty(),
            level: 4,
            config: None,
            release: empty(),
            build_id: empty(),
            patched_module_sha256: empty(),
            unpatched_module_sha256: empty(),
        },
        executor: Executor { name: empty(), version: empty(), why: empty(), memory_mib: 1, clock: empty() },
        disk: Disk { mb_per_s: 200, mib: 1, options: Vec::new() },
        fs: Fs::Ext4,
        other_filesystems: Vec::new(),
        workloads: compared.chain(swept).map(|(axis, value, step)| workload(axis, value, step)).collect(),
        background: Vec::new(),
        check_cost: None,
        warnings: Vec::new(),
    }
}

/// The results of [`record`]. Four thresholds are missed, because they were not measured.
#[must_use]
pub fn results() -> BenchResults {
    record().into()
}

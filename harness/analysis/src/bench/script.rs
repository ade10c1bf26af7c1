// SPDX-License-Identifier: MIT OR Apache-2.0
//! The operations that a guest executes for a benchmark, and which sample the answer to each of them is.

use vremount_protocol::{AccessPath, BenchOp, Disk, LayerSet, Mode, Op, RestartStrategy};

/// The disk that has the upper filesystem.
pub(super) const DISK: Disk = Disk::A;

/// The sample that the answer to an operation is stored as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SampleId {
    /// A restart cycle of a workload.
    Cycle {
        /// The index of the workload in its plan.
        workload: usize,
        /// How the container is stopped and started.
        strategy: RestartStrategy,
    },
    /// The I/O of all reuse cycles of a workload and of the half second that follows.
    Quiet,
    /// The I/O that a series of cycles left to the next sync.
    Residual {
        /// Whether the cycles removed the marker on the unpatched module, instead of reusing the upper.
        marker_removed: bool,
    },
    /// The latencies of a neighbour while the container is restarted once a second.
    Background {
        /// How the container is restarted; `None` if it keeps running.
        strategy: Option<RestartStrategy>,
        /// The duration of the sample.
        seconds: u32,
        /// Whether the kernel writes dirty pages back on its own meanwhile.
        kernel_writeback: bool,
    },
    /// Durations of calls of [`TRACED`](super::plan::TRACED).
    Calls {
        /// Whether the patched module is loaded.
        patched: bool,
        /// Whether the directories were mounted before.
        reuse: bool,
    },
    /// The clock source of the guest.
    Clock,
}

/// Operations in order. Those whose answer is a sample have its id.
#[derive(Debug, Default)]
pub struct Script(pub Vec<(Op, Option<SampleId>)>);

impl Script {
    pub(super) fn op(&mut self, op: Op) -> &mut Self {
        self.0.push((op, None));
        self
    }

    pub(super) fn bench(&mut self, op: BenchOp) -> &mut Self {
        self.op(Op::Bench(op))
    }

    pub(super) fn sample(&mut self, op: Op, id: SampleId) -> &mut Self {
        self.0.push((op, Some(id)));
        self
    }

    /// Unmounts the overlay and mounts the same directories again, optionally after removing the marker without any check.
    pub(super) fn remount_volatile(&mut self, remove_marker: bool) -> &mut Self {
        self.op(unmount());
        if remove_marker {
            self.op(self::remove_marker());
        }
        self.op(mount(Mode::Volatile))
    }

    /// Unmounts the overlay, loads another overlay module and mounts the overlay again.
    pub(super) fn change_module(&mut self, module: &str) -> &mut Self {
        self.op(unmount()).bench(swap(module)).op(remove_marker()).op(mount(Mode::Volatile))
    }
}

pub(super) fn mount(mode: Mode) -> Op {
    Op::MountOverlay { disk: DISK, layers: LayerSet::First, mode, via: AccessPath::Mount, options: String::new() }
}

pub(super) fn unmount() -> Op {
    Op::UnmountOverlay { disk: DISK, layers: LayerSet::First, lazy: false }
}

/// Removes a marker that another module left, or that a durable mount would refuse.
pub(super) fn remove_marker() -> Op {
    Op::RemoveMarker { disk: DISK }
}

/// Unloads the overlay module and loads another one.
pub(super) fn swap(module: &str) -> BenchOp {
    BenchOp::SwapOverlay { module: module.to_string() }
}

pub(super) fn sync() -> Op {
    Op::SyncUpperNewDescriptor { disk: DISK }
}

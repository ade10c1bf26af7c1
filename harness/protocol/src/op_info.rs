// SPDX-License-Identifier: MIT OR Apache-2.0
//! Static properties of operations.

use std::time::Duration;

use crate::op::Op;
use crate::types::{AccessPath, LayerSet, Mode};

impl Op {
    /// Time for which the operation sleeps, or the thread that it starts.
    #[must_use]
    pub fn sleep_duration(&self) -> Duration {
        match self {
            Op::Sleep { ms } | Op::SyncUpperInThread { ms, .. } => Duration::from_millis(*ms),
            _ => Duration::ZERO,
        }
    }

    /// Longest time without an event that the operation itself causes: its sleeps, and waits for
    /// kernel memory to be freed.
    #[must_use]
    pub fn max_silence(&self) -> Duration {
        match self {
            Op::FuzzCheckpoint { .. } => Duration::from_secs(30),
            _ => self.sleep_duration(),
        }
    }

    /// Name of the fault that the operation injects, if it injects one.
    #[must_use]
    pub fn fault_name(&self) -> Option<&'static str> {
        match self {
            Op::InjectFault { fault, .. } => Some(fault.name()),
            Op::ShutDownUpper { .. } => Some("shutdown"),
            Op::MountWithFailingAllocations { .. } => Some("no-memory"),
            _ => None,
        }
    }

    /// Whether the operation runs several mounts concurrently.
    #[must_use]
    pub fn is_race(&self) -> bool {
        matches!(self, Op::MountConcurrently { .. })
    }

    /// Whether the operation requests a volatile mount. If several options select volatile or not,
    /// the last one counts. A remount applies to an overlay that is volatile and remains volatile.
    #[must_use]
    pub fn requests_volatile(&self) -> bool {
        if matches!(self, Op::RemountOverlay { .. }) {
            return true;
        }
        let (Op::MountOverlay { mode, options, .. }
        | Op::MountOverlayByContext { mode, options, .. }
        | Op::MountInUserNamespace { mode, options, .. }) = self
        else {
            return false;
        };
        if matches!(self, Op::MountOverlay { layers: LayerSet::LowerOnly, .. }) {
            return false;
        }
        let requested = |option: &str| match option.strip_prefix("fsync=") {
            Some(mode) => Some(mode == "volatile"),
            None => (option == "volatile").then_some(true),
        };
        options.split(',').filter_map(requested).next_back().unwrap_or(*mode == Mode::Volatile)
    }

    /// Whether the operation has a log of its own, that of a filesystem context, besides the kernel
    /// log.
    #[must_use]
    pub fn uses_fs_context(&self) -> bool {
        matches!(self, Op::MountOverlayByContext { .. })
    }

    /// Whether the operation requires an upper filesystem on a block device.
    #[must_use]
    pub fn needs_block_device(&self) -> bool {
        matches!(
            self,
            Op::InjectFault { .. }
                | Op::RemoveFault { .. }
                | Op::StartIoCount { .. }
                | Op::ReadIoCount { .. }
                | Op::UnmountUpper { .. }
                | Op::AddAccessPath { via: AccessPath::SecondMount, .. }
                | Op::WriteDirect { .. }
                | Op::CompareOnDisk { .. }
                | Op::FreezeUpper { .. }
                | Op::FlushBuffers { .. }
                | Op::ShutDownUpper { .. }
        )
    }
}

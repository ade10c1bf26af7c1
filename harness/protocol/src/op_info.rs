// SPDX-License-Identifier: MIT OR Apache-2.0
//! Static properties of operations.

use std::time::Duration;

use crate::op::Op;
use crate::types::{AccessPath, LayerSet, Mode};

impl Op {
    /// Time for which the operation sleeps, or the thread that it starts.
    #[must_use]
    pub fn sleeps(&self) -> Duration {
        match self {
            Op::Sleep { ms } | Op::SyncUpperLater { ms, .. } => Duration::from_millis(*ms),
            _ => Duration::ZERO,
        }
    }

    /// Longest time without an event that the operation itself causes: its sleeps, and waits for
    /// kernel memory to be freed.
    #[must_use]
    pub fn max_silence(&self) -> Duration {
        match self {
            Op::ForgeMany { .. } => Duration::from_secs(30),
            _ => self.sleeps(),
        }
    }

    /// Name of the fault that the operation injects, if it injects one.
    #[must_use]
    pub fn fault(&self) -> Option<&'static str> {
        match self {
            Op::Break { fault, .. } => Some(fault.name()),
            Op::ShutDownUpper { .. } => Some("shutdown"),
            Op::Starve { .. } => Some("no-memory"),
            _ => None,
        }
    }

    /// Whether the operation runs several mounts concurrently.
    #[must_use]
    pub fn is_race(&self) -> bool {
        matches!(self, Op::Race { .. })
    }

    /// Whether the operation requests a volatile mount. If several options select volatile or not,
    /// the last one counts. A remount applies to an overlay that is volatile and remains volatile.
    #[must_use]
    pub fn asks_volatile(&self) -> bool {
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
    pub fn has_own_log(&self) -> bool {
        matches!(self, Op::MountOverlayByContext { .. })
    }

    /// Whether the operation requires an upper filesystem on a block device.
    #[must_use]
    pub fn needs_disk(&self) -> bool {
        matches!(
            self,
            Op::Break { .. }
                | Op::Heal { .. }
                | Op::CountIo { .. }
                | Op::CountedIo { .. }
                | Op::UnmountUpper { .. }
                | Op::Reach { via: AccessPath::Again, .. }
                | Op::WriteDirect { .. }
                | Op::CompareOnDisk { .. }
                | Op::FreezeUpper { .. }
                | Op::FlushBuffers { .. }
                | Op::ShutDownUpper { .. }
        )
    }
}

// SPDX-License-Identifier: MIT OR Apache-2.0
//! What is known of operations without running them.

use std::time::Duration;

use crate::{AccessPath, LayerSet, Mode, Op};

impl Op {
    /// How long it sleeps on purpose.
    #[must_use]
    pub fn sleeps(&self) -> Duration {
        match self {
            Op::Sleep { ms } | Op::SyncUpperLater { ms, .. } => Duration::from_millis(*ms),
            _ => Duration::ZERO,
        }
    }

    /// How long it may say nothing: what it sleeps, and what it waits for the kernel's memory to settle.
    #[must_use]
    pub fn max_silence(&self) -> Duration {
        match self {
            Op::ForgeMany { .. } => Duration::from_secs(30),
            _ => self.sleeps(),
        }
    }

    /// What it breaks on purpose, by name.
    #[must_use]
    pub fn fault(&self) -> Option<&'static str> {
        match self {
            Op::Break { fault, .. } => Some(fault.name()),
            Op::ShutDownUpper { .. } => Some("shutdown"),
            Op::Starve { .. } => Some("no-memory"),
            _ => None,
        }
    }

    /// Whether it does several things at the same time.
    #[must_use]
    pub fn is_race(&self) -> bool {
        matches!(self, Op::Race { .. })
    }

    /// Whether what it mounts is to be volatile: of all options that say so the last counts. What is mounted with `-o remount`
    /// is a volatile overlay, and stays one.
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
        let said = |option: &str| match option.strip_prefix("fsync=") {
            Some(mode) => Some(mode == "volatile"),
            None => (option == "volatile").then_some(true),
        };
        options.split(',').filter_map(said).next_back().unwrap_or(*mode == Mode::Volatile)
    }

    /// Whether its mount has a log besides the kernel's.
    #[must_use]
    pub fn has_own_log(&self) -> bool {
        matches!(self, Op::MountOverlayByContext { .. })
    }

    /// Whether it is about the disk below the upper filesystem, or about what stays there.
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

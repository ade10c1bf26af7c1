// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a guest answers.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::Measurement;

/// One line of the channel.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Event {
    /// First: the kernel runs the guest.
    Booted,
    /// Second: who is speaking. Another build id or module hash than the harness built is the wrong kernel.
    Ready {
        /// `uname -r`.
        release: String,
        /// GNU build id of the running kernel, hex.
        build_id: String,
        /// SHA-256 of the overlay module that was loaded, hex.
        module_sha256: String,
        /// Guest uptime, milliseconds.
        uptime_ms: u64,
    },
    /// One for every operation, in order.
    Step(StepReport),
    /// A line that a script said.
    Said(String),
    /// A script has ended.
    Exited {
        /// None if a signal ended it.
        code: Option<i32>,
        /// Mounts and devices that were not there before it.
        left: Vec<String>,
    },
    /// How often each arc of an object of the kernel was taken so far, as gcov reads it: its `.gcda`. Only kernels that count
    /// have any, and tell of them before the end.
    Arcs { object: String, gcda: Vec<u8> },
    /// Last: all `steps` operations were tried. Without it there is no verdict.
    End { steps: usize },
    /// The guest could not go on: something of its own, not of a claim, failed.
    GaveUp { why: String },
}

/// Before each line of a report's log that is from the log of an fs context and not from the kernel's.
pub const FS_CONTEXT: &str = "fs context: ";

/// In a report's log, in place of what the kernel said faster than the guest read it.
pub const LOST: &str = "vremount-guest: messages were lost";

/// What came of one operation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StepReport {
    /// Place in the program, from 0.
    pub index: usize,
    pub outcome: Outcome,
    /// What the kernel logged meanwhile, without time stamps; then what an fs context did.
    pub log: Vec<String>,
    /// Microseconds of guest time.
    pub us: u64,
}

/// What an operation led to, without a judgement.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    Done,
    /// A mount that succeeded, as /proc/self/mountinfo shows it.
    Mounted {
        volatile: bool,
        read_only: bool,
    },
    /// A mount(2) of an overlay that failed with this errno.
    Refused {
        errno: i32,
    },
    /// Anything else that failed. `errno` is 0 where the kernel was not to blame.
    Failed {
        errno: i32,
        what: String,
    },
    /// A comparison that failed: where, in words.
    Differs {
        what: String,
    },
    Counted(Io),
    Measured(Measurement),
    /// Mounts at the same time.
    Raced {
        mounted: u32,
        /// How many failed, by errno.
        refused: BTreeMap<i32, u32>,
    },
    /// Mounts with allocations that failed, by what came of them.
    Starved {
        mounted: u32,
        read_only: u32,
        /// How many failed, by errno.
        refused: BTreeMap<i32, u32>,
    },
}

/// Requests a disk was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Io {
    pub writes: u64,
    /// That it was to write.
    pub bytes: u64,
    pub flushes: u64,
}

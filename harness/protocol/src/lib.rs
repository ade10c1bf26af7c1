// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the harness and its guest say to each other.
//!
//! The harness writes one [`Program`] into the initramfs before the machine starts. The guest works it off alone and
//! answers with [`Event`]s, one [`frame`] a line, over a channel of its own. Nothing travels towards a running guest. What
//! the kernel says meanwhile both take for the same.

mod bench;
mod console_classifier;
mod event;
pub mod extents;
mod fault;
mod frame;
mod op;
mod op_info;
mod prng;
mod program;
mod types;

pub use bench::{BackgroundSample, BenchOp, Measurement, RestartCycle, RestartStrategy, Writer};
pub use console_classifier::{ConsoleIssue, SIGNS, Severity, classify};
pub use event::{Event, FS_CONTEXT, Io, LOST, Outcome, StepReport};
pub use fault::{CheckpointTamper, Fault, Field, MarkerReplacement, XattrLocation};
pub use frame::{FrameError, decode, encode};
pub use op::Op;
pub use prng::Prng;
pub use program::{
    Backing, Filesystem, GuestTask, NEXT_INITRAMFS_PATH, NEXT_KERNEL_PATH, PROGRAM_PATH, Program, SCRIPT_PATH, Shutdown,
};
pub use types::{AccessPath, DeviceStack, Disk, FileLocation, LayerSet, Mode, SnapshotScope};

// SPDX-License-Identifier: MIT OR Apache-2.0
//! The protocol between the harness on the host and the guest, which is PID 1 of a machine.
//!
//! - Host to guest: one [`Program`], a JSON file in the initramfs. The harness writes it before the
//!   machine boots.
//! - Guest to host: [`Event`]s, one per line, each with a checksum ([`encode`], [`decode`]). They
//!   use a device of their own, separate from the kernel console.
//!
//! The harness sends nothing to a running guest. The guest executes its program without any
//! decision about verdicts.
//!
//! The crate also contains what both sides must interpret identically: the checkpoint
//! ([`Checkpoint`]), the bytes that a seed produces ([`Prng`]), packed disk images ([`extents`]),
//! and the kernel messages that report a kernel failure ([`classify`]).
//!
//! Modules depend on each other in one direction: `types`, `prng` <- `checkpoint`, `fault`, `bench`
//! <- `op` <- `program`, `op_info`; and `bench` <- `event` <- `frame`. There is no I/O except on
//! readers and writers that the caller passes.

#![warn(missing_docs)]

mod bench;
mod checkpoint;
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
pub use checkpoint::{
    CHECKPOINT_XATTR, Checkpoint, CheckpointField, CheckpointLengthError, CheckpointTamper, XattrLocation,
};
pub use console_classifier::{ConsoleIssue, FAILURE_PATTERNS, Severity, classify};
pub use event::{Event, FS_CONTEXT_PREFIX, MESSAGES_LOST, Outcome, StepReport};
pub use fault::{Fault, MarkerReplacement};
pub use frame::{FrameError, decode, encode};
pub use op::Op;
pub use prng::Prng;
pub use program::{
    Backing, Filesystem, GuestTask, NEXT_INITRAMFS_PATH, NEXT_KERNEL_PATH, PROGRAM_PATH, Program, SCRIPT_PATH, Shutdown,
};
pub use types::{AccessPath, DeviceStack, Disk, FileLocation, IoCounts, LayerSet, Mode, SnapshotScope};

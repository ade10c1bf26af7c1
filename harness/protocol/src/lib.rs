// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the harness and its guest say to each other.
//!
//! The harness writes one [`Program`] into the initramfs before the machine starts. The guest works it off alone and
//! answers with [`Event`]s, one [`frame`] a line, over a channel of its own. Nothing travels towards a running guest. What
//! the kernel says meanwhile both take for the same.

mod about;
mod bench;
mod bytes;
mod console;
mod event;
pub mod extents;
mod frame;
mod harm;
mod op;
mod program;
mod term;

pub use bench::{BenchOp, Measured, Neighbour, Turn, Way, Whose};
pub use bytes::Bytes;
pub use console::{Class, SIGNS, Sign, classify};
pub use event::{Event, FS_CONTEXT, Io, LOST, Outcome, StepReport};
pub use frame::{FrameError, decode, encode};
pub use harm::{Elsewhere, Fault, Field, Forgery, Impostor};
pub use op::Op;
pub use program::{
    Backing, Filesystem, NEXT_INITRAMFS_PATH, NEXT_KERNEL_PATH, PROGRAM_PATH, Program, SCRIPT_PATH, Shutdown, Work,
};
pub use term::{Disk, Layers, Mode, Place, Scope, Stack, Via};

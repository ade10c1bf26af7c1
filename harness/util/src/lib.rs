// SPDX-License-Identifier: MIT OR Apache-2.0
//! Building blocks that know nothing of kernels or overlayfs.
//!
//! In: commands, paths, bytes. Out: their output, files written atomically, hashes, statistics, and events for whoever
//! shows progress ([`progress::set_listener`]).
//!
//! Entry points: [`command::run`] for a program of the host, [`process_group::Group`] for one that must not outlive this
//! process, [`atomic_file::AtomicFile`] for output files, [`append_log::AppendLog`] for logs that survive a crash.
//!
//! Invariants: nothing here prints, and no process that is started here outlives this process.

pub mod append_log;
pub mod atomic_file;
pub mod command;
pub mod hash;
mod io_error;
pub mod parallel;
pub mod process_group;
pub mod progress;
pub mod redact;
pub mod stats;
pub mod suggest;
pub mod toml_config;

pub use io_error::{IoError, io_error};

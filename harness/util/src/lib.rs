// SPDX-License-Identifier: MIT OR Apache-2.0
//! Building blocks that are independent of kernels and overlayfs.
//!
//! In: commands, paths, bytes. Out: output of commands, files that are written atomically, hashes,
//! statistics, and progress events for one listener ([`progress::set_listener`]).
//!
//! Entry points: [`command::run`] runs a program to its end, [`process_group::Group`] runs a
//! program that must not outlive this process, [`atomic_file::AtomicFile`] writes an output file,
//! [`append_log::AppendLog`] writes a log that survives a crash.
//!
//! Invariants: nothing here prints. No process that is started here outlives this process. Every
//! file that is written under a temporary name and then renamed is written by [`atomic_file`].

#![warn(missing_docs)]

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
pub mod toml_config;

pub use io_error::{IoError, io_error};

// SPDX-License-Identifier: MIT OR Apache-2.0
//! The matrix of bases and executors: its configuration and its jobs.

pub mod config;
mod jobs;

pub use jobs::*;

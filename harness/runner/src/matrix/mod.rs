// SPDX-License-Identifier: MIT OR Apache-2.0
//! Tests many bases with several executors, as `ci/matrix.toml` configures it.

pub mod config;
mod jobs;

pub use jobs::{Job, JobObserver, plan_jobs, run_jobs};

// SPDX-License-Identifier: MIT OR Apache-2.0
//! Benchmarks of restart cycles: what it costs to stop and start a container with each [restart
//! strategy](vremount_protocol::RestartStrategy).
//!
//! - [`plan`]: which machines measure what, and the [`script`] of operations of each. The guest executes it and decides
//!   nothing.
//! - [`measure`](measure()): runs the machines and collects the samples.
//! - [`record`]: every sample, with what is needed to repeat the measurement.
//! - [`BenchResults`]: a record with the [`ratios`] and [`thresholds`] that are derived from it.

mod answers;
pub mod axis;
mod measure;
pub mod plan;
pub mod ratio;
pub mod ratios;
pub mod record;
mod results;
mod scaling;
pub mod script;
mod size;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
pub mod thresholds;
pub mod workload;
mod workloads;

pub use axis::Axis;
pub use measure::{Bench, measure};
pub use record::Record;
pub use results::BenchResults;
pub use size::BenchSize;

/// The default configuration fragment of a benchmark. It enables the function graph tracer.
pub const FRAGMENT: &str = "bench";

/// The name of the results file in the directory of a run.
pub const FILE: &str = "bench.json";

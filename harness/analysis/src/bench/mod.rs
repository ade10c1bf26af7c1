// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a stop-start cycle costs, each way: a plan of what to compare, machines that measure it, a record of every
//! sample, and what the record comes to. A bench is a list of operations like a claim; the guest decides nothing.

mod measure;
pub mod plan;
pub mod ratios;
pub mod record;
pub mod scaling;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
pub mod thresholds;
pub mod workload;
mod workloads;

pub use measure::{Bench, measure};
pub use plan::BenchSize;
pub use ratios::axis_in_words;
pub use record::{FILE, Record};
pub use thresholds::in_words as goal_in_words;
pub use workload::Axis;

/// The configuration fragment: it has the tracer of the kernel.
pub const FRAGMENT: &str = "bench";

// SPDX-License-Identifier: MIT OR Apache-2.0
//! Operations that mount an overlay many times: in sequence, concurrently, with failing
//! allocations, and over forged checkpoints.

pub mod checkpoint_fuzz;
pub mod concurrent_mounts;
pub mod failing_allocations;
pub mod repeated_mounts;
mod tally;

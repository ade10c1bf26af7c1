// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a stop-start cycle costs, each way: a plan of what to compare, machines that measure it, a record of every
//! sample, and what the record comes to. A bench is a list of operations like a claim; the guest decides nothing.

mod docs;
mod figures;
mod goals;
mod growth;
mod measure;
mod plan;
mod plot;
mod record;
mod scene;
mod scenes;
mod table;

pub use docs::{PAGE, facts, write as write_docs};
pub use figures::axis_in_words;
pub use goals::in_words as goal_in_words;
pub use measure::{Bench, measure};
pub use plan::Effort;
pub use plot::{Line, lines, svg};
pub use record::{FILE, Record};
pub use scene::Axis;
pub use table::table;

/// The configuration fragment: it has the tracer of the kernel.
pub const FRAGMENT: &str = "bench";

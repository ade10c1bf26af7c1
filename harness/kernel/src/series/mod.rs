// SPDX-License-Identifier: MIT OR Apache-2.0
//! The series of a base: from a pristine tree and a level to a tree with the first patches of the
//! series.

mod added_lines;
mod dry_run;
mod error;
mod patch_series;
mod step;
#[cfg(test)]
mod tests;
mod work_tree;

pub use added_lines::AddedLine;
pub use dry_run::{ApplyCheck, PatchFailure};
pub use error::Error;
pub use patch_series::{COVER_LETTER, Series, list_patches};
pub use work_tree::{prepare_work_tree, remove_untracked};

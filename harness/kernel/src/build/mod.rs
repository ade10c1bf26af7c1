// SPDX-License-Identifier: MIT OR Apache-2.0
//! Builds a kernel image and one overlay module for each level from a tree and configuration
//! fragments.
//!
//! Levels 1 to 4 share an image, because only patch 1 changes more than overlayfs and
//! documentation. Level 0 has an image of its own.

mod arch;
mod build_dir;
mod config;
mod error;
mod kernel;
mod kernel_cache;
mod make;
mod plan;
mod stage_timer;
mod tree_key;

pub use arch::Arch;
pub use build_dir::BuildDir;
pub use config::{configure, fragments};
pub use error::Error;
pub use kernel::{Kernel, KernelSpec, MOST_MEMORY_MIB, Module};
pub use kernel_cache::{KernelCache, OBJECTS};
pub use make::Make;
pub use plan::{ROOM_MIB, kernel, kernel_timed, key, make_alone, series};
pub use stage_timer::{CONFIGURE, KEEP, KEY, MAKE, OVERLAY, SERIES, SOURCE, StageTimer};

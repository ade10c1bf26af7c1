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
pub use config::{config_fragments, configure};
pub use error::Error;
pub use kernel::{Kernel, KernelSpec, MAX_MEMORY_MIB, Module};
pub use kernel_cache::{KernelCache, OBJECTS_FOLDER};
pub use make::Make;
pub use plan::{BUILD_SPACE_MIB, build_kernel, build_kernel_timed, cache_key, read_series, rebuild_with_make};
pub use stage_timer::{
    STAGE_CACHE, STAGE_CONFIGURE, STAGE_KEY, STAGE_MAKE, STAGE_OVERLAY, STAGE_SERIES, STAGE_SOURCE, StageTimer,
};

// SPDX-License-Identifier: MIT OR Apache-2.0
//! Operations on mounts, files and markers.
//!
//! `paths` and `mount_table` are leaves, which all others use. `overlay`, `userns` and `mounts`
//! build on them, in this order.

pub mod file_handle;
pub mod file_io;
pub mod files;
pub mod fs_context;
pub mod ioctl;
pub mod marker;
pub mod mount_table;
pub mod mounts;
pub mod overlay;
pub mod paths;
pub mod simple_ops;
pub mod snapshot;
pub mod userns;

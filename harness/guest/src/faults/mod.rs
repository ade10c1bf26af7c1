// SPDX-License-Identifier: MIT OR Apache-2.0
//! Block devices of disks, and faults that device-mapper injects into them.

pub mod disk;
mod dm;
mod dm_table;
mod dm_thin;
mod loop_device;

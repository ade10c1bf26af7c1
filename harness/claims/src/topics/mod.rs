// SPDX-License-Identifier: MIT OR Apache-2.0
//! The claims, one module for each topic. [`crate::all`] combines them.

pub(crate) mod accepted;
pub(crate) mod faults;
pub(crate) mod features;
pub(crate) mod interfaces;
pub(crate) mod lifecycle;
pub(crate) mod races;
pub(crate) mod refused;
pub(crate) mod tampering;
pub(crate) mod writeback;

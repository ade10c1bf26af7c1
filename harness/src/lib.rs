// SPDX-License-Identifier: MIT OR Apache-2.0
//! Proves, claim by claim, when overlayfs may reuse a volatile upper.
//!
//! One pipeline, and a module for each of its stages:
//! base -> source -> series -> build -> image -> machine -> guest -> claim -> verdict -> report.

pub mod base;
pub mod build;
pub mod check;
pub mod claims;
pub mod commands;
pub mod error;
pub mod image;
pub mod lab;
pub mod machine;
mod process;
pub mod progress;
pub mod project;
pub mod prove;
pub mod reason;
mod repeat;
pub mod report;
pub mod results;
pub mod select;
pub mod series;
pub mod source;
mod together;
pub mod tool;
mod transcript;
pub mod verdict;
pub mod verify;

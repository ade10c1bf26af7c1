// SPDX-License-Identifier: MIT OR Apache-2.0
//! Proves, claim by claim, when overlayfs may reuse a volatile upper.
//!
//! One pipeline, and a module for each of its stages:
//! base -> source -> series -> build -> image -> machine -> guest -> claim -> verdict -> report.
//!
//! `bisect` drives it kernel by kernel; `bench` and `explore` send what they have to ask the same way; `model` foretells what claims
//! and explore must find.

mod arcs;
pub mod base;
pub mod bench;
pub mod bisect;
pub mod build;
pub mod check;
pub mod claims;
pub mod commands;
pub mod coverage;
pub mod digest;
pub mod error;
pub mod evidence;
pub mod explore;
pub mod findings;
pub mod fit;
pub mod host;
pub mod image;
mod jsonl;
pub mod lab;
pub mod lanes;
pub mod machine;
pub mod matrix;
pub mod model;
pub mod mutants;
pub mod pin;
mod process;
pub mod progress;
pub mod project;
pub mod prove;
pub mod reason;
mod repeat;
pub mod report;
pub mod reproduce;
pub mod results;
pub mod select;
pub mod series;
pub mod session;
pub mod shard;
pub mod source;
pub mod spread;
pub mod tables;
mod together;
pub mod tool;
pub mod transcript;
pub mod verdict;
pub mod verify;

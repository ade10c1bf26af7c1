// SPDX-License-Identifier: MIT OR Apache-2.0
//! Results for people and programs.
//!
//! In: results of runs, coverages, bisections and benchmarks ([`input`]). Out: text: console tables, JSON, JUnit, KTAP,
//! KCIDB, an HTML page, an SVG table, and the Markdown page of costs.
//!
//! Entry points: `case_line`, `filesystem_table`, `summary_table` and [`bench_table`] for the console, with or without
//! colours ([`Style`]); [`json`](json()), [`junit`](junit()), [`ktap`](ktap()) and [`kcidb`](kcidb()) for programs;
//! `html_page` for the HTML page; [`svg_table`](svg_table()) for an image; [`cost_page`] for the page of costs.
//!
//! Invariants: nothing here runs anything or prints. Each format of a run is made from the same
//! [`Results`](vremount_runner::results::Results) and has all planned cases, including those that did not finish.

#![warn(missing_docs)]

pub mod bench_table;
mod console;
pub mod cost_page;
mod cost_text;
mod error;
mod fs_table;
pub mod input;
mod json;
mod junit;
mod kcidb;
mod ktap;
mod page;
mod plot;
mod strategies;
mod style;
mod summary_table;
mod svg_table;
mod verdict_label;

pub use console::{case_line, missing_case_line};
pub use error::Error;
pub use fs_table::filesystem_table;
pub use json::{json, merged_json};
pub use junit::{junit, merged_junit};
pub use kcidb::kcidb;
pub use ktap::ktap;
pub use page::html_page;
pub use style::Style;
pub use summary_table::summary_table;
pub use svg_table::svg_table;

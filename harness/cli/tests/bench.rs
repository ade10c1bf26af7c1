// SPDX-License-Identifier: MIT OR Apache-2.0
//! `vremount bench` runs to the end. Times depend on the host, but counts of writes and flushes do
//! not.
#![allow(clippy::unwrap_used)]

mod common;

use std::fs;
use std::path::Path;

use common::{base, stderr, stdout, vremount};
use serde_json::Value;

fn read(path: &Path) -> Value {
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

#[test]
fn quick_bench_counts_writes_and_flushes() {
    let folder = tempfile::tempdir().unwrap();
    let json = folder.path().join("bench.json");
    let mut bench = vremount(["bench", "--base", &base().name, "--quick", "--rounds", "3", "--json"]);
    let output = bench.arg(&json).output().unwrap();
    let text = stdout(&output) + &stderr(&output);
    println!("{text}");
    // The host may be too busy to reach the thresholds for times.
    assert!(matches!(output.status.code(), Some(0 | 1)), "{text}");
    let record = read(&json);
    assert_eq!(record["warnings"], serde_json::json!([]));
    let goals = record["goals"].as_array().unwrap();
    let is_count = |goal: &&Value| {
        let name = goal["name"].as_str().unwrap();
        ["bytes", "flushes"].iter().any(|unit| name.starts_with(unit))
    };
    let counted: Vec<_> = goals.iter().filter(is_count).collect();
    assert!(!counted.is_empty());
    assert!(counted.iter().all(|goal| goal["met"] == true), "{counted:#?}");
    let report = vremount(["bench", "--from"]).arg(&json).output().unwrap();
    assert_eq!(stdout(&report), stdout(&output));
}

// SPDX-License-Identifier: MIT OR Apache-2.0
//! A bench goes through. What it measures is up to the machine; what it counts is not.
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
fn a_look_counts_what_reaches_the_disk() {
    let folder = tempfile::tempdir().unwrap();
    let json = folder.path().join("bench.json");
    let mut bench = vremount(["bench", "--base", &base().name, "--quick", "--rounds", "3", "--json"]);
    let output = bench.arg(&json).output().unwrap();
    let said = stdout(&output) + &stderr(&output);
    println!("{said}");
    // Whether times are as they should be is nothing that a test can tell.
    assert!(matches!(output.status.code(), Some(0 | 1)), "{said}");
    let record = read(&json);
    assert_eq!(record["warnings"], serde_json::json!([]));
    let goals = record["goals"].as_array().unwrap();
    let counted = |goal: &&Value| ["bytes", "flushes"].iter().any(|of| goal["name"].as_str().unwrap().starts_with(of));
    let counted: Vec<_> = goals.iter().filter(counted).collect();
    assert_eq!(counted.len(), 4);
    assert!(counted.iter().all(|goal| goal["met"] == true), "{counted:#?}");
    let again = vremount(["bench", "--from"]).arg(&json).output().unwrap();
    assert_eq!(stdout(&again), stdout(&output));
}

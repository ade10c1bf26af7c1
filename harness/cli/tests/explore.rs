// SPDX-License-Identifier: MIT OR Apache-2.0
//! `vremount explore`: kernel and model agree on generated sequences, and a kernel without the
//! whole series disagrees.
#![allow(clippy::unwrap_used)]

mod common;

use std::sync::{Mutex, PoisonError};

use common::{base, run_in_shell, script_lines, stderr, stdout, vremount};
use rstest::rstest;
use serde_json::Value;

/// Seed of the random sequences.
const SEED: &str = "20201127";

/// Serializes the tests, because each removes the results of the previous one.
static MACHINES: Mutex<()> = Mutex::new(());

/// Exit code and report of `vremount explore`.
fn explore(args: &[&str]) -> (Option<i32>, Value) {
    let folder = tempfile::tempdir().unwrap();
    let json = folder.path().join("report.json");
    let given = ["--base", &base().name, "--executor", "uml", "--seed", SEED, "--json"];
    let output = vremount(["explore"]).args(given).arg(&json).args(args).output().unwrap();
    println!("{}{}", stdout(&output), stderr(&output));
    (output.status.code(), serde_json::from_str(&std::fs::read_to_string(json).unwrap()).unwrap())
}

#[rstest]
#[case::ext4("ext4", 320)]
#[case::btrfs("btrfs", 64)]
#[case::xfs("xfs", 64)]
#[case::tmpfs("tmpfs", 64)]
fn kernel_and_model_agree_on_random_sequences(#[case] fs: &str, #[case] sequences: u64) {
    let _alone = MACHINES.lock().unwrap_or_else(PoisonError::into_inner);
    let (code, report) = explore(&["--fs", fs, "--every", "1", "--sequences", &sequences.to_string()]);
    assert_eq!(report["agree"], sequences);
    assert_eq!(report["seed"], SEED);
    assert_eq!(report["differences"], serde_json::json!([]));
    assert_eq!(code, Some(0));
}

/// A difference is shrunk, and it is found again by its number, by its transcript and by its
/// script.
#[rstest]
#[case::without_errseq("3", "writeback-error")]
#[case::without_reuse("0", "incompat")]
fn incomplete_series_differs_from_the_model(#[case] level: &str, #[case] reason: &str) {
    let _alone = MACHINES.lock().unwrap_or_else(PoisonError::into_inner);
    let (code, report) = explore(&["--level", level, "--every", "0", "--sequences", "160"]);
    assert_eq!(code, Some(1));
    let found = report["differences"].as_array().unwrap();
    assert!(!found.is_empty());
    let because = |found: &Value| found["because"].as_str().unwrap().to_string();
    assert!(found.iter().any(|found| because(found).contains(reason)), "{found:#?}");
    // Each sequence starts with seven fixed steps and ends with up to three.
    for found in found {
        assert!(found["steps"].as_array().unwrap().len() <= 16, "{found:#?}");
    }
    let smallest = &found[0];
    let transcript = smallest["transcript"].as_str().unwrap();
    let kept = std::fs::read(transcript).unwrap();
    let run = |args: &[&str]| {
        let output = vremount(args.iter().copied()).output().unwrap();
        println!("{}{}", stdout(&output), stderr(&output));
        output
    };
    // The printed command line finds the difference again.
    let printed = smallest["again"].as_str().unwrap();
    let words: Vec<_> = printed.split(' ').map(|word| word.trim_matches('\'')).collect();
    let replayed = run(&words[1..]);
    assert_eq!(replayed.status.code(), Some(1));
    assert!(stdout(&replayed).contains(&because(smallest)));
    let number = smallest["number"].to_string();
    let explore_args = ["explore", "--base", &base().name, "--executor", "uml", "--level"];
    let by_number = [&explore_args[..], &[level, "--seed", SEED, "--every", "0", "--case", &number]].concat();
    assert_eq!(run(&by_number).status.code(), Some(1));
    assert_eq!(std::fs::read(transcript).unwrap(), kept);
    // The same sequence agrees on the whole series.
    assert_eq!(run(&[&explore_args[..], &["4", "--replay", transcript]].concat()).status.code(), Some(0));
    // The script shows the same difference without vremount.
    let script = found.iter().find_map(|found| found["script"].as_str()).unwrap();
    let script = script_lines(&std::fs::read_to_string(script).unwrap(), "sh");
    assert!(run_in_shell(level, &script).contains("exit: 1"));
    assert!(run_in_shell("4", &script).contains("exit: 0"));
}

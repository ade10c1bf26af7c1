// SPDX-License-Identifier: MIT OR Apache-2.0
//! Kernel and model agree, on sequences that nobody thought of; a kernel without all of the series does not.
#![allow(clippy::unwrap_used)]

mod common;

use std::sync::{Mutex, PoisonError};

use common::{base, run, shell, stderr, stdout, vremount};
use rstest::rstest;
use serde_json::Value;

/// Of the random sequences.
const SEED: &str = "20201127";

/// One at a time: they clean their folder.
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
fn kernel_and_model_agree(#[case] fs: &str, #[case] sequences: u64) {
    let _alone = MACHINES.lock().unwrap_or_else(PoisonError::into_inner);
    let (code, report) = explore(&["--fs", fs, "--every", "1", "--sequences", &sequences.to_string()]);
    assert_eq!(report["agree"], sequences);
    assert_eq!(report["seed"], SEED);
    assert_eq!(report["differences"], serde_json::json!([]));
    assert_eq!(code, Some(0));
}

/// Exploration can fail: what is found is small, of the right kind, and found again, by its number and by its transcript.
#[rstest]
#[case::no_errseq("3", "writeback-error", "errseq")]
#[case::no_reuse("0", "incompat", "no reuse")]
fn a_kernel_without_all_of_the_series_differs(#[case] level: &str, #[case] word: &str, #[case] _why: &str) {
    let _alone = MACHINES.lock().unwrap_or_else(PoisonError::into_inner);
    let (code, report) = explore(&["--level", level, "--every", "0", "--sequences", "160"]);
    assert_eq!(code, Some(1));
    let found = report["differences"].as_array().unwrap();
    assert!(!found.is_empty());
    let because = |found: &Value| found["because"].as_str().unwrap().to_string();
    assert!(found.iter().any(|found| because(found).contains(word)), "{found:#?}");
    // The opening is seven steps, the closing up to three.
    for found in found {
        assert!(found["steps"].as_array().unwrap().len() <= 16, "{found:#?}");
    }
    let smallest = &found[0];
    let transcript = smallest["transcript"].as_str().unwrap();
    let kept = std::fs::read(transcript).unwrap();
    let again = |args: &[&str]| {
        let output = vremount(args.iter().copied()).output().unwrap();
        println!("{}{}", stdout(&output), stderr(&output));
        output
    };
    // As it was printed.
    let printed = smallest["again"].as_str().unwrap();
    let words: Vec<_> = printed.split(' ').map(|word| word.trim_matches('\'')).collect();
    let replayed = again(&words[1..]);
    assert_eq!(replayed.status.code(), Some(1));
    assert!(stdout(&replayed).contains(&because(smallest)));
    let number = smallest["number"].to_string();
    let on = ["explore", "--base", &base().name, "--executor", "uml", "--level"];
    let by_number = [&on[..], &[level, "--seed", SEED, "--every", "0", "--case", &number]].concat();
    assert_eq!(again(&by_number).status.code(), Some(1));
    assert_eq!(std::fs::read(transcript).unwrap(), kept);
    // The kernel is to blame, and nothing else.
    assert_eq!(again(&[&on[..], &["4", "--replay", transcript]].concat()).status.code(), Some(0));
    // People without this program see the same.
    let script = found.iter().find_map(|found| found["script"].as_str()).unwrap();
    let script = run(&std::fs::read_to_string(script).unwrap(), "sh");
    assert!(shell(level, &script).contains("exit: 1"));
    assert!(shell("4", &script).contains("exit: 0"));
}

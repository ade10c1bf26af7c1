// SPDX-License-Identifier: MIT OR Apache-2.0
//! Invalid command lines and inputs: the error message, the exit code, and files that must stay
//! unchanged.
#![allow(clippy::unwrap_used)]

mod common;

use std::fs;
use std::path::Path;

use assert_cmd::prelude::OutputAssertExt;
use common::{stdout, vremount};
use predicates::str::{contains, is_empty};
use rstest::rstest;

#[rstest]
#[case::no_command(&[], "Usage: vremount")]
#[case::unknown_command(&["prove"], "unrecognized subcommand 'prove'")]
#[case::level_too_high(&["kernel", "--level", "5"], "it is a number of patches, 0 to 4")]
#[case::level_not_a_number(&["verify", "--level", "all"], "it is a number of patches, 0 to 4")]
#[case::unknown_base_of_kernel(
    &["kernel", "--base", "2.4.0"],
    "failed to find base \"2.4.0\": ci/bases.toml has 5.10.13"
)]
#[case::unknown_base_of_verify(&["verify", "--base", ""], "failed to find base \"\"")]
#[case::unknown_base_of_shell(&["shell", "--base", "../.."], "failed to find base \"../..\"")]
#[case::unknown_claim(
    &["verify", "--claim", "resue"],
    "failed to find claim \"resue\": did you mean \"reuse\"? `vremount claims --names` lists all"
)]
#[case::unknown_filesystem(&["verify", "--fs", "ntfs"], "failed to find filesystem \"ntfs\": the filesystems are ext4")]
#[case::misspelled_filesystem(
    &["verify", "--fs", "brtfs"],
    "failed to find filesystem \"brtfs\": did you mean \"btrfs\"? "
)]
#[case::unknown_filesystem_of_a_shell(&["shell", "--fs", "ntfs"], "failed to find filesystem \"ntfs\"")]
#[case::unknown_tag(
    &["verify", "--tag", "accept"],
    "failed to find tag \"accept\": did you mean \"accepted\"? the tags are accepted, "
)]
#[case::unknown_fault(&["verify", "--fault", "water"], "failed to find fault \"water\": the faults are ")]
#[case::no_claim_passes(
    &["verify", "--claim", "reuse", "--fault", "data"],
    "each filter alone matches some; leave one out"
)]
#[case::no_claim_to_list(
    &["verify", "--list", "--tag", "accepted", "--fault", "flush"],
    "failed to find a claim that matches all filters: "
)]
#[case::list_with_report(&["verify", "--list", "--junit", "x"], "cannot be used with '--junit <FILE>'")]
#[case::list_with_page(&["matrix", "--list", "-o", "x"], "cannot be used with '--output <FILE>'")]
#[case::list_with_resume(&["verify", "--list", "--resume"], "cannot be used with '--resume'")]
#[case::report_without_directory(&["report"], "<PATH>")]
#[case::report_on_missing_directory(&["report", "/nowhere"], "failed to read /nowhere/results.jsonl")]
#[case::missing_transcript(&["transcript", "/nowhere"], "failed to find /nowhere: name a transcript")]
#[case::zero_jobs(&["verify", "--jobs", "0"], "0 is not in 1..")]
#[case::invalid_shard(&["verify", "--shard", "0/4"], "give K/N for part K of N")]
#[case::missing_tree(
    &["verify", "--tree", "/nowhere"],
    "failed to find a git work tree in /nowhere: it does not exist; use --"
)]
#[case::tree_outside_of_git(&["kernel", "--tree", "/"], "failed to find a git work tree in /: it is not in a git repo")]
#[case::missing_tree_of_a_bisection(
    &["bisect", "--tree", "/nowhere", "--good", "v1", "--bad", "v2"],
    "failed to find a git work tree in"
)]
#[case::missing_repository(
    &["verify", "--base", "git:/nowhere#v6"],
    "failed to find a git repository in \"/nowhere\": it does not"
)]
#[case::repository_without_name(&["kernel", "--base", "git:"], "failed to find a git repository in \"\": it does not")]
#[case::invalid_ref(
    &["kernel", "--base", "git:https://a.invalid/l.git#v6:v7"],
    "failed to find commit v6:v7 in https://a."
)]
#[case::missing_tarball(
    &["shell", "--base", "tarball:/nowhere.tar"],
    "failed to unpack \"/nowhere.tar\": it does not exist; "
)]
#[case::folder_as_tarball(
    &["kernel", "--base", "tarball:harness"],
    "failed to unpack \"harness\": it is not a file; use"
)]
#[case::invalid_hash_of_a_tarball(
    &["kernel", "--base", "tarball:https://a.invalid/l#50d1"],
    "failed to parse SHA-256 \"50d1\": it must"
)]
#[case::unknown_config(&["kernel", "--config", "nowhere"], "failed to find configuration fragment \"nowhere\": ")]
#[case::base_with_tree(&["verify", "--base", "5.10.13", "--tree", "."], "cannot be used with '--tree <PATH>'")]
#[case::unknown_base_of_matrix(&["matrix", "--base", "2.4.0"], "failed to find base \"2.4.0\"")]
#[case::matrix_without_jobs(&["matrix", "--list", "--executor", "auto"], "failed to find anything to check")]
#[case::merge_without_directory(&["report", "merge"], "<PATH>...")]
#[case::merge_missing_directory(&["report", "merge", "/nowhere"], "failed to read /nowhere/results.jsonl")]
#[case::unknown_base_to_pin(&["base", "pin", "2.4.0"], "failed to find base \"2.4.0\"")]
#[case::unknown_executor(&["verify", "--executor", "bochs"], "invalid value 'bochs'")]
#[case::bench_in_memory(&["bench", "--fs", "tmpfs"], "failed to measure on tmpfs: it is not on a disk")]
#[case::bench_with_zero_rounds(&["bench", "--rounds", "0"], "0 is not in 1..")]
#[case::bench_from_file_with_quick(&["bench", "--from", "x", "--quick"], "cannot be used with '--quick'")]
#[case::unknown_option_of_claims(&["claims", "--all"], "unexpected argument '--all'")]
#[case::reproduce_without_claim(&["reproduce"], "<CLAIM>...")]
#[case::reproduce_two_claims(&["reproduce", "reuse", "upper-moved"], "a script is for one claim on one filesystem")]
#[case::reproduce_unknown_claim(
    &["reproduce", "resue"],
    "failed to find claim \"resue\": did you mean \"reuse\"? `vremount reproduce --list` lists all"
)]
#[case::reproduce_claim_with_reboot(&["reproduce", "power-cut"], "the machine is restarted, which ends the script")]
#[case::reproduce_on_another_filesystem(
    &["reproduce", "power-cut", "--fs", "tmpfs"],
    "the claim does not apply to tmpfs: the filesystem is in memory"
)]
#[case::reproduce_xfstests(
    &["reproduce", "pool-full", "--fs", "ext2", "--xfstests"],
    "a scratch device is too large for"
)]
#[case::unknown_subcommand_of_cache(&["cache", "burn"], "unrecognized subcommand 'burn'")]
fn invalid_command_line_exits_with_2(#[case] args: &[&str], #[case] expected: &str) {
    vremount(args).assert().code(2).stderr(contains(expected)).stdout(is_empty());
}

/// `git bisect run` starts the command in the directory of the kernel.
#[test]
fn checkout_is_found_from_another_directory() {
    let elsewhere = tempfile::tempdir().unwrap();
    let mut command = vremount(["base", "list"]);
    command.current_dir(elsewhere.path()).assert().success().stdout(contains("5.10.13"));
}

#[rstest]
fn unwritable_report_is_refused_before_the_run(
    #[values("-o", "--json", "--junit", "--ktap", "--kcidb", "--svg")] format: &str,
    #[values(&["verify"], &["report", "/nowhere"])] command: &[&str],
) {
    let assert = vremount(command).args([format, "/nowhere/report"]).assert();
    assert.code(125).stderr(contains("failed to write /nowhere/report")).stdout(is_empty());
}

#[test]
fn earlier_report_is_kept_if_the_run_does_not_start() {
    let report = tempfile::NamedTempFile::new().unwrap();
    fs::write(report.path(), "the earlier report").unwrap();
    vremount(["verify", "--base", "2.4.0", "--json"]).arg(report.path()).assert().code(2);
    assert_eq!(fs::read_to_string(report.path()).unwrap(), "the earlier report");
}

#[rstest]
#[case::empty("", "it is empty: the run had not started", 125)]
#[case::torn("{\"schema\":1", "it is empty: the run had not started", 125)]
#[case::not_json("hello\n", "it has no results of vremount; name a directory below target/runs/", 2)]
fn invalid_result_log_is_not_reported_on(#[case] text: &str, #[case] expected: &str, #[case] code: i32) {
    let run = tempfile::tempdir().unwrap();
    fs::write(run.path().join("results.jsonl"), text).unwrap();
    let report = run.path().join("report");
    vremount(["report"]).arg(run.path()).arg("--ktap").arg(&report).assert().code(code).stderr(contains(expected));
    assert!(!report.exists());
}

#[test]
fn invalid_transcript_is_not_shown() {
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(file.path(), "{\"claim\":\"reuse\"}\n").unwrap();
    let assert = vremount(["transcript"]).arg(file.path()).assert();
    assert.code(2).stderr(contains("name a transcript, target/runs/RUN/CLAIM-FS.jsonl")).stdout(is_empty());
}

#[test]
fn cache_clean_removes_builds_and_with_all_everything() {
    let caches = tempfile::tempdir().unwrap();
    let cache = caches.path().join("vremount");
    for file in ["kernel/k/bzImage", "build/k/objects/vmlinux", "source/s/linux.tar"] {
        let path = cache.join(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, [1; 8192]).unwrap();
    }
    let run = |args: &[&str]| vremount(args).env("XDG_CACHE_HOME", caches.path()).assert().success();
    run(&["cache"]).stdout(contains("kernels and modules"));
    run(&["cache", "clean"]);
    assert_eq!(file_names(&cache), ["cache.lock", "kernel", "source"]);
    run(&["cache", "clean", "--all"]);
    assert_eq!(file_names(&cache), ["cache.lock"]);
}

/// Names of the entries of a directory, sorted.
fn file_names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap();
    let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn claims_lists_every_claim_with_its_steps() {
    let listed = stdout(&vremount(["claims"]).output().unwrap());
    for claim in vremount_claims::all() {
        assert!(listed.contains(&format!("{}: {}\n  \"{}\"", claim.name, claim.title, claim.sentence)));
        for step in &claim.steps {
            assert!(listed.contains(&format!("\n    {step}\n")));
        }
    }
}

#[test]
fn verify_lists_the_selected_cases_and_why_some_are_skipped() {
    let mut command = vremount(["verify", "--list", "--tag", "writeback", "--fs", "tmpfs", "--fs", "ext4"]);
    let listed = stdout(command.assert().success().get_output());
    let selected = vremount_claims::all().into_iter().filter(|claim| claim.topic == "writeback").count();
    assert_eq!(listed.lines().count(), 2 * selected);
    let words = |line: &str| line.split_whitespace().map(String::from).collect::<Vec<_>>();
    let line = |start: &str| words(listed.lines().find(|line| words(line).join(" ").starts_with(start)).unwrap());
    assert_eq!(line("error-unseen ext4"), ["error-unseen", "ext4", "writeback", "data", "4"]);
    assert!(line("error-unseen tmpfs")[5..].join(" ").starts_with("skipped: the filesystem is in memory"));
}

#[test]
fn closed_standard_output_prints_no_error() {
    let mut shell = std::process::Command::new("sh");
    shell.args(["-c", "{ sleep 0.1; \"$0\" claims; } | true"]).arg(env!("CARGO_BIN_EXE_vremount"));
    shell.assert().stderr(is_empty());
}

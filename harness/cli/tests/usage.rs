// SPDX-License-Identifier: MIT OR Apache-2.0
//! Bad input of every command: a clear error, the right exit code, and nothing is lost.
#![allow(clippy::unwrap_used)]

mod common;

use std::fs;

use common::{stderr, stdout, vremount};
use rstest::rstest;

#[rstest]
#[case::no_command(&[], "Usage: vremount")]
#[case::unknown_command(&["prove"], "unrecognized subcommand 'prove'")]
#[case::level_too_high(&["kernel", "--level", "5"], "it is a number of patches, 0 to 4")]
#[case::level_no_number(&["verify", "--level", "all"], "it is a number of patches, 0 to 4")]
#[case::kernel_base(&["kernel", "--base", "2.4.0"], "failed to find base \"2.4.0\": ci/bases.toml has 5.10.13")]
#[case::verify_base(&["verify", "--base", ""], "failed to find base \"\"")]
#[case::shell_base(&["shell", "--base", "../.."], "failed to find base \"../..\"")]
#[case::claim(&["verify", "--claim", "resue"], "failed to find claim \"resue\": `vremount claims --names` lists all")]
#[case::filesystem(&["verify", "--fs", "ntfs"], "failed to find filesystem \"ntfs\"; known are ext4")]
#[case::shell_filesystem(&["shell", "--fs", "ntfs"], "failed to find filesystem \"ntfs\"")]
#[case::tag(&["verify", "--tag", "accept"], "failed to find tag \"accept\": there is accepted, ")]
#[case::fault(&["verify", "--fault", "water"], "failed to find fault \"water\": there is ")]
#[case::nothing_left(&["verify", "--claim", "reuse", "--fault", "data"], "none is found by all of them; leave one out")]
#[case::nothing_to_list(&["verify", "--list", "--tag", "accepted", "--fault", "flush"], "failed to find a claim: ")]
#[case::list_is_no_run(&["verify", "--list", "--junit", "x"], "cannot be used with '--junit <FILE>'")]
#[case::list_is_no_page(&["matrix", "--list", "-o", "x"], "cannot be used with '--output <FILE>'")]
#[case::list_or_resume(&["verify", "--list", "--resume"], "cannot be used with '--resume'")]
#[case::report_on_nothing(&["report"], "<PATH>")]
#[case::report_on_nowhere(&["report", "/nowhere"], "failed to read /nowhere/results.jsonl")]
#[case::transcript_nowhere(&["transcript", "/nowhere"], "failed to find /nowhere: name a transcript")]
#[case::no_jobs(&["verify", "--jobs", "0"], "0 is not in 1..")]
#[case::no_shard(&["verify", "--shard", "0/4"], "it is K/N, part K of N")]
#[case::tree(&["verify", "--tree", "/nowhere"], "failed to find a git work tree in /nowhere: it does not exist; use --")]
#[case::tree_outside_of_git(&["kernel", "--tree", "/"], "failed to find a git work tree in /: it is not in a git repo")]
#[case::bisect_tree(&["bisect", "--tree", "/nowhere", "--good", "v1", "--bad", "v2"], "failed to find a git work tree in")]
#[case::repository(&["verify", "--base", "git:/nowhere#v6"], "failed to find a git repository in \"/nowhere\": it does not")]
#[case::repository_without_name(&["kernel", "--base", "git:"], "failed to find a git repository in \"\": it does not")]
#[case::no_ref(&["kernel", "--base", "git:https://a.invalid/l.git#v6:v7"], "failed to find commit v6:v7 in https://a.")]
#[case::tarball(&["shell", "--base", "tarball:/nowhere.tar"], "failed to unpack \"/nowhere.tar\": it does not exist; ")]
#[case::tarball_folder(&["kernel", "--base", "tarball:harness"], "failed to unpack \"harness\": it is not a file; use")]
#[case::tarball_hash(&["kernel", "--base", "tarball:https://a.invalid/l#50d1"], "failed to parse SHA-256 \"50d1\": it must")]
#[case::config(&["kernel", "--config", "nowhere"], "failed to find configuration fragment \"nowhere\": ")]
#[case::base_or_tree(&["verify", "--base", "5.10.13", "--tree", "."], "cannot be used with '--tree <PATH>'")]
#[case::matrix_base(&["matrix", "--base", "2.4.0"], "failed to find base \"2.4.0\"")]
#[case::matrix_without_lane(&["matrix", "--list", "--executor", "auto"], "failed to find anything to check")]
#[case::merge_nothing(&["report", "merge"], "<PATH>...")]
#[case::merge_nowhere(&["report", "merge", "/nowhere"], "failed to read /nowhere/results.jsonl")]
#[case::pin_base(&["base", "pin", "2.4.0"], "failed to find base \"2.4.0\"")]
#[case::executor(&["verify", "--executor", "bochs"], "invalid value 'bochs'")]
#[case::bench_in_memory(&["bench", "--fs", "tmpfs"], "failed to measure on tmpfs: it is not on a disk")]
#[case::bench_of_nothing(&["bench", "--rounds", "0"], "0 is not in 1..")]
#[case::bench_from_and_on(&["bench", "--from", "x", "--quick"], "cannot be used with '--quick'")]
#[case::claims(&["claims", "--all"], "unexpected argument '--all'")]
#[case::reproduce_nothing(&["reproduce"], "<CLAIM>...")]
#[case::reproduce_two(&["reproduce", "reuse", "upper-moved"], "a script is for one claim on one filesystem")]
#[case::reproduce_claim(&["reproduce", "resue"], "failed to find claim \"resue\": `vremount reproduce --list` lists all")]
#[case::reproduce_unfit(&["reproduce", "power-cut"], "the machine is restarted, which ends the script")]
#[case::reproduce_elsewhere(&["reproduce", "power-cut", "--fs", "tmpfs"], "the claim is skipped on tmpfs: the filesystem is in memory")]
#[case::reproduce_xfstests(&["reproduce", "pool-full", "--fs", "ext2", "--xfstests"], "a scratch device is too large for")]
#[case::cache(&["cache", "burn"], "unrecognized subcommand 'burn'")]
fn bad_usage_exits_with_2(#[case] args: &[&str], #[case] expected: &str) {
    let output = vremount(args.iter()).output().unwrap();
    assert!(stderr(&output).contains(expected), "{}", stderr(&output));
    assert_eq!(output.status.code(), Some(2));
    assert_eq!(stdout(&output), "");
}

/// As `git bisect run` would, from the folder of the kernel.
#[test]
fn the_checkout_is_found_from_elsewhere() {
    let elsewhere = tempfile::tempdir().unwrap();
    let output = vremount(["base", "list"]).current_dir(elsewhere.path()).output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    assert!(stdout(&output).contains("5.10.13"));
}

#[rstest]
fn a_report_that_cannot_be_written_is_said_before_the_work(
    #[values("-o", "--json", "--junit", "--ktap", "--kcidb")] format: &str,
    #[values(&["verify"], &["report", "/nowhere"])] command: &[&str],
) {
    let output = vremount(command).args([format, "/nowhere/report"]).output().unwrap();
    assert_eq!(output.status.code(), Some(125));
    assert!(stderr(&output).contains("failed to write /nowhere/report"), "{}", stderr(&output));
    assert_eq!(stdout(&output), "");
}

#[test]
fn an_earlier_report_survives_a_run_that_does_not_start() {
    let report = tempfile::NamedTempFile::new().unwrap();
    fs::write(report.path(), "the earlier report").unwrap();
    let args = ["verify", "--base", "2.4.0", "--json"];
    let output = vremount(args).arg(report.path()).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert_eq!(fs::read_to_string(report.path()).unwrap(), "the earlier report");
}

#[rstest]
#[case::empty("", "it is empty: the run had not started", 125)]
#[case::torn("{\"schema\":1", "it is empty: the run had not started", 125)]
#[case::something_else("hello\n", "it has no results of vremount; name a directory below target/runs/", 2)]
fn what_is_no_log_is_not_reported_on(#[case] text: &str, #[case] expected: &str, #[case] code: i32) {
    let run = tempfile::tempdir().unwrap();
    fs::write(run.path().join("results.jsonl"), text).unwrap();
    let report = run.path().join("report");
    let output = vremount(["report"]).arg(run.path()).arg("--ktap").arg(&report).output().unwrap();
    assert_eq!(output.status.code(), Some(code));
    assert!(stderr(&output).contains(expected), "{}", stderr(&output));
    assert!(!report.exists());
}

#[test]
fn what_is_no_transcript_is_not_shown() {
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(file.path(), "{\"claim\":\"reuse\"}\n").unwrap();
    let output = vremount(["transcript"]).arg(file.path()).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).ends_with("name a transcript, target/runs/RUN/CLAIM-FS.jsonl\n"), "{}", stderr(&output));
    assert_eq!(stdout(&output), "");
}

#[test]
fn the_cache_is_cleaned_as_asked() {
    let caches = tempfile::tempdir().unwrap();
    let make = |path: &&str| {
        let path = caches.path().join("vremount").join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, [1; 8192]).unwrap();
    };
    ["kernel/k/bzImage", "build/k/objects/vmlinux", "source/s/linux.tar"].iter().for_each(make);
    let run = |args: &[&str]| {
        let output = vremount(args.iter()).env("XDG_CACHE_HOME", caches.path()).output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
        stdout(&output)
    };
    assert!(run(&["cache"]).contains("kernels and modules"));
    let left = || {
        let entries = fs::read_dir(caches.path().join("vremount")).unwrap();
        let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name()).collect();
        names.sort();
        names
    };
    run(&["cache", "clean"]);
    assert_eq!(left(), ["cache.lock", "kernel", "source"]);
    run(&["cache", "clean", "--all"]);
    assert_eq!(left(), ["cache.lock"]);
}

#[test]
fn every_claim_is_listed_with_its_steps() {
    let output = vremount(["claims"]).output().unwrap();
    let listed = stdout(&output);
    for claim in vremount_claims::all() {
        assert!(listed.contains(&format!("{}: {}\n  \"{}\"", claim.name, claim.title, claim.sentence)));
        for step in &claim.steps {
            assert!(listed.contains(&format!("\n    {step}\n")));
        }
    }
}

#[test]
fn what_would_be_proved_is_listed_with_what_is_skipped() {
    let output =
        vremount(["verify", "--list", "--tag", "writeback", "--fs", "tmpfs", "--fs", "ext4"]).output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let listed = stdout(&output);
    let chosen: Vec<_> = vremount_claims::all().into_iter().filter(|claim| claim.topic == "writeback").collect();
    assert_eq!(listed.lines().count(), 2 * chosen.len());
    let words = |line: &str| line.split_whitespace().map(String::from).collect::<Vec<_>>();
    let line = |start: &str| words(listed.lines().find(|line| words(line).join(" ").starts_with(start)).unwrap());
    assert_eq!(line("error-unseen ext4"), ["error-unseen", "ext4", "writeback", "data", "4"]);
    assert_eq!(line("error-unseen tmpfs")[5..8], ["skipped:", "the", "filesystem"]);
}

#[test]
fn a_reader_that_goes_away_is_no_crash() {
    let output = std::process::Command::new("sh")
        .args(["-c", "{ sleep 0.1; \"$0\" claims; } | true"])
        .arg(env!("CARGO_BIN_EXE_vremount"))
        .output()
        .unwrap();
    assert_eq!(stderr(&output), "");
}

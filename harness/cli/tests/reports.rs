// SPDX-License-Identifier: MIT OR Apache-2.0
//! Reports of real runs: complete, interrupted and resumed ones.
#![allow(clippy::unwrap_used)]

mod common;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::{Mutex, PoisonError};
use std::thread::sleep;
use std::time::{Duration, Instant};

use common::{checkout, stderr, stdout, vremount};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use rstest::rstest;
use serde_json::{Value, json};

const FORMATS: [&str; 6] = ["json", "junit", "ktap", "kcidb", "output", "svg"];

/// Serializes the tests, because their runs have one log directory.
static RUNS: Mutex<()> = Mutex::new(());

fn run_folder(level: u8) -> PathBuf {
    checkout().join(format!("target/runs/5.10.13-level{level}-um"))
}

/// Command `vremount verify` under User Mode Linux, not started.
fn verify(args: &[&str]) -> Command {
    let mut command = vremount(["verify", "--executor", "uml"]);
    command.args(args);
    command
}

/// Runs a command that writes a report in each format, and returns the reports.
fn run_with_reports(command: &mut Command) -> (Output, [String; 6]) {
    let files = tempfile::tempdir().unwrap();
    for format in FORMATS {
        command.arg(format!("--{format}")).arg(files.path().join(format));
    }
    let output = command.output().unwrap();
    println!("{}{}", stdout(&output), stderr(&output));
    (output, FORMATS.map(|format| fs::read_to_string(files.path().join(format)).unwrap()))
}

fn parse_json(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

#[test]
fn report_repeats_the_reports_of_the_run_in_every_format() {
    let _alone = RUNS.lock().unwrap_or_else(PoisonError::into_inner);
    let (output, reports) =
        run_with_reports(&mut verify(&["--fs", "ext4", "--claim", "reuse", "--claim", "error-unseen"]));
    assert_eq!(output.status.code(), Some(0));
    let [json, junit, ktap, kcidb, page, svg] = &reports;
    assert!(svg.contains(">error-unseen</text>"), "{svg}");
    assert_eq!(parse_json(json)["missing"], json!([]));
    assert_eq!(parse_json(json)["starts"][0]["command"][1], "verify");
    assert!(junit.contains("at level 4, uml\" tests=\"2\" skipped=\"0\" failures=\"0\" errors=\"0\">"), "{junit}");
    let expected = "\
KTAP version 1
# Linux 5.10.13, series be4df0cea at level 4, uml
1..2
  KTAP version 1
  # Subtest: reuse
  1..1
  ok 1 ext4
ok 1 reuse
  KTAP version 1
  # Subtest: error-unseen
  1..1
  ok 1 ext4
ok 2 error-unseen
";
    assert_eq!(ktap, expected);
    assert_eq!(parse_json(kcidb)["tests"][1]["misc"]["observed"], "refused EINVAL writeback-error");
    let refused = "<i>    | overlayfs: volatile reuse refused: writeback-error: ";
    assert!(
        page.contains("2 hold, 0 broken") && page.contains(refused) && page.contains("init as init process"),
        "{page}"
    );
    let (output, repeated) = run_with_reports(vremount(["report"]).arg(run_folder(4)));
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(repeated, reports);
}

#[rstest]
#[case::broken(0, "reuse", &[], 1, "FAIL", "not ok 1 ext4\n", "<failure ")]
#[case::cannot_tell(
    4,
    "error-unseen",
    &["--no-faults"],
    125,
    "ERROR",
    "not ok 1 ext4 # ERROR cannot tell\n",
    "<error "
)]
#[case::skipped(
    4,
    "error-unseen",
    &["--fs", "tmpfs"],
    0,
    "SKIP",
    "ok 1 tmpfs # SKIP the filesystem is in memory",
    "<skipped "
)]
fn verdicts_other_than_holds_have_their_own_status(
    #[case] level: u8,
    #[case] claim: &str,
    #[case] more: &[&str],
    #[case] exit: i32,
    #[case] status: &str,
    #[case] in_ktap: &str,
    #[case] in_junit: &str,
) {
    let _alone = RUNS.lock().unwrap_or_else(PoisonError::into_inner);
    let fs: &[&str] = if more.contains(&"--fs") { &[] } else { &["--fs", "ext4"] };
    let level = level.to_string();
    let (output, [_, junit, ktap, kcidb, _, _]) =
        run_with_reports(verify(&["--level", &level, "--claim", claim]).args(fs).args(more));
    assert_eq!(output.status.code(), Some(exit));
    assert_eq!(parse_json(&kcidb)["tests"][0]["status"], status);
    assert!(ktap.contains(in_ktap), "{ktap}");
    assert!(junit.contains(in_junit), "{junit}");
}

#[test]
fn transcript_has_the_claim_every_step_and_the_verdict() {
    let _alone = RUNS.lock().unwrap_or_else(PoisonError::into_inner);
    let output = verify(&["--fs", "ext4", "--claim", "power-cut"]).output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let text = fs::read_to_string(run_folder(4).join("power-cut-ext4.jsonl")).unwrap();
    let lines: Vec<Value> = text.lines().map(parse_json).collect();
    let [first, steps @ .., last] = lines.as_slice() else { panic!("{text}") };
    assert_eq!([&first["claim"], &first["base"], &first["level"]], [&json!("power-cut"), &json!("5.10.13"), &json!(4)]);
    let claims = vremount_claims::all();
    let claim = claims.iter().find(|claim| claim.name == "power-cut").unwrap();
    assert_eq!(steps.len(), claim.steps.len());
    assert_eq!(steps.iter().filter(|step| step["kind"] == "host").count(), 1);
    let refused = steps.iter().find(|step| step["outcome"] == json!({"refused": {"errno": 22}})).unwrap();
    assert_eq!([&refused["kind"], &refused["expected"]], ["claim", "refused EINVAL other-boot"]);
    assert_eq!(last, &json!({"verdict": "holds", "because": null}));
}

/// Starts a run and kills it with a signal as soon as its log has a number of cases.
fn interrupt(args: &[&str], cases: usize, signal: Signal) {
    let log = run_folder(4).join("results.jsonl");
    let _ = fs::remove_file(&log);
    // A shell starts background jobs with SIGINT ignored, and this test and its children would
    // inherit that.
    let command = verify(args);
    let mut run = Command::new("env");
    run.arg("--default-signal=INT").arg(command.get_program()).args(command.get_args()).current_dir(checkout());
    let mut run = run.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let deadline = Instant::now() + Duration::from_secs(120);
    // The first two lines are the plan and the invocation.
    while fs::read_to_string(&log).unwrap_or_default().matches('\n').count() < 2 + cases {
        assert!(
            Instant::now() < deadline && run.try_wait().unwrap().is_none(),
            "the run ended before it could be interrupted"
        );
        sleep(Duration::from_millis(2));
    }
    kill(Pid::from_raw(run.id().try_into().unwrap()), signal).unwrap();
    assert_eq!(run.wait().unwrap().code(), None);
}

/// Modification time of the transcript of each case.
fn transcript_times(cases: &[Value]) -> Vec<std::time::SystemTime> {
    let time = |case: &Value| fs::metadata(Path::new(case["log"].as_str().unwrap())).unwrap().modified().unwrap();
    cases.iter().map(time).collect()
}

#[rstest]
fn interrupted_run_keeps_its_results_and_is_resumed(#[values(Signal::SIGKILL, Signal::SIGINT)] signal: Signal) {
    let _alone = RUNS.lock().unwrap_or_else(PoisonError::into_inner);
    let args = ["--fs", "ext4", "--fs", "tmpfs", "--tag", "accepted", "--tag", "refused"];
    interrupt(&args, 5, signal);
    let log = run_folder(4).join("results.jsonl");
    let torn = [fs::read(&log).unwrap(), b"{\"claim\":\"reu".to_vec()].concat();
    fs::write(&log, &torn).unwrap();

    let (output, [json, junit, ktap, kcidb, page, _]) = run_with_reports(vremount(["report"]).arg(run_folder(4)));
    assert_eq!(output.status.code(), Some(125));
    assert!(stderr(&output).contains("the last line of results.jsonl is incomplete"), "{}", stderr(&output));
    let partial = parse_json(&json);
    let (done, missing) = (partial["verdicts"].as_array().unwrap(), partial["missing"].as_array().unwrap().len());
    assert!(done.len() >= 5 && missing > 0);
    let tests = parse_json(&kcidb)["tests"].as_array().unwrap().clone();
    assert_eq!(tests.len(), done.len() + missing);
    assert_eq!(tests.iter().filter(|test| test["status"] == "MISS").count(), missing);
    assert_eq!(ktap.matches(" # ERROR missing\n").count(), missing);
    assert_eq!(junit.matches("type=\"missing\"").count(), missing);
    assert_eq!(page.matches("<td class=\"missing\" data-fs=").count(), missing);

    for other in [&["--no-faults"][..], &["--claim", "reuse"]] {
        let output = verify(&args).arg("--resume").args(other).output().unwrap();
        assert_eq!(output.status.code(), Some(2));
        assert!(stderr(&output).contains("; run it without --resume"), "{}", stderr(&output));
        assert_eq!(fs::read(&log).unwrap(), torn);
    }

    let before = transcript_times(done);
    let (output, [json, ..]) = run_with_reports(verify(&args).arg("--resume"));
    assert_eq!(output.status.code(), Some(0));
    let all = parse_json(&json);
    assert_eq!(all["missing"], json!([]));
    assert_eq!(all["verdicts"].as_array().unwrap().len(), tests.len());
    assert_eq!(transcript_times(done), before);
    let whole = fs::read_to_string(&log).unwrap();
    assert!(whole.as_bytes().starts_with(&torn[..torn.len() - "{\"claim\":\"reu".len()]));
    let (cases, others): (Vec<_>, Vec<_>) = whole.lines().map(parse_json).partition(|line| line.get("claim").is_some());
    // The plan, the first invocation, and the one that resumed.
    assert_eq!((cases.len(), others.len()), (tests.len(), 3));

    let output = verify(&args).arg("--resume").output().unwrap();
    assert!(
        stdout(&output).contains(&format!("resumed: {0} of {0} cases are complete", tests.len())),
        "{}",
        stdout(&output)
    );
    assert_eq!(fs::read_to_string(&log).unwrap(), whole);
}

#[test]
fn resume_without_an_earlier_run_is_refused() {
    let _alone = RUNS.lock().unwrap_or_else(PoisonError::into_inner);
    let _ = fs::remove_dir_all(run_folder(4));
    let output = verify(&["--fs", "ext4", "--claim", "reuse", "--resume"]).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("failed to resume: there is no run in"), "{}", stderr(&output));
}

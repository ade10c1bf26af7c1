// SPDX-License-Identifier: MIT OR Apache-2.0
//! Every claim against every level of the series: it holds from its own level on and is broken below. A claim that holds
//! without its patch proves nothing.
#![allow(clippy::unwrap_used)]

mod common;

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use common::{stderr, stdout, vremount};
use rstest::rstest;
use serde_json::Value;
use vremount::claims::{self, Claim};

/// A claim that sleeps takes its time under QEMU: those are left to User Mode Linux.
fn proved_on(executor: &str) -> Vec<Claim> {
    let awake = |claim: &Claim| executor == "uml" || claim.sleeps().is_zero();
    claims::all().into_iter().filter(awake).collect()
}

/// `vremount verify` of those.
fn verify_on(executor: &str, args: &[&str]) -> (Option<i32>, Value) {
    let claims = proved_on(executor);
    let names = claims.iter().flat_map(|claim| ["--claim", claim.name]);
    let args: Vec<_> = ["--executor", executor].into_iter().chain(names).chain(args.iter().copied()).collect();
    verify(&args)
}

/// One at a time: each takes all cores.
static MACHINES: Mutex<()> = Mutex::new(());

/// Exit code and report of `vremount verify`.
fn verify(args: &[&str]) -> (Option<i32>, Value) {
    let _alone = MACHINES.lock().unwrap_or_else(PoisonError::into_inner);
    let folder = tempfile::tempdir().unwrap();
    let json = folder.path().join("report.json");
    let output = vremount(["verify"]).args(args).arg("--json").arg(&json).output().unwrap();
    println!("{}{}", stdout(&output), stderr(&output));
    (output.status.code(), serde_json::from_str(&std::fs::read_to_string(json).unwrap()).unwrap())
}

fn verdicts(report: &Value) -> BTreeMap<&str, &str> {
    let entries = report["verdicts"].as_array().unwrap();
    entries.iter().map(|entry| (entry["claim"].as_str().unwrap(), entry["verdict"].as_str().unwrap())).collect()
}

#[rstest]
#[case::pristine(0, 1)]
#[case::identity_only(1, 1)]
#[case::documented(2, 1)]
#[case::reuse_without_errseq(3, 1)]
#[case::all_of_it(4, 0)]
fn a_claim_holds_from_its_level_on_and_is_broken_below(
    #[case] level: u8,
    #[case] exit: i32,
    #[values("uml", "qemu")] executor: &str,
) {
    let (code, report) = verify_on(executor, &["--level", &level.to_string()]);
    let expected: BTreeMap<_, _> = proved_on(executor)
        .iter()
        .map(|claim| (claim.name, if claim.since <= level { "holds" } else { "broken" }))
        .collect();
    assert_eq!(verdicts(&report), expected);
    assert_eq!(code, Some(exit));
}

/// The claims that nothing but patch 4 makes hold.
#[test]
fn the_fourth_patch_is_about_writeback_errors() {
    let fourth = claims::all().into_iter().filter(|claim| claim.since == 4);
    assert!(fourth.map(|claim| claim.name).eq([
        "error-while-mounted",
        "error-after-unmount",
        "error-unseen",
        "error-in-the-background",
        "error-seen-by-another",
        "error-is-permanent",
        "error-everywhere",
        "error-before-first-mount",
    ]));
}

/// What was possible before the series still is.
#[test]
fn what_held_before_the_series_is_known() {
    let always = claims::all().into_iter().filter(|claim| claim.since == 0);
    assert!(always.map(|claim| claim.name).eq([
        "durable-then-volatile",
        "durable-then-durable",
        "fresh-upper",
        "syncfs-and-remove-marker",
    ]));
}

/// Another executor, and all else is the same: outcomes, errnos and reasons too.
#[test]
fn executors_agree() {
    let [uml, qemu] = ["uml", "qemu"].map(|executor| {
        let (_, report) = verify_on(executor, &[]);
        let awake: Vec<_> = proved_on("qemu").iter().map(|claim| Value::from(claim.name)).collect();
        let entries = report["verdicts"].as_array().unwrap().clone();
        let entries = entries.into_iter().filter(|entry| awake.contains(&entry["claim"]));
        let told = ["claim", "fs", "verdict", "expected", "observed", "because"];
        entries.map(|entry| told.map(|key| entry[key].clone())).collect::<Vec<_>>()
    });
    assert_eq!(uml, qemu);
}

#[test]
fn under_time_travel_every_claim_repeats_byte_for_byte() {
    let (code, report) = verify(&["--executor", "uml", "--twice"]);
    assert!(verdicts(&report).values().all(|verdict| *verdict == "holds"));
    assert_eq!(code, Some(0));
}

/// Under emulation claims share machines; on machines of their own they come out the same.
#[test]
fn a_machine_of_its_own_changes_nothing() {
    let (code, report) = verify_on("qemu", &["--fresh"]);
    assert!(verdicts(&report).values().all(|verdict| *verdict == "holds"));
    assert_eq!(code, Some(0));
}

#[test]
fn the_time_of_the_host_does_not_repeat() {
    let output = vremount(["verify", "--executor", "qemu", "--twice"]).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("failed to compare two runs under qemu"), "{}", stderr(&output));
}

/// With nothing broken, a claim about a fault has no evidence.
#[rstest]
fn without_faults_nobody_can_tell(#[values("uml", "qemu")] executor: &str) {
    let (code, report) = verify_on(executor, &["--no-faults"]);
    let expected: BTreeMap<_, _> = proved_on(executor)
        .iter()
        .map(|claim| (claim.name, if claim.has_fault() { "cannot-tell" } else { "holds" }))
        .collect();
    assert!(expected.values().any(|verdict| *verdict == "cannot-tell"));
    assert_eq!(verdicts(&report), expected);
    assert_eq!(code, Some(125));
}

#[rstest]
fn the_report_for_programs_says_what_was_proved_on_what(#[values("uml", "qemu")] executor: &str) {
    let (_, report) = verify(&["--claim", "error-unseen", "--fs", "ext4", "--executor", executor]);
    assert_eq!(report["schema"], 1);
    assert_eq!(report["base"], "5.10.13");
    assert_eq!(report["series"], "be4df0cea");
    assert_eq!(report["level"], 4);
    assert_eq!(report["executor"], executor);
    let accels = if executor == "uml" { vec![Value::Null] } else { vec!["kvm".into(), "tcg".into()] };
    assert!(accels.contains(&report["accel"]));
    assert!(report["boot_ms"].as_u64().unwrap() > 0);
    let verdict = &report["verdicts"][0];
    assert_eq!(verdict["claim"], "error-unseen");
    assert_eq!(verdict["fs"], "ext4");
    assert_eq!(verdict["verdict"], "holds");
    let refused = serde_json::json!({"outcome": "refused", "errno": "EINVAL", "reason": "writeback-error"});
    assert_eq!(verdict["expected"], refused);
    assert_eq!(verdict["observed"], refused);
    assert!(verdict["ms"].as_u64().unwrap() > 0);
    for phase in ["exec", "boot", "module", "devices", "filesystem", "steps", "stop"] {
        assert!(verdict["phases_us"][phase].as_u64().unwrap() > 0);
    }
    let log = std::fs::read_to_string(verdict["log"].as_str().unwrap()).unwrap();
    assert!(log.contains("volatile reuse refused: writeback-error"), "{log}");
}

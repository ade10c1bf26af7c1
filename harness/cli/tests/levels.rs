// SPDX-License-Identifier: MIT OR Apache-2.0
//! Every claim on every level of the series: it holds from its own level on and is broken below. A
//! claim that also holds without its patch would prove nothing about it.
#![allow(clippy::unwrap_used)]

mod common;

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use common::{base, stderr, stdout, vremount};
use rstest::rstest;
use serde_json::Value;
use vremount_claims as claims;
use vremount_claims::model::Prediction;
use vremount_claims::verdict::ObservedOutcome;
use vremount_claims::{Claim, Step, model};
use vremount_kernel::base::Level;
use vremount_kernel::build::Arch;
use vremount_machine::image::Fs;
use vremount_protocol::Op;

/// Claims that are proved on an executor. Claims that sleep run only under User Mode Linux, whose
/// virtual time skips the sleeps.
fn claims_for(executor: &str) -> Vec<Claim> {
    let is_fast = |claim: &Claim| executor == "uml" || claim.sleep_time().is_zero();
    claims::for_base(&base()).into_iter().filter(is_fast).collect()
}

/// Filesystems that claims are proved on: all under User Mode Linux, and the most common one under
/// QEMU.
fn filesystems(executor: &str) -> &'static [Fs] {
    if executor == "uml" { &Fs::ALL } else { &[Fs::Ext4] }
}

/// Runs `vremount verify` with the claims and filesystems of an executor.
fn verify_on(executor: &str, args: &[&str]) -> (Option<i32>, Value) {
    let claims = claims_for(executor);
    let names = claims.iter().flat_map(|claim| ["--claim", claim.name]);
    let filesystems = filesystems(executor).iter().flat_map(|fs| ["--fs", fs.name()]);
    let args: Vec<_> =
        ["--executor", executor].into_iter().chain(names).chain(filesystems).chain(args.iter().copied()).collect();
    verify(&args)
}

/// Serializes the runs, because each uses all cores.
static MACHINES: Mutex<()> = Mutex::new(());

/// Runs `vremount verify` and returns its exit code and JSON report.
fn verify(args: &[&str]) -> (Option<i32>, Value) {
    let _alone = MACHINES.lock().unwrap_or_else(PoisonError::into_inner);
    let folder = tempfile::tempdir().unwrap();
    let json = folder.path().join("report.json");
    let output = vremount(["verify", "--base", &base().name]).args(args).arg("--json").arg(&json).output().unwrap();
    println!("{}{}", stdout(&output), stderr(&output));
    (output.status.code(), serde_json::from_str(&std::fs::read_to_string(json).unwrap()).unwrap())
}

/// Verdict of each case, by claim and filesystem.
type Verdicts = BTreeMap<(String, String), String>;

fn verdicts(report: &Value) -> Verdicts {
    let text = |entry: &Value, key: &str| entry[key].as_str().unwrap().to_string();
    let entries = report["verdicts"].as_array().unwrap();
    entries.iter().map(|entry| ((text(entry, "claim"), text(entry, "fs")), text(entry, "verdict"))).collect()
}

/// Expected verdicts on an executor, given the verdict of each claim that is not skipped.
fn expected_verdicts(executor: &str, verdict: impl Fn(&Claim) -> &'static str) -> Verdicts {
    let mut verdicts = Verdicts::new();
    let arch = if executor == "uml" { Arch::Um } else { Arch::X86_64 };
    for claim in claims_for(executor) {
        for fs in filesystems(executor) {
            let skipped = claim.skip_reason_on(*fs).or(claim.skip_reason_for_arch(arch)).is_some();
            let verdict = if skipped { "skipped" } else { verdict(&claim) };
            verdicts.insert((claim.name.to_string(), fs.name().to_string()), verdict.to_string());
        }
    }
    verdicts
}

/// Asserts equal verdicts; the failure shows only the differences.
fn assert_same(observed: &Verdicts, expected: &Verdicts) {
    let differences = expected.iter().filter(|(case, verdict)| observed.get(*case) != Some(*verdict));
    let differences: Vec<_> = differences.map(|(case, verdict)| (case, verdict, observed.get(case))).collect();
    assert!(differences.is_empty(), "case, expected, observed: {differences:#?}");
    assert_eq!(observed.len(), expected.len());
}

/// Asserts that the model predicts the step and the outcome of every broken claim.
fn assert_broken_as_predicted(report: &Value, level: u8) {
    let (claims, level): (_, Level) = (claims::for_base(&base()), level.to_string().parse().unwrap());
    let mut compared = 0;
    let verdicts = report["verdicts"].as_array().unwrap();
    let broken: Vec<_> = verdicts.iter().filter(|entry| entry["verdict"] == "broken").collect();
    for entry in &broken {
        let claim = claims.iter().find(|claim| entry["claim"] == claim.name).unwrap();
        let fs = Fs::ALL.into_iter().find(|fs| entry["fs"] == fs.name()).unwrap();
        let Ok(prediction) = model::predict(&base(), claim, fs, level) else { continue };
        let Prediction { step, expectation: want, .. } = prediction.unwrap();
        let op = step.op().unwrap();
        let because = entry["because"].as_str().unwrap();
        assert!(because.starts_with(&format!("{}: ", claims::describe(op))), "{} at {step}: {because}", claim.name);
        // Other operations report a summary of many mounts.
        if let Op::MountOverlay { .. } = op {
            let predicted = serde_json::to_value(ObservedOutcome::from_expectation(want)).unwrap();
            assert_eq!(entry["observed"], predicted, "{} on {}: {because}", claim.name, fs.name());
        }
        compared += 1;
    }
    println!("{compared} of {} claims at level {level} are broken as predicted", broken.len());
    assert!(compared * 10 >= broken.len() * 7, "the model predicts too few of the claims");
}

/// Levels 1 and 2 do not change the result of any mount, so QEMU does not run them.
#[rstest]
#[case::pristine(0, 1, "uml")]
#[case::instance_ids(1, 1, "uml")]
#[case::documentation(2, 1, "uml")]
#[case::reuse_without_errseq(3, 1, "uml")]
#[case::whole_series(4, 0, "uml")]
#[case::pristine_on_qemu(0, 1, "qemu")]
#[case::reuse_without_errseq_on_qemu(3, 1, "qemu")]
#[case::whole_series_on_qemu(4, 0, "qemu")]
fn claim_holds_from_its_level_on_and_is_broken_below(#[case] level: u8, #[case] exit: i32, #[case] executor: &str) {
    let (code, report) = verify_on(executor, &["--level", &level.to_string()]);
    let holds = |claim: &Claim| if claim.min_level <= level { "holds" } else { "broken" };
    assert_same(&verdicts(&report), &expected_verdicts(executor, holds));
    assert_broken_as_predicted(&report, level);
    assert_eq!(code, Some(exit));
}

fn claims_since(level: u8) -> Vec<&'static str> {
    claims::all().into_iter().filter(|claim| claim.min_level == level).map(|claim| claim.name).collect()
}

#[test]
fn claims_of_patch_4_are_about_writeback_errors() {
    assert_eq!(
        claims_since(4),
        [
            "error-refuses-all-overlays",
            "fsopen-is-told-of-errors",
            "changed-errseq",
            "error-while-mounts-race",
            "error-during-reuse",
            "error-during-first-mount",
            "error-while-mounted",
            "error-after-unmount",
            "error-unseen",
            "error-in-the-background",
            "error-seen-by-another",
            "error-is-permanent",
            "error-overridden",
            "error-everywhere",
            "error-before-first-mount",
            "error-is-told-by-sync-after-reuse",
            "writes-fail-for-long",
            "errors-before-and-after",
            "no-space-below",
            "no-space-below-a-quiet-journal",
            "pool-full",
            "direct-write-error",
            "metadata-error"
        ]
    );
}

#[test]
fn claims_that_hold_without_the_series_are_listed() {
    assert_eq!(
        claims_since(0),
        [
            "durable-then-volatile",
            "durable-then-durable",
            "fresh-upper",
            "syncfs-and-remove-marker",
            "upper-and-work-on-two-mounts",
            "overlay-as-upper",
            "volatile-without-upper",
            "second-mount-with-index",
            "marker-lost-to-a-power-cut",
            "marker-in-upper-case",
            "no-feature",
            "other-feature",
            "error-before-durable-mount",
            "syncfs-that-succeeds-is-not-enough",
            "error-is-told-by-sync",
            "no-space-below-a-journal",
            "no-space-below-btrfs"
        ]
    );
    assert!(claims_since(1).is_empty() && claims_since(2).is_empty(), "patches 1 and 2 change nothing by themselves");
}

/// Verdicts, outcomes, errnos and reasons do not depend on the executor.
#[test]
fn executors_agree_on_every_claim_that_both_prove() {
    let both = claims_for("qemu").into_iter().filter(|claim| claim.skip_reason_for_arch(Arch::Um).is_none());
    let names: Vec<_> = both.flat_map(|claim| ["--claim", claim.name]).collect();
    let [uml, qemu] = ["uml", "qemu"].map(|executor| {
        let (_, report) = verify(&[&["--executor", executor, "--fs", "ext4"], names.as_slice()].concat());
        let entries = report["verdicts"].as_array().unwrap().clone().into_iter();
        let keys = ["claim", "fs", "verdict", "expected", "observed", "because"];
        entries.map(|entry| keys.map(|key| entry[key].clone())).collect::<Vec<_>>()
    });
    assert_eq!(uml, qemu);
}

#[test]
fn transcripts_repeat_byte_for_byte_under_uml() {
    let (code, report) = verify_on("uml", &["--twice"]);
    assert_same(&verdicts(&report), &expected_verdicts("uml", |_| "holds"));
    assert_eq!(code, Some(0));
}

/// Under QEMU several claims share a machine, except with `--fresh`.
#[test]
fn separate_machines_do_not_change_verdicts() {
    let (code, report) = verify_on("qemu", &["--fresh"]);
    assert_same(&verdicts(&report), &expected_verdicts("qemu", |_| "holds"));
    assert_eq!(code, Some(0));
}

#[test]
fn twice_is_refused_under_qemu() {
    let output = vremount(["verify", "--executor", "qemu", "--twice"]).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("failed to compare two runs under qemu"), "{}", stderr(&output));
}

#[rstest]
fn claims_about_faults_are_undecided_without_faults(#[values("uml", "qemu")] executor: &str) {
    let (code, report) = verify_on(executor, &["--no-faults"]);
    let injects_fault = |claim: &Claim| claim.steps.iter().any(Step::is_fault);
    let evidence = |claim: &Claim| if injects_fault(claim) { "cannot-tell" } else { "holds" };
    let mut expected = expected_verdicts(executor, evidence);
    let mut observed = verdicts(&report);
    // Without slow reads it is undefined whether mounts on two processors overlap.
    let may_race: Vec<_> =
        claims::all().into_iter().filter(|claim| claim.fault_names().contains("slow-reads")).collect();
    for verdicts in [&mut expected, &mut observed] {
        verdicts.retain(|(name, _), _| may_race.iter().all(|claim| claim.name != name));
    }
    assert!(expected.values().any(|verdict| verdict == "cannot-tell"));
    assert_same(&observed, &expected);
    assert_eq!(code, Some(125));
}

#[rstest]
fn json_report_has_the_kernel_and_every_result(#[values("uml", "qemu")] executor: &str) {
    let (_, report) = verify(&["--claim", "error-unseen", "--fs", "ext4", "--executor", executor]);
    assert_eq!(report["schema"], 1);
    assert_eq!(report["base"], base().name);
    assert_eq!(report["series"], base().series);
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

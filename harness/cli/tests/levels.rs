// SPDX-License-Identifier: MIT OR Apache-2.0
//! Every claim against every level of the series: it holds from its own level on and is broken below. A claim that holds
//! without its patch proves nothing.
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

/// A claim that sleeps takes its time under QEMU: those are left to User Mode Linux.
fn proved_on(executor: &str) -> Vec<Claim> {
    let awake = |claim: &Claim| executor == "uml" || claim.sleeps().is_zero();
    claims::for_base(&base()).into_iter().filter(awake).collect()
}

/// QEMU is the reference on the filesystem that most have; the breadth is User Mode Linux's.
fn filesystems(executor: &str) -> &'static [Fs] {
    if executor == "uml" { &Fs::ALL } else { &[Fs::Ext4] }
}

/// `vremount verify` of those.
fn verify_on(executor: &str, args: &[&str]) -> (Option<i32>, Value) {
    let claims = proved_on(executor);
    let names = claims.iter().flat_map(|claim| ["--claim", claim.name]);
    let filesystems = filesystems(executor).iter().flat_map(|fs| ["--fs", fs.name()]);
    let args: Vec<_> =
        ["--executor", executor].into_iter().chain(names).chain(filesystems).chain(args.iter().copied()).collect();
    verify(&args)
}

/// One at a time: each takes all cores.
static MACHINES: Mutex<()> = Mutex::new(());

/// Exit code and report of `vremount verify`.
fn verify(args: &[&str]) -> (Option<i32>, Value) {
    let _alone = MACHINES.lock().unwrap_or_else(PoisonError::into_inner);
    let folder = tempfile::tempdir().unwrap();
    let json = folder.path().join("report.json");
    let output = vremount(["verify", "--base", &base().name]).args(args).arg("--json").arg(&json).output().unwrap();
    println!("{}{}", stdout(&output), stderr(&output));
    (output.status.code(), serde_json::from_str(&std::fs::read_to_string(json).unwrap()).unwrap())
}

/// The verdict of each case, by its claim and filesystem.
type Verdicts = BTreeMap<(String, String), String>;

fn verdicts(report: &Value) -> Verdicts {
    let text = |entry: &Value, key: &str| entry[key].as_str().unwrap().to_string();
    let entries = report["verdicts"].as_array().unwrap();
    entries.iter().map(|entry| ((text(entry, "claim"), text(entry, "fs")), text(entry, "verdict"))).collect()
}

/// What becomes of the cases that are proved on an executor, given the verdict of a claim that is about the filesystem.
fn expected(executor: &str, verdict: impl Fn(&Claim) -> &'static str) -> Verdicts {
    let mut expected = Verdicts::new();
    let arch = if executor == "uml" { Arch::Um } else { Arch::X86_64 };
    for claim in proved_on(executor) {
        for fs in filesystems(executor) {
            let skipped = claim.skip_reason_on(*fs).or(claim.skip_reason_for_arch(arch)).is_some();
            let verdict = if skipped { "skipped" } else { verdict(&claim) };
            expected.insert((claim.name.to_string(), fs.name().to_string()), verdict.to_string());
        }
    }
    expected
}

/// What is not as expected, to read when it fails.
fn assert_same(seen: &Verdicts, expected: &Verdicts) {
    let differs = expected.iter().filter(|(case, verdict)| seen.get(*case) != Some(*verdict));
    let differs: Vec<_> = differs.map(|(case, verdict)| (case, verdict, seen.get(case))).collect();
    assert!(differs.is_empty(), "expected, seen: {differs:#?}");
    assert_eq!(seen.len(), expected.len());
}

/// Every claim that is broken is so in the step, and by what comes of it there, that the model foretells for the level.
fn assert_broken_as_foretold(report: &Value, level: u8) {
    let (claims, level): (_, Level) = (claims::for_base(&base()), level.to_string().parse().unwrap());
    let mut compared = 0;
    let verdicts = report["verdicts"].as_array().unwrap();
    let broken: Vec<_> = verdicts.iter().filter(|entry| entry["verdict"] == "broken").collect();
    for entry in &broken {
        let claim = claims.iter().find(|claim| entry["claim"] == claim.name).unwrap();
        let fs = Fs::ALL.into_iter().find(|fs| entry["fs"] == fs.name()).unwrap();
        let Ok(foretold) = model::predict(&base(), claim, fs, level) else { continue };
        let Prediction { step, want, .. } = foretold.unwrap();
        let op = step.op().unwrap();
        let because = entry["because"].as_str().unwrap();
        assert!(because.starts_with(&format!("{}: ", claims::describe(op))), "{} at {step}: {because}", claim.name);
        // What one operation does many times is told as a whole.
        if let Op::MountOverlay { .. } = op {
            let seen = serde_json::to_value(ObservedOutcome::wanted(want)).unwrap();
            assert_eq!(entry["observed"], seen, "{} on {}: {because}", claim.name, fs.name());
        }
        compared += 1;
    }
    println!("{compared} of {} claims at level {level} are broken as foretold", broken.len());
    assert!(compared * 10 >= broken.len() * 7, "the model has lost sight of the claims");
}

/// Levels 1 and 2 differ from 0 in nothing that a mount could tell: the reference need not prove them.
#[rstest]
#[case::pristine(0, 1, "uml")]
#[case::identity_only(1, 1, "uml")]
#[case::documented(2, 1, "uml")]
#[case::reuse_without_errseq(3, 1, "uml")]
#[case::all_of_it(4, 0, "uml")]
#[case::pristine_reference(0, 1, "qemu")]
#[case::reference_without_errseq(3, 1, "qemu")]
#[case::reference(4, 0, "qemu")]
fn a_claim_holds_from_its_level_on_and_is_broken_below(#[case] level: u8, #[case] exit: i32, #[case] executor: &str) {
    let (code, report) = verify_on(executor, &["--level", &level.to_string()]);
    let holds = |claim: &Claim| if claim.min_level <= level { "holds" } else { "broken" };
    assert_same(&verdicts(&report), &expected(executor, holds));
    assert_broken_as_foretold(&report, level);
    assert_eq!(code, Some(exit));
}

fn since(level: u8) -> Vec<&'static str> {
    claims::all().into_iter().filter(|claim| claim.min_level == level).map(|claim| claim.name).collect()
}

/// The claims that nothing but patch 4 makes hold.
#[test]
fn the_fourth_patch_is_about_writeback_errors() {
    assert_eq!(
        since(4),
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

/// What was possible before the series still is.
#[test]
fn what_held_before_the_series_is_known() {
    assert_eq!(
        since(0),
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
    assert!(since(1).is_empty() && since(2).is_empty(), "patches 1 and 2 change nothing by themselves");
}

/// Another executor, and on what both prove all else is the same: outcomes, errnos and reasons too.
#[test]
fn executors_agree() {
    let both = proved_on("qemu").into_iter().filter(|claim| claim.skip_reason_for_arch(Arch::Um).is_none());
    let names: Vec<_> = both.flat_map(|claim| ["--claim", claim.name]).collect();
    let [uml, qemu] = ["uml", "qemu"].map(|executor| {
        let (_, report) = verify(&[&["--executor", executor, "--fs", "ext4"], names.as_slice()].concat());
        let entries = report["verdicts"].as_array().unwrap().clone().into_iter();
        let told = ["claim", "fs", "verdict", "expected", "observed", "because"];
        entries.map(|entry| told.map(|key| entry[key].clone())).collect::<Vec<_>>()
    });
    assert_eq!(uml, qemu);
}

#[test]
fn under_time_travel_every_claim_repeats_byte_for_byte() {
    let (code, report) = verify_on("uml", &["--twice"]);
    assert_same(&verdicts(&report), &expected("uml", |_| "holds"));
    assert_eq!(code, Some(0));
}

/// Under emulation claims share machines; on machines of their own they come out the same.
#[test]
fn a_machine_of_its_own_changes_nothing() {
    let (code, report) = verify_on("qemu", &["--fresh"]);
    assert_same(&verdicts(&report), &expected("qemu", |_| "holds"));
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
    let breaks = |claim: &Claim| claim.steps.iter().any(Step::is_fault);
    let evidence = |claim: &Claim| if breaks(claim) { "cannot-tell" } else { "holds" };
    let mut expected = expected(executor, evidence);
    let mut seen = verdicts(&report);
    // On two processors mounts may race without being slowed down, or not.
    let may_race: Vec<_> = claims::all().into_iter().filter(|claim| claim.faults().contains("slow-reads")).collect();
    for verdicts in [&mut expected, &mut seen] {
        verdicts.retain(|(name, _), _| may_race.iter().all(|claim| claim.name != name));
    }
    assert!(expected.values().any(|verdict| verdict == "cannot-tell"));
    assert_same(&seen, &expected);
    assert_eq!(code, Some(125));
}

#[rstest]
fn the_report_for_programs_says_what_was_proved_on_what(#[values("uml", "qemu")] executor: &str) {
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

// SPDX-License-Identifier: MIT OR Apache-2.0
//! Shell scripts that reproduce claims: a script has the same verdict as its claim, whether that
//! holds or is broken, and leaves nothing behind, even if it is interrupted.
#![allow(clippy::unwrap_used)]

mod common;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::{Mutex, PoisonError};

use common::{base, checkout, run_in_shell, script_lines, stderr, stdout, vremount};
use rstest::rstest;
use vremount_analysis::reproduce::{claim_script, expected_outcomes, unsupported_reason, xfstests_test};
use vremount_claims as claims;
use vremount_claims::Claim;
use vremount_machine::image::Fs;

/// Shell of busybox, with the tools of busybox.
const BUSYBOX: &str = "/bin/sh";
/// Shell with the tools of the distribution.
const DASH: &str = "/usr/bin/dash";

/// Serializes the tests, because each uses all cores, and they have one log directory.
static MACHINES: Mutex<()> = Mutex::new(());

/// Runs `vremount reproduce --check`.
fn check(level: u8, shell: &str, filesystems: &[Fs], claims: &[&str]) -> Output {
    let level = level.to_string();
    let filesystems = filesystems.iter().flat_map(|fs| ["--fs", fs.name()]);
    let args =
        ["reproduce", "--check", "--executor", "uml", "--base", &base().name, "--level", &level, "--shell", shell];
    let output = vremount(args).args(filesystems).args(claims).output().unwrap();
    println!("{}{}", stdout(&output), stderr(&output));
    output
}

/// Claims of the base that have a script.
fn claims_with_script() -> Vec<Claim> {
    claims::for_base(&base()).into_iter().filter(|claim| unsupported_reason(&claim.steps).is_none()).collect()
}

fn applies_to(claim: &Claim, fs: Fs) -> bool {
    claim.skip_reason_on(fs).is_none()
}

#[rstest]
#[case::on_the_whole_series(4, DASH)]
#[case::without_the_series(0, BUSYBOX)]
fn every_script_agrees_with_its_claim(#[case] level: u8, #[case] shell: &str) {
    let _alone = MACHINES.lock().unwrap_or_else(PoisonError::into_inner);
    let output = check(level, shell, &[Fs::Ext4], &[]);
    assert_eq!(output.status.code(), Some(0));
    let count = claims_with_script().iter().filter(|claim| applies_to(claim, Fs::Ext4)).count();
    assert!(stdout(&output).contains(&format!("\n{count} scripts agree with their claims, 0 do not")));
    if level == 4 {
        assert_expectations_equal_the_golden_output();
    }
}

/// Asserts that the expectations that a script prints are the golden output of its xfstests test.
fn assert_expectations_equal_the_golden_output() {
    let logs = checkout().join(format!("target/runs/{}-level4-um", base().name));
    for claim in claims_with_script().iter().filter(|claim| applies_to(claim, Fs::Ext4)) {
        let text = fs::read_to_string(logs.join(format!("{}-ext4.said", claim.name))).unwrap();
        let expects: Vec<_> = text.lines().filter_map(|line| line.strip_prefix("   expected: ")).collect();
        assert_eq!(expects, expected_outcomes(claim, Fs::Ext4).unwrap(), "{}", claim.name);
    }
}

#[test]
fn scripts_of_patch_4_agree_with_their_claims_without_it() {
    let _alone = MACHINES.lock().unwrap_or_else(PoisonError::into_inner);
    let names: Vec<_> = claims_with_script()
        .iter()
        .filter(|c| c.min_level == 4 && applies_to(c, Fs::Ext4))
        .map(|claim| claim.name)
        .collect();
    assert_eq!(check(3, BUSYBOX, &[Fs::Ext4], &names).status.code(), Some(0));
}

/// Claims that do not apply to ext4, and two that apply to all filesystems.
#[test]
fn scripts_agree_on_other_filesystems() {
    let _alone = MACHINES.lock().unwrap_or_else(PoisonError::into_inner);
    let others: Vec<_> = Fs::ALL.into_iter().filter(|fs| *fs != Fs::Ext4).collect();
    let names: Vec<_> = claims_with_script()
        .iter()
        .filter(|claim| !applies_to(claim, Fs::Ext4) && claim.skip_reason.is_none())
        .map(|c| c.name)
        .collect();
    let names = [&["reuse", "error-unseen"], names.as_slice()].concat();
    assert_eq!(check(4, BUSYBOX, &others, &names).status.code(), Some(0));
}

#[test]
fn claims_without_a_script_are_listed() {
    let without_script: Vec<_> = claims::all()
        .iter()
        .filter(|claim| unsupported_reason(&claim.steps).is_some())
        .map(|claim| claim.name)
        .collect();
    assert_eq!(
        without_script,
        [
            "reuse-with-nfs-export",
            "reuse-idmapped-upper",
            "reuse-by-fsopen",
            "fsopen-is-told-why",
            "fsopen-is-told-of-errors",
            "machine-rebooted",
            "kernel-kexeced",
            "power-cut",
            "power-cut-while-writing",
            "marker-lost-to-a-power-cut",
            "ten-thousand-forgeries",
            "mount-without-memory",
            "first-mount-without-memory",
        ]
    );
}

/// Runs lines in `vremount shell` and asserts that no mount, device or file is left.
fn run_in_clean_shell(lines: &str) -> String {
    let _alone = MACHINES.lock().unwrap_or_else(PoisonError::into_inner);
    let left = "left() { grep vremount /proc/mounts; ls /sys/block | grep dm-1; ls -d /sys/block/loop[1-9]/loop /tmp/vremount*; }";
    let text = run_in_shell("4", &format!("{left}\n{lines}\necho left: `left 2>/dev/null`.\n"));
    assert!(text.contains("left: ."), "mounts, devices or files are left");
    text
}

fn script_of(name: &str, fs: Fs) -> String {
    claim_script(claims::all().iter().find(|claim| claim.name == name).unwrap(), fs).unwrap()
}

#[rstest]
#[case::by_a_signal("kill -TERM $$", 125)]
#[case::by_an_error("exit 77", 77)]
fn interrupted_script_leaves_nothing_behind(#[case] interruption: &str, #[case] code: i32) {
    let script = script_of("error-while-mounts-race", Fs::Ext4);
    // Steps with a frozen filesystem, with a broken disk and with another process.
    let steps = ["precondition 'thaw", "precondition 'remove the fault", "assertion 'mount overlay"];
    let interrupted = steps.map(|step| {
        assert!(script.contains(step));
        script_lines(&script.replacen(step, &format!("{interruption}\n{step}"), 1), "sh")
    });
    let text = run_in_clean_shell(&interrupted.concat());
    assert_eq!(text.matches(&format!("exit: {code}")).count(), steps.len());
}

#[test]
fn undecided_script_prints_the_reason() {
    let script = script_of("error-unseen", Fs::Ext4);
    let unbroken = script.replace("\nbreak_data a data/file\n", "\n:\n");
    assert_ne!(script, unbroken);
    let as_user = "/usr/bin/setpriv --reuid 1000 --clear-groups sh";
    let text = run_in_clean_shell(
        &[
            script_lines(&unbroken, "sh"),
            script_lines(&script, as_user),
            "rm /usr/bin/sync\n".to_string(),
            script_lines(&script, "sh"),
            "rm /usr/bin/dmsetup\n".to_string(),
            script_lines(&script, "sh"),
        ]
        .concat(),
    );
    let reasons = [
        "cannot tell: step 9, which prepares the claim, has another outcome than expected",
        "cannot tell: this script must be run as root",
        "cannot tell: sync(1) is missing, or its --help does not mention coreutils",
        "cannot tell: these tools are missing, with their Debian packages: dmsetup (dmsetup)",
    ];
    for reason in reasons {
        assert!(text.contains(reason), "{reason}");
    }
    assert_eq!(text.matches("exit: 125").count(), reasons.len());
}

/// Files of the shell library that scripts include.
fn library() -> Vec<PathBuf> {
    let folder = checkout().join("harness/analysis/src/reproduce/library");
    fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect()
}

#[test]
fn shellcheck_finds_nothing_in_the_library_and_a_script() {
    let folder = tempfile::tempdir().unwrap();
    let script = folder.path().join("script");
    fs::write(&script, script_of("error-unseen", Fs::Xfs)).unwrap();
    for path in library().into_iter().chain([script]) {
        let severity = if path.ends_with("xfstests.sh") { "warning" } else { "style" };
        let output = Command::new("shellcheck").args(["--severity", severity]).arg(&path).output().unwrap();
        assert!(output.status.success(), "{}{}", stdout(&output), stderr(&output));
    }
}

/// Asserts that a shell parses a script.
fn assert_parses(shell: &[&str], text: &str, what: &str) {
    let folder = tempfile::tempdir().unwrap();
    let path: &Path = &folder.path().join("script");
    fs::write(path, text).unwrap();
    let output = Command::new(shell[0]).args(&shell[1..]).arg("-n").arg(path).stdin(Stdio::null()).output().unwrap();
    assert!(output.status.success(), "{what}: {}", stderr(&output));
}

#[test]
fn every_script_parses_in_dash_and_busybox() {
    for claim in claims_with_script() {
        for fs in Fs::ALL.into_iter().filter(|fs| applies_to(&claim, *fs)) {
            let text = claim_script(&claim, fs).unwrap();
            assert_parses(&["dash"], &text, claim.name);
            assert_parses(&["busybox", "sh"], &text, claim.name);
        }
    }
}

#[test]
fn every_xfstests_test_parses_in_bash() {
    let tests: Vec<_> = claims_with_script()
        .into_iter()
        .filter_map(|claim| xfstests_test(&claim).ok().map(|test| (claim, test)))
        .collect();
    assert!(!tests.is_empty());
    for (claim, test) in tests {
        assert_parses(&["bash"], &test.text, claim.name);
        assert!(test.golden.starts_with("QA output created by XXX\n"), "{}", claim.name);
        assert!(test.golden.lines().count() > 1, "{}", claim.name);
    }
}

#[test]
fn claim_is_printed_as_an_xfstests_test() {
    let output = vremount(["reproduce", "--xfstests", "error-while-mounted"]).output().unwrap();
    let printed = stdout(&output);
    let (text, golden) = printed.split_once(&format!("\n{}\n", "-".repeat(72))).unwrap();
    for expected in [
        "#! /bin/bash\n# SPDX-License-Identifier: GPL-2.0\n#\n# FS QA Test XXX\n",
        "\n. ./common/preamble\n_begin_fstest auto quick mount eio\n",
        "\n_cleanup()\n{\n\tcd /\n",
        "\n_require_scratch_nocheck\n_require_attrs trusted\n_require_dm_target error\n",
        "\ttry $MOUNT_PROG -t overlay ",
        "\nassertion 'mount overlay on a, volatile'\nmount_overlay a first mnt \"volatile\"\nexpect_refused EINVAL writeback-error\n",
        "\nstatus=0\nexit",
    ] {
        assert!(text.contains(expected), "{expected:?} is missing in\n{text}");
    }
    assert_eq!(
        golden,
        "QA output created by XXX\nmount overlay on a, volatile: refused EINVAL, writeback-error\n\
         check that upper filesystem a equals its snapshot: done\n"
    );
}

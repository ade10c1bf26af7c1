// SPDX-License-Identifier: MIT OR Apache-2.0
//! Reproducers: every claim's script says the same as its claim, on kernels on which that holds and on which it is broken, and
//! whatever happens to a script, it leaves nothing behind.
#![allow(clippy::unwrap_used)]

mod common;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::{Mutex, PoisonError};

use common::{base, checkout, run, shell, stderr, stdout, vremount};
use rstest::rstest;
use vremount_analysis::reproduce::{expected, no_script, of_claim, test};
use vremount_claims as claims;
use vremount_claims::Claim;
use vremount_machine::image::Fs;

/// busybox with its own tools, and a shell that uses those of the distribution.
const BUSYBOX: &str = "/bin/sh";
const DASH: &str = "/usr/bin/dash";

/// One at a time: each takes all cores, and leaves its logs where the others do.
static MACHINES: Mutex<()> = Mutex::new(());

fn check(level: u8, shell: &str, filesystems: &[Fs], claims: &[&str]) -> Output {
    let level = level.to_string();
    let filesystems = filesystems.iter().flat_map(|fs| ["--fs", fs.name()]);
    let args =
        ["reproduce", "--check", "--executor", "uml", "--base", &base().name, "--level", &level, "--shell", shell];
    let output = vremount(args).args(filesystems).args(claims).output().unwrap();
    println!("{}{}", stdout(&output), stderr(&output));
    output
}

/// Those that a script can make.
fn fit() -> Vec<Claim> {
    claims::for_base(&base()).into_iter().filter(|claim| no_script(&claim.steps).is_none()).collect()
}

fn about(claim: &Claim, fs: Fs) -> bool {
    claim.skip_reason_on(fs).is_none()
}

#[rstest]
#[case::where_all_hold(4, DASH)]
#[case::where_most_are_broken(0, BUSYBOX)]
fn every_script_says_what_its_claim_does(#[case] level: u8, #[case] shell: &str) {
    let _alone = MACHINES.lock().unwrap_or_else(PoisonError::into_inner);
    let output = check(level, shell, &[Fs::Ext4], &[]);
    assert_eq!(output.status.code(), Some(0));
    let count = fit().iter().filter(|claim| about(claim, Fs::Ext4)).count();
    assert!(stdout(&output).contains(&format!("\n{count} scripts agree with their claims, 0 do not")));
    if level == 4 {
        assert_expectations_are_those_of_the_golden_output();
    }
}

/// What a script says that it expects is what a test of xfstests must print.
fn assert_expectations_are_those_of_the_golden_output() {
    let logs = checkout().join(format!("target/runs/{}-level4-um", base().name));
    for claim in fit().iter().filter(|claim| about(claim, Fs::Ext4)) {
        let said = fs::read_to_string(logs.join(format!("{}-ext4.said", claim.name))).unwrap();
        let expects: Vec<_> = said.lines().filter_map(|line| line.strip_prefix("   expected: ")).collect();
        assert_eq!(expects, expected(claim, Fs::Ext4).unwrap(), "{}", claim.name);
    }
}

#[test]
fn without_the_fourth_patch_scripts_are_broken_where_claims_are() {
    let _alone = MACHINES.lock().unwrap_or_else(PoisonError::into_inner);
    let names: Vec<_> =
        fit().iter().filter(|c| c.min_level == 4 && about(c, Fs::Ext4)).map(|claim| claim.name).collect();
    assert_eq!(check(3, BUSYBOX, &[Fs::Ext4], &names).status.code(), Some(0));
}

/// Those that tell one filesystem from another.
#[test]
fn scripts_are_right_on_other_filesystems() {
    let _alone = MACHINES.lock().unwrap_or_else(PoisonError::into_inner);
    let others: Vec<_> = Fs::ALL.into_iter().filter(|fs| *fs != Fs::Ext4).collect();
    let names: Vec<_> =
        fit().iter().filter(|claim| !about(claim, Fs::Ext4) && claim.skip_reason.is_none()).map(|c| c.name).collect();
    let names = [&["reuse", "error-unseen"], names.as_slice()].concat();
    assert_eq!(check(4, BUSYBOX, &others, &names).status.code(), Some(0));
}

#[test]
fn what_no_script_can_do_is_known() {
    let unfit: Vec<_> =
        claims::all().iter().filter(|claim| no_script(&claim.steps).is_some()).map(|claim| claim.name).collect();
    assert_eq!(
        unfit,
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

/// What is run in `vremount shell`, where nothing may be left of it.
fn in_shell(lines: &str) -> String {
    let _alone = MACHINES.lock().unwrap_or_else(PoisonError::into_inner);
    let left = "left() { grep vremount /proc/mounts; ls /sys/block | grep dm-1; ls -d /sys/block/loop[1-9]/loop /tmp/vremount*; }";
    let said = shell("4", &format!("{left}\n{lines}\necho left: `left 2>/dev/null`.\n"));
    assert!(said.contains("left: ."), "something was left behind");
    said
}

fn script_of(name: &str, fs: Fs) -> String {
    of_claim(claims::all().iter().find(|claim| claim.name == name).unwrap(), fs).unwrap()
}

#[rstest]
#[case::by_a_signal("kill -TERM $$", 125)]
#[case::by_an_error("exit 77", 77)]
fn a_script_that_is_ended_leaves_nothing_behind(#[case] end: &str, #[case] code: i32) {
    let script = script_of("error-while-mounts-race", Fs::Ext4);
    // A frozen filesystem, a broken disk, another process.
    let places = ["precondition 'thaw", "precondition 'remove the fault", "assertion 'mount overlay"];
    let ended = places.map(|place| {
        assert!(script.contains(place));
        run(&script.replacen(place, &format!("{end}\n{place}"), 1), "sh")
    });
    let said = in_shell(&ended.concat());
    assert_eq!(said.matches(&format!("exit: {code}")).count(), places.len());
}

#[test]
fn a_script_that_cannot_tell_says_why() {
    let script = script_of("error-unseen", Fs::Ext4);
    let unbroken = script.replace("\nbreak_data a data/file\n", "\n:\n");
    assert_ne!(script, unbroken);
    let as_user = "/usr/bin/setpriv --reuid 1000 --clear-groups sh";
    let said = in_shell(
        &[
            run(&unbroken, "sh"),
            run(&script, as_user),
            "rm /usr/bin/sync\n".to_string(),
            run(&script, "sh"),
            "rm /usr/bin/dmsetup\n".to_string(),
            run(&script, "sh"),
        ]
        .concat(),
    );
    for why in [
        "cannot tell: step 9, which prepares the claim, has another outcome than expected",
        "cannot tell: this script must be run as root",
        "cannot tell: sync(1) is missing, or its --help does not mention coreutils",
        "cannot tell: these tools are missing, with their Debian packages: dmsetup (dmsetup)",
    ] {
        assert!(said.contains(why), "{why}");
    }
    assert_eq!(said.matches("exit: 125").count(), 4);
}

fn library() -> Vec<PathBuf> {
    let folder = checkout().join("harness/analysis/src/reproduce/library");
    fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect()
}

#[test]
fn shellcheck_has_nothing_to_say() {
    let folder = tempfile::tempdir().unwrap();
    let script = folder.path().join("script");
    fs::write(&script, script_of("error-unseen", Fs::Xfs)).unwrap();
    for path in library().into_iter().chain([script]) {
        let severity = if path.ends_with("xfstests.sh") { "warning" } else { "style" };
        let output = Command::new("shellcheck").args(["--severity", severity]).arg(&path).output().unwrap();
        assert!(output.status.success(), "{}{}", stdout(&output), stderr(&output));
    }
}

fn parse(shell: &[&str], text: &str, what: &str) {
    let folder = tempfile::tempdir().unwrap();
    let path: &Path = &folder.path().join("script");
    fs::write(path, text).unwrap();
    let output = Command::new(shell[0]).args(&shell[1..]).arg("-n").arg(path).stdin(Stdio::null()).output().unwrap();
    assert!(output.status.success(), "{what}: {}", stderr(&output));
}

#[test]
fn every_script_is_posix_shell() {
    for claim in fit() {
        for fs in Fs::ALL.into_iter().filter(|fs| about(&claim, *fs)) {
            let text = of_claim(&claim, fs).unwrap();
            parse(&["dash"], &text, claim.name);
            parse(&["busybox", "sh"], &text, claim.name);
        }
    }
}

#[test]
fn every_test_of_xfstests_is_bash() {
    let tests: Vec<_> = fit().into_iter().filter_map(|claim| test(&claim).ok().map(|test| (claim, test))).collect();
    assert!(tests.len() > 70, "{}", tests.len());
    for (claim, test) in tests {
        parse(&["bash"], &test.text, claim.name);
        assert!(test.golden.starts_with("QA output created by XXX\n"), "{}", claim.name);
        assert!(test.golden.lines().count() > 1, "{}", claim.name);
    }
}

#[test]
fn a_claim_is_printed_as_a_test_of_xfstests() {
    let output = vremount(["reproduce", "--xfstests", "error-while-mounted"]).output().unwrap();
    let said = stdout(&output);
    let (text, golden) = said.split_once(&format!("\n{}\n", "-".repeat(72))).unwrap();
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

// SPDX-License-Identifier: MIT OR Apache-2.0
//! Bisections of real kernels, on User Mode Linux: what breaks reuse is found, whatever is in between, and what is not to be
//! touched is not.
#![allow(clippy::unwrap_used)]

mod common;

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError};
use std::thread::sleep;
use std::time::{Duration, Instant};

use common::history::Repository;
use common::{checkout, everything, stderr, stdout, vremount};
use nix::sys::signal::{Signal, kill, killpg};
use nix::unistd::Pid;
use rstest::rstest;
use serde_json::Value;
use vremount_analysis::bisect::shared_build_name;

/// Only these are ever proved here.
const REUSE: [&str; 4] = ["--claim", "reuse", "--fs", "ext4"];

/// One at a time: kernels of a tree are built in one place.
static LINUX: LazyLock<Mutex<Repository>> = LazyLock::new(|| {
    let repository = Repository::new();
    write_main(&repository);
    write_carried(&repository);
    own_work(&repository);
    Mutex::new(repository)
});

fn linux() -> MutexGuard<'static, Repository> {
    LINUX.lock().unwrap_or_else(PoisonError::into_inner)
}

const CULPRIT: u32 = 33;
const SUBJECT: &str = "overlay: Take the lock of the work directory for granted";

/// 48 commits on the pristine source; a few can be told nothing of.
fn write_main(repository: &Repository) {
    let mut author = repository.author("main", &repository.pristine());
    let overlay = ["copy_up.c", "dir.c", "file.c", "inode.c", "namei.c"].map(|name| format!("fs/overlayfs/{name}"));
    // What is not compiled, what is, and what is in other kernels only.
    let elsewhere = ["Documentation/filesystems/ext2.rst", "fs/stack.c", "drivers/gpu/drm/drm_file.c"];
    let overlay_c = "fs/overlayfs/super.c";
    let mounts = "return mount_nodev(fs_type, flags, raw_data, ovl_fill_super);";
    let panics = "panic(\"no more overlays\");";
    let locked = "ofs->workdir_locked = true;\n";
    let starts = "\tkernel_init_freeable();\n\t/* need";
    for number in 1..=48 {
        match number {
            7 => author.renames(
                "fs/overlayfs/export.c",
                "fs/overlayfs/handles.c",
                Some(("fs/overlayfs/Makefile", "export.o", "handles.o")),
            ),
            15 => author.renames("Documentation/filesystems/ext2.rst", "Documentation/filesystems/second.rst", None),
            23 => author.replaces(
                "fs/overlayfs/dir.c",
                "#include <linux/namei.h>\n",
                "#include <linux/nanny.h>\n",
                "overlay: Does not build",
            ),
            26 => author.replaces(
                "fs/overlayfs/dir.c",
                "#include <linux/nanny.h>\n",
                "#include <linux/namei.h>\n",
                "overlay: Builds again",
            ),
            29 => author.replaces(overlay_c, mounts, panics, "overlay: Panics at mount"),
            31 => author.replaces(overlay_c, panics, mounts, "overlay: Mounts again"),
            CULPRIT => author.replaces(overlay_c, locked, ";\n", SUBJECT),
            35 => author.replaces("init/main.c", starts, &format!("\tpanic(\"no\");\n{starts}"), "init: Does not boot"),
            38 => author.replaces("init/main.c", "\tpanic(\"no\");\n", "", "init: Boots again"),
            number if number % 5 == 0 => {
                let path = elsewhere[number as usize / 5 % elsewhere.len()];
                author.remarks(if path.ends_with("ext2.rst") && number > 15 {
                    "Documentation/filesystems/second.rst"
                } else {
                    path
                });
            }
            number => author.remarks(&overlay[number as usize % overlay.len()]),
        }
    }
    assert_eq!(author.count(), 48);
    author.done();
}

const CARRIED_CULPRIT: u32 = 4;

/// Commits on a tree that has the series already; what breaks reuse is outside of overlayfs.
fn write_carried(repository: &Repository) {
    let mut author = repository.author("carried", &repository.with_series());
    author.remarks("fs/overlayfs/inode.c");
    author.remarks("Documentation/filesystems/ext2.rst");
    author.remarks("fs/overlayfs/file.c");
    let last = "\t\tdeactivate_locked_super(s);\n\t}\n}\n\nEXPORT_SYMBOL(deactivate_super);";
    let with_id = "\t\tdeactivate_locked_super(s);\n\t} else {\n\t\ts->s_instance_id++;\n\t}\n}\n\nEXPORT_SYMBOL(deactivate_super);";
    author.replaces("fs/super.c", last, with_id, "fs: Count mounts that go by the id of their superblock");
    author.remarks("fs/overlayfs/namei.c");
    author.remarks("fs/overlayfs/dir.c");
    author.done();
}

/// An index, and a bisection of the developer's own.
fn own_work(repository: &Repository) {
    repository.git(&["symbolic-ref", "HEAD", "refs/heads/main"]);
    repository.git(&["bisect", "start", "--no-checkout"]);
    repository.git(&["bisect", "bad", "main-20"]);
    assert!(repository.path.join(".git/BISECT_LOG").exists());
}

/// `vremount bisect` in that repository, not run yet.
fn bisect(repository: &Repository, good: &str, bad: &str, more: &[&str]) -> Command {
    let tree = repository.path.to_str().unwrap();
    let mut command = vremount(["bisect", "--tree", tree, "--good", good, "--bad", bad]);
    command.args(REUSE).args(more);
    command
}

fn told(output: &Output) -> String {
    println!("{}{}", stdout(output), stderr(output));
    stdout(output)
}

fn log(repository: &Repository) -> PathBuf {
    let runs = checkout().join("target/runs").join(shared_build_name(repository.path.to_str().unwrap()));
    runs.join("bisect.jsonl")
}

/// The steps of the last bisection.
fn steps(repository: &Repository) -> Vec<Value> {
    let text = fs::read_to_string(log(repository)).unwrap();
    let lines = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    lines.filter(|line| line.get("mark").is_some()).collect()
}

/// What is found between the ends of the main history.
fn assert_found(repository: &Repository, output: &Output) {
    let said = told(output);
    assert_eq!(output.status.code(), Some(0));
    let id = repository.git(&["rev-parse", &format!("main-{CULPRIT}")]);
    assert!(said.contains(&format!("first bad revision: {id}\n  {SUBJECT}\n  reuse on ext4: ")));
    let before = repository.git(&["log", "-1", "--format=%H %s", &format!("main-{}", CULPRIT - 1)]);
    let title = |line: &str| format!("{}{}", &line[..12], &line[40..]);
    assert!(said.contains(&format!("--- {}\n+++ {} {SUBJECT}\n", title(&before), &id[..12])));
    assert!(said.contains("\n-    mounted"), "the good one does not mount");
    assert!(said.contains("\n+    refused"), "the bad one is not refused");
    // What it came to is told later too.
    let report = vremount(["report"]).arg(log(repository).parent().unwrap()).output().unwrap();
    assert!(told(&report).contains(&format!("first bad revision: {id}\n")));
    assert_eq!(report.status.code(), Some(0));
}

#[test]
fn what_breaks_reuse_is_found_and_the_tree_is_left_alone() {
    let linux = linux();
    let before = everything(&linux.path);
    let output = bisect(&linux, &linux.pristine(), "main", &[]).output().unwrap();
    assert_found(&linux, &output);
    let steps = steps(&linux);
    let skipped =
        |word: &str| steps.iter().any(|step| step["mark"] == "skip" && step["why"].as_str().unwrap().contains(word));
    assert!(skipped("linux/nanny.h"), "{steps:#?}");
    assert!(steps.iter().all(|step| !step["kernel"].as_str().unwrap().contains("already has")));
    assert!(everything(&linux.path) == before, "something was written to the tree");
}

#[test]
fn a_tree_that_carries_the_series_is_bisected_as_it_is() {
    let linux = linux();
    let output = bisect(&linux, &linux.with_series(), "carried", &[]).output().unwrap();
    let said = told(&output);
    assert_eq!(output.status.code(), Some(0));
    let id = linux.git(&["rev-parse", &format!("carried-{CARRIED_CULPRIT}")]);
    assert!(
        said.contains(&format!("first bad revision: {id}\n  fs: Count mounts that go by the id of their superblock\n"))
    );
    assert!(said.contains("\n+    | overlayfs: volatile reuse refused: upper-remounted: "), "{said}");
    for step in steps(&linux) {
        assert!(step["kernel"].as_str().unwrap().contains("it already has series be4df0cea"), "{step:#}");
    }
}

/// The first of them is examined, and nothing else.
#[rstest]
#[case::good_is_bad(
    "main-40",
    "main",
    2,
    "(drivers/gpu/drm/drm_file.c: Remark 40) ",
    "was given as good and is bad: reuse on ext4: "
)]
#[case::not_built("main-24", "main", 125, "cannot be decided: ", "linux/nanny.h")]
#[case::not_booted("main-36", "main", 125, "cannot be decided: ", "failed to run a User Mode Linux kernel here")]
#[case::panics_at_mount("main-30", "main", 125, "cannot be decided: ", "before the first assertion of the claim")]
fn an_end_that_is_of_no_use_is_told(
    #[case] good: &str,
    #[case] bad: &str,
    #[case] exit: i32,
    #[case] expected: &str,
    #[case] why: &str,
) {
    let linux = linux();
    let output = bisect(&linux, good, bad, &[]).output().unwrap();
    told(&output);
    assert_eq!(output.status.code(), Some(exit));
    let error = stderr(&output);
    assert!(error.contains(expected) && error.contains(why), "{error}");
    assert!(error.contains(&linux.git(&["rev-parse", good])), "{error}");
    assert_eq!(steps(&linux).len(), 1);
}

/// Killed with all its children while it examines the fourth, and the last line of the log torn, as by a loss of power.
#[test]
fn what_was_interrupted_is_resumed() {
    let linux = linux();
    let pristine = linux.pristine();
    let mut first = bisect(&linux, &pristine, "main", &[]);
    let mut first = first.stdout(Stdio::piped()).process_group(0).spawn().unwrap();
    let lines = BufReader::new(first.stdout.take().unwrap()).lines();
    assert_eq!(lines.take(3).filter(|line| line.is_ok()).count(), 3);
    killpg(Pid::from_raw(first.id().try_into().unwrap()), Signal::SIGKILL).unwrap();
    first.wait().unwrap();
    let before = steps(&linux);
    assert!(before.len() >= 3);
    let mut torn = fs::File::options().append(true).open(log(&linux)).unwrap();
    torn.write_all(b"{\"id\":\"torn").unwrap();
    drop(torn);
    let other = bisect(&linux, &pristine, "main-40", &["--resume"]).output().unwrap();
    assert_eq!(other.status.code(), Some(2));
    assert!(stderr(&other).contains("is of another bisection: \"bad\" differs"), "{}", stderr(&other));
    let resumed = bisect(&linux, &pristine, "main", &["--resume"]).output().unwrap();
    assert_found(&linux, &resumed);
    assert_eq!(stdout(&resumed).matches(", from the log\n").count(), before.len());
    assert!(steps(&linux).starts_with(&before));
}

/// As a developer does who has scripts of their own: `git bisect run`, in a tree with a few folders checked out.
#[test]
fn the_step_serves_git_bisect_run() {
    let linux = linux();
    linux.git(&["bisect", "reset"]);
    linux.git(&["sparse-checkout", "set", "--no-cone", "/fs/overlayfs/"]);
    linux.git(&["checkout", "--quiet", "--force", "--detach", "main-34"]);
    linux.git(&["bisect", "start", "main-34", "main-31"]);
    let vremount = env!("CARGO_BIN_EXE_vremount");
    let said = linux.git(&[&["bisect", "run", vremount, "step", "--tree", "."], REUSE.as_slice()].concat());
    println!("{said}");
    let id = linux.git(&["rev-parse", &format!("main-{CULPRIT}")]);
    assert!(said.contains(&format!("{id} is the first bad commit")), "{said}");
    assert!(said.contains("\ngood: ") && said.contains("\nbad: reuse on ext4: "), "{said}");
    linux.git(&["bisect", "reset"]);
    own_work(&linux);
}

#[rstest]
#[case::usage(&["--claims", "reuse"], "unexpected argument '--claims'")]
#[case::no_such_claim(&["--claim", "resue"], "failed to find claim \"resue\"")]
#[case::no_tree(&["--tree", "/nowhere"], "failed to find a git work tree in /nowhere")]
#[case::no_kernel(&["--tree", "TREE"], "failed to find a Linux kernel in ")]
fn whatever_goes_wrong_with_a_step_skips_the_commit(#[case] args: &[&str], #[case] expected: &str) {
    let tree = tempfile::tempdir().unwrap();
    fs::write(tree.path().join("README"), "no kernel").unwrap();
    let commit = ["-c", "user.name=t", "-c", "user.email=t@localhost", "commit", "--quiet", "--message", "m"];
    for args in [["init", "--quiet"].as_slice(), &["add", "README"], &commit] {
        assert!(Command::new("git").args(args).current_dir(tree.path()).status().unwrap().success());
    }
    let tree = tree.path().to_str().unwrap();
    let args = args.iter().map(|arg| if *arg == "TREE" { tree } else { arg });
    let output = vremount(["step"]).args(args).output().unwrap();
    assert!(stderr(&output).contains(expected), "{}", stderr(&output));
    assert_eq!(output.status.code(), Some(125));
}

/// It waits for the cache, which is being cleaned, and there it is killed, as for want of memory.
#[test]
fn a_step_that_is_killed_skips_the_commit() {
    let caches = tempfile::tempdir().unwrap();
    fs::create_dir(caches.path().join("vremount")).unwrap();
    let cleaning = fs::File::create(caches.path().join("vremount/cache.lock")).unwrap();
    cleaning.lock().unwrap();
    let step = vremount(["step"]).env("XDG_CACHE_HOME", caches.path()).stderr(Stdio::piped()).spawn().unwrap();
    let deadline = Instant::now() + Duration::from_secs(60);
    let child = loop {
        if let Some(child) = child_of(step.id()) {
            break child;
        }
        assert!(Instant::now() < deadline, "it does nothing in a process of its own");
        sleep(Duration::from_millis(10));
    };
    kill(Pid::from_raw(child), Signal::SIGKILL).unwrap();
    let output = step.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(125));
    assert!(stderr(&output).contains("the step did not end normally (signal: 9"), "{}", stderr(&output));
}

/// The process of vremount's that another has started. So far, its guard may look like one, too.
fn child_of(parent: u32) -> Option<i32> {
    let is_child = |process: &PathBuf| {
        let stat = fs::read_to_string(process.join("stat")).unwrap_or_default();
        let ppid = stat.rsplit(')').next().and_then(|rest| rest.split_whitespace().nth(1)).map(str::to_string);
        let is_ours = fs::read_link(process.join("exe")).is_ok_and(|exe| exe.ends_with("vremount"));
        let is_step = fs::read(process.join("environ"))
            .is_ok_and(|all| all.split(|byte| *byte == 0).any(|one| one == b"VREMOUNT_STEP=1"));
        is_ours && is_step && ppid == Some(parent.to_string())
    };
    let processes = fs::read_dir("/proc").unwrap().flatten().map(|entry| entry.path());
    processes.filter(is_child).find_map(|process| process.file_name()?.to_str()?.parse().ok())
}

#[rstest]
#[case::no_ends(&["--tree", "."], "--good <COMMIT>")]
#[case::no_range(&["--releases", "5.10.13"], "expected GOOD..BAD")]
#[case::two_kinds(&["--releases", "5.10.13..6.1.176", "--tree", "."], "cannot be used with")]
fn bad_usage_exits_with_2(#[case] args: &[&str], #[case] expected: &str) {
    let output = vremount(["bisect"]).args(args).output().unwrap();
    assert!(stderr(&output).contains(expected), "{}", stderr(&output));
    assert_eq!(output.status.code(), Some(2));
}

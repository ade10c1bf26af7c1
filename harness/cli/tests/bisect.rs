// SPDX-License-Identifier: MIT OR Apache-2.0
//! `vremount bisect` and `vremount step` on real kernels under User Mode Linux: the commit that
//! breaks reuse is found, although some commits do not build or boot, and the repository is not
//! modified.
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
use common::{checkout, snapshot_files, stderr, stdout, vremount};
use nix::sys::signal::{Signal, kill, killpg};
use nix::unistd::Pid;
use rstest::rstest;
use serde_json::Value;
use vremount_analysis::bisect::shared_build_name;

/// Claim and filesystem of every test.
const REUSE: [&str; 4] = ["--claim", "reuse", "--fs", "ext4"];

/// Repository of the tests, one at a time, because all kernels of a repository are built in one
/// directory.
static LINUX: LazyLock<Mutex<Repository>> = LazyLock::new(|| {
    let repository = Repository::new();
    write_main(&repository);
    write_carried(&repository);
    start_own_bisection(&repository);
    Mutex::new(repository)
});

fn linux() -> MutexGuard<'static, Repository> {
    LINUX.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Number of commits of the branch `main`.
const COMMITS: u32 = 48;
/// Number of the commit that breaks reuse.
const CULPRIT: u32 = 33;
const SUBJECT: &str = "overlay: Take the lock of the work directory for granted";

/// Writes a branch of [`COMMITS`] commits on the pristine source. Some do not build or boot, and
/// [`CULPRIT`] breaks reuse.
fn write_main(repository: &Repository) {
    let mut author = repository.author("main", &repository.pristine());
    let overlay = ["copy_up.c", "dir.c", "file.c", "inode.c", "namei.c"].map(|name| format!("fs/overlayfs/{name}"));
    // A file that is not compiled, one that is, and one that only other configurations compile.
    let elsewhere = ["Documentation/filesystems/ext2.rst", "fs/stack.c", "drivers/gpu/drm/drm_file.c"];
    let overlay_c = "fs/overlayfs/super.c";
    let mounts = "return mount_nodev(fs_type, flags, raw_data, ovl_fill_super);";
    let panics = "panic(\"no more overlays\");";
    let locked = "ofs->workdir_locked = true;\n";
    let starts = "\tkernel_init_freeable();\n\t/* need";
    for number in 1..=COMMITS {
        match number {
            7 => author.commit_rename(
                "fs/overlayfs/export.c",
                "fs/overlayfs/handles.c",
                Some(("fs/overlayfs/Makefile", "export.o", "handles.o")),
            ),
            15 => {
                author.commit_rename("Documentation/filesystems/ext2.rst", "Documentation/filesystems/second.rst", None)
            }
            23 => author.commit_replacement(
                "fs/overlayfs/dir.c",
                "#include <linux/namei.h>\n",
                "#include <linux/nanny.h>\n",
                "overlay: Does not build",
            ),
            26 => author.commit_replacement(
                "fs/overlayfs/dir.c",
                "#include <linux/nanny.h>\n",
                "#include <linux/namei.h>\n",
                "overlay: Builds again",
            ),
            29 => author.commit_replacement(overlay_c, mounts, panics, "overlay: Panics at mount"),
            31 => author.commit_replacement(overlay_c, panics, mounts, "overlay: Mounts again"),
            CULPRIT => author.commit_replacement(overlay_c, locked, ";\n", SUBJECT),
            35 => author.commit_replacement(
                "init/main.c",
                starts,
                &format!("\tpanic(\"no\");\n{starts}"),
                "init: Does not boot",
            ),
            38 => author.commit_replacement("init/main.c", "\tpanic(\"no\");\n", "", "init: Boots again"),
            number if number % 5 == 0 => {
                let path = elsewhere[number as usize / 5 % elsewhere.len()];
                author.commit_comment(if path.ends_with("ext2.rst") && number > 15 {
                    "Documentation/filesystems/second.rst"
                } else {
                    path
                });
            }
            number => author.commit_comment(&overlay[number as usize % overlay.len()]),
        }
    }
    assert_eq!(author.count(), COMMITS);
    author.import();
}

/// Number of the commit of the branch `carried` that breaks reuse.
const CARRIED_CULPRIT: u32 = 4;

/// Writes a branch of commits on a source that has the series. The commit that breaks reuse is
/// outside of overlayfs.
fn write_carried(repository: &Repository) {
    let mut author = repository.author("carried", &repository.with_series());
    author.commit_comment("fs/overlayfs/inode.c");
    author.commit_comment("Documentation/filesystems/ext2.rst");
    author.commit_comment("fs/overlayfs/file.c");
    let last = "\t\tdeactivate_locked_super(s);\n\t}\n}\n\nEXPORT_SYMBOL(deactivate_super);";
    let with_id = "\t\tdeactivate_locked_super(s);\n\t} else {\n\t\ts->s_instance_id++;\n\t}\n}\n\nEXPORT_SYMBOL(deactivate_super);";
    author.commit_replacement("fs/super.c", last, with_id, "fs: Count mounts that go by the id of their superblock");
    author.commit_comment("fs/overlayfs/namei.c");
    author.commit_comment("fs/overlayfs/dir.c");
    author.import();
}

/// Starts a bisection of the developer in the repository.
fn start_own_bisection(repository: &Repository) {
    repository.git(&["symbolic-ref", "HEAD", "refs/heads/main"]);
    repository.git(&["bisect", "start", "--no-checkout"]);
    repository.git(&["bisect", "bad", "main-20"]);
    assert!(repository.path.join(".git/BISECT_LOG").exists());
}

/// Command `vremount bisect` in the repository, not started.
fn bisect(repository: &Repository, good: &str, bad: &str, more: &[&str]) -> Command {
    let tree = repository.path.to_str().unwrap();
    let mut command = vremount(["bisect", "--tree", tree, "--good", good, "--bad", bad]);
    command.args(REUSE).args(more);
    command
}

/// Standard output, which is also printed for failures.
fn print_output(output: &Output) -> String {
    println!("{}{}", stdout(output), stderr(output));
    stdout(output)
}

/// Path of the log of the last bisection.
fn log_path(repository: &Repository) -> PathBuf {
    let runs = checkout().join("target/runs").join(shared_build_name(repository.path.to_str().unwrap()));
    runs.join("bisect.jsonl")
}

/// Steps of the last bisection.
fn steps(repository: &Repository) -> Vec<Value> {
    let text = fs::read_to_string(log_path(repository)).unwrap();
    let lines = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    lines.filter(|line| line.get("mark").is_some()).collect()
}

/// Asserts that a bisection of the branch `main` found its culprit.
fn assert_culprit_found(repository: &Repository, output: &Output) {
    let text = print_output(output);
    assert_eq!(output.status.code(), Some(0));
    let id = repository.git(&["rev-parse", &format!("main-{CULPRIT}")]);
    assert!(text.contains(&format!("first bad revision: {id}\n  {SUBJECT}\n  reuse on ext4: ")));
    let before = repository.git(&["log", "-1", "--format=%H %s", &format!("main-{}", CULPRIT - 1)]);
    let title = |line: &str| format!("{}{}", &line[..12], &line[40..]);
    assert!(text.contains(&format!("--- {}\n+++ {} {SUBJECT}\n", title(&before), &id[..12])));
    assert!(text.contains("\n-    mounted"), "the good commit does not mount");
    assert!(text.contains("\n+    refused"), "the bad commit is not refused");
    // `report` shows the result of the bisection.
    let report = vremount(["report"]).arg(log_path(repository).parent().unwrap()).output().unwrap();
    assert!(print_output(&report).contains(&format!("first bad revision: {id}\n")));
    assert_eq!(report.status.code(), Some(0));
}

#[test]
fn culprit_is_found_and_the_repository_is_not_modified() {
    let linux = linux();
    let before = snapshot_files(&linux.path);
    let output = bisect(&linux, &linux.pristine(), "main", &[]).output().unwrap();
    assert_culprit_found(&linux, &output);
    let steps = steps(&linux);
    let is_skipped_for = |reason: &str| {
        steps.iter().any(|step| step["mark"] == "skip" && step["why"].as_str().unwrap().contains(reason))
    };
    assert!(is_skipped_for("linux/nanny.h"), "{steps:#?}");
    assert!(steps.iter().all(|step| !step["kernel"].as_str().unwrap().contains("already has")));
    assert!(snapshot_files(&linux.path) == before, "the repository was modified");
}

#[test]
fn source_that_has_the_series_is_bisected_unchanged() {
    let linux = linux();
    let output = bisect(&linux, &linux.with_series(), "carried", &[]).output().unwrap();
    let text = print_output(&output);
    assert_eq!(output.status.code(), Some(0));
    let id = linux.git(&["rev-parse", &format!("carried-{CARRIED_CULPRIT}")]);
    assert!(
        text.contains(&format!("first bad revision: {id}\n  fs: Count mounts that go by the id of their superblock\n"))
    );
    assert!(text.contains("\n+    | overlayfs: volatile reuse refused: upper-remounted: "), "{text}");
    for step in steps(&linux) {
        assert!(step["kernel"].as_str().unwrap().contains("it already has series be4df0cea"), "{step:#}");
    }
}

/// The bisection stops after the first commit.
#[rstest]
#[case::good_commit_is_bad(
    "main-40",
    "main",
    2,
    "(drivers/gpu/drm/drm_file.c: Remark 40) ",
    "was given as good and is bad: reuse on ext4: "
)]
#[case::good_commit_does_not_build("main-24", "main", 125, "cannot be decided: ", "linux/nanny.h")]
#[case::good_commit_does_not_boot(
    "main-36",
    "main",
    125,
    "cannot be decided: ",
    "failed to run a User Mode Linux kernel here"
)]
#[case::good_commit_panics_at_mount(
    "main-30",
    "main",
    125,
    "cannot be decided: ",
    "before the first assertion of the claim"
)]
fn good_commit_that_is_not_good_ends_the_bisection(
    #[case] good: &str,
    #[case] bad: &str,
    #[case] exit: i32,
    #[case] expected: &str,
    #[case] why: &str,
) {
    let linux = linux();
    let output = bisect(&linux, good, bad, &[]).output().unwrap();
    print_output(&output);
    assert_eq!(output.status.code(), Some(exit));
    let error = stderr(&output);
    assert!(error.contains(expected) && error.contains(why), "{error}");
    assert!(error.contains(&linux.git(&["rev-parse", good])), "{error}");
    assert_eq!(steps(&linux).len(), 1);
}

/// The bisection is killed with all its children while it tests the fourth commit, and the last
/// line of the log is torn.
#[test]
fn interrupted_bisection_is_resumed() {
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
    let mut torn = fs::File::options().append(true).open(log_path(&linux)).unwrap();
    torn.write_all(b"{\"id\":\"torn").unwrap();
    drop(torn);
    let other = bisect(&linux, &pristine, "main-40", &["--resume"]).output().unwrap();
    assert_eq!(other.status.code(), Some(2));
    assert!(stderr(&other).contains("is of another bisection: \"bad\" differs"), "{}", stderr(&other));
    let resumed = bisect(&linux, &pristine, "main", &["--resume"]).output().unwrap();
    assert_culprit_found(&linux, &resumed);
    assert_eq!(stdout(&resumed).matches(", from the log\n").count(), before.len());
    assert!(steps(&linux).starts_with(&before));
}

/// In a work tree with a sparse checkout.
#[test]
fn git_bisect_run_finds_the_culprit_with_vremount_step() {
    let linux = linux();
    linux.git(&["bisect", "reset"]);
    linux.git(&["sparse-checkout", "set", "--no-cone", "/fs/overlayfs/"]);
    linux.git(&["checkout", "--quiet", "--force", "--detach", "main-34"]);
    linux.git(&["bisect", "start", "main-34", "main-31"]);
    let vremount = env!("CARGO_BIN_EXE_vremount");
    let text = linux.git(&[&["bisect", "run", vremount, "step", "--tree", "."], REUSE.as_slice()].concat());
    println!("{text}");
    let id = linux.git(&["rev-parse", &format!("main-{CULPRIT}")]);
    assert!(text.contains(&format!("{id} is the first bad commit")), "{text}");
    assert!(text.contains("\ngood: ") && text.contains("\nbad: reuse on ext4: "), "{text}");
    linux.git(&["bisect", "reset"]);
    start_own_bisection(&linux);
}

#[rstest]
#[case::usage(&["--claims", "reuse"], "unexpected argument '--claims'")]
#[case::unknown_claim(&["--claim", "resue"], "failed to find claim \"resue\"")]
#[case::missing_tree(&["--tree", "/nowhere"], "failed to find a git work tree in /nowhere")]
#[case::not_a_kernel(&["--tree", "TREE"], "failed to find a Linux kernel in ")]
fn failed_step_skips_the_commit(#[case] args: &[&str], #[case] expected: &str) {
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

/// The child process of the step waits for the lock of the cache and is killed there, as by the OOM
/// killer.
#[test]
fn killed_step_skips_the_commit() {
    let caches = tempfile::tempdir().unwrap();
    fs::create_dir(caches.path().join("vremount")).unwrap();
    let lock = fs::File::create(caches.path().join("vremount/cache.lock")).unwrap();
    lock.lock().unwrap();
    let step = vremount(["step"]).env("XDG_CACHE_HOME", caches.path()).stderr(Stdio::piped()).spawn().unwrap();
    let deadline = Instant::now() + Duration::from_secs(60);
    let child = loop {
        if let Some(child) = find_step_process(step.id()) {
            break child;
        }
        assert!(Instant::now() < deadline, "the step started no child process");
        sleep(Duration::from_millis(10));
    };
    kill(Pid::from_raw(child), Signal::SIGKILL).unwrap();
    let output = step.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(125));
    assert!(stderr(&output).contains("the step did not end normally (signal: 9"), "{}", stderr(&output));
}

/// Child process of `vremount step` that runs the step. The environment distinguishes it from the
/// guard process.
fn find_step_process(parent: u32) -> Option<i32> {
    let is_child = |process: &PathBuf| {
        let stat = fs::read_to_string(process.join("stat")).unwrap_or_default();
        let ppid = stat.rsplit(')').next().and_then(|rest| rest.split_whitespace().nth(1)).map(str::to_string);
        let is_vremount = fs::read_link(process.join("exe")).is_ok_and(|exe| exe.ends_with("vremount"));
        let is_step = fs::read(process.join("environ"))
            .is_ok_and(|all| all.split(|byte| *byte == 0).any(|one| one == b"VREMOUNT_STEP=1"));
        is_vremount && is_step && ppid == Some(parent.to_string())
    };
    let processes = fs::read_dir("/proc").unwrap().flatten().map(|entry| entry.path());
    processes.filter(is_child).find_map(|process| process.file_name()?.to_str()?.parse().ok())
}

#[rstest]
#[case::tree_without_commits(&["--tree", "."], "--good <COMMIT>")]
#[case::invalid_range(&["--releases", "5.10.13"], "expected GOOD..BAD")]
#[case::releases_with_tree(&["--releases", "5.10.13..6.1.176", "--tree", "."], "cannot be used with")]
fn invalid_command_line_exits_with_2(#[case] args: &[&str], #[case] expected: &str) {
    let output = vremount(["bisect"]).args(args).output().unwrap();
    assert!(stderr(&output).contains(expected), "{}", stderr(&output));
    assert_eq!(output.status.code(), Some(2));
}

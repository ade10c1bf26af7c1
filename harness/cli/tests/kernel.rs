// SPDX-License-Identifier: MIT OR Apache-2.0
//! `vremount kernel`: builds, the cache, and failures of the network, the disk, the compiler and
//! the patches.
#![allow(clippy::unwrap_used)]

mod common;

use std::fs;

use common::fake_toolchain::FakeToolchain;
use common::{stderr, stdout};
use rstest::rstest;

const CANNOT_TELL: Option<i32> = Some(125);

#[test]
fn kernel_is_built_once_with_a_module_for_each_level() {
    let fake = FakeToolchain::new();
    let first = fake.run_kernel_command(&[]);
    assert_eq!(first.status.code(), Some(0), "{}", stderr(&first));
    assert!(!fake.take_calls().is_empty());
    let links = fake.root().join("target/kernel/0.1/x86_64");
    let module = |level: u8| fs::read_to_string(links.join(format!("overlay-{level}.ko"))).unwrap();
    assert_eq!(module(2), "overlay\n");
    assert_eq!(module(3), "overlay\npatch 3\n");
    assert_eq!(module(4), "overlay\npatch 3\npatch 4\n");
    for file in ["x86_64/bzImage", "x86_64/vmlinux", "x86_64/config", "um/linux", "um/overlay-4.ko", "um/config"] {
        assert!(links.with_file_name(file).is_file(), "{file} is missing");
    }
    let second = fake.run_kernel_command(&[]);
    assert_eq!(stdout(&second), stdout(&first));
    assert_eq!(fake.take_calls(), Vec::<String>::new(), "the second run built something");
}

#[test]
fn level_0_is_a_separate_kernel() {
    let fake = FakeToolchain::new();
    let patched = fake.run_kernel_command(&[]);
    let pristine = fake.run_kernel_command(&["--level", "0"]);
    assert_eq!(pristine.status.code(), Some(0), "{}", stderr(&pristine));
    assert_ne!(stdout(&pristine), stdout(&patched));
    let module = fake.root().join("target/kernel/0.1/x86_64-pristine/overlay-0.ko");
    assert_eq!(fs::read_to_string(module).unwrap(), "overlay\n");
}

#[test]
fn changed_patch_rebuilds_only_the_module() {
    let fake = FakeToolchain::new();
    fake.run_kernel_command(&[]);
    fake.take_calls();
    let patch = fake.patch(4);
    let text = fs::read_to_string(&patch).unwrap().replace("+patch 4", "+patch 4, changed");
    fs::write(&patch, text).unwrap();
    let rebuilt = fake.run_kernel_command(&[]);
    assert_eq!(rebuilt.status.code(), Some(0), "{}", stderr(&rebuilt));
    let calls = fake.take_calls();
    // One call for each architecture.
    assert_eq!(calls.len(), 2, "{calls:?}");
    assert!(calls.iter().all(|call| call.ends_with("fs/overlayfs/overlay.ko")));
    let module = fake.root().join("target/kernel/0.1/x86_64/overlay-4.ko");
    assert_eq!(fs::read_to_string(module).unwrap(), "overlay\npatch 3\npatch 4, changed\n");
}

#[rstest]
#[case::no_network("network", "failed to reach http://mirror.invalid/debian; check the network connection")]
#[case::version_gone(
    "gone",
    "failed to find linux 0.1-1 in bullseye: the mirror does not have that version; pin another version"
)]
#[case::disk_full("full", "no space left")]
#[case::tarball_with_another_hash("other", "failed to verify linux_0.1.orig.tar.gz: its SHA-256 is ")]
#[case::nothing_downloaded("nothing", "apt-get did not download the tarball")]
#[case::download_killed("killed", "failed to fetch linux with apt-get")]
fn failed_download_is_reported_and_leaves_nothing_behind(#[case] how: &str, #[case] expected: &str) {
    let fake = FakeToolchain::new();
    fake.set_failure("apt", how);
    let failed = fake.run_kernel_command(&[]);
    assert_eq!(failed.status.code(), CANNOT_TELL);
    assert!(stderr(&failed).contains(expected), "{}", stderr(&failed));
    let kept: Vec<_> = fs::read_dir(fake.cache().join("source")).unwrap().collect();
    assert!(kept.is_empty(), "an incomplete download was kept: {kept:?}");
    // The next run succeeds without cleanup.
    fake.set_failure("apt", "");
    let retried = fake.run_kernel_command(&[]);
    assert_eq!(retried.status.code(), Some(0), "{}", stderr(&retried));
}

#[rstest]
#[case::config_option_lost("config", "the configuration does not have CONFIG_OVERLAY_FS=m (is n), as a fragment of")]
#[case::compiler_error("compiler", "fs/super.c:7:9: error: 's_instance_id' undeclared")]
#[case::make_killed("killed", "all of make's output is in ")]
fn failed_build_is_reported_and_can_be_retried(#[case] how: &str, #[case] expected: &str) {
    let fake = FakeToolchain::new();
    fake.set_failure("make", how);
    let failed = fake.run_kernel_command(&[]);
    assert_eq!(failed.status.code(), CANNOT_TELL);
    assert!(stderr(&failed).contains(expected), "{}", stderr(&failed));
    assert!(!fake.root().join("target/kernel/0.1/x86_64/bzImage").exists());
    fake.set_failure("make", "");
    let retried = fake.run_kernel_command(&[]);
    assert_eq!(retried.status.code(), Some(0), "{}", stderr(&retried));
}

#[test]
fn patch_that_does_not_apply_is_named_with_its_hunk() {
    let fake = FakeToolchain::new();
    let patch = fake.patch(3);
    let text = fs::read_to_string(&patch).unwrap().replace(" overlay\n", " something else\n");
    fs::write(&patch, text).unwrap();
    let failed = fake.run_kernel_command(&[]);
    assert_eq!(failed.status.code(), CANNOT_TELL);
    let text = stderr(&failed);
    assert!(text.contains(patch.file_name().unwrap().to_str().unwrap()), "{text}");
    assert!(text.contains("patch failed: fs/overlayfs/super.c:1"), "{text}");
}

#[test]
fn patch_outside_of_overlayfs_cannot_share_the_kernel() {
    let fake = FakeToolchain::new();
    let third = fake.patch(3);
    let text = fs::read_to_string(&third).unwrap();
    let more = "diff --git a/fs/new.c b/fs/new.c\nnew file mode 100644\nindex 0000000..1111111\n--- /dev/null\n\
                +++ b/fs/new.c\n@@ -0,0 +1 @@\n+more\n";
    fs::write(&third, text.replace("diff --git", &format!("{more}diff --git"))).unwrap();
    let failed = fake.run_kernel_command(&[]);
    assert_eq!(failed.status.code(), CANNOT_TELL);
    assert!(stderr(&failed).contains("fs/new.c, which is not part of overlay.ko"), "{}", stderr(&failed));
}

/// A git hook or a user may have set the variables of git.
#[test]
fn git_variables_of_the_caller_are_ignored() {
    let fake = FakeToolchain::new();
    let precious = tempfile::tempdir().unwrap();
    let index = precious.path().join("index");
    fs::write(&index, "content").unwrap();
    let environment = [("GIT_INDEX_FILE", index.as_path()), ("GIT_WORK_TREE", precious.path())];
    let built = fake.kernel_command(&[]).envs(environment).output().unwrap();
    assert_eq!(built.status.code(), Some(0), "{}", stderr(&built));
    assert_eq!(fs::read_to_string(&index).unwrap(), "content");
    assert_eq!(fs::read_dir(precious.path()).unwrap().count(), 1);
}

/// A harness that was killed leaves lock files in its work trees.
#[test]
fn leftovers_of_a_killed_harness_do_not_fail_the_next_build() {
    let fake = FakeToolchain::new();
    fake.set_failure("make", "compiler");
    fake.run_kernel_command(&[]);
    let repositories = fs::read_dir(fake.cache().join("tree")).unwrap();
    for repository in repositories {
        for tree in fs::read_dir(repository.unwrap().path().join("worktrees")).unwrap() {
            let tree = tree.unwrap().path();
            fs::write(tree.join("index.lock"), "").unwrap();
            fs::create_dir(tree.join("rebase-apply")).unwrap();
        }
    }
    fake.set_failure("make", "");
    let retried = fake.run_kernel_command(&[]);
    assert_eq!(retried.status.code(), Some(0), "{}", stderr(&retried));
}

/// Variables of make would change the kernel without changing its key.
#[test]
fn variables_of_make_are_not_passed_on() {
    let fake = FakeToolchain::new();
    // The fake make fails if one of these is set.
    let built =
        fake.kernel_command(&[]).envs([("CROSS_COMPILE", "arm-"), ("MAKEFLAGS", "-n"), ("KCFLAGS", "-O0")]).output();
    let built = built.unwrap();
    assert_eq!(built.status.code(), Some(0), "{}", stderr(&built));
}

#[test]
fn series_with_a_missing_patch_is_refused() {
    let fake = FakeToolchain::new();
    fs::remove_file(fake.patch(2)).unwrap();
    let failed = fake.run_kernel_command(&[]);
    assert_eq!(failed.status.code(), CANNOT_TELL);
    assert!(stderr(&failed).contains("failed to find a series of 4 patches"), "{}", stderr(&failed));
    assert!(stderr(&failed).contains("it has 3"), "{}", stderr(&failed));
}

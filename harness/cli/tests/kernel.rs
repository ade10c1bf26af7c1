// SPDX-License-Identifier: MIT OR Apache-2.0
//! From a base to a kernel, and all that the world around can do to that.
#![allow(clippy::unwrap_used)]

mod common;

use std::fs;

use common::toy::Toy;
use common::{stderr, stdout};
use rstest::rstest;

const CANNOT_TELL: Option<i32> = Some(125);

#[test]
fn a_kernel_is_built_once_with_a_module_for_each_level() {
    let toy = Toy::new();
    let first = toy.kernel(&[]);
    assert_eq!(first.status.code(), Some(0), "{}", stderr(&first));
    assert!(!toy.calls().is_empty());
    let links = toy.root().join("target/kernel/0.1/x86_64");
    let module = |level: u8| fs::read_to_string(links.join(format!("overlay-{level}.ko"))).unwrap();
    assert_eq!(module(2), "overlay\n");
    assert_eq!(module(3), "overlay\npatch 3\n");
    assert_eq!(module(4), "overlay\npatch 3\npatch 4\n");
    for file in ["x86_64/bzImage", "x86_64/vmlinux", "x86_64/config", "um/linux", "um/overlay-4.ko", "um/config"] {
        assert!(links.with_file_name(file).is_file(), "{file} is missing");
    }
    let second = toy.kernel(&[]);
    assert_eq!(stdout(&second), stdout(&first));
    assert_eq!(toy.calls(), Vec::<String>::new(), "the second run built something");
}

#[test]
fn the_pristine_kernel_is_another() {
    let toy = Toy::new();
    let patched = toy.kernel(&[]);
    let pristine = toy.kernel(&["--level", "0"]);
    assert_eq!(pristine.status.code(), Some(0), "{}", stderr(&pristine));
    assert_ne!(stdout(&pristine), stdout(&patched));
    let module = toy.root().join("target/kernel/0.1/x86_64-pristine/overlay-0.ko");
    assert_eq!(fs::read_to_string(module).unwrap(), "overlay\n");
}

#[test]
fn a_patch_that_changed_builds_only_what_it_changes() {
    let toy = Toy::new();
    toy.kernel(&[]);
    toy.calls();
    let patch = toy.patch(4);
    let text = fs::read_to_string(&patch).unwrap().replace("+patch 4", "+patch 4, better");
    fs::write(&patch, text).unwrap();
    let again = toy.kernel(&[]);
    assert_eq!(again.status.code(), Some(0), "{}", stderr(&again));
    let calls = toy.calls();
    // Once for each architecture.
    assert_eq!(calls.len(), 2, "{calls:?}");
    assert!(calls.iter().all(|call| call.ends_with("fs/overlayfs/overlay.ko")));
    let module = toy.root().join("target/kernel/0.1/x86_64/overlay-4.ko");
    assert_eq!(fs::read_to_string(module).unwrap(), "overlay\npatch 3\npatch 4, better\n");
}

#[rstest]
#[case::no_network("network", "failed to reach http://mirror.invalid/debian; check the network connection")]
#[case::version_gone(
    "gone",
    "failed to find linux 0.1-1 in bullseye: the mirror does not have that version; pin another version"
)]
#[case::disk_full("full", "no space left")]
#[case::other_content("other", "failed to verify linux_0.1.orig.tar.gz: its SHA-256 is ")]
#[case::nothing_there("nothing", "apt-get did not download the tarball")]
#[case::killed_half_way("killed", "failed to fetch linux with apt-get")]
fn a_source_that_cannot_be_had(#[case] how: &str, #[case] expected: &str) {
    let toy = Toy::new();
    toy.fails("apt", how);
    let failed = toy.kernel(&[]);
    assert_eq!(failed.status.code(), CANNOT_TELL);
    assert!(stderr(&failed).contains(expected), "{}", stderr(&failed));
    let kept: Vec<_> = fs::read_dir(toy.cache().join("source")).unwrap().collect();
    assert!(kept.is_empty(), "something half-written was kept: {kept:?}");
    // Nothing of it is in the way once the world is well again.
    toy.fails("apt", "");
    let well = toy.kernel(&[]);
    assert_eq!(well.status.code(), Some(0), "{}", stderr(&well));
}

#[rstest]
#[case::option_lost("config", "the configuration does not have CONFIG_OVERLAY_FS=m (is n), as a fragment of")]
#[case::compiler("compiler", "fs/super.c:7:9: error: 's_instance_id' undeclared")]
#[case::killed("killed", "all of make's output is in ")]
fn a_kernel_that_does_not_build(#[case] how: &str, #[case] expected: &str) {
    let toy = Toy::new();
    toy.fails("make", how);
    let failed = toy.kernel(&[]);
    assert_eq!(failed.status.code(), CANNOT_TELL);
    assert!(stderr(&failed).contains(expected), "{}", stderr(&failed));
    assert!(!toy.root().join("target/kernel/0.1/x86_64/bzImage").exists());
    toy.fails("make", "");
    let well = toy.kernel(&[]);
    assert_eq!(well.status.code(), Some(0), "{}", stderr(&well));
}

#[test]
fn a_patch_that_does_not_apply_is_named_with_its_hunk() {
    let toy = Toy::new();
    let patch = toy.patch(3);
    let text = fs::read_to_string(&patch).unwrap().replace(" overlay\n", " something else\n");
    fs::write(&patch, text).unwrap();
    let failed = toy.kernel(&[]);
    assert_eq!(failed.status.code(), CANNOT_TELL);
    let said = stderr(&failed);
    assert!(said.contains(patch.file_name().unwrap().to_str().unwrap()), "{said}");
    assert!(said.contains("patch failed: fs/overlayfs/super.c:1"), "{said}");
}

#[test]
fn a_patch_that_changes_more_than_overlay_cannot_share_the_kernel() {
    let toy = Toy::new();
    let third = toy.patch(3);
    let text = fs::read_to_string(&third).unwrap();
    let more = "diff --git a/fs/new.c b/fs/new.c\nnew file mode 100644\nindex 0000000..1111111\n--- /dev/null\n\
                +++ b/fs/new.c\n@@ -0,0 +1 @@\n+more\n";
    fs::write(&third, text.replace("diff --git", &format!("{more}diff --git"))).unwrap();
    let failed = toy.kernel(&[]);
    assert_eq!(failed.status.code(), CANNOT_TELL);
    assert!(stderr(&failed).contains("fs/new.c, which is not part of overlay.ko"), "{}", stderr(&failed));
}

/// As a hook would, or a user with a repository of their own in mind.
#[test]
fn the_repository_of_the_caller_is_left_alone() {
    let toy = Toy::new();
    let precious = tempfile::tempdir().unwrap();
    let index = precious.path().join("index");
    fs::write(&index, "my own work").unwrap();
    let environment = [("GIT_INDEX_FILE", index.as_path()), ("GIT_WORK_TREE", precious.path())];
    let built = toy.command(&[]).envs(environment).output().unwrap();
    assert_eq!(built.status.code(), Some(0), "{}", stderr(&built));
    assert_eq!(fs::read_to_string(&index).unwrap(), "my own work");
    assert_eq!(fs::read_dir(precious.path()).unwrap().count(), 1);
}

/// What a killed harness left in its work tree.
#[test]
fn leftovers_of_a_killed_harness_are_not_in_the_way() {
    let toy = Toy::new();
    toy.fails("make", "compiler");
    toy.kernel(&[]);
    let repositories = fs::read_dir(toy.cache().join("tree")).unwrap();
    for repository in repositories {
        for tree in fs::read_dir(repository.unwrap().path().join("worktrees")).unwrap() {
            let tree = tree.unwrap().path();
            fs::write(tree.join("index.lock"), "").unwrap();
            fs::create_dir(tree.join("rebase-apply")).unwrap();
        }
    }
    toy.fails("make", "");
    let well = toy.kernel(&[]);
    assert_eq!(well.status.code(), Some(0), "{}", stderr(&well));
}

/// What builds another kernel must not go unnoticed under the same name.
#[test]
fn the_environment_does_not_reach_make() {
    let toy = Toy::new();
    // The toy's make fails when it is told any of these.
    let built = toy.command(&[]).envs([("CROSS_COMPILE", "arm-"), ("MAKEFLAGS", "-n"), ("KCFLAGS", "-O0")]).output();
    let built = built.unwrap();
    assert_eq!(built.status.code(), Some(0), "{}", stderr(&built));
}

#[test]
fn a_series_with_a_patch_missing_is_refused() {
    let toy = Toy::new();
    fs::remove_file(toy.patch(2)).unwrap();
    let failed = toy.kernel(&[]);
    assert_eq!(failed.status.code(), CANNOT_TELL);
    assert!(stderr(&failed).contains("failed to find a series of 4 patches"), "{}", stderr(&failed));
    assert!(stderr(&failed).contains("it has 3"), "{}", stderr(&failed));
}

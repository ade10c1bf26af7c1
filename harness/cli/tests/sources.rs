// SPDX-License-Identifier: MIT OR Apache-2.0
//! Kernels from git repositories, tarballs and work trees, the series that is selected for them,
//! and `vremount base`.
#![allow(clippy::unwrap_used)]

mod common;

use std::fs;
use std::path::PathBuf;
use std::process::Output;

use common::fake_toolchain::FakeToolchain;
use common::{snapshot_files, stderr, stdout};
use rstest::rstest;
use vremount_util::hash;

const CANNOT_TELL: Option<i32> = Some(125);
const USAGE: Option<i32> = Some(2);

/// Content of the module of a level that the last build linked in target/kernel.
fn read_module(fake: &FakeToolchain, level: u8) -> String {
    let bases = fs::read_dir(fake.root().join("target/kernel")).unwrap();
    let [base] = bases.map(|base| base.unwrap().path()).collect::<Vec<_>>().try_into().unwrap();
    let base: PathBuf = base;
    let folder = if level == 0 { "um-pristine" } else { "um" };
    fs::read_to_string(base.join(folder).join(format!("overlay-{level}.ko"))).unwrap()
}

/// Asserts that a command built a kernel.
fn assert_built(output: &Output) {
    assert_eq!(output.status.code(), Some(0), "{}", stderr(output));
}

/// Asserts that a command failed with exit code 125 and an error.
fn assert_refused(output: &Output, expected: &str) {
    assert_fails(output, CANNOT_TELL, expected);
}

/// Asserts that a command failed with an exit code and an error.
fn assert_fails(output: &Output, code: Option<i32>, expected: &str) {
    assert!(stderr(output).contains(expected), "{}", stderr(output));
    assert_eq!(output.status.code(), code, "{}", stderr(output));
}

#[rstest]
#[case::no_patch("HEAD~4", "series toy applies")]
#[case::first_patch("HEAD~3", "it already has patch 1 of series toy")]
#[case::two_patches("HEAD~2", "it already has patches 1 to 2 of series toy")]
#[case::whole_series("HEAD", "it already has series toy; for levels below 4 patches are reverted")]
fn levels_do_not_depend_on_the_patches_that_a_commit_has(#[case] commit: &str, #[case] note: &str) {
    let fake = FakeToolchain::new();
    let base = format!("git:{}#{commit}", fake.linux().display());
    let first = fake.run_kernel_command(&["--base", &base]);
    assert_built(&first);
    assert!(stderr(&first).contains(note), "{}", stderr(&first));
    assert_eq!(read_module(&fake, 2), "overlay\n");
    assert_eq!(read_module(&fake, 3), "overlay\npatch 3\n");
    assert_eq!(read_module(&fake, 4), "overlay\npatch 3\npatch 4\n");
    assert_built(&fake.run_kernel_command(&["--base", &base, "--level", "0"]));
    assert_eq!(read_module(&fake, 0), "overlay\n");
    fake.take_calls();
    let second = fake.run_kernel_command(&["--base", &base]);
    assert_eq!(stdout(&second), stdout(&first));
    assert_eq!(fake.take_calls(), Vec::<String>::new(), "the second run rebuilt something");
}

#[rstest]
fn work_tree_is_built_with_its_changes_and_not_modified(#[values(false, true)] split_index: bool) {
    let fake = FakeToolchain::new();
    fake.git(&["checkout", "--quiet", "HEAD~4"]);
    fs::write(fake.linux().join("fs/overlayfs/super.c"), "overlay\n// mine\n").unwrap();
    fs::write(fake.linux().join("fs/new.c"), "staged\n").unwrap();
    fake.git(&["add", "fs/new.c"]);
    if split_index {
        fake.git(&["update-index", "--split-index"]);
    }
    fs::write(fake.linux().join("fs/untracked.c"), "untracked\n").unwrap();
    let before = snapshot_files(&fake.linux());
    let tree = fake.linux();
    // Patches 3 and 4 of the series conflict with that line.
    let failed = fake.run_kernel_command(&["--tree", tree.to_str().unwrap()]);
    assert_refused(&failed, "- toy: 0003-patch-3.patch fails at fs/overlayfs/super.c:1");
    assert!(stderr(&failed).contains("the kernel includes the uncommitted changes of 2 files"), "{}", stderr(&failed));
    fs::write(fake.linux().join("fs/overlayfs/super.c"), "overlay\n").unwrap();
    fs::write(fake.linux().join("fs/super.c"), "superblocks\n").unwrap();
    fs::write(fake.linux().join("Documentation/overlay.rst"), "mine\n").unwrap();
    let failed = fake.run_kernel_command(&["--tree", tree.join("fs").to_str().unwrap()]);
    assert_refused(&failed, "- toy: 0002-patch-2.patch fails at Documentation/overlay.rst:1");
    fake.git(&["checkout", "--quiet", "Documentation"]);
    fs::write(fake.linux().join("Makefile"), "VERSION = 0\nPATCHLEVEL = 1\nEXTRAVERSION = -mine\n").unwrap();
    let after = snapshot_files(&fake.linux());
    let same = fake.run_kernel_command(&["--tree", tree.to_str().unwrap()]);
    assert_built(&same);
    assert!(stdout(&same).contains("/0.1-mine-t"), "{}", stdout(&same));
    assert_eq!(read_module(&fake, 4), "overlay\npatch 3\npatch 4\n");
    assert!(snapshot_files(&fake.linux()) == after, "the work tree was modified");
    assert!(before.len() == after.len(), "files were added to the work tree");
}

#[test]
fn clean_work_tree_and_its_commit_have_the_same_key() {
    let fake = FakeToolchain::new();
    let key = |args: &[&str]| {
        let output = fake.run_kernel_command(&[args, &["--key", "--arch", "um"]].concat());
        assert_built(&output);
        // The part before depends on the origin of the source, the part after on its content.
        stdout(&output).trim().split_once("-um-").unwrap().1.to_string()
    };
    let (tree, commit) = (fake.linux(), format!("git:{}", fake.linux().display()));
    let clean = key(&["--tree", tree.to_str().unwrap()]);
    assert_eq!(clean, key(&["--base", &commit]));
    fs::write(tree.join("Makefile"), "VERSION = 0\nPATCHLEVEL = 2\n").unwrap();
    assert_ne!(clean, key(&["--tree", tree.to_str().unwrap()]));
    assert_eq!(clean, key(&["--base", &commit]));
    assert_eq!(fake.take_calls(), Vec::<String>::new(), "printing a key built something");
}

#[test]
fn tree_with_its_own_series_is_built_unchanged() {
    let fake = FakeToolchain::new();
    let text = "overlay, mine\npr_err(\"volatile reuse refused: %s\");\n";
    fs::write(fake.linux().join("fs/overlayfs/super.c"), text).unwrap();
    let tree = fake.linux();
    let tree = tree.to_str().unwrap();
    let output = fake.run_kernel_command(&["--tree", tree]);
    assert_built(&output);
    assert!(stderr(&output).contains("it has another implementation of the series"), "{}", stderr(&output));
    assert_eq!(read_module(&fake, 4), text);
    assert_refused(
        &fake.run_kernel_command(&["--tree", tree, "--level", "3"]),
        "it has another implementation of the series, which cannot be reverted",
    );
}

#[test]
fn fix_that_the_source_already_has_is_not_applied() {
    let fake = FakeToolchain::new();
    let fixes = fake.root().join("vm-images/fixes");
    fs::create_dir_all(&fixes).unwrap();
    fake.git(&["checkout", "--quiet", "HEAD~4"]);
    fs::write(fake.linux().join("Makefile"), "VERSION = 0\nPATCHLEVEL = 1\nSUBLEVEL =\nEXTRAVERSION = -fixed\n")
        .unwrap();
    fake.git(&["commit", "--quiet", "--all", "--message", "fix"]);
    fs::write(fixes.join("fix.patch"), fake.git(&["format-patch", "--stdout", "-1"]) + "\n").unwrap();
    let bases = fake.root().join("ci/bases.toml");
    let text = fs::read_to_string(&bases).unwrap();
    let with_fix = "series = \"toy\"\nfixes = { um = [\"fix.patch\"] }\n";
    fs::write(&bases, text.replace("series = \"toy\"\n", with_fix)).unwrap();
    let version = |commit: &str| {
        let output = fake.run_kernel_command(&["--base", &format!("git:{}#{commit}", fake.linux().display())]);
        assert_built(&output);
        let trees = fs::read_dir(fake.cache().join("build")).unwrap().map(|tree| tree.unwrap().path());
        let um: Vec<_> = trees.filter(|tree| tree.to_str().unwrap().contains("-um-")).collect();
        let [tree] = um.as_slice() else { panic!("{um:?}") };
        let makefile = fs::read_to_string(tree.join("source/Makefile")).unwrap();
        fs::remove_dir_all(fake.cache().join("build")).unwrap();
        makefile.lines().last().unwrap().to_string()
    };
    assert_eq!(version("HEAD"), "EXTRAVERSION = -fixed");
    assert_eq!(version("HEAD~1"), "EXTRAVERSION = -fixed");
}

/// Builds a kernel from a source in which `LINUX`, `TARBALL` and `FAKE` stand for paths of the
/// fake, and `NUL` for 64 zeros.
fn build_from_source(fake: &FakeToolchain, base: &str) -> Output {
    let tarball = fake.path().join("linux_0.1.orig.tar.gz");
    let base = base.replace("LINUX", fake.linux().to_str().unwrap()).replace("TARBALL", tarball.to_str().unwrap());
    fake.run_kernel_command(&[
        "--base",
        &base.replace("FAKE", fake.path().to_str().unwrap()).replace("NUL", &"0".repeat(64)),
    ])
}

#[rstest]
#[case::no_repository_at_url("git:file:///nowhere#HEAD", "failed to fetch file:///nowhere; ")]
#[case::no_file_at_url("tarball:file:///nowhere.tar", "failed to fetch file:///nowhere.tar; ")]
#[case::other_file("tarball:TARBALL#NUL", "failed to verify linux_0.1.orig.tar.gz: its SHA-256 is ")]
#[case::other_file_at_url("tarball:file://TARBALL#NUL", "failed to verify linux_0.1.orig.tar.gz: its SHA-256 is ")]
fn source_that_cannot_be_fetched_exits_with_125(#[case] base: &str, #[case] expected: &str) {
    assert_refused(&build_from_source(&FakeToolchain::new(), base), expected);
}

#[rstest]
#[case::branch("git:LINUX#no-such-branch", "failed to find commit no-such-branch in ")]
#[case::commit_id(
    "git:file://LINUX#be4df0cea08a8b59eb38d73de988b7ba8022df41",
    "failed to find commit be4df0cea08a8b59eb38"
)]
#[case::repository(
    "git:/nowhere#HEAD",
    "failed to find a git repository in \"/nowhere\": it does not exist; use --base"
)]
#[case::folder_without_repository("git:FAKE#HEAD", ": it is not in a git repository; use --base")]
#[case::file_as_repository("git:TARBALL#HEAD", ": it is neither a folder nor a git bundle; use --base")]
#[case::tarball("tarball:/nowhere.tar", "failed to unpack \"/nowhere.tar\": it does not exist; use --base")]
#[case::folder_as_tarball("tarball:LINUX", ": it is not a file; use --base")]
#[case::text_as_tarball("tarball:LINUX/Makefile", ": it is not a complete tar archive; use --base")]
#[case::text_at_url("tarball:file://LINUX/Makefile", ": it is not a complete tar archive; use --base")]
#[case::hash(
    "tarball:TARBALL#50d1",
    "failed to parse SHA-256 \"50d1\": it must have 64 hexadecimal digits; `sha256sum"
)]
#[case::hash_of_url("tarball:file://TARBALL#50d1", "failed to parse SHA-256 \"50d1\"")]
fn source_that_does_not_exist_exits_with_2(#[case] base: &str, #[case] expected: &str) {
    assert_fails(&build_from_source(&FakeToolchain::new(), base), USAGE, expected);
}

#[rstest]
#[case::missing_directory("nowhere", USAGE, ": it does not exist; use --tree with a git work tree of a kernel")]
#[case::not_a_directory("linux/Makefile", USAGE, ": it is not a folder; use --tree")]
#[case::not_a_repository(".", USAGE, ": it is not in a git repository; use --tree")]
#[case::git_folder("other/.git", USAGE, ": the repository has no work tree; use --tree")]
#[case::not_a_kernel("other", CANNOT_TELL, "failed to find a Linux kernel in ")]
fn directory_without_a_kernel_work_tree_is_refused(
    #[case] folder: &str,
    #[case] code: Option<i32>,
    #[case] expected: &str,
) {
    let fake = FakeToolchain::new();
    let other = fake.path().join("other");
    assert!(std::process::Command::new("git").args(["init", "--quiet"]).arg(&other).status().unwrap().success());
    fs::write(other.join("README"), "no kernel").unwrap();
    for args in [&["add", "README"][..], &["commit", "--quiet", "--message", "other"]] {
        let mut git = std::process::Command::new("git");
        git.args(["-c", "user.name=toy", "-c", "user.email=toy@localhost"]).args(args).current_dir(&other);
        assert!(git.status().unwrap().success());
    }
    let folder = fake.path().join(folder);
    assert_fails(&fake.run_kernel_command(&["--tree", folder.to_str().unwrap()]), code, expected);
}

/// git takes any path, but make does not: only the build and the checkout are restricted.
#[rstest]
#[case::apostrophe_and_space("it's a tree", Some(0), "it's a tree is only read")]
#[case::quotes("\"tree\" #1", Some(0), "is only read")]
#[case::newline("new\nline", USAGE, "paths with a control character or invalid UTF-8 are not supported")]
fn path_of_a_source_is_supported_or_refused(#[case] name: &str, #[case] code: Option<i32>, #[case] expected: &str) {
    let fake = FakeToolchain::new();
    let folder = fake.path().join(name);
    fs::rename(fake.linux(), &folder).unwrap();
    let tree = fake.run_kernel_command(&["--tree", folder.to_str().unwrap()]);
    assert_fails(&tree, code, expected);
    for base in [format!("git:{}#HEAD", folder.display()), format!("tarball:{}/linux 'x'.tar", folder.display())] {
        let tarball = folder.join("linux 'x'.tar");
        fs::copy(fake.path().join("linux_0.1.orig.tar.gz"), tarball).unwrap();
        let output = fake.run_kernel_command(&["--base", &base]);
        assert_eq!(output.status.code(), code, "{base}: {}", stderr(&output));
    }
}

#[rstest]
#[case::space("my cache", "' '")]
#[case::apostrophe("it's", "'\\''")]
#[case::newline("new\nline", "'\\n'")]
fn path_of_the_cache_that_make_cannot_take_is_refused(#[case] name: &str, #[case] expected: &str) {
    let fake = FakeToolchain::new();
    let cache = fake.path().join(name);
    let output = fake.kernel_command(&[]).env("XDG_CACHE_HOME", &cache).output().unwrap();
    assert_refused(
        &output,
        &format!("make cannot build a kernel in a path with the character {expected}; set XDG_CACHE_HOME"),
    );
    assert!(!cache.exists());
}

#[rstest]
#[case::file("TARBALL", true)]
#[case::file_with_hash("TARBALL#HASH", true)]
#[case::url("file://TARBALL", false)]
#[case::url_with_hash("file://TARBALL#HASH", true)]
fn tarball_with_a_known_hash_is_fetched_once(#[case] from: &str, #[case] builds_offline: bool) {
    let fake = FakeToolchain::new();
    let tarball = fake.path().join("linux_0.1.orig.tar.gz");
    let hash = hash::sha256_file(&tarball).unwrap();
    let base = format!("tarball:{from}").replace("TARBALL", tarball.to_str().unwrap()).replace("HASH", &hash);
    assert_built(&fake.run_kernel_command(&["--base", &base]));
    assert_eq!(read_module(&fake, 4), "overlay\npatch 3\npatch 4\n");
    if base.contains("://") {
        fs::remove_file(&tarball).unwrap();
        let second = fake.run_kernel_command(&["--base", &base]);
        assert_eq!(second.status.code(), if builds_offline { Some(0) } else { CANNOT_TELL }, "{}", stderr(&second));
    }
}

/// Bases of ci/bases.toml whose source is not a package.
#[rstest]
#[case::git("git = \"LINUX\"\ncommit = \"COMMIT\"\n", None)]
#[case::git_with_tree("git = \"LINUX\"\ncommit = \"COMMIT\"\ntree = \"TREE\"\n", None)]
#[case::git_with_another_tree("git = \"LINUX\"\ncommit = \"COMMIT\"\ntree = \"COMMIT\"\n", Some("its tree is "))]
#[case::tarball("tarball = \"TARBALL\"\nsha256 = \"HASH\"\n", None)]
fn base_may_have_any_kind_of_source(#[case] source: &str, #[case] expected: Option<&str>) {
    let fake = FakeToolchain::new();
    let tarball = fake.path().join("linux_0.1.orig.tar.gz");
    let hash = hash::sha256_file(&tarball).unwrap();
    let source = source
        .replace("LINUX", fake.linux().to_str().unwrap())
        .replace("COMMIT", &fake.git(&["rev-parse", "HEAD~4"]))
        .replace("TREE", &fake.git(&["rev-parse", "HEAD~4^{tree}"]))
        .replace("TARBALL", tarball.to_str().unwrap())
        .replace("HASH", &hash);
    let text = format!("default = \"own\"\n[bases.own]\nseries = \"toy\"\n[bases.own.source]\n{source}");
    fs::write(fake.root().join("ci/bases.toml"), text).unwrap();
    let output = fake.run_kernel_command(&[]);
    match expected {
        Some(expected) => assert_refused(&output, expected),
        None => {
            assert_built(&output);
            assert_eq!(read_module(&fake, 4), "overlay\npatch 3\npatch 4\n");
        }
    }
}

#[rstest]
#[case::newer_version(
    "0.1.7-1\n0.2-1\n0.1.12-1\n",
    "the newest of the same series is 0.1.12-1: `vremount base pin NAME`"
)]
#[case::other_series(
    "0.2-1\n6.1.4-1\n",
    "it has no newer version of that series; pin one of these in ci/bases.toml: 0.2-1, 6.1.4-1"
)]
#[case::older_version_only(
    "0.0.9-1\n",
    "it has no newer version of that series; pin one of these in ci/bases.toml: 0.0.9-1"
)]
#[case::pinned_version_is_still_listed(
    "0.1-1\n0.1.12-1\n",
    "the newest of the same series is 0.1.12-1: `vremount base pin NAME`"
)]
#[case::newer_revision_of_the_same_tarball(
    "0.1-2\n",
    "the newest of the same series is 0.1-2: `vremount base pin NAME`"
)]
#[case::pinned_version_only("0.1-1\n", "pin another version in ci/bases.toml")]
fn missing_version_is_reported_with_the_available_ones(#[case] versions: &str, #[case] expected: &str) {
    let fake = FakeToolchain::new();
    fake.set_failure("apt", "gone");
    fs::write(fake.path().join("apt-versions"), versions).unwrap();
    assert_refused(&fake.run_kernel_command(&[]), expected);
}

/// The fake kernels do not boot, so no claim can be proved on them.
#[test]
fn version_is_not_pinned_if_its_claims_do_not_hold() {
    let fake = FakeToolchain::new();
    fs::write(fake.path().join("apt-versions"), "0.1-1\n0.1.12-1\n").unwrap();
    let bases = fake.root().join("ci/bases.toml");
    let before = fs::read_to_string(&bases).unwrap();
    let output = fake.vremount(&["base", "pin", "0.1"]).output().unwrap();
    assert_refused(
        &output,
        "failed to pin 0.1: not every claim holds on linux 0.1.12-1 of bullseye; ci/bases.toml is unchanged",
    );
    assert!(stdout(&output).contains("cannot tell: Linux 0.1.12, series toy at level 4, uml: "), "{}", stdout(&output));
    assert_eq!(fs::read_to_string(&bases).unwrap(), before);
    // The mirror lists a version that it does not have.
    fs::write(fake.path().join("apt-versions"), "0.1.13-1\n0.1-1\n0.1.12-1\n").unwrap();
    fs::write(fake.path().join("apt-missing"), "0.1.13-1\n").unwrap();
    let output = fake.vremount(&["base", "pin", "0.1"]).output().unwrap();
    assert_refused(&output, "failed to pin 0.1: not every claim holds on linux 0.1.12-1 of bullseye");
    assert!(
        stderr(&output).contains("note: bullseye lists 0.1.13-1 but does not have its file"),
        "{}",
        stderr(&output)
    );
    fs::write(fake.path().join("apt-versions"), "0.1-1\n0.0.9-1\n").unwrap();
    let output = fake.vremount(&["base", "pin", "0.1"]).output().unwrap();
    assert_built(&output);
    assert!(stdout(&output).contains("no newer version is available"), "{}", stdout(&output));
    // The pinned version is gone, and only an older one is available.
    fs::write(fake.path().join("apt-versions"), "0.0.9-1\n").unwrap();
    let output = fake.vremount(&["base", "pin", "0.1"]).output().unwrap();
    assert_refused(&output, "it has no newer version of that series; pin one of these in ci/bases.toml: 0.0.9-1");
}

#[test]
fn base_list_shows_the_source_and_the_default() {
    let fake = FakeToolchain::new();
    let output = fake.vremount(&["base", "list"]).output().unwrap();
    let words: Vec<_> = stdout(&output).split_whitespace().map(String::from).collect();
    assert_eq!(words, ["0.1", "toy", "linux", "0.1-1", "of", "bullseye", "frozen", "default"]);
}

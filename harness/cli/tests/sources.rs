// SPDX-License-Identifier: MIT OR Apache-2.0
//! Kernels from repositories, tarballs and developers' own trees, and which series is chosen for them.
#![allow(clippy::unwrap_used)]

mod common;

use std::fs;
use std::path::PathBuf;
use std::process::Output;

use common::toy::Toy;
use common::{everything, stderr, stdout};
use rstest::rstest;
use vremount_util::hash;

const CANNOT_TELL: Option<i32> = Some(125);
const USAGE: Option<i32> = Some(2);

/// The module of a level, as the last build left it for people.
fn module(toy: &Toy, level: u8) -> String {
    let bases = fs::read_dir(toy.root().join("target/kernel")).unwrap();
    let [base] = bases.map(|base| base.unwrap().path()).collect::<Vec<_>>().try_into().unwrap();
    let base: PathBuf = base;
    let folder = if level == 0 { "um-pristine" } else { "um" };
    fs::read_to_string(base.join(folder).join(format!("overlay-{level}.ko"))).unwrap()
}

fn built(output: &Output) {
    assert_eq!(output.status.code(), Some(0), "{}", stderr(output));
}

fn refused(output: &Output, expected: &str) {
    fails(output, CANNOT_TELL, expected);
}

fn fails(output: &Output, code: Option<i32>, expected: &str) {
    assert!(stderr(output).contains(expected), "{}", stderr(output));
    assert_eq!(output.status.code(), code, "{}", stderr(output));
}

#[rstest]
#[case::nothing("HEAD~4", "series toy applies")]
#[case::the_first("HEAD~3", "it already has patch 1 of series toy")]
#[case::half("HEAD~2", "it already has patches 1 to 2 of series toy")]
#[case::all("HEAD", "it already has series toy; for levels below 4 patches are reverted")]
fn whatever_a_commit_carries_every_level_is_the_same(#[case] commit: &str, #[case] words: &str) {
    let toy = Toy::new();
    let base = format!("git:{}#{commit}", toy.linux().display());
    let first = toy.kernel(&["--base", &base]);
    built(&first);
    assert!(stderr(&first).contains(words), "{}", stderr(&first));
    assert_eq!(module(&toy, 2), "overlay\n");
    assert_eq!(module(&toy, 3), "overlay\npatch 3\n");
    assert_eq!(module(&toy, 4), "overlay\npatch 3\npatch 4\n");
    built(&toy.kernel(&["--base", &base, "--level", "0"]));
    assert_eq!(module(&toy, 0), "overlay\n");
    toy.calls();
    let second = toy.kernel(&["--base", &base]);
    assert_eq!(stdout(&second), stdout(&first));
    assert_eq!(toy.calls(), Vec::<String>::new(), "the second run built something");
}

#[rstest]
fn a_tree_is_built_as_it_is_and_only_read(#[values(false, true)] split_index: bool) {
    let toy = Toy::new();
    toy.git(&["checkout", "--quiet", "HEAD~4"]);
    fs::write(toy.linux().join("fs/overlayfs/super.c"), "overlay\n// mine\n").unwrap();
    fs::write(toy.linux().join("fs/new.c"), "staged\n").unwrap();
    toy.git(&["add", "fs/new.c"]);
    if split_index {
        toy.git(&["update-index", "--split-index"]);
    }
    fs::write(toy.linux().join("fs/untracked.c"), "untracked\n").unwrap();
    let before = everything(&toy.linux());
    let tree = toy.linux();
    // The two last patches of the toy do not apply beside that line; the series is tried, and its tree is not.
    let failed = toy.kernel(&["--tree", tree.to_str().unwrap()]);
    refused(&failed, "- toy: 0003-patch-3.patch fails at fs/overlayfs/super.c:1");
    assert!(stderr(&failed).contains("the kernel includes the uncommitted changes of 2 files"), "{}", stderr(&failed));
    fs::write(toy.linux().join("fs/overlayfs/super.c"), "overlay\n").unwrap();
    fs::write(toy.linux().join("fs/super.c"), "superblocks\n").unwrap();
    fs::write(toy.linux().join("Documentation/overlay.rst"), "mine\n").unwrap();
    let failed = toy.kernel(&["--tree", tree.join("fs").to_str().unwrap()]);
    refused(&failed, "- toy: 0002-patch-2.patch fails at Documentation/overlay.rst:1");
    toy.git(&["checkout", "--quiet", "Documentation"]);
    fs::write(toy.linux().join("Makefile"), "VERSION = 0\nPATCHLEVEL = 1\nEXTRAVERSION = -mine\n").unwrap();
    let after = everything(&toy.linux());
    let same = toy.kernel(&["--tree", tree.to_str().unwrap()]);
    built(&same);
    assert!(stdout(&same).contains("/0.1-mine-t"), "{}", stdout(&same));
    assert_eq!(module(&toy, 4), "overlay\npatch 3\npatch 4\n");
    assert!(everything(&toy.linux()) == after, "something was written to the tree");
    assert!(before.len() == after.len(), "something was left in the tree");
}

#[test]
fn a_tree_and_its_commit_are_the_same_kernel() {
    let toy = Toy::new();
    let key = |args: &[&str]| {
        let output = toy.kernel(&[args, &["--key", "--arch", "um"]].concat());
        built(&output);
        // The name says where it comes from; what follows is about content.
        stdout(&output).trim().split_once("-um-").unwrap().1.to_string()
    };
    let (tree, commit) = (toy.linux(), format!("git:{}", toy.linux().display()));
    let clean = key(&["--tree", tree.to_str().unwrap()]);
    assert_eq!(clean, key(&["--base", &commit]));
    fs::write(tree.join("Makefile"), "VERSION = 0\nPATCHLEVEL = 2\n").unwrap();
    assert_ne!(clean, key(&["--tree", tree.to_str().unwrap()]));
    assert_eq!(clean, key(&["--base", &commit]));
    assert_eq!(toy.calls(), Vec::<String>::new(), "to print a key something was built");
}

#[test]
fn a_series_of_its_own_is_proved_as_it_is() {
    let toy = Toy::new();
    let text = "overlay, mine\npr_err(\"volatile reuse refused: %s\");\n";
    fs::write(toy.linux().join("fs/overlayfs/super.c"), text).unwrap();
    let tree = toy.linux();
    let tree = tree.to_str().unwrap();
    let output = toy.kernel(&["--tree", tree]);
    built(&output);
    assert!(stderr(&output).contains("it has another implementation of the series"), "{}", stderr(&output));
    assert_eq!(module(&toy, 4), text);
    refused(
        &toy.kernel(&["--tree", tree, "--level", "3"]),
        "it has another implementation of the series, which cannot be reverted",
    );
}

#[test]
fn a_fix_that_the_tree_has_is_left_out() {
    let toy = Toy::new();
    let fixes = toy.root().join("vm-images/fixes");
    fs::create_dir_all(&fixes).unwrap();
    toy.git(&["checkout", "--quiet", "HEAD~4"]);
    fs::write(toy.linux().join("Makefile"), "VERSION = 0\nPATCHLEVEL = 1\nSUBLEVEL =\nEXTRAVERSION = -fixed\n")
        .unwrap();
    toy.git(&["commit", "--quiet", "--all", "--message", "fix"]);
    fs::write(fixes.join("fix.patch"), toy.git(&["format-patch", "--stdout", "-1"]) + "\n").unwrap();
    let bases = toy.root().join("ci/bases.toml");
    let text = fs::read_to_string(&bases).unwrap();
    let with_fix = "series = \"toy\"\nfixes = { um = [\"fix.patch\"] }\n";
    fs::write(&bases, text.replace("series = \"toy\"\n", with_fix)).unwrap();
    let version = |commit: &str| {
        let output = toy.kernel(&["--base", &format!("git:{}#{commit}", toy.linux().display())]);
        built(&output);
        let trees = fs::read_dir(toy.cache().join("build")).unwrap().map(|tree| tree.unwrap().path());
        let um: Vec<_> = trees.filter(|tree| tree.to_str().unwrap().contains("-um-")).collect();
        let [tree] = um.as_slice() else { panic!("{um:?}") };
        let makefile = fs::read_to_string(tree.join("source/Makefile")).unwrap();
        fs::remove_dir_all(toy.cache().join("build")).unwrap();
        makefile.lines().last().unwrap().to_string()
    };
    assert_eq!(version("HEAD"), "EXTRAVERSION = -fixed");
    assert_eq!(version("HEAD~1"), "EXTRAVERSION = -fixed");
}

/// `NUL` in a source stands for 64 zeros.
fn kernel_of(toy: &Toy, base: &str) -> Output {
    let tarball = toy.path().join("linux_0.1.orig.tar.gz");
    let base = base.replace("LINUX", toy.linux().to_str().unwrap()).replace("TARBALL", tarball.to_str().unwrap());
    toy.kernel(&["--base", &base.replace("TOY", toy.path().to_str().unwrap()).replace("NUL", &"0".repeat(64))])
}

#[rstest]
#[case::no_repository_at_url("git:file:///nowhere#HEAD", "failed to fetch file:///nowhere; ")]
#[case::no_file_at_url("tarball:file:///nowhere.tar", "failed to fetch file:///nowhere.tar; ")]
#[case::other_file("tarball:TARBALL#NUL", "failed to verify linux_0.1.orig.tar.gz: its SHA-256 is ")]
#[case::other_file_at_url("tarball:file://TARBALL#NUL", "failed to verify linux_0.1.orig.tar.gz: its SHA-256 is ")]
fn source_that_cannot_be_fetched_leaves_the_verdict_open(#[case] base: &str, #[case] expected: &str) {
    refused(&kernel_of(&Toy::new(), base), expected);
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
#[case::folder_without_repository("git:TOY#HEAD", ": it is not in a git repository; use --base")]
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
fn source_that_does_not_exist_is_bad_usage(#[case] base: &str, #[case] expected: &str) {
    fails(&kernel_of(&Toy::new(), base), USAGE, expected);
}

#[rstest]
#[case::missing("nowhere", USAGE, ": it does not exist; use --tree with a git work tree of a kernel")]
#[case::file("linux/Makefile", USAGE, ": it is not a folder; use --tree")]
#[case::no_repository(".", USAGE, ": it is not in a git repository; use --tree")]
#[case::git_folder("other/.git", USAGE, ": the repository has no work tree; use --tree")]
#[case::no_kernel("other", CANNOT_TELL, "failed to find a Linux kernel in ")]
fn a_tree_that_is_none(#[case] folder: &str, #[case] code: Option<i32>, #[case] expected: &str) {
    let toy = Toy::new();
    let other = toy.path().join("other");
    assert!(std::process::Command::new("git").args(["init", "--quiet"]).arg(&other).status().unwrap().success());
    fs::write(other.join("README"), "no kernel").unwrap();
    for args in [&["add", "README"][..], &["commit", "--quiet", "--message", "other"]] {
        let mut git = std::process::Command::new("git");
        git.args(["-c", "user.name=toy", "-c", "user.email=toy@localhost"]).args(args).current_dir(&other);
        assert!(git.status().unwrap().success());
    }
    let folder = toy.path().join(folder);
    fails(&toy.kernel(&["--tree", folder.to_str().unwrap()]), code, expected);
}

/// git takes any path, but make does not: only the build and the checkout are restricted.
#[rstest]
#[case::apostrophe_and_space("it's a tree", Some(0), "it's a tree is only read")]
#[case::quotes("\"tree\" #1", Some(0), "is only read")]
#[case::newline("new\nline", USAGE, "paths with a control character or invalid UTF-8 are not supported")]
fn path_of_a_source_is_supported_or_refused(#[case] name: &str, #[case] code: Option<i32>, #[case] expected: &str) {
    let toy = Toy::new();
    let folder = toy.path().join(name);
    fs::rename(toy.linux(), &folder).unwrap();
    let tree = toy.kernel(&["--tree", folder.to_str().unwrap()]);
    fails(&tree, code, expected);
    for base in [format!("git:{}#HEAD", folder.display()), format!("tarball:{}/linux 'x'.tar", folder.display())] {
        let tarball = folder.join("linux 'x'.tar");
        fs::copy(toy.path().join("linux_0.1.orig.tar.gz"), tarball).unwrap();
        let output = toy.kernel(&["--base", &base]);
        assert_eq!(output.status.code(), code, "{base}: {}", stderr(&output));
    }
}

#[rstest]
#[case::space("my cache", "' '")]
#[case::apostrophe("it's", "'\\''")]
#[case::newline("new\nline", "'\\n'")]
fn path_of_the_cache_that_make_cannot_take_is_refused(#[case] name: &str, #[case] expected: &str) {
    let toy = Toy::new();
    let cache = toy.path().join(name);
    let output = toy.command(&[]).env("XDG_CACHE_HOME", &cache).output().unwrap();
    refused(
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
fn a_tarball_is_fetched_no_more_than_it_has_to(#[case] from: &str, #[case] offline: bool) {
    let toy = Toy::new();
    let tarball = toy.path().join("linux_0.1.orig.tar.gz");
    let hash = hash::of_file(&tarball).unwrap();
    let base = format!("tarball:{from}").replace("TARBALL", tarball.to_str().unwrap()).replace("HASH", &hash);
    built(&toy.kernel(&["--base", &base]));
    assert_eq!(module(&toy, 4), "overlay\npatch 3\npatch 4\n");
    if base.contains("://") {
        fs::remove_file(&tarball).unwrap();
        let again = toy.kernel(&["--base", &base]);
        assert_eq!(again.status.code(), if offline { Some(0) } else { CANNOT_TELL }, "{}", stderr(&again));
    }
}

/// Bases of ci/bases.toml that are no packages.
#[rstest]
#[case::git("git = \"LINUX\"\ncommit = \"COMMIT\"\n", None)]
#[case::git_and_its_tree("git = \"LINUX\"\ncommit = \"COMMIT\"\ntree = \"TREE\"\n", None)]
#[case::another_tree("git = \"LINUX\"\ncommit = \"COMMIT\"\ntree = \"COMMIT\"\n", Some("its tree is "))]
#[case::tarball("tarball = \"TARBALL\"\nsha256 = \"HASH\"\n", None)]
fn a_base_has_any_kind_of_source(#[case] source: &str, #[case] expected: Option<&str>) {
    let toy = Toy::new();
    let tarball = toy.path().join("linux_0.1.orig.tar.gz");
    let hash = hash::of_file(&tarball).unwrap();
    let source = source
        .replace("LINUX", toy.linux().to_str().unwrap())
        .replace("COMMIT", &toy.git(&["rev-parse", "HEAD~4"]))
        .replace("TREE", &toy.git(&["rev-parse", "HEAD~4^{tree}"]))
        .replace("TARBALL", tarball.to_str().unwrap())
        .replace("HASH", &hash);
    let text = format!("default = \"own\"\n[bases.own]\nseries = \"toy\"\n[bases.own.source]\n{source}");
    fs::write(toy.root().join("ci/bases.toml"), text).unwrap();
    let output = toy.kernel(&[]);
    match expected {
        Some(expected) => refused(&output, expected),
        None => {
            built(&output);
            assert_eq!(module(&toy, 4), "overlay\npatch 3\npatch 4\n");
        }
    }
}

#[rstest]
#[case::newer("0.1.7-1\n0.2-1\n0.1.12-1\n", "the newest of the same series is 0.1.12-1: `vremount base pin NAME`")]
#[case::other_series(
    "0.2-1\n6.1.4-1\n",
    "it has no newer version of that series; pin one of these in ci/bases.toml: 0.2-1, 6.1.4-1"
)]
#[case::older("0.0.9-1\n", "it has no newer version of that series; pin one of these in ci/bases.toml: 0.0.9-1")]
#[case::itself("0.1-1\n0.1.12-1\n", "the newest of the same series is 0.1.12-1: `vremount base pin NAME`")]
#[case::same_tarball("0.1-2\n", "the newest of the same series is 0.1-2: `vremount base pin NAME`")]
#[case::nothing_but_itself("0.1-1\n", "pin another version in ci/bases.toml")]
fn a_version_that_is_gone_names_what_there_is(#[case] versions: &str, #[case] expected: &str) {
    let toy = Toy::new();
    toy.fails("apt", "gone");
    fs::write(toy.path().join("apt-versions"), versions).unwrap();
    refused(&toy.kernel(&[]), expected);
}

/// In the toy no machine boots: what cannot be proved is not pinned.
#[test]
fn what_is_not_proved_is_not_pinned() {
    let toy = Toy::new();
    fs::write(toy.path().join("apt-versions"), "0.1-1\n0.1.12-1\n").unwrap();
    let bases = toy.root().join("ci/bases.toml");
    let before = fs::read_to_string(&bases).unwrap();
    let output = toy.vremount(&["base", "pin", "0.1"]).output().unwrap();
    refused(
        &output,
        "failed to pin 0.1: not every claim holds on linux 0.1.12-1 of bullseye; ci/bases.toml is unchanged",
    );
    assert!(stdout(&output).contains("cannot tell: Linux 0.1.12, series toy at level 4, uml: "), "{}", stdout(&output));
    assert_eq!(fs::read_to_string(&bases).unwrap(), before);
    // What is listed need not be there.
    fs::write(toy.path().join("apt-versions"), "0.1.13-1\n0.1-1\n0.1.12-1\n").unwrap();
    fs::write(toy.path().join("apt-missing"), "0.1.13-1\n").unwrap();
    let output = toy.vremount(&["base", "pin", "0.1"]).output().unwrap();
    refused(&output, "failed to pin 0.1: not every claim holds on linux 0.1.12-1 of bullseye");
    assert!(
        stderr(&output).contains("note: bullseye lists 0.1.13-1 but does not have its file"),
        "{}",
        stderr(&output)
    );
    fs::write(toy.path().join("apt-versions"), "0.1-1\n0.0.9-1\n").unwrap();
    let output = toy.vremount(&["base", "pin", "0.1"]).output().unwrap();
    built(&output);
    assert!(stdout(&output).contains("no newer version is available"), "{}", stdout(&output));
    // What is pinned is gone, and what there is is older.
    fs::write(toy.path().join("apt-versions"), "0.0.9-1\n").unwrap();
    let output = toy.vremount(&["base", "pin", "0.1"]).output().unwrap();
    refused(&output, "it has no newer version of that series; pin one of these in ci/bases.toml: 0.0.9-1");
}

#[test]
fn bases_are_listed() {
    let toy = Toy::new();
    let output = toy.vremount(&["base", "list"]).output().unwrap();
    let words: Vec<_> = stdout(&output).split_whitespace().map(String::from).collect();
    assert_eq!(words, ["0.1", "toy", "linux", "0.1-1", "of", "bullseye", "frozen", "default"]);
}

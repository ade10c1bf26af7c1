// SPDX-License-Identifier: MIT OR Apache-2.0
//! Tests of a series for a kernel that consists of one file, with real git.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};
use tempfile::TempDir;
use vremount_util::{command, hash};

use crate::base::{Level, PreApplied};
use crate::series::work_tree::{in_tree, prepare_work_tree};
use crate::series::{COVER_LETTER, Error, Series, list_patches, remove_untracked};
use crate::source::{Tree, git_command};

const FILE: &str = "fs/overlayfs/a.c";

/// A kernel that consists of one file, and a series. Patches 1, 3 and 4 add a line to the file,
/// patch 2 adds a document.
pub(crate) struct Toy {
    folder: TempDir,
    pub pristine: Tree,
    pub patches: PathBuf,
}

pub(crate) fn text(numbers: &[u8]) -> String {
    numbers.iter().map(|number| format!("line {number}\n")).collect()
}

pub(crate) fn level(number: u8) -> Level {
    number.to_string().parse().unwrap()
}

impl Toy {
    /// The tags are `base`, `two` with the first two patches, and `own` with another implementation
    /// of the series.
    pub fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let [bare, tree, patches] = ["bare", "tree", "patches"].map(|name| folder.path().join(name));
        fs::create_dir_all(tree.join("fs/overlayfs")).unwrap();
        command::run("toy", git_command(&bare, ["init", "--quiet", "--bare"]).arg(&bare)).unwrap();
        let in_tree = |args: &[&str]| {
            let mut command = git_command(&bare, ["--work-tree"]);
            command::run("toy", command.arg(&tree).args(args)).unwrap()
        };
        let commit = |name: &str| {
            in_tree(&["add", "--all"]);
            in_tree(&["commit", "--quiet", "--message", name]);
        };
        fs::write(tree.join(FILE), text(&[0])).unwrap();
        commit("patch 0");
        in_tree(&["tag", "base"]);
        fs::write(tree.join(FILE), text(&[0, 1])).unwrap();
        commit("patch 1");
        fs::write(tree.join("b.rst"), "words\n").unwrap();
        commit("patch 2");
        in_tree(&["tag", "two"]);
        fs::write(tree.join(FILE), text(&[0, 1, 3])).unwrap();
        commit("patch 3");
        fs::write(tree.join(FILE), text(&[0, 1, 3, 4])).unwrap();
        commit("patch 4");
        in_tree(&["format-patch", "--quiet", "--output-directory", patches.to_str().unwrap(), "base"]);
        fs::write(patches.join(COVER_LETTER), "words\n").unwrap();
        fs::write(tree.join(FILE), "\"volatile reuse refused: not-clean\"\n").unwrap();
        commit("other implementation");
        in_tree(&["tag", "own"]);
        in_tree(&["update-ref", "HEAD", "HEAD~1"]);
        Toy { pristine: Tree { repository: bare, commit: "base".to_string() }, patches, folder }
    }

    fn series(&self, pre_applied: PreApplied, mutant: Option<&Path>) -> Series {
        Series::read(&self.patches, &[], pre_applied, mutant).unwrap()
    }

    pub fn with(&self, commit: &str) -> Tree {
        Tree { repository: self.pristine.repository.clone(), commit: commit.to_string() }
    }

    /// Checks out a level. Returns the text of the file, and whether the document exists.
    fn check_out(&self, series: &Series, pristine: &Tree, number: u8) -> (String, bool) {
        let tree = self.folder.path().join(&pristine.commit);
        prepare_work_tree(pristine, &tree).unwrap();
        series.check_out(pristine, &tree, level(number)).unwrap();
        (fs::read_to_string(tree.join(FILE)).unwrap(), tree.join("b.rst").exists())
    }
}

#[test]
fn each_level_has_one_more_patch() {
    let toy = Toy::new();
    let series = toy.series(PreApplied::None, None);
    let expected: [(u8, &[u8]); 5] = [(0, &[0]), (1, &[0, 1]), (2, &[0, 1]), (3, &[0, 1, 3]), (4, &[0, 1, 3, 4])];
    for (number, lines) in expected {
        assert_eq!(toy.check_out(&series, &toy.pristine, number), (text(lines), number > 1), "{number}");
    }
    // The commits of all levels exist now, so that the patches are not read again.
    fs::remove_dir_all(&toy.patches).unwrap();
    for (number, lines) in expected {
        assert_eq!(toy.check_out(&series, &toy.pristine, number), (text(lines), number > 1), "{number}");
    }
}

#[test]
fn levels_are_checked_out_in_any_order() {
    let toy = Toy::new();
    let series = toy.series(PreApplied::None, None);
    for (number, lines) in [(1, vec![0, 1]), (4, vec![0, 1, 3, 4]), (3, vec![0, 1, 3])] {
        assert_eq!(toy.check_out(&series, &toy.pristine, number).0, text(&lines));
    }
    // The bare repository, the work tree and at most one temporary work tree are registered.
    let mut list = git_command(&toy.pristine.repository, ["worktree", "list"]);
    assert!(command::run("list", &mut list).unwrap().lines().count() <= 3);
}

#[test]
fn present_patches_are_reverted_and_a_mutant_is_applied_last() {
    let toy = Toy::new();
    let mutant = toy.folder.path().join("mutant.diff");
    fs::write(&mutant, format!("--- a/{FILE}\n+++ b/{FILE}\n@@ -4,1 +4,2 @@\n line 4\n+line 9\n")).unwrap();
    let series = toy.series(PreApplied::FirstPatches(2), Some(&mutant));
    let expected: [(u8, &[u8]); 4] = [(0, &[0]), (1, &[0, 1]), (3, &[0, 1, 3]), (4, &[0, 1, 3, 4, 9])];
    for (number, lines) in expected {
        assert_eq!(toy.check_out(&series, &toy.with("two"), number), (text(lines), number > 1), "{number}");
    }
    let other = toy.series(PreApplied::OtherImplementation, None);
    assert_eq!((other.patches_hash(Level::FULL), other.patch_file(Level::FULL)), ("pristine", None));
}

#[test]
fn series_is_described_by_hash_subject_and_changed_paths() {
    let toy = Toy::new();
    let series = toy.series(PreApplied::None, None);
    let all = [0, 1, 2, 3, 4].map(|number| series.patches_hash(level(number)));
    assert_eq!((all[0], all.iter().collect::<BTreeSet<_>>().len()), ("pristine", 5));
    assert!(
        series.patch_file(level(3)).unwrap().ends_with("0003-patch-3.patch") && series.patch_file(level(0)).is_none()
    );
    assert_eq!(series.patch_subject(&toy.pristine, level(3)).unwrap(), "patch 3");
    assert_eq!(series.changed_paths(&toy.pristine).unwrap(), "b.rst\nfs/overlayfs/a.c\n");
    assert_eq!(series.paths_changed_after_first(&toy.pristine).unwrap(), "b.rst\nfs/overlayfs/a.c\n");
    assert!(series.diffstat(&toy.pristine).unwrap().contains("2 files changed, 4 insertions(+)"));
    let first = fs::read(&list_patches(&toy.patches).unwrap()[0]).unwrap();
    assert_eq!(series.patches_hash(Level::FIRST), hash::cache_key(Sha256::new_with_prefix(first)));
}

#[test]
fn work_tree_of_a_killed_git_is_created_again() {
    let toy = Toy::new();
    let (series, tree) = (toy.series(PreApplied::None, None), toy.folder.path().join(&toy.pristine.commit));
    prepare_work_tree(&toy.pristine, &tree).unwrap();
    // A complete work tree is not changed.
    fs::write(tree.join("mine"), "").unwrap();
    prepare_work_tree(&toy.pristine, &tree).unwrap();
    assert!(tree.join("mine").exists());
    let entry = command::run("find", &mut in_tree(&tree, ["rev-parse", "--absolute-git-dir"])).unwrap();
    let lock = Path::new(entry.trim()).join("locked");
    // git was killed with SIGKILL, or with a signal after which it still removes the files.
    for is_removed in [false, true] {
        fs::write(&lock, "initializing").unwrap();
        fs::remove_file(Path::new(entry.trim()).join("HEAD")).unwrap();
        if is_removed {
            fs::remove_dir_all(&tree).unwrap();
        }
        assert_eq!(toy.check_out(&series, &toy.pristine, 3), (text(&[0, 1, 3]), true));
        assert!(!lock.exists());
    }
}

#[test]
fn single_patch_applies_or_leaves_no_trace() {
    let toy = Toy::new();
    let (series, tree) = (toy.series(PreApplied::None, None), toy.folder.path().join("alone"));
    prepare_work_tree(&toy.pristine, &tree).unwrap();
    let error = series.check_out_single_patch(&toy.pristine, &tree, Level::FULL).unwrap_err();
    assert!(matches!(error, Error::DoesNotApply { .. }) && error.is_kernel_failure());
    // This fails if the git am before it was not aborted.
    series.check_out_single_patch(&toy.pristine, &tree, Level::DOCUMENTED).unwrap();
    assert_eq!(fs::read_to_string(tree.join(FILE)).unwrap(), text(&[0]));
    assert!(tree.join("b.rst").exists());
    fs::write(tree.join("junk"), "").unwrap();
    remove_untracked(&tree).unwrap();
    assert!(!tree.join("junk").exists());
    assert!(!list_patches(toy.folder.path()).unwrap_err().is_kernel_failure());
}

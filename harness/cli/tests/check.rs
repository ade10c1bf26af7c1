// SPDX-License-Identifier: MIT OR Apache-2.0
//! `vremount check-series` reports the findings of the kernel's checkers at the level of the patch
//! that causes them.
#![allow(clippy::unwrap_used)]

mod common;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use common::checkout;
use tempfile::TempDir;
use vremount_analysis::lint_series::{Finding, Outcome, check_series};
use vremount_kernel::base::{Base, Feature};
use vremount_kernel::series::{COVER_LETTER, list_patches};
use vremount_kernel::workspace::Workspace;

/// Replaces the first occurrence of a text in a patch or cover letter.
fn replace_first(path: &Path, good: &str, bad: &str) {
    let text = fs::read_to_string(path).unwrap();
    assert!(text.contains(good), "{} has no {good:?}", path.display());
    fs::write(path, text.replacen(good, bad, 1)).unwrap();
}

/// The default base with a copy of its series, the directory of the copy, and the directory of the
/// original.
fn copy_series() -> (Base, TempDir, PathBuf) {
    let mut base = Base::find(&checkout(), None).unwrap();
    let (good, copy) = (checkout().join("patches").join(&base.series), tempfile::tempdir().unwrap());
    for file in list_patches(&good).unwrap().into_iter().chain([good.join(COVER_LETTER)]) {
        fs::copy(&file, copy.path().join(file.file_name().unwrap())).unwrap();
    }
    base.series = copy.path().to_string_lossy().into_owned();
    (base, copy, good)
}

/// Level and name of the checks that found something, and of those that could not run, and the
/// number of all checks.
fn run_checks(base: &Base) -> ([Vec<String>; 2], usize) {
    let findings = check_series(&Workspace::find().unwrap(), base).unwrap();
    for Finding { level, check, outcome } in &findings {
        println!("{level} {check}: {outcome:?}");
    }
    let names = |matches: fn(&Outcome) -> bool| {
        let matching = findings.iter().filter(move |finding| matches(&finding.outcome));
        matching.map(|finding| format!("{} {}", finding.level, finding.check)).collect()
    };
    let found = names(|outcome| matches!(outcome, Outcome::Found(_)));
    ([found, names(|outcome| matches!(outcome, Outcome::CannotTell(_)))], findings.len())
}

#[test]
fn series_that_does_not_apply_is_checked_no_further() {
    let (base, modified, _) = copy_series();
    replace_first(&list_patches(modified.path()).unwrap()[1], "\n sync calls to", "\n sync call to");
    let ([found, not_run], checks) = run_checks(&base);
    assert_eq!(found, ["2 git am", "3 git am", "4 git am", "2 git am, alone"]);
    let skipped =
        ["cover letter", "mutants", "W=1", "W=1, built in", "sparse", "checkpatch", "kernel-doc", "rst", "built in"];
    assert_eq!(not_run, skipped.map(|check| format!("4 {check}")));
    // `git am` at each level, `git am` of the second patch alone, and the features in
    // ci/bases.toml.
    assert_eq!(checks, 4 + 1 + 1 + skipped.len());
}

#[test]
fn defects_are_found_at_the_level_that_causes_them() {
    let (mut base, modified, good) = copy_series();
    let files = list_patches(modified.path()).unwrap();
    replace_first(&modified.path().join(COVER_LETTER), " insertions(+)", "0 insertions(+)");
    // A space before a tab.
    replace_first(&files[0], "\n+\tu64", "\n+ \tu64");
    // A strong emphasis without an end.
    replace_first(&files[1], "\n+The errors that those", "\n+**The errors that those");
    // A global function without a declaration.
    replace_first(&files[2], "\n+static int ovl_refuse_reuse(", "\n+int ovl_refuse_reuse(");
    // A kernel-doc comment that documents nothing.
    replace_first(&files[3], "\n+/*\n", "\n+/**\n");
    // Two mutants, one of which does not apply.
    let mutants = modified.path().join("mutants");
    fs::create_dir(&mutants).unwrap();
    let real = good.join("mutants/locks-not-looked-at.patch");
    fs::copy(&real, mutants.join("fits.patch")).unwrap();
    fs::copy(&real, mutants.join("does-not.patch")).unwrap();
    replace_first(&mutants.join("does-not.patch"), "\n-\tif (!ofs->upperdir_locked", "\n-\tif (!ofs->lowerdir_locked");
    // A feature that the base does not have, instead of those that it has.
    base.features = [Feature::Casefold].into();
    let ([found, not_run], checks) = run_checks(&base);
    let expected = [
        "0 ci/bases.toml",
        "1 checkpatch",
        "2 rst",
        "3 W=1",
        "3 W=1, built in",
        "3 sparse",
        "4 W=1",
        "4 W=1, built in",
        "4 cover letter",
        "4 kernel-doc",
        "4 mutants",
        "4 sparse",
    ];
    assert_eq!(BTreeSet::from_iter(found), expected.map(str::to_string).into());
    assert_eq!(not_run, ["4 built in"]);
    // Seven checks at each level, and once: the second patch alone, the cover letter, the mutants,
    // the features and the built-in kernel.
    assert_eq!(checks, 7 * 4 + 5);
}

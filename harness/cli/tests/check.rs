// SPDX-License-Identifier: MIT OR Apache-2.0
//! What reviewers' tools would say of a series is said at the level that is to blame, and of a good one nothing is.
#![allow(clippy::unwrap_used)]

mod common;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use common::checkout;
use tempfile::TempDir;
use vremount_analysis::lint_series::{Finding, Outcome, check};
use vremount_kernel::base::{Base, Feature};
use vremount_kernel::series::{COVER_LETTER, patches};
use vremount_kernel::workspace::Workspace;

/// Replaces the first of some words in a patch, or in a letter.
fn spoil(path: &Path, good: &str, bad: &str) {
    let text = fs::read_to_string(path).unwrap();
    assert!(text.contains(good), "{} has no {good:?}", path.display());
    fs::write(path, text.replacen(good, bad, 1)).unwrap();
}

/// The default base, with a copy of its series that may be spoilt, and where the right one is.
fn copy() -> (Base, TempDir, PathBuf) {
    let mut base = Base::find(&checkout(), None).unwrap();
    let (good, copy) = (checkout().join("patches").join(&base.series), tempfile::tempdir().unwrap());
    for file in patches(&good).unwrap().into_iter().chain([good.join(COVER_LETTER)]) {
        fs::copy(&file, copy.path().join(file.file_name().unwrap())).unwrap();
    }
    base.series = copy.path().to_string_lossy().into_owned();
    (base, copy, good)
}

/// Level and check of what was found, and of what was not looked at, and how many there are.
fn told(base: &Base) -> ([Vec<String>; 2], usize) {
    let findings = check(&Workspace::find().unwrap(), base).unwrap();
    for Finding { level, check, outcome } in &findings {
        println!("{level} {check}: {outcome:?}");
    }
    let words = |is: fn(&Outcome) -> bool| {
        let these = findings.iter().filter(move |finding| is(&finding.outcome));
        these.map(|finding| format!("{} {}", finding.level, finding.check)).collect()
    };
    let found = words(|outcome| matches!(outcome, Outcome::Found(_)));
    ([found, words(|outcome| matches!(outcome, Outcome::CannotTell(_)))], findings.len())
}

/// Nothing is said of what nobody looked at.
#[test]
fn a_series_that_does_not_apply_is_not_looked_at_any_further() {
    let (base, spoilt, _) = copy();
    spoil(&patches(spoilt.path()).unwrap()[1], "\n sync calls to", "\n sync call to");
    let ([found, not_looked_at], checks) = told(&base);
    assert_eq!(found, ["2 git am", "3 git am", "4 git am", "2 git am, alone"]);
    let later =
        ["cover letter", "mutants", "W=1", "W=1, built in", "sparse", "checkpatch", "kernel-doc", "rst", "built in"];
    assert_eq!(not_looked_at, later.map(|check| format!("4 {check}")));
    // git am at each level and alone, and has.
    assert_eq!(checks, 4 + 1 + 1 + later.len());
}

#[test]
fn what_is_wrong_is_found_where_it_is() {
    let (mut base, spoilt, good) = copy();
    let files = patches(spoilt.path()).unwrap();
    spoil(&spoilt.path().join(COVER_LETTER), " insertions(+)", "0 insertions(+)");
    // A space before a tab.
    spoil(&files[0], "\n+\tu64", "\n+ \tu64");
    // Strong words that do not end.
    spoil(&files[1], "\n+The errors that those", "\n+**The errors that those");
    // A function that nobody declared.
    spoil(&files[2], "\n+static int ovl_refuse_reuse(", "\n+int ovl_refuse_reuse(");
    // A comment that documents nothing.
    spoil(&files[3], "\n+/*\n", "\n+/**\n");
    // Two mutants, of which one is of another series.
    let mutants = spoilt.path().join("mutants");
    fs::create_dir(&mutants).unwrap();
    let real = good.join("mutants/locks-not-looked-at.patch");
    fs::copy(&real, mutants.join("fits.patch")).unwrap();
    fs::copy(&real, mutants.join("does-not.patch")).unwrap();
    spoil(&mutants.join("does-not.patch"), "\n-\tif (!ofs->upperdir_locked", "\n-\tif (!ofs->lowerdir_locked");
    // One that it has not, in place of one that it has.
    base.has = [Feature::Casefold].into();
    let ([found, not_looked_at], checks) = told(&base);
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
    assert_eq!(not_looked_at, ["4 built in"]);
    // Seven at each level; once the second patch alone, the letter, the mutants, has, and what was not built.
    assert_eq!(checks, 7 * 4 + 5);
}

// SPDX-License-Identifier: MIT OR Apache-2.0
//! What reviewers' tools would say of a series is said at the level that is to blame, and of a good one nothing is.
#![allow(clippy::unwrap_used)]

mod common;

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use common::checkout;
use vremount::base::Base;
use vremount::check::{Finding, Outcome, check};
use vremount::project::Project;
use vremount::series::{COVER_LETTER, patches};

/// Replaces the first of some words in a patch, or in a letter.
fn spoil(path: &Path, good: &str, bad: &str) {
    let text = fs::read_to_string(path).unwrap();
    assert!(text.contains(good), "{} has no {good:?}", path.display());
    fs::write(path, text.replacen(good, bad, 1)).unwrap();
}

#[test]
fn what_is_wrong_is_found_where_it_is() {
    let (project, mut base) = (Project::find().unwrap(), Base::find(&checkout(), None).unwrap());
    let (good, spoilt) = (checkout().join("patches").join(&base.series), tempfile::tempdir().unwrap());
    for file in patches(&good).unwrap().into_iter().chain([good.join(COVER_LETTER)]) {
        fs::copy(&file, spoilt.path().join(file.file_name().unwrap())).unwrap();
    }
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
    base.series = spoilt.path().to_string_lossy().into_owned();
    let findings = check(&project, &base).unwrap();
    let told: Vec<_> =
        findings.iter().map(|Finding { level, check, outcome }| format!("{level} {check}: {outcome:?}")).collect();
    let found = findings.iter().filter(|finding| matches!(finding.outcome, Outcome::Found(_)));
    let found: BTreeSet<_> = found.map(|finding| format!("{} {}", finding.level, finding.check)).collect();
    let expected = [
        "1 checkpatch",
        "2 rst",
        "3 W=1",
        "3 W=1, built in",
        "3 sparse",
        "4 W=1",
        "4 W=1, built in",
        "4 cover letter",
        "4 kernel-doc",
        "4 sparse",
    ];
    assert_eq!(found, expected.map(str::to_string).into(), "{told:#?}");
    assert!(findings.iter().all(|finding| !matches!(finding.outcome, Outcome::CannotTell(_))), "{told:#?}");
    // Seven at each level; once the second patch alone, and the letter.
    assert_eq!(findings.len(), 30, "{told:#?}");
}

// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the pages in docs/ say of claims: one is named in square brackets, `[`name`]`.
#![allow(clippy::unwrap_used)]

mod common;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use common::vremount;
use vremount::claims;
use vremount::reason::Reason;

fn docs() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs")
}

fn claims_named(text: &str) -> BTreeSet<String> {
    let behind = text.split("[`").skip(1);
    behind.filter_map(|rest| rest.split_once("`]")).map(|(name, _)| name.to_string()).collect()
}

/// What stands there is what was measured, and every sample of it is there.
#[test]
fn the_page_of_costs_is_that_of_its_samples() {
    let made = tempfile::tempdir().unwrap();
    let mut again = vremount(["bench", "--from"]);
    again.arg(docs().join("cost.json")).arg("--docs").arg(made.path()).output().unwrap();
    let files: Vec<_> = fs::read_dir(made.path()).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert_eq!(files.len(), 6);
    for file in files {
        let kept = docs().join(file.file_name().unwrap());
        assert!(fs::read(&file).unwrap() == fs::read(&kept).unwrap(), "{} is of other samples", kept.display());
    }
}

#[test]
fn every_claim_that_a_page_names_is_there() {
    let known: BTreeSet<_> = claims::all().iter().map(|claim| claim.name.to_string()).collect();
    for entry in fs::read_dir(docs()).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "md") {
            let named = claims_named(&fs::read_to_string(&path).unwrap());
            let unknown: Vec<_> = named.difference(&known).collect();
            assert!(unknown.is_empty(), "{} names claims that are not there: {unknown:?}", path.display());
        }
    }
}

#[test]
fn a_runtime_author_is_told_every_reason_with_a_claim() {
    let text = fs::read_to_string(docs().join("adopting.md")).unwrap();
    for reason in [
        "not-volatile",
        "in-use",
        "no-checkpoint",
        "bad-checkpoint",
        "other-boot",
        "upper-remounted",
        "writeback-error",
    ] {
        // A token that the harness does not know is none of the kernel's.
        let log = [format!("overlayfs: volatile reuse refused: {reason}: words")];
        assert_eq!(Reason::stated(&log).map(|reason| reason.to_string()).as_deref(), Some(reason));
        let row = text.lines().find(|line| line.starts_with(&format!("| `{reason}` |")));
        assert!(!claims_named(row.unwrap_or_default()).is_empty(), "nothing checks what is said of {reason}");
    }
}

#[test]
fn names_are_found() {
    assert_eq!(claims_named("a [`b`], [`c-d`] `e` [f]"), ["b", "c-d"].map(str::to_string).into());
}

// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the pages in docs/ say of claims: one is named in square brackets, `[`name`]`.
#![allow(clippy::unwrap_used)]

mod common;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use common::vremount;
use vremount_claims as claims;
use vremount_claims::refusal_reason::Reason;
use vremount_claims::{Expectation, Step};

fn docs() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs")
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

/// With which errno, and for which reason, mounts are refused in a claim, or in what it does many times.
fn refusals(name: &str) -> Vec<(i32, Option<Reason>)> {
    let claim = claims::all().into_iter().find(|claim| claim.name == name).unwrap();
    let refusal = |step: &Step| match step {
        Step::Assertion(_, Expectation::Refused { errno, reason }) => Some((*errno, Some(*reason))),
        Step::Assertion(_, Expectation::OneWins { reason, .. }) => Some((libc::EINVAL, Some(*reason))),
        Step::Assertion(_, Expectation::RefusedUnsaid(errno)) => Some((*errno, None)),
        _ => None,
    };
    claim.steps.iter().filter_map(refusal).collect()
}

/// And each of those claims is refused so, not only named.
#[test]
fn a_runtime_author_is_told_every_reason_with_a_claim() {
    let text = fs::read_to_string(docs().join("adopting.md")).unwrap();
    for token in [
        "not-volatile",
        "in-use",
        "no-checkpoint",
        "bad-checkpoint",
        "other-boot",
        "upper-remounted",
        "writeback-error",
    ] {
        // A token that the harness does not know is none of the kernel's.
        let reason = Reason::stated(&[format!("overlayfs: volatile reuse refused: {token}: words")]).unwrap();
        assert_eq!(reason.to_string(), token);
        let row = text.lines().find(|line| line.starts_with(&format!("| `{token}` |"))).unwrap_or_default();
        // When it is told; what is to be done then is about something else.
        let named = claims_named(row.split('|').nth(2).unwrap_or_default());
        assert!(!named.is_empty(), "nothing checks what is said of {token}");
        for name in named {
            assert!(refusals(&name).contains(&(libc::EINVAL, Some(reason))), "{name} is not refused for {token}");
        }
    }
}

/// What the tree of decisions says of each errno, a claim says, too.
#[test]
fn every_errno_has_a_claim() {
    let text = fs::read_to_string(docs().join("adopting.md")).unwrap();
    let named = claims_named(&text);
    for (name, errno) in [
        ("error-unseen", libc::EIO),
        ("checkpoint-cannot-be-read", libc::EIO),
        ("upper-shut-down-f2fs", libc::EIO),
        ("second-mount-with-index", libc::EBUSY),
        ("upper-in-an-emergency", libc::EROFS),
        ("no-space-below-a-journal", libc::EINVAL),
        ("other-feature", libc::EINVAL),
    ] {
        assert!(named.contains(name), "{name} is not named");
        assert!(refusals(name).iter().any(|refusal| refusal.0 == errno), "{name}: {:?}", refusals(name));
    }
}

#[test]
fn names_are_found() {
    assert_eq!(claims_named("a [`b`], [`c-d`] `e` [f]"), ["b", "c-d"].map(str::to_string).into());
}

// SPDX-License-Identifier: MIT OR Apache-2.0
//! Checks the documentation against the claims. Pages name a claim in square brackets: `[`name`]`.
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

/// Names of claims in a text.
fn find_claim_names(text: &str) -> BTreeSet<String> {
    let after_brackets = text.split("[`").skip(1);
    after_brackets.filter_map(|rest| rest.split_once("`]")).map(|(name, _)| name.to_string()).collect()
}

#[test]
fn cost_page_is_generated_from_the_samples() {
    let generated = tempfile::tempdir().unwrap();
    let mut bench = vremount(["bench", "--from"]);
    bench.arg(docs().join("cost.json")).arg("--docs").arg(generated.path()).output().unwrap();
    let files: Vec<_> = fs::read_dir(generated.path()).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert!(!files.is_empty());
    for file in files {
        let kept = docs().join(file.file_name().unwrap());
        assert!(
            fs::read(&file).unwrap() == fs::read(&kept).unwrap(),
            "{} was not generated from docs/cost.json",
            kept.display()
        );
    }
}

#[test]
fn every_claim_that_a_page_names_exists() {
    let known: BTreeSet<_> = claims::all().iter().map(|claim| claim.name.to_string()).collect();
    for entry in fs::read_dir(docs()).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "md") {
            let named = find_claim_names(&fs::read_to_string(&path).unwrap());
            let unknown: Vec<_> = named.difference(&known).collect();
            assert!(unknown.is_empty(), "{} names unknown claims: {unknown:?}", path.display());
        }
    }
}

/// Errno and reason of every refusal that a claim expects.
fn refusals(name: &str) -> Vec<(i32, Option<Reason>)> {
    let claim = claims::all().into_iter().find(|claim| claim.name == name).unwrap();
    let refusal = |step: &Step| match step {
        Step::Assertion(_, Expectation::Refused { errno, reason }) => Some((*errno, Some(*reason))),
        Step::Assertion(_, Expectation::AtMostOneMountedOthersRefused { reason, .. }) => {
            Some((libc::EINVAL, Some(*reason)))
        }
        Step::Assertion(_, Expectation::RefusedWithoutReason(errno)) => Some((*errno, None)),
        _ => None,
    };
    claim.steps.iter().filter_map(refusal).collect()
}

#[test]
fn every_refusal_token_is_documented_with_claims_that_expect_it() {
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
        // The harness must know the token.
        let reason = Reason::single_in(&[format!("overlayfs: volatile reuse refused: {token}: words")]).unwrap();
        assert_eq!(reason.to_string(), token);
        let row = text.lines().find(|line| line.starts_with(&format!("| `{token}` |"))).unwrap_or_default();
        // The column that says when the kernel refuses with the token.
        let named = find_claim_names(row.split('|').nth(2).unwrap_or_default());
        assert!(!named.is_empty(), "no claim is named for {token}");
        for name in named {
            assert!(refusals(&name).contains(&(libc::EINVAL, Some(reason))), "{name} does not expect {token}");
        }
    }
}

/// The errnos of the decision tree in docs/adopting.md.
#[test]
fn every_errno_is_documented_with_a_claim_that_expects_it() {
    let text = fs::read_to_string(docs().join("adopting.md")).unwrap();
    let named = find_claim_names(&text);
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
fn claim_names_are_found_in_brackets_only() {
    assert_eq!(find_claim_names("a [`b`], [`c-d`] `e` [f]"), ["b", "c-d"].map(str::to_string).into());
}

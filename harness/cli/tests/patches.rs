// SPDX-License-Identifier: MIT OR Apache-2.0
//! A series says the same on every base, as a maintainer wants it said.
#![allow(clippy::unwrap_used)]

mod common;

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use common::checkout;
use vremount_kernel::base::Base;
use vremount_kernel::series::{COVER_LETTER, patches};

/// The words of a patch before its diffstat, and the rest.
fn parts(path: &Path) -> (String, String) {
    let text = fs::read_to_string(path).unwrap();
    let (words, diff) = text.split_once("\n---\n").unwrap();
    (words.to_string(), diff.to_string())
}

/// The subject, unfolded, without what says that it is a patch.
fn subject(words: &str) -> String {
    let lines: Vec<_> = words.lines().skip_while(|line| !line.starts_with("Subject: ")).collect();
    let folded = lines.iter().skip(1).take_while(|line| line.starts_with(' ')).count();
    let whole = lines[..=folded].join("");
    whole.split_once("] ").unwrap().1.to_string()
}

#[test]
fn every_base_has_the_same_four_patches() {
    let all = Base::all(&checkout()).unwrap();
    let folders: BTreeSet<_> = all.iter().map(|base| checkout().join("patches").join(&base.series)).collect();
    assert!(folders.len() >= 6);
    let mut subjects = BTreeSet::new();
    for folder in &folders {
        let letter = fs::read_to_string(folder.join(COVER_LETTER)).unwrap();
        assert!(subject(&letter).starts_with("overlay: Reuse volatile"), "{letter}");
        let mut of_series = Vec::new();
        for patch in patches(folder).unwrap() {
            let ((words, diff), name) = (parts(&patch), patch.display());
            assert_eq!(words.lines().filter(|line| line.starts_with("Signed-off-by: ")).count(), 1, "{name}");
            // A series is for one base.
            assert!(!["LINUX_VERSION_CODE", "KERNEL_VERSION"].iter().any(|word| diff.contains(word)), "{name}");
            let subject = subject(&words);
            assert!(letter.contains(&format!("\n  {subject}\n")), "{name} is not in its letter");
            of_series.push(subject);
        }
        subjects.insert(of_series);
    }
    assert_eq!(subjects.len(), 1, "{subjects:#?}");
}

#[test]
fn a_subject_may_be_folded() {
    assert_eq!(subject("From: x\nSubject: [PATCH 1/4] fs: Add\n this\nDate: y"), "fs: Add this");
}

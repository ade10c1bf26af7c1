// SPDX-License-Identifier: MIT OR Apache-2.0
//! The series of all bases have the same patches, with the tags and cover letter that maintainers
//! expect.
#![allow(clippy::unwrap_used)]

mod common;

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use common::checkout;
use vremount_kernel::base::Base;
use vremount_kernel::series::{COVER_LETTER, list_patches};

/// Splits a patch into its message and the rest, from the diffstat on.
fn split_patch(path: &Path) -> (String, String) {
    let text = fs::read_to_string(path).unwrap();
    let (message, diff) = text.split_once("\n---\n").unwrap();
    (message.to_string(), diff.to_string())
}

/// Unfolded subject of a message, without the prefix `[PATCH N/M]`.
fn subject(message: &str) -> String {
    let lines: Vec<_> = message.lines().skip_while(|line| !line.starts_with("Subject: ")).collect();
    let folded = lines.iter().skip(1).take_while(|line| line.starts_with(' ')).count();
    let whole = lines[..=folded].join("");
    whole.split_once("] ").unwrap().1.to_string()
}

#[test]
fn series_of_all_bases_have_the_same_subjects() {
    let all = Base::all(&checkout()).unwrap();
    let folders: BTreeSet<_> = all.iter().map(|base| checkout().join("patches").join(&base.series)).collect();
    assert!(folders.len() > 1);
    let mut subjects = BTreeSet::new();
    for folder in &folders {
        let letter = fs::read_to_string(folder.join(COVER_LETTER)).unwrap();
        assert!(subject(&letter).starts_with("overlay: Reuse volatile"), "{letter}");
        let mut series_subjects = Vec::new();
        for patch in list_patches(folder).unwrap() {
            let ((message, diff), name) = (split_patch(&patch), patch.display());
            assert_eq!(message.lines().filter(|line| line.starts_with("Signed-off-by: ")).count(), 1, "{name}");
            // Each series is for one base, so it needs no version checks.
            assert!(!["LINUX_VERSION_CODE", "KERNEL_VERSION"].iter().any(|word| diff.contains(word)), "{name}");
            let subject = subject(&message);
            assert!(letter.contains(&format!("\n  {subject}\n")), "{name} is not in the cover letter");
            series_subjects.push(subject);
        }
        subjects.insert(series_subjects);
    }
    assert_eq!(subjects.len(), 1, "{subjects:#?}");
}

#[test]
fn folded_subject_is_unfolded() {
    assert_eq!(subject("From: x\nSubject: [PATCH 1/4] fs: Add\n this\nDate: y"), "fs: Add this");
}

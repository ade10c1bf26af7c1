// SPDX-License-Identifier: MIT OR Apache-2.0
//! `vremount coverage`: executions of the lines of the series are counted correctly, and unexecuted
//! lines are reported.
#![allow(clippy::unwrap_used)]

mod common;

use std::fs;

use common::{base, stderr, stdout, vremount};
use serde_json::Value;
use vremount_kernel::base::Level;

/// Result of a coverage run.
struct CoverageRun {
    code: Option<i32>,
    text: String,
    report: Value,
    html: String,
}

/// Measures the coverage of some claims on ext4.
fn measure(claims: &[&str]) -> CoverageRun {
    let folder = tempfile::tempdir().unwrap();
    let (json, html) = (folder.path().join("report.json"), folder.path().join("page.html"));
    let claims = claims.iter().flat_map(|claim| ["--claim", claim]);
    let mut command = vremount(["coverage", "--base", &base().name, "--fs", "ext4", "--jobs", "1"]);
    let output = command.args(claims).arg("--json").arg(&json).arg("-o").arg(&html).output().unwrap();
    let text = stdout(&output) + &stderr(&output);
    println!("{text}");
    let report = serde_json::from_str(&fs::read_to_string(json).unwrap()).unwrap();
    CoverageRun { code: output.status.code(), text, report, html: fs::read_to_string(html).unwrap() }
}

impl CoverageRun {
    /// The line of the series that contains a text; exactly one does.
    fn line(&self, text: &str) -> &Value {
        let lines =
            self.report["patches"].as_array().unwrap().iter().flat_map(|patch| patch["lines"].as_array().unwrap());
        let mut found = lines.filter(|line| line["text"].as_str().unwrap().contains(text));
        let line = found.next().unwrap_or_else(|| panic!("no line of the series is {text:?}"));
        assert!(found.next().is_none(), "{text:?} is there twice");
        line
    }

    /// Number of executions of a line.
    fn executed(&self, text: &str) -> u64 {
        self.line(text)["executed"].as_u64().unwrap()
    }

    /// Number of executions of each branch of a line.
    fn branches(&self, text: &str) -> Vec<u64> {
        self.line(text)["branches"].as_array().unwrap().iter().map(|count| count.as_u64().unwrap()).collect()
    }
}

const ASSIGNS_INSTANCE_ID: &str = "s->s_instance_id = ";
const COMPARES_BOOT_ID: &str = "if (!uuid_equal(&then.boot_id, &now.boot_id))";
const REFUSES_WRITEBACK_ERROR: &str = "\"writeback-error\"";
const WRITES_CHECKPOINT: &str = "(ofs, marker, OVL_XATTR_VOLATILE, &now,";

/// The claim `reuse` does a first mount and an accepted second one; `overlay-reloaded` also has a
/// refused mount.
#[test]
fn counts_match_the_mounts_of_the_claims() {
    let reuse = measure(&["reuse"]);
    let (first, second) = (reuse.executed(WRITES_CHECKPOINT), reuse.executed(COMPARES_BOOT_ID));
    assert_eq!((first, second), (1, 1), "the first mount writes a checkpoint, the second compares it");
    let mut branches = reuse.branches(COMPARES_BOOT_ID);
    branches.sort_unstable();
    assert_eq!(branches, [0, 1], "the boot id is always the same");
    assert!(reuse.executed(ASSIGNS_INSTANCE_ID) > 1, "each superblock gets an instance id");
    assert_eq!(reuse.executed(REFUSES_WRITEBACK_ERROR), 0);
    assert_eq!(reuse.line(REFUSES_WRITEBACK_ERROR)["ruling"], "unexecuted");
    assert!(reuse.text.contains("NOT EXECUTED") && reuse.text.contains("1 of 2 branches of `if (!uuid_equal("));
    assert_eq!(reuse.code, Some(1), "one claim does not execute the whole series");
    assert!(reuse.html.contains("&quot;writeback-error&quot;"));
    assert!(!reuse.html.contains("<script") && !reuse.html.contains("src="));
    // `report` prints the same from the results.
    let results = format!("target/runs/coverage/{}-level4-um-coverage", base().name);
    let report = vremount(["report", &results]).output().unwrap();
    assert_eq!(report.status.code(), Some(1), "{}", stderr(&report));
    let reported = stdout(&report);
    assert!(reported.contains("NOT EXECUTED") && reuse.text.starts_with(reported.trim_end()), "{reported}");
    let run = vremount(["report", &format!("{results}/results.jsonl")]).output().unwrap();
    assert!(run.status.success() && stdout(&run).contains("holds        reuse"), "{}", stdout(&run));
    // Counts of parallel machines, and of the module before and after a reload, are added.
    let both = measure(&["reuse", "overlay-reloaded"]);
    assert!(both.executed(WRITES_CHECKPOINT) > first);
    let branches = both.branches(COMPARES_BOOT_ID);
    assert!(branches.iter().all(|count| *count > 0), "{branches:?}");
    assert_eq!(both.line(COMPARES_BOOT_ID)["ruling"], "executed");
    assert_eq!(both.report["patches"].as_array().unwrap().len(), usize::from(Level::FULL.number()));
}

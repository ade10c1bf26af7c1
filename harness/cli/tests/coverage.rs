// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the claims execute of the series: that it is counted right, and that it shows when a line is not.
#![allow(clippy::unwrap_used)]

mod common;

use std::fs;

use common::{base, stderr, stdout, vremount};
use serde_json::Value;

struct Measured {
    code: Option<i32>,
    text: String,
    report: Value,
    html: String,
}

/// What these claims execute on ext4.
fn measured(claims: &[&str]) -> Measured {
    let folder = tempfile::tempdir().unwrap();
    let (json, html) = (folder.path().join("report.json"), folder.path().join("page.html"));
    let claims = claims.iter().flat_map(|claim| ["--claim", claim]);
    let mut command = vremount(["coverage", "--base", &base().name, "--fs", "ext4", "--jobs", "1"]);
    let output = command.args(claims).arg("--json").arg(&json).arg("-o").arg(&html).output().unwrap();
    let text = stdout(&output) + &stderr(&output);
    println!("{text}");
    let report = serde_json::from_str(&fs::read_to_string(json).unwrap()).unwrap();
    Measured { code: output.status.code(), text, report, html: fs::read_to_string(html).unwrap() }
}

impl Measured {
    /// The line of the series that has these words.
    fn line(&self, text: &str) -> &Value {
        let lines =
            self.report["patches"].as_array().unwrap().iter().flat_map(|patch| patch["lines"].as_array().unwrap());
        let mut found = lines.filter(|line| line["text"].as_str().unwrap().contains(text));
        let line = found.next().unwrap_or_else(|| panic!("no line of the series is {text:?}"));
        assert!(found.next().is_none(), "{text:?} is there twice");
        line
    }

    fn executed(&self, text: &str) -> u64 {
        self.line(text)["executed"].as_u64().unwrap()
    }

    fn branches(&self, text: &str) -> Vec<u64> {
        self.line(text)["branches"].as_array().unwrap().iter().map(|count| count.as_u64().unwrap()).collect()
    }
}

const NUMBERED: &str = "s->s_instance_id = ";
const OTHER_BOOT: &str = "if (!uuid_equal(&then.boot_id, &now.boot_id))";
const WRITEBACK_ERROR: &str = "\"writeback-error\"";
const WRITTEN: &str = "(ofs, marker, OVL_XATTR_VOLATILE, &now,";

/// A claim has mounts that are known: a first one, and one that is accepted. So has another, whose second is refused.
#[test]
fn what_is_counted_is_what_was_mounted() {
    let reuse = measured(&["reuse"]);
    let (first, again) = (reuse.executed(WRITTEN), reuse.executed(OTHER_BOOT));
    assert_eq!((first, again), (1, 1), "one mount writes a checkpoint, another compares it");
    let mut ways = reuse.branches(OTHER_BOOT);
    ways.sort_unstable();
    assert_eq!(ways, [0, 1], "no boot was another");
    assert!(reuse.executed(NUMBERED) > 1, "a superblock for each filesystem");
    assert_eq!(reuse.executed(WRITEBACK_ERROR), 0);
    assert_eq!(reuse.line(WRITEBACK_ERROR)["ruling"], "unexecuted");
    assert!(reuse.text.contains("NOT EXECUTED") && reuse.text.contains("1 of 2 branches of `if (!uuid_equal("));
    assert_eq!(reuse.code, Some(1), "much of the series is not executed by one claim");
    assert!(reuse.html.contains("&quot;writeback-error&quot;"));
    assert!(!reuse.html.contains("<script") && !reuse.html.contains("src="));
    // It is told again from what is left of it, and by no other words.
    let left = format!("target/runs/coverage/{}-level4-um-coverage", base().name);
    let again = vremount(["report", &left]).output().unwrap();
    assert_eq!(again.status.code(), Some(1), "{}", stderr(&again));
    let told = stdout(&again);
    assert!(told.contains("NOT EXECUTED") && reuse.text.starts_with(told.trim_end()), "{told}");
    let run = vremount(["report", &format!("{left}/results.jsonl")]).output().unwrap();
    assert!(run.status.success() && stdout(&run).contains("holds        reuse"), "{}", stdout(&run));
    // Of machines side by side, and of kernels before and after a reload of the module, all counts.
    let both = measured(&["reuse", "overlay-reloaded"]);
    assert!(both.executed(WRITTEN) > first);
    let ways = both.branches(OTHER_BOOT);
    assert!(ways.iter().all(|count| *count > 0), "{ways:?}");
    assert_eq!(both.line(OTHER_BOOT)["ruling"], "executed");
    let subjects: Vec<_> = both.report["patches"].as_array().unwrap().iter().map(|patch| &patch["subject"]).collect();
    assert_eq!(subjects.len(), 4);
}

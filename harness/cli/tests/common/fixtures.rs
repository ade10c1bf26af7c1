// SPDX-License-Identifier: MIT OR Apache-2.0
//! Writes result directories as runs and bisections write them, without running anything. The paths
//! in the logs do not exist, as in a directory that was moved.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

/// Text that becomes markup if it is not escaped.
pub const HOSTILE: &str = "</script></pre><img src=x onerror=\"document.title='hit'\">&amp;";

/// Claim, filesystem and verdict of a case; no verdict if the case did not run.
pub type Case<'a> = (&'a str, &'a str, Option<&'a str>);

/// Writes the result directory of a run below a directory and returns its path.
pub fn write_run(parent: &Path, base: &str, executor: &str, cases: &[Case<'_>]) -> PathBuf {
    let name = format!("{base}-level4-{executor}");
    let folder = parent.join(name.replace(|char: char| !char.is_ascii_alphanumeric() && !"-.".contains(char), "-"));
    fs::create_dir_all(&folder).unwrap();
    let planned: Vec<_> = cases.iter().map(|(claim, fs, _)| json!({"claim": claim, "fs": fs})).collect();
    let plan = json!({
        "schema": 1, "base": base, "series": "s", "level": 4, "arch": "um", "executor": executor, "accel": null,
        "build_id": "b1", "module_sha256": "50d1", "harness_sha256": "4a", "cases": planned,
        "how": {"faults": true, "twice": false, "fresh": false},
    });
    let host = json!({"processor": "A <fast> one", "processors": 2, "kernel": "6.1.0"});
    let start = json!({"command": ["vremount", "verify", "--base", base], "host": host, "why": "as asked for"});
    let mut lines = vec![plan, start];
    for (claim, fs, verdict) in cases {
        if let Some(verdict) = verdict {
            lines.push(record(claim, fs, verdict));
            write_transcript(&folder, base, claim, fs, verdict);
        }
    }
    fs::write(folder.join("results.jsonl"), to_lines(&lines)).unwrap();
    folder
}

/// Line of a result log for a case.
pub fn record(claim: &str, fs: &str, verdict: &str) -> Value {
    let because = match verdict {
        "holds" => None,
        "skipped" => Some("has no xattrs".to_string()),
        _ => Some(format!("mount: {HOSTILE}")),
    };
    let phases =
        ["exec", "boot", "module", "devices", "filesystem", "steps", "stop"].map(|name| (name.into(), json!(1)));
    json!({
        "claim": claim, "fs": fs, "verdict": verdict, "because": because, "ms": 1500, "boots_ms": [40],
        "expected": {"outcome": "mounted", "errno": null, "reason": null},
        "observed": {"outcome": "refused", "errno": "EINVAL", "reason": "in-use"},
        "phases_us": Value::Object(phases.into_iter().collect()),
        "log": format!("/gone/5.10.13-level4-um/{claim}-{fs}.jsonl"),
    })
}

/// Writes the transcript and the console log of a case, with text that must be escaped.
pub fn write_transcript(folder: &Path, base: &str, claim: &str, fs: &str, verdict: &str) {
    let step = |outcome: Value, log: Value| {
        json!({
            "step": "mount the overlay, volatile", "act": {"guest": "write-back"}, "kind": "claim",
            "expected": "mounted", "outcome": outcome, "us": 7, "log": log,
        })
    };
    let first = json!({
        "claim": claim, "title": "A title & more", "sentence": "It \"mounts\".", "fs": fs, "base": base, "level": 4,
    });
    let last = json!({"verdict": verdict, "because": null});
    let outcome = if verdict == "holds" { json!("done") } else { json!({"refused": {"errno": 22}}) };
    let lines = [first, step(outcome, json!([format!("overlayfs: {HOSTILE}")])), last];
    fs::write(folder.join(format!("{claim}-{fs}.jsonl")), to_lines(&lines)).unwrap();
    if verdict != "skipped" {
        let boot: String = (0..20).map(|line| format!("boot line {line}\n")).collect();
        let console = format!("{boot}Run /init as init process\noverlayfs on {fs}: {HOSTILE}\n");
        fs::write(folder.join(format!("{claim}-{fs}.0.console")), console).unwrap();
    }
}

/// Writes the result directory of a bisection of three kernels: one that found the last kernel, or
/// one that was interrupted before. Returns its path.
pub fn write_bisection(parent: &Path, is_complete: bool) -> PathBuf {
    let folder = parent.join("bisect-linux");
    let header = json!({
        "of": "/src/linux", "good": ["v1"], "bad": "v3", "reason_changed": false,
        "claims": ["reuse"], "tags": [], "faults": [], "filesystems": ["ext4"], "executor": "uml", "config": null, "repeat": 1,
    });
    let mut lines = vec![header];
    for (id, mark, verdict) in [("v1", "good", "holds"), ("v3", "bad", "broken"), ("v2", "good", "holds")] {
        let run = folder.join(id);
        fs::create_dir_all(&run).unwrap();
        write_transcript(&run, id, "reuse", "ext4", verdict);
        let mut record = record("reuse", "ext4", verdict);
        record["log"] = json!(format!("/gone/bisect-linux/{id}/reuse-ext4.jsonl"));
        lines.push(json!({
            "id": id, "title": format!("Version {id} {HOSTILE}"), "mark": mark, "why": format!("why {id}"),
            "kernel": "it carries the series", "ms": 7000, "records": [record],
        }));
    }
    if is_complete {
        lines.push(json!({"found": {"good": "v2", "bad": "v3"}}));
    }
    fs::write(folder.join("bisect.jsonl"), to_lines(&lines)).unwrap();
    folder
}

fn to_lines(values: &[Value]) -> String {
    values.iter().map(|value| format!("{value}\n")).collect()
}

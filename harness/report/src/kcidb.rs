// SPDX-License-Identifier: MIT OR Apache-2.0
//! A report for KCIDB, the database of KernelCI: schema 5.0 of kcidb-io. Ids are the same whenever the same run of the same
//! kernel is reported.

use serde_json::{Value, json};
use vremount_claims::verdict::Verdict;
use vremount_runner::results::{PlannedCase, Record, Results, RunOptions};

use crate::error::Error;
use crate::json::to_text;

/// The origin of the report.
const ORIGIN: &str = "vremount";
/// The longest excerpt of a log, characters.
const MAX_EXCERPT_LEN: usize = 16384;

/// The KCIDB report of a run.
///
/// # Errors
/// [`Error::Json`] if a value has no JSON form.
pub fn kcidb(results: &Results) -> Result<String, Error> {
    let plan = &results.plan;
    let checkout = format!("{ORIGIN}:{}-{}-level{}", plan.base, plan.series, plan.level);
    let build = format!("{checkout}-{}-{}-{}", plan.arch, plan.build_id, plan.module_sha256);
    let accel = plan.accel.map_or_else(String::new, |accel| format!("-{}", accel.name()));
    let RunOptions { faults, twice, fresh } = plan.options;
    let options = [(!faults, "-no-faults"), (twice, "-twice"), (fresh, "-fresh")];
    let options: String = options.into_iter().filter_map(|(is_set, name)| is_set.then_some(name)).collect();
    let machine = format!("{}{accel}{options}", plan.executor);
    let tests: Vec<_> = results.cases().map(|(case, record)| test(&build, &machine, case, record)).collect();
    let report = json!({
        "version": {"major": 5, "minor": 0},
        "checkouts": [{
            "id": checkout,
            "origin": ORIGIN,
            "valid": true,
            "comment": format!("Linux {}, series {} at level {}", plan.base, plan.series, plan.level),
            "misc": {"base": plan.base, "series": plan.series, "level": plan.level},
        }],
        "builds": [{
            "id": build,
            "checkout_id": checkout,
            "origin": ORIGIN,
            "architecture": plan.arch,
            "status": "PASS",
            "misc": {"build_id": plan.build_id, "module_sha256": plan.module_sha256},
        }],
        "tests": tests,
    });
    to_text("KCIDB", &report)
}

fn test(build: &str, machine: &str, case: &PlannedCase, record: Option<&Record>) -> Value {
    let PlannedCase { claim, fs } = case;
    let mut test = json!({
        "id": format!("{build}-{machine}-{claim}-{}", fs.name()),
        "build_id": build,
        "origin": ORIGIN,
        "path": format!("{ORIGIN}.{claim}.{}", fs.name()),
        "environment": {"comment": machine},
        "status": status(record),
    });
    if let Some(record) = record {
        // The schema does not allow null.
        let known = [("expected", &record.expected), ("observed", &record.observed)];
        let known = known.iter().filter_map(|(key, outcome)| Some((*key, outcome.as_ref()?.to_string())));
        test["misc"] = known
            .map(|(key, outcome)| (key.to_string(), Value::from(outcome)))
            .collect::<serde_json::Map<_, _>>()
            .into();
        test["duration"] = std::time::Duration::from_millis(record.ms).as_secs_f64().into();
        if let Some(because) = &record.because {
            test["log_excerpt"] = because.chars().take(MAX_EXCERPT_LEN).collect::<String>().into();
        }
    }
    test
}

/// `FAIL` is a failure of the kernel, `ERROR` one of the test, `MISS` one of the harness.
fn status(record: Option<&Record>) -> &'static str {
    match record.map(|record| record.verdict) {
        Some(Verdict::Holds) => "PASS",
        Some(Verdict::Broken) => "FAIL",
        Some(Verdict::CannotTell) => "ERROR",
        Some(Verdict::Skipped) => "SKIP",
        None => "MISS",
    }
}

#[cfg(test)]
mod tests {
    use vremount_runner::testing::one_of_each;

    use super::*;

    fn has_null(value: &Value) -> bool {
        match value {
            Value::Null => true,
            Value::Array(values) => values.iter().any(has_null),
            Value::Object(fields) => fields.values().any(has_null),
            _ => false,
        }
    }

    #[test]
    fn undecided_and_missing_cases_are_no_failures() {
        let report: Value = serde_json::from_str(&kcidb(&one_of_each()).unwrap()).unwrap();
        let tests = report["tests"].as_array().unwrap();
        let found: Vec<_> = tests.iter().map(|t| ["path", "status"].map(|key| t[key].as_str().unwrap())).collect();
        assert_eq!(
            found,
            [
                ["vremount.first.ext4", "PASS"],
                ["vremount.first.ext2", "FAIL"],
                ["vremount.first.xfs", "ERROR"],
                ["vremount.second.ext4", "PASS"],
                ["vremount.second.ramfs", "MISS"],
                ["vremount.third.ramfs", "SKIP"],
            ]
        );
        assert!(!has_null(&report), "{report}");
        assert_eq!(report["builds"][0]["checkout_id"], report["checkouts"][0]["id"]);
        assert!(tests.iter().all(|test| test["build_id"] == report["builds"][0]["id"]));
        assert_eq!(
            tests[1],
            json!({
                "id": "vremount:5.10.13-s-level4-x86_64-b1-50d1-qemu-tcg-first-ext2",
                "build_id": "vremount:5.10.13-s-level4-x86_64-b1-50d1",
                "origin": "vremount",
                "path": "vremount.first.ext2",
                "environment": {"comment": "qemu-tcg"},
                "status": "FAIL",
                "duration": 1.5,
                "log_excerpt": "mount: expected <mounted>, observed refused EINVAL",
                "misc": {"expected": "mounted", "observed": "refused EINVAL"},
            })
        );
    }
}

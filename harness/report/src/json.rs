// SPDX-License-Identifier: MIT OR Apache-2.0
//! The report of a run for programs. Fields are added, never changed; `schema` counts what is.

use serde::Serialize;
use vremount_analysis::bench;
use vremount_analysis::bisect::Bisection;
use vremount_analysis::coverage::Coverage;
use vremount_machine::Accel;
use vremount_runner::results::{Invocation, PlannedCase, Record, Results, RunError, RunOptions, SCHEMA};

use crate::input::ReportInput;

#[derive(Debug, Serialize)]
struct Report<'a> {
    schema: u32,
    base: &'a str,
    series: &'a str,
    level: u8,
    /// The further configuration fragment, if there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    config: Option<&'a str>,
    arch: &'a str,
    executor: &'a str,
    /// None where the kernel is a program of the host itself.
    accel: Option<Accel>,
    build_id: &'a str,
    module_sha256: &'a str,
    how: RunOptions,
    /// Who proved it: the first start, and each time that it went on.
    starts: &'a [Invocation],
    /// Median time from exec to a guest that is ready, milliseconds; none if no machine got there.
    boot_ms: Option<u64>,
    verdicts: Vec<&'a Record>,
    /// What was to be proved, and never ran to its end.
    missing: Vec<&'a PlannedCase>,
}

/// Many runs, each as by itself, and what else was left.
#[derive(Debug, Serialize)]
struct Reports<'a> {
    schema: u32,
    runs: Vec<Report<'a>>,
    /// Bases and executors of which nothing can be told.
    not_run: &'a [RunError],
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    bisections: &'a [Bisection],
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    benches: &'a [bench::Record],
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    coverages: &'a [Coverage],
}

/// The text of the file.
#[must_use]
pub fn json(results: &Results) -> String {
    text(&report(results))
}

/// The text of the file about many runs.
#[must_use]
pub fn merged_json(findings: &ReportInput) -> String {
    let ReportInput { merged, bisections, benches, coverages } = findings;
    let runs = merged.runs.iter().map(report).collect();
    text(&Reports { schema: SCHEMA, runs, not_run: &merged.not_run, bisections, benches, coverages })
}

fn text(value: &impl Serialize) -> String {
    // Strings and numbers in structures always have a JSON form.
    serde_json::to_string_pretty(value).unwrap_or_default() + "\n"
}

fn report(results: &Results) -> Report<'_> {
    let plan = &results.plan;
    let verdicts: Vec<_> = results.cases().filter_map(|(_, record)| record).collect();
    let mut boots: Vec<u64> = verdicts.iter().flat_map(|record| record.boots_ms.iter().copied()).collect();
    boots.sort_unstable();
    Report {
        schema: plan.schema,
        base: &plan.base,
        series: &plan.series,
        level: plan.level,
        config: plan.config.as_deref(),
        arch: &plan.arch,
        executor: &plan.executor,
        accel: plan.accel,
        build_id: &plan.build_id,
        module_sha256: &plan.module_sha256,
        how: plan.how,
        starts: &results.starts,
        boot_ms: boots.get(boots.len() / 2).copied(),
        verdicts,
        missing: results.cases().filter(|(_, record)| record.is_none()).map(|(case, _)| case).collect(),
    }
}

#[cfg(test)]
mod tests {
    use vremount_runner::testing::one_of_each;

    use super::*;

    #[test]
    fn verdicts_are_in_the_order_of_the_plan_and_what_is_missing_is_said() {
        let report: serde_json::Value = serde_json::from_str(&json(&one_of_each())).unwrap();
        let verdicts = report["verdicts"].as_array().unwrap();
        let told: Vec<_> =
            verdicts.iter().map(|v| ["claim", "fs", "verdict"].map(|key| v[key].as_str().unwrap())).collect();
        assert_eq!(
            told,
            [
                ["first", "ext4", "holds"],
                ["first", "ext2", "broken"],
                ["first", "xfs", "cannot-tell"],
                ["second", "ext4", "holds"],
                ["third", "ramfs", "skipped"],
            ]
        );
        assert_eq!(report["missing"], serde_json::json!([{"claim": "second", "fs": "ramfs"}]));
        assert_eq!(report["boot_ms"], 40);
    }
}

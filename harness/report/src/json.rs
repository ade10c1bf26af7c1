// SPDX-License-Identifier: MIT OR Apache-2.0
//! The JSON report. New fields may be added; `schema` changes when a field changes its meaning.

use serde::Serialize;
use vremount_analysis::bench::BenchResults;
use vremount_analysis::bisect::Bisection;
use vremount_analysis::coverage::Coverage;
use vremount_machine::Accel;
use vremount_runner::results::{Invocation, PlannedCase, Record, Results, RunError, RunOptions, SCHEMA};

use crate::error::Error;
use crate::input::ReportInput;

#[derive(Debug, Serialize)]
struct Report<'a> {
    schema: u32,
    base: &'a str,
    series: &'a str,
    level: u8,
    /// The additional configuration fragment, if any.
    #[serde(skip_serializing_if = "Option::is_none")]
    config: Option<&'a str>,
    arch: &'a str,
    executor: &'a str,
    /// `None` for User Mode Linux.
    accel: Option<Accel>,
    build_id: &'a str,
    module_sha256: &'a str,
    how: RunOptions,
    /// The first invocation of the run, and each one that resumed it.
    starts: &'a [Invocation],
    /// The median time from exec to a guest that is ready, milliseconds. `None` if no guest became ready.
    boot_ms: Option<u64>,
    verdicts: Vec<&'a Record>,
    /// Planned cases that did not finish.
    missing: Vec<&'a PlannedCase>,
}

/// Several runs, and bisections, benchmarks and coverages.
#[derive(Debug, Serialize)]
struct Reports<'a> {
    schema: u32,
    runs: Vec<Report<'a>>,
    /// Runs that could not start.
    not_run: &'a [RunError],
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    bisections: &'a [Bisection],
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    benches: &'a [BenchResults],
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    coverages: &'a [Coverage],
}

/// The JSON report of a run.
///
/// # Errors
/// [`Error::Json`] if a value has no JSON form.
pub fn json(results: &Results) -> Result<String, Error> {
    to_text("JSON", &report(results))
}

/// The JSON report of all inputs.
///
/// # Errors
/// [`Error::Json`] if a value has no JSON form.
pub fn merged_json(input: &ReportInput) -> Result<String, Error> {
    let ReportInput { merged, bisections, benches, coverages } = input;
    let runs = merged.runs.iter().map(report).collect();
    to_text("JSON", &Reports { schema: SCHEMA, runs, not_run: &merged.run_errors, bisections, benches, coverages })
}

/// A value as indented JSON with a final newline.
pub(crate) fn to_text(format: &'static str, value: &impl Serialize) -> Result<String, Error> {
    let text = serde_json::to_string_pretty(value);
    text.map(|text| text + "\n").map_err(|source| Error::Json { format, source })
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
        how: plan.options,
        starts: &results.invocations,
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
    fn verdicts_are_in_order_of_plan_and_missing_cases_are_listed() {
        let report: serde_json::Value = serde_json::from_str(&json(&one_of_each()).unwrap()).unwrap();
        let verdicts = report["verdicts"].as_array().unwrap();
        let found: Vec<_> =
            verdicts.iter().map(|v| ["claim", "fs", "verdict"].map(|key| v[key].as_str().unwrap())).collect();
        assert_eq!(
            found,
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

// SPDX-License-Identifier: MIT OR Apache-2.0
//! JUnit XML for CI services: a suite for each claim, a test case for each filesystem.

use std::time::Duration;

use quick_junit::{NonSuccessKind, Report, TestCase, TestCaseStatus, TestSuite};
use vremount_claims::verdict::Verdict;
use vremount_runner::results::{MergedResults, PlannedCase, Record, Results};

use crate::error::Error;
use crate::verdict_label::MISSING;

/// The JUnit report of a run.
///
/// # Errors
/// [`Error::Junit`] if it cannot be written as XML.
pub fn junit(results: &Results) -> Result<String, Error> {
    let mut report = Report::new(results.plan.title());
    report.add_test_suites(suites(results, ""));
    report.to_string().map_err(Error::Junit)
}

/// The JUnit report of several runs. Suites are named after the run and the claim.
///
/// # Errors
/// [`Error::Junit`] if it cannot be written as XML.
pub fn merged_junit(merged: &MergedResults) -> Result<String, Error> {
    let mut report = Report::new("vremount");
    for results in &merged.runs {
        report.add_test_suites(suites(results, &format!("{}: ", results.plan.title())));
    }
    for error in &merged.run_errors {
        let mut status = TestCaseStatus::non_success(NonSuccessKind::Error);
        status.set_type("cannot-tell").set_message(error.cannot_tell.lines().next().unwrap_or_default());
        status.set_description(error.cannot_tell.as_str());
        let mut suite = TestSuite::new(error.title());
        suite.add_test_case(TestCase::new("run", status));
        report.add_test_suite(suite);
    }
    report.to_string().map_err(Error::Junit)
}

/// A suite for each claim.
fn suites(results: &Results, prefix: &str) -> Vec<TestSuite> {
    let suite = |cases: Vec<(&PlannedCase, Option<&Record>)>| {
        let (PlannedCase { claim, .. }, _) = cases.first()?;
        let mut suite = TestSuite::new(format!("{prefix}{claim}"));
        suite.add_test_cases(cases.iter().map(|(case, record)| test_case(case, *record)));
        Some(suite)
    };
    results.claims().filter_map(suite).collect()
}

fn test_case(case: &PlannedCase, record: Option<&Record>) -> TestCase {
    let mut test = TestCase::new(case.fs.name(), status(record));
    test.set_classname(format!("vremount.{}", case.claim));
    if let Some(record) = record {
        test.set_time(Duration::from_millis(record.ms));
        test.set_system_out(format!("transcript: {}", record.log.display()));
    }
    test
}

fn status(record: Option<&Record>) -> TestCaseStatus {
    let (mut status, kind) = match record.map(|record| record.verdict) {
        Some(Verdict::Holds) => return TestCaseStatus::success(),
        Some(Verdict::Skipped) => (TestCaseStatus::skipped(), None),
        Some(Verdict::Broken) => (TestCaseStatus::non_success(NonSuccessKind::Failure), Some("broken")),
        Some(Verdict::CannotTell) => (TestCaseStatus::non_success(NonSuccessKind::Error), Some("cannot-tell")),
        None => (TestCaseStatus::non_success(NonSuccessKind::Error), Some("missing")),
    };
    let because = record.map_or(MISSING, |record| record.because.as_deref().unwrap_or_default());
    status.set_message(because.lines().next().unwrap_or_default());
    if let Some(kind) = kind {
        status.set_type(kind);
    }
    if because.lines().count() > 1 {
        status.set_description(because);
    }
    status
}

#[cfg(test)]
mod tests {
    use vremount_runner::testing::one_of_each;

    use super::*;

    #[test]
    fn junit_has_every_planned_case() {
        let expected = r#"<?xml version="1.0" encoding="UTF-8"?>
<testsuites name="Linux 5.10.13, series s at level 4, qemu with tcg" tests="6" skipped="1" failures="1" errors="2">
    <testsuite name="first" tests="3" skipped="0" errors="1" failures="1">
        <testcase name="ext4" classname="vremount.first" time="1.500">
            <system-out>transcript: /runs/first-ext4.jsonl</system-out>
        </testcase>
        <testcase name="ext2" classname="vremount.first" time="1.500">
            <failure message="mount: expected &lt;mounted&gt;, observed refused EINVAL" type="broken"/>
            <system-out>transcript: /runs/first-ext2.jsonl</system-out>
        </testcase>
        <testcase name="xfs" classname="vremount.first" time="1.500">
            <error message="it hung" type="cannot-tell">it hung
             | a last line</error>
            <system-out>transcript: /runs/first-xfs.jsonl</system-out>
        </testcase>
    </testsuite>
    <testsuite name="second" tests="2" skipped="0" errors="1" failures="0">
        <testcase name="ext4" classname="vremount.second" time="1.500">
            <system-out>transcript: /runs/second-ext4.jsonl</system-out>
        </testcase>
        <testcase name="ramfs" classname="vremount.second">
            <error message="the run was interrupted before this case finished" type="missing"/>
        </testcase>
    </testsuite>
    <testsuite name="third" tests="1" skipped="1" errors="0" failures="0">
        <testcase name="ramfs" classname="vremount.third" time="1.500">
            <skipped message="has no xattrs"/>
            <system-out>transcript: /runs/third-ramfs.jsonl</system-out>
        </testcase>
    </testsuite>
</testsuites>
"#;
        assert_eq!(junit(&one_of_each()).unwrap(), expected);
    }
}

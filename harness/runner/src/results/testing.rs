// SPDX-License-Identifier: MIT OR Apache-2.0
//! Fixtures for the tests of this crate and of crates that use it.

use vremount_claims::verdict::{ObservedOutcome, Verdict, VerdictDetail};
use vremount_machine::Accel;
use vremount_machine::image::Fs;

use crate::host_info::Host;
use crate::results::record::{PhaseTimes, Record};
use crate::results::run_plan::{PlannedCase, RunOptions, RunPlan, SCHEMA};
use crate::results::run_results::Results;

/// A run with a case of each verdict and one without a record.
#[must_use]
pub fn one_of_each() -> Results {
    let because = |verdict, because: &str| VerdictDetail {
        verdict,
        expected: Some(seen("mounted", None)),
        observed: Some(seen("refused", Some("EINVAL"))),
        because: Some(because.to_string()),
    };
    let holds = VerdictDetail { verdict: Verdict::Holds, because: None, ..because(Verdict::Holds, "") };
    let mut results = planned(&[
        ("first", Fs::Ext4),
        ("first", Fs::Ext2),
        ("first", Fs::Xfs),
        ("second", Fs::Ext4),
        ("second", Fs::Ramfs),
        ("third", Fs::Ramfs),
    ]);
    for (claim, fs, verdict_detail) in [
        ("first", Fs::Ext2, because(Verdict::Broken, "mount: expected <mounted>, observed refused EINVAL")),
        ("first", Fs::Ext4, holds.clone()),
        ("first", Fs::Xfs, VerdictDetail::cannot_tell("it hung\n             | a last line")),
        ("second", Fs::Ext4, holds),
        ("third", Fs::Ramfs, VerdictDetail::skipped("has no xattrs")),
    ] {
        results.records.push(record(claim, fs, verdict_detail));
    }
    results
}

fn seen(outcome: &str, errno: Option<&str>) -> ObservedOutcome {
    ObservedOutcome { outcome: outcome.to_string(), errno: errno.map(str::to_string), reason: None }
}

/// A run with these cases and no records.
#[must_use]
pub fn planned(cases: &[(&str, Fs)]) -> Results {
    let cases = cases.iter().map(|(claim, fs)| PlannedCase { claim: (*claim).to_string(), fs: *fs }).collect();
    Results::new(run_plan(cases))
}

/// A record of a case with this verdict.
#[must_use]
pub fn record(claim: &str, fs: Fs, verdict_detail: VerdictDetail) -> Record {
    Record {
        claim: claim.to_string(),
        fs,
        verdict: verdict_detail.verdict,
        expected: verdict_detail.expected,
        observed: verdict_detail.observed,
        because: verdict_detail.because,
        early_crash: false,
        ms: 1500,
        boots_ms: vec![40],
        phases_us: PhaseTimes::default(),
        log: format!("/runs/{claim}-{}.jsonl", fs.name()).into(),
    }
}

/// A plan with these cases.
#[must_use]
pub fn run_plan(cases: Vec<PlannedCase>) -> RunPlan {
    let text = str::to_string;
    RunPlan {
        schema: SCHEMA,
        base: text("5.10.13"),
        series: text("s"),
        level: 4,
        config: None,
        arch: text("x86_64"),
        executor: text("qemu"),
        accel: Some(Accel::Tcg),
        build_id: text("b1"),
        module_sha256: text("50d1"),
        harness_sha256: text("4a"),
        options: RunOptions::default(),
        shard: None,
        cases,
    }
}

/// A host.
#[must_use]
pub fn host() -> Host {
    Host { processor: "P <1>".to_string(), processors: 2, kernel: "6.0".to_string() }
}

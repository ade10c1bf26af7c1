// SPDX-License-Identifier: MIT OR Apache-2.0
//! Marks a kernel good, bad or skipped from the results of its cases.

use serde::{Deserialize, Serialize};
use vremount_claims::verdict::{ObservedOutcome, Verdict};
use vremount_runner::results::Record;

/// The mark of a kernel, as in `git bisect`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mark {
    /// No case is bad, and none is undecided.
    Good,
    /// At least one case is bad.
    Bad,
    /// Undecided: not built, not booted, or without a usable result.
    Skip,
}

/// What makes a case bad.
#[derive(Debug, Clone, Copy)]
pub enum Rule<'a> {
    /// The claim is broken.
    Broken,
    /// Outcome, errno or stated reason differs from the record of the same case in this list.
    DiffersFrom(&'a [Record]),
}

/// Marks a kernel from one or more runs over the same cases, and gives the reason. One bad case
/// makes it bad. It is good only if every case that is not skipped is good. It is skipped if runs
/// disagree, or if no case was run.
#[must_use]
pub fn judge(runs: &[Vec<Record>], rule: Rule<'_>) -> (Mark, String) {
    let Some(first) = runs.first() else { return (Mark::Skip, "no run was completed".to_string()) };
    if let Some(why) = disagreement(runs) {
        return (Mark::Skip, why);
    }
    let run: Vec<_> = first.iter().filter(|record| record.verdict != Verdict::Skipped).collect();
    let marks: Vec<_> = run.iter().map(|record| (judge_case(record, rule), *record)).collect();
    let first_with = |wanted| marks.iter().find(|(mark, _)| *mark == wanted).map(|(_, record)| explain(record));
    match (first_with(Mark::Bad), first_with(Mark::Skip)) {
        (Some(why), _) => (Mark::Bad, why),
        (None, Some(why)) => (Mark::Skip, why),
        (None, None) if run.is_empty() => (Mark::Skip, "every case is skipped on this kernel".to_string()),
        (None, None) => {
            let result = if matches!(rule, Rule::Broken) { "hold" } else { "are as on the good end" };
            (Mark::Good, format!("{} {result}, {} skipped", run.len(), first.len() - run.len()))
        }
    }
}

/// The mark of one case.
fn judge_case(record: &Record, rule: Rule<'_>) -> Mark {
    match (record.verdict, rule) {
        (Verdict::CannotTell | Verdict::Skipped, _) => Mark::Skip,
        // The kernel failed in the setup, so the claim was not tested.
        _ if record.early_crash => Mark::Skip,
        (Verdict::Broken, Rule::Broken) => Mark::Bad,
        (Verdict::Holds, Rule::Broken) => Mark::Good,
        (_, Rule::DiffersFrom(reference)) => match reference.iter().find(|other| is_same_case(record, other)) {
            Some(other) if matches!(other.verdict, Verdict::CannotTell | Verdict::Skipped) => Mark::Skip,
            Some(other) if other.observed == record.observed => Mark::Good,
            Some(_) => Mark::Bad,
            None => Mark::Skip,
        },
    }
}

fn explain(record: &Record) -> String {
    let because = record.because.as_deref().unwrap_or_default();
    let observed = record.observed.as_ref().map_or("nothing".to_string(), ObservedOutcome::to_string);
    let reason = if because.is_empty() { format!("observed {observed}") } else { because.to_string() };
    let early = if record.early_crash { " (before the first assertion of the claim)" } else { "" };
    format!("{} on {}: {reason}{early}", record.claim, record.fs.name())
}

/// The first case whose result differs between two runs of a kernel, as a sentence; none if all
/// runs agree.
#[must_use]
pub fn disagreement(runs: &[Vec<Record>]) -> Option<String> {
    runs.windows(2).find_map(|pair| first_difference(&pair[0], &pair[1]))
}

fn first_difference(one: &[Record], other: &[Record]) -> Option<String> {
    one.iter().find_map(|record| {
        let again = other.iter().find(|other| is_same_case(record, other));
        let is_same = again.as_ref().is_some_and(|again| {
            (again.verdict, &again.observed, again.early_crash)
                == (record.verdict, &record.observed, record.early_crash)
        });
        let (claim, fs) = (&record.claim, record.fs.name());
        let then = again.map_or("not run".to_string(), |again| again.verdict.to_string());
        (!is_same).then(|| format!("runs disagree: {claim} on {fs}: first {}, then {then}", record.verdict))
    })
}

fn is_same_case(one: &Record, other: &Record) -> bool {
    (&one.claim, one.fs) == (&other.claim, other.fs)
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use vremount_claims::verdict::VerdictDetail;
    use vremount_machine::image::Fs;
    use vremount_runner::testing::record;

    use super::*;

    fn record_with(claim: &str, verdict: Verdict, errno: Option<&str>) -> Record {
        let observed = Some(ObservedOutcome { outcome: "seen".into(), errno: errno.map(String::from), reason: None });
        record(claim, Fs::Ext4, VerdictDetail { verdict, expected: None, observed, because: None })
    }

    fn holds(claim: &str) -> Record {
        record_with(claim, Verdict::Holds, None)
    }

    fn broken(claim: &str) -> Record {
        record_with(claim, Verdict::Broken, Some("EINVAL"))
    }

    fn undecided(claim: &str) -> Record {
        record_with(claim, Verdict::CannotTell, None)
    }

    fn skipped(claim: &str) -> Record {
        record_with(claim, Verdict::Skipped, None)
    }

    fn crashed_early(claim: &str) -> Record {
        Record { early_crash: true, observed: None, ..broken(claim) }
    }

    #[rstest]
    #[case::holds(vec![holds("a"), holds("b")], Mark::Good)]
    #[case::one_broken(vec![holds("a"), broken("b")], Mark::Bad)]
    #[case::one_undecided(vec![holds("a"), undecided("b")], Mark::Skip)]
    #[case::broken_outweighs_undecided(vec![undecided("a"), broken("b")], Mark::Bad)]
    #[case::skipped_is_ignored(vec![skipped("a"), holds("b")], Mark::Good)]
    #[case::all_skipped(vec![skipped("a")], Mark::Skip)]
    #[case::no_cases(vec![], Mark::Skip)]
    #[case::crash_in_setup(vec![crashed_early("a"), holds("b")], Mark::Skip)]
    fn kernel_is_bad_if_a_claim_is_broken(#[case] records: Vec<Record>, #[case] expected: Mark) {
        assert_eq!(judge(&[records], Rule::Broken).0, expected);
    }

    #[rstest]
    #[case::same(vec![broken("a")], vec![broken("a")], Mark::Good)]
    #[case::verdict_changed(vec![broken("a")], vec![holds("a")], Mark::Bad)]
    #[case::errno_changed(vec![broken("a")], vec![record_with("a", Verdict::Broken, Some("EIO"))], Mark::Bad)]
    #[case::kernel_warning(vec![holds("a")], vec![Record { observed: None, ..broken("a") }], Mark::Bad)]
    #[case::crash_in_setup(vec![holds("a")], vec![crashed_early("a")], Mark::Skip)]
    #[case::undecided_on_good_end(vec![undecided("a")], vec![holds("a")], Mark::Skip)]
    #[case::missing_on_good_end(vec![], vec![holds("a")], Mark::Skip)]
    fn kernel_is_bad_if_an_outcome_differs_from_the_good_end(
        #[case] before: Vec<Record>,
        #[case] now: Vec<Record>,
        #[case] expected: Mark,
    ) {
        assert_eq!(judge(&[now], Rule::DiffersFrom(&before)).0, expected);
    }

    #[rstest]
    #[case::verdict(broken("a"))]
    #[case::observed(record_with("a", Verdict::Holds, Some("EINVAL")))]
    #[case::early_crash(Record { early_crash: true, ..holds("a") })]
    #[case::missing(holds("b"))]
    fn kernel_is_skipped_if_its_runs_disagree(#[case] again: Record) {
        let runs = [vec![holds("a")], vec![again]];
        let (mark, why) = judge(&runs, Rule::Broken);
        assert_eq!(mark, Mark::Skip);
        assert!(why.contains("runs disagree"), "{why}");
        assert_eq!(judge(&[vec![holds("a")], vec![holds("a")]], Rule::Broken).0, Mark::Good);
        assert_eq!(judge(&[], Rule::Broken).0, Mark::Skip);
    }

    #[test]
    fn reason_counts_skipped_cases() {
        let records = [vec![skipped("a"), skipped("b"), holds("c")]];
        assert_eq!(judge(&records, Rule::Broken).1, "1 hold, 2 skipped");
        assert_eq!(judge(&records, Rule::DiffersFrom(&records[0])).1, "1 are as on the good end, 2 skipped");
    }
}

// SPDX-License-Identifier: MIT OR Apache-2.0
//! What verdicts say about a kernel in a bisection.

use serde::{Deserialize, Serialize};
use vremount_claims::verdict::{ObservedOutcome, Verdict};
use vremount_runner::results::Record;

/// What becomes of a kernel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mark {
    Good,
    Bad,
    /// Nothing can be told.
    Skip,
}

/// What makes a kernel bad.
#[derive(Debug, Clone, Copy)]
pub enum Rule<'a> {
    /// A claim is broken.
    Broken,
    /// Outcome, errno or stated reason of a claim is another than here.
    Differs(&'a [Record]),
}

/// Judges a kernel by one run or more over the same cases, and says why. One case that is bad is enough; it is good only if
/// all that could be told is good, and nothing could not be told. Runs that disagree say nothing.
#[must_use]
pub fn judge(runs: &[Vec<Record>], rule: Rule<'_>) -> (Mark, String) {
    let Some(first) = runs.first() else { return (Mark::Skip, "it never ran".to_string()) };
    if let Some(why) = disagreement(runs) {
        return (Mark::Skip, why);
    }
    let told: Vec<_> = first.iter().filter(|record| record.verdict != Verdict::Skipped).collect();
    let marks: Vec<_> = told.iter().map(|record| (of(record, rule), *record)).collect();
    let find = |wanted| marks.iter().find(|(mark, _)| *mark == wanted).map(|(_, record)| why(record));
    match (find(Mark::Bad), find(Mark::Skip)) {
        (Some(why), _) => (Mark::Bad, why),
        (None, Some(why)) => (Mark::Skip, why),
        (None, None) if told.is_empty() => (Mark::Skip, "every claim is skipped here".to_string()),
        (None, None) => {
            let how = if matches!(rule, Rule::Broken) { "hold" } else { "are as on the good end" };
            (Mark::Good, format!("{} {how}, {} skipped", told.len(), first.len() - told.len()))
        }
    }
}

/// What a case says by itself.
fn of(record: &Record, rule: Rule<'_>) -> Mark {
    match (record.verdict, rule) {
        (Verdict::CannotTell | Verdict::Skipped, _) => Mark::Skip,
        // What broke the claim is not what the claim is about.
        _ if record.early_crash => Mark::Skip,
        (Verdict::Broken, Rule::Broken) => Mark::Bad,
        (Verdict::Holds, Rule::Broken) => Mark::Good,
        (_, Rule::Differs(reference)) => match reference.iter().find(|other| same_case(record, other)) {
            Some(other) if matches!(other.verdict, Verdict::CannotTell | Verdict::Skipped) => Mark::Skip,
            Some(other) if other.observed == record.observed => Mark::Good,
            Some(_) => Mark::Bad,
            None => Mark::Skip,
        },
    }
}

fn why(record: &Record) -> String {
    let because = record.because.as_deref().unwrap_or_default();
    let observed = record.observed.as_ref().map_or("nothing".to_string(), ObservedOutcome::to_string);
    let what = if because.is_empty() { format!("observed {observed}") } else { because.to_string() };
    let early = if record.early_crash { ", before it got to what is claimed" } else { "" };
    format!("{} on {}: {what}{early}", record.claim, record.fs.name())
}

/// How runs of a kernel over the same cases disagree, if they do.
#[must_use]
pub fn disagreement(runs: &[Vec<Record>]) -> Option<String> {
    runs.windows(2).find_map(|pair| difference(&pair[0], &pair[1]))
}

/// The first case of which two runs say something else.
fn difference(one: &[Record], other: &[Record]) -> Option<String> {
    let again = |record: &Record| other.iter().find(|other| same_case(record, other)).cloned();
    one.iter().find_map(|record| {
        let again = again(record);
        let same = again.as_ref().is_some_and(|again| {
            (again.verdict, &again.observed, again.early_crash)
                == (record.verdict, &record.observed, record.early_crash)
        });
        let (claim, fs) = (&record.claim, record.fs.name());
        let then = again.map_or("nothing".to_string(), |again| again.verdict.to_string());
        (!same).then(|| format!("it disagrees with itself: {claim} on {fs} was {}, then {then}", record.verdict))
    })
}

fn same_case(one: &Record, other: &Record) -> bool {
    (&one.claim, one.fs) == (&other.claim, other.fs)
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use vremount_claims::verdict::VerdictDetail;
    use vremount_machine::image::Fs;
    use vremount_runner::testing::record;

    use super::*;

    fn with(claim: &str, verdict: Verdict, errno: Option<&str>) -> Record {
        let observed = Some(ObservedOutcome { outcome: "seen".into(), errno: errno.map(String::from), reason: None });
        record(claim, Fs::Ext4, VerdictDetail { verdict, expected: None, observed, because: None })
    }

    fn holds(claim: &str) -> Record {
        with(claim, Verdict::Holds, None)
    }

    fn broken(claim: &str) -> Record {
        with(claim, Verdict::Broken, Some("EINVAL"))
    }

    fn unknown(claim: &str) -> Record {
        with(claim, Verdict::CannotTell, None)
    }

    fn skipped(claim: &str) -> Record {
        with(claim, Verdict::Skipped, None)
    }

    fn early(claim: &str) -> Record {
        Record { early_crash: true, observed: None, ..broken(claim) }
    }

    #[rstest]
    #[case::holds(vec![holds("a"), holds("b")], Mark::Good)]
    #[case::one_is_broken(vec![holds("a"), broken("b")], Mark::Bad)]
    #[case::one_is_unknown(vec![holds("a"), unknown("b")], Mark::Skip)]
    #[case::broken_counts_more_than_unknown(vec![unknown("a"), broken("b")], Mark::Bad)]
    #[case::skipped_says_nothing(vec![skipped("a"), holds("b")], Mark::Good)]
    #[case::nothing_was_proved(vec![skipped("a")], Mark::Skip)]
    #[case::nothing_at_all(vec![], Mark::Skip)]
    #[case::crash_outside_the_claim(vec![early("a"), holds("b")], Mark::Skip)]
    fn bad_is_broken(#[case] records: Vec<Record>, #[case] expected: Mark) {
        assert_eq!(judge(&[records], Rule::Broken).0, expected);
    }

    #[rstest]
    #[case::same(vec![broken("a")], vec![broken("a")], Mark::Good)]
    #[case::holds_now(vec![broken("a")], vec![holds("a")], Mark::Bad)]
    #[case::other_errno(vec![broken("a")], vec![with("a", Verdict::Broken, Some("EIO"))], Mark::Bad)]
    #[case::complained(vec![holds("a")], vec![Record { observed: None, ..broken("a") }], Mark::Bad)]
    #[case::crash_outside_the_claim(vec![holds("a")], vec![early("a")], Mark::Skip)]
    #[case::was_unknown(vec![unknown("a")], vec![holds("a")], Mark::Skip)]
    #[case::was_not_there(vec![], vec![holds("a")], Mark::Skip)]
    fn bad_is_another_outcome(#[case] before: Vec<Record>, #[case] now: Vec<Record>, #[case] expected: Mark) {
        assert_eq!(judge(&[now], Rule::Differs(&before)).0, expected);
    }

    #[rstest]
    #[case::verdict(broken("a"))]
    #[case::observed(with("a", Verdict::Holds, Some("EINVAL")))]
    #[case::early_crash(Record { early_crash: true, ..holds("a") })]
    #[case::missing(holds("b"))]
    fn runs_that_disagree_say_nothing(#[case] again: Record) {
        let runs = [vec![holds("a")], vec![again]];
        let (mark, why) = judge(&runs, Rule::Broken);
        assert_eq!(mark, Mark::Skip);
        assert!(why.contains("disagrees with itself"), "{why}");
        assert_eq!(judge(&[vec![holds("a")], vec![holds("a")]], Rule::Broken).0, Mark::Good);
        assert_eq!(judge(&[], Rule::Broken).0, Mark::Skip);
    }

    #[test]
    fn what_was_skipped_is_counted() {
        let records = [vec![skipped("a"), skipped("b"), holds("c")]];
        assert_eq!(judge(&records, Rule::Broken).1, "1 hold, 2 skipped");
        assert_eq!(judge(&records, Rule::Differs(&records[0])).1, "1 are as on the good end, 2 skipped");
    }
}

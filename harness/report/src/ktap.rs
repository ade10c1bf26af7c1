// SPDX-License-Identifier: MIT OR Apache-2.0
//! KTAP version 1, the format of kernel test tools: a test for each claim, a subtest for each filesystem. An undecided case
//! is `not ok` with the directive `ERROR`; tools that do not know the directive count a failure.

use std::fmt::Write as _;

use vremount_claims::verdict::Verdict;
use vremount_runner::results::{PlannedCase, Record, Results};

use crate::verdict_label::MISSING;

/// The KTAP report of a run.
#[must_use]
pub fn ktap(results: &Results) -> String {
    let claims: Vec<_> = results.claims().collect();
    let mut text = format!("KTAP version 1\n# {}\n1..{}\n", results.plan.title(), claims.len());
    for (number, cases) in (1..).zip(&claims) {
        let Some((PlannedCase { claim, .. }, _)) = cases.first() else { continue };
        let _ = writeln!(text, "  KTAP version 1\n  # Subtest: {claim}\n  1..{}", cases.len());
        for (number, (case, record)) in (1..).zip(cases) {
            for line in diagnostics(*record) {
                let _ = writeln!(text, "  # {line}");
            }
            let _ = writeln!(text, "  {}", result(number, case.fs.name(), *record));
        }
        let verdicts: Vec<_> = cases.iter().map(|(_, record)| record.map(|record| record.verdict)).collect();
        let is_skipped = |verdict: &Option<Verdict>| *verdict == Some(Verdict::Skipped);
        let is_ok = verdicts.iter().all(|verdict| is_skipped(verdict) || *verdict == Some(Verdict::Holds));
        let status = if is_ok { "ok" } else { "not ok" };
        let directive = if verdicts.iter().all(is_skipped) { " # SKIP on every filesystem" } else { "" };
        let _ = writeln!(text, "{status} {number} {claim}{directive}");
    }
    text
}

fn result(number: usize, name: &str, record: Option<&Record>) -> String {
    match record.map(|record| (record.verdict, &record.because)) {
        Some((Verdict::Holds, _)) => format!("ok {number} {name}"),
        Some((Verdict::Skipped, because)) => {
            format!("ok {number} {name} # SKIP {}", because.as_deref().unwrap_or_default())
        }
        Some((Verdict::Broken, _)) => format!("not ok {number} {name}"),
        Some((Verdict::CannotTell, _)) => format!("not ok {number} {name} # ERROR cannot tell"),
        None => format!("not ok {number} {name} # ERROR missing"),
    }
}

/// The diagnostic lines of a subtest that is not ok: the reason and the path of the transcript.
fn diagnostics(record: Option<&Record>) -> Vec<String> {
    let Some(record) = record else { return vec![MISSING.to_string()] };
    if matches!(record.verdict, Verdict::Holds | Verdict::Skipped) {
        return Vec::new();
    }
    let because = record.because.iter().flat_map(|because| because.lines()).map(|line| line.trim().to_string());
    because.chain([format!("see {}", record.log.display())]).collect()
}

#[cfg(test)]
mod tests {
    use vremount_runner::testing::one_of_each;

    use super::*;

    #[test]
    fn ktap_has_every_planned_case() {
        let expected = "\
KTAP version 1
# Linux 5.10.13, series s at level 4, qemu with tcg
1..3
  KTAP version 1
  # Subtest: first
  1..3
  ok 1 ext4
  # mount: expected <mounted>, observed refused EINVAL
  # see /runs/first-ext2.jsonl
  not ok 2 ext2
  # it hung
  # | a last line
  # see /runs/first-xfs.jsonl
  not ok 3 xfs # ERROR cannot tell
not ok 1 first
  KTAP version 1
  # Subtest: second
  1..2
  ok 1 ext4
  # the run was interrupted before this case finished
  not ok 2 ramfs # ERROR missing
not ok 2 second
  KTAP version 1
  # Subtest: third
  1..1
  ok 1 ramfs # SKIP has no xattrs
ok 3 third # SKIP on every filesystem
";
        assert_eq!(ktap(&one_of_each()), expected);
    }
}

// SPDX-License-Identifier: MIT OR Apache-2.0
//! KTAP version 1, what kernel developers' tools read: a test for each claim, a subtest for each filesystem. It has `ERROR`
//! for what nobody can tell; tools that do not know the word take it for a failure, and none for a pass.

use std::fmt::Write as _;

use vremount_claims::verdict::Verdict;
use vremount_runner::results::{PlannedCase, Record, Results};

use crate::MISSING;

/// The text of the file.
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
        let is = |verdict| move |(_, record): &(_, Option<&Record>)| record.is_some_and(|r| r.verdict == verdict);
        let ok = if cases.iter().all(|case| is(Verdict::Holds)(case) || is(Verdict::Skipped)(case)) {
            "ok"
        } else {
            "not ok"
        };
        let skip = if cases.iter().all(is(Verdict::Skipped)) { " # SKIP on every filesystem" } else { "" };
        let _ = writeln!(text, "{ok} {number} {claim}{skip}");
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

/// Why a result is not ok.
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
    fn every_case_of_the_plan_is_in_it() {
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
  # the run was interrupted before it was proved
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

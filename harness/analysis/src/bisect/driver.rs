// SPDX-License-Identifier: MIT OR Apache-2.0
//! The loop of a bisection: tests both ends, then the revisions that the range chooses. A revision
//! that is in the log is not tested again, so resuming is the same as starting.

use std::time::{Duration, Instant};

use vremount_kernel::base::Base;
use vremount_runner::results::Record;

use crate::bisect::log::{BisectResult, Log, Step};
use crate::bisect::policy::{Mark, Rule, judge};
use crate::bisect::range::{BisectRange, NextStep, Revision};
use crate::error::Error;

/// Progress of a bisection.
pub enum BisectEvent<'a> {
    /// A test begins.
    TestStarted {
        /// The revision that is tested.
        revision: &'a Revision,
        /// Mean duration of the tests so far, without the first one; none before the second test.
        mean_duration: Option<Duration>,
        /// Estimated number of tests left; none if it is unknown.
        tests_left: Option<usize>,
    },
    /// A test has ended.
    Tested(&'a Step),
    /// The log already has a result for this revision.
    FoundInLog(&'a Step),
}

/// The results of each run of a kernel over the same cases.
type RepeatedRuns = Vec<Vec<Record>>;

/// Searches the range for the first bad revision. With `reason_changed`, a case is bad if it
/// differs from the first good end, else if its claim is broken.
///
/// # Errors
/// [`Error::Usage`] if an end has the wrong mark, [`Error::Undecided`] if an end is skipped, and
/// any error of `test_kernel` or of the log that is not the fault of the kernel under test.
pub fn run(
    range: &mut dyn BisectRange,
    log: &mut Log,
    reason_changed: bool,
    test_kernel: &mut dyn FnMut(&Base) -> Result<RepeatedRuns, Error>,
    on_event: &mut dyn FnMut(BisectEvent<'_>),
) -> Result<BisectResult, Error> {
    let mut driver = Driver { log, reference: reason_changed.then(Vec::new), test_kernel, on_event };
    for (index, good) in range.good().to_vec().iter().enumerate() {
        let step = driver.test(range, good, None)?;
        check_end(&step, Mark::Good)?;
        if index == 0 {
            driver.reference = reason_changed.then(|| step.records.clone());
        }
    }
    let bad = range.bad().clone();
    check_end(&driver.test(range, &bad, None)?, Mark::Bad)?;
    loop {
        match range.next()? {
            NextStep::Test(revision, left) => {
                let step = driver.test(range, &revision, left)?;
                range.mark(&revision, step.mark)?;
            }
            NextStep::Undecided(revisions) => return Ok(BisectResult::Undecided(revisions)),
            NextStep::Found(revision) => {
                let known = driver.log.bisection().step(&revision.id).cloned();
                let bad = known.map_or_else(|| driver.test(range, &revision, None), Ok)?;
                let good = driver.last_good(range, &revision)?;
                return Ok(BisectResult::Found { good: Box::new(good), bad: Box::new(bad) });
            }
        }
    }
}

struct Driver<'a> {
    log: &'a mut Log,
    /// With `reason_changed`, the results on the first good end; empty while that end is tested.
    /// Else none.
    reference: Option<Vec<Record>>,
    test_kernel: &'a mut dyn FnMut(&Base) -> Result<RepeatedRuns, Error>,
    on_event: &'a mut dyn FnMut(BisectEvent<'_>),
}

impl Driver<'_> {
    /// Tests a revision and appends the step to the log, or takes the step from the log.
    fn test(&mut self, range: &dyn BisectRange, revision: &Revision, left: Option<usize>) -> Result<Step, Error> {
        if let Some(step) = self.log.bisection().step(&revision.id) {
            (self.on_event)(BisectEvent::FoundInLog(step));
            return Ok(step.clone());
        }
        let mean = self.mean_duration();
        (self.on_event)(BisectEvent::TestStarted { revision, mean_duration: mean, tests_left: left });
        let started = Instant::now();
        let mut kernel = String::new();
        let runs = range.resolve(revision).and_then(|(base, description)| {
            kernel = description;
            (self.test_kernel)(&base)
        });
        let (mark, why, records) = match runs {
            Ok(mut runs) => {
                let (mark, why) = self.judge(&runs);
                (mark, why, runs.pop().unwrap_or_default())
            }
            Err(error) if error.is_kernel_failure() => (Mark::Skip, error.to_string(), Vec::new()),
            Err(error) => return Err(error),
        };
        let ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
        let step = Step { revision: revision.clone(), mark, why, kernel, duration_ms: ms, records };
        self.log.add(step.clone())?;
        (self.on_event)(BisectEvent::Tested(&step));
        Ok(step)
    }

    fn judge(&self, runs: &RepeatedRuns) -> (Mark, String) {
        match &self.reference {
            None => judge(runs, Rule::Broken),
            Some(empty) if empty.is_empty() => judge(runs, Rule::DiffersFrom(runs.first().map_or(&[], Vec::as_slice))),
            Some(reference) => judge(runs, Rule::DiffersFrom(reference)),
        }
    }

    /// Mean duration of the steps so far. The first step is left out: it builds everything.
    fn mean_duration(&self) -> Option<Duration> {
        let times: Vec<u64> = self.log.bisection().steps.iter().skip(1).map(|step| step.duration_ms).collect();
        let count = u64::try_from(times.len()).ok().filter(|count| *count > 0)?;
        Some(Duration::from_millis(times.iter().sum::<u64>() / count))
    }

    /// The good revision directly before the first bad one, if it was tested; else the one that was
    /// found good last, which is the closest.
    fn last_good(&self, range: &dyn BisectRange, bad: &Revision) -> Result<Step, Error> {
        let before = range.parents(bad)?;
        let good = || self.log.bisection().steps.iter().filter(|step| step.mark == Mark::Good);
        let directly_before = good().find(|step| before.contains(&step.revision.id));
        let found = directly_before.or_else(|| good().next_back()).cloned();
        let none = || format!("no revision before {} was found good; name an older one with --good", bad.id);
        found.ok_or_else(|| Error::Undecided(none()))
    }
}

/// Checks that an end has the mark that the user gave it.
fn check_end(step: &Step, given: Mark) -> Result<(), Error> {
    let Step { revision: Revision { id, title }, mark, why, .. } = step;
    let hint = match given {
        Mark::Bad => "a newer one with --bad, or another claim with --claim",
        Mark::Good | Mark::Skip => "an older one with --good, or another claim with --claim",
    };
    match mark {
        mark if *mark == given => Ok(()),
        Mark::Skip => Err(Error::Undecided(format!(
            "{id} ({title}), given as {given}, cannot be decided: {why}; name another one"
        ))),
        Mark::Good | Mark::Bad => Err(Error::Usage(format!(
            "failed to bisect: {id} ({title}) was given as {given} and is {mark}: {why}; name {hint}"
        ))),
    }
}

#[cfg(test)]
mod tests {

    use vremount_claims::verdict::{Verdict, VerdictDetail};
    use vremount_kernel::build;
    use vremount_machine::image::Fs;
    use vremount_runner::testing::record;

    use super::super::log::tests::header;
    use super::*;

    /// Revisions 0 to 16, each the parent of the next one.
    struct Numbers {
        good: [Revision; 1],
        bad: Revision,
        between: (usize, usize),
        marked: Vec<usize>,
    }

    fn revision(number: usize) -> Revision {
        Revision { id: number.to_string(), title: format!("number {number}") }
    }

    impl Numbers {
        fn new() -> Self {
            Numbers { good: [revision(0)], bad: revision(16), between: (0, 16), marked: Vec::new() }
        }
    }

    impl BisectRange for Numbers {
        fn good(&self) -> &[Revision] {
            &self.good
        }

        fn bad(&self) -> &Revision {
            &self.bad
        }

        fn next(&mut self) -> Result<NextStep, Error> {
            let (low, high) = self.between;
            Ok(if high - low == 1 {
                NextStep::Found(revision(high))
            } else {
                NextStep::Test(revision((low + high) / 2), Some(1))
            })
        }

        fn mark(&mut self, revision: &Revision, mark: Mark) -> Result<(), Error> {
            let number = revision.id.parse().unwrap();
            self.marked.push(number);
            match mark {
                Mark::Good => self.between.0 = number,
                _ => self.between.1 = number,
            }
            Ok(())
        }

        fn parents(&self, revision: &Revision) -> Result<Vec<String>, Error> {
            Ok(vec![(revision.id.parse::<usize>().unwrap() - 1).to_string()])
        }

        fn resolve(&self, revision: &Revision) -> Result<(Base, String), Error> {
            let root = vremount_kernel::testing::checkout();
            let base = Base::find(&root, None).unwrap();
            Ok((Base { name: revision.id.clone(), ..base }, "unchanged".to_string()))
        }
    }

    fn one_run(verdict: Verdict) -> RepeatedRuns {
        let judgement = VerdictDetail { verdict, expected: None, observed: None, because: Some("reason".into()) };
        vec![vec![record("c", Fs::Ext4, judgement)]]
    }

    /// Results of a kernel if all numbers from `first_bad` on are broken.
    fn results(base: &Base, first_bad: usize) -> RepeatedRuns {
        one_run(if base.name.parse::<usize>().unwrap() < first_bad { Verdict::Holds } else { Verdict::Broken })
    }

    fn drive(
        log: &mut Log,
        test_kernel: &mut dyn FnMut(&Base) -> Result<RepeatedRuns, Error>,
    ) -> (Result<BisectResult, Error>, Vec<usize>) {
        let mut numbers = Numbers::new();
        let result = run(&mut numbers, log, false, test_kernel, &mut |_| ());
        (result, numbers.marked)
    }

    fn log(folder: &tempfile::TempDir) -> Log {
        Log::create(&folder.path().join("log"), &header()).unwrap()
    }

    #[test]
    fn first_bad_and_last_good_are_found() {
        for first_bad in 1..=16 {
            let folder = tempfile::tempdir().unwrap();
            let (result, _) = drive(&mut log(&folder), &mut |base| Ok(results(base, first_bad)));
            let Ok(BisectResult::Found { good, bad }) = result else { panic!("{first_bad}: {result:?}") };
            assert_eq!((good.revision, bad.revision), (revision(first_bad - 1), revision(first_bad)));
        }
    }

    #[test]
    fn resumed_bisection_tests_only_what_is_not_in_the_log() {
        for interrupted_at in 0..6 {
            let folder = tempfile::tempdir().unwrap();
            let mut tested_first = Vec::new();
            let (result, _) = drive(&mut log(&folder), &mut |base| {
                if tested_first.len() == interrupted_at {
                    return Err(Error::Usage("interrupted".into()));
                }
                tested_first.push(base.name.clone());
                Ok(results(base, 5))
            });
            assert!(matches!(result, Err(Error::Usage(_))));
            let mut resumed = Log::resume(&folder.path().join("log"), &header()).unwrap();
            let mut tested_then = Vec::new();
            let (result, marked) = drive(&mut resumed, &mut |base| {
                tested_then.push(base.name.clone());
                Ok(results(base, 5))
            });
            assert!(matches!(result, Ok(BisectResult::Found { bad, .. }) if bad.revision == revision(5)));
            assert_eq!(tested_first.len() + tested_then.len(), 6);
            assert!(tested_first.iter().all(|id| !tested_then.contains(id)));
            assert_eq!(marked, [8, 4, 6, 5]);
        }
    }

    #[test]
    fn end_with_the_wrong_mark_is_bad_usage() {
        let folder = tempfile::tempdir().unwrap();
        let why = |test_kernel: &mut dyn FnMut(&Base) -> Result<RepeatedRuns, Error>| {
            drive(&mut log(&folder), test_kernel).0.unwrap_err()
        };
        let error = why(&mut |base| Ok(results(base, 0)));
        let expected =
            "failed to bisect: 0 (number 0) was given as good and is bad: c on ext4: reason; name an older one";
        assert!(error.to_string().starts_with(expected), "{error}");
        assert!(error.is_usage());
        let error = why(&mut |base| Ok(results(base, 17)));
        assert!(error.to_string().contains("16 (number 16) was given as bad and is good"), "{error}");
        let error = why(&mut |_| Ok(one_run(Verdict::CannotTell)));
        assert!(error.to_string().contains("0 (number 0), given as good, cannot be decided: "), "{error}");
        assert!(!error.is_usage());
    }

    /// A kernel that does not build is skipped. On a full disk no kernel builds, so the bisection
    /// stops.
    #[test]
    fn kernel_fault_is_skipped_and_host_fault_stops_the_bisection() {
        let not_built = |first: &str| {
            Error::from(build::Error::MakeFailed { what: "Linux".into(), first: first.into(), log: "/log".into() })
        };
        for (first, is_skipped) in [("fs/a.c:1:2: error: x", true), ("a.o: No space left on device", false)] {
            let folder = tempfile::tempdir().unwrap();
            let (result, marked) = drive(&mut log(&folder), &mut |base| match base.name.as_str() {
                "8" => Err(not_built(first)),
                _ => Ok(results(base, 2)),
            });
            assert_eq!(result.is_ok(), is_skipped);
            assert_eq!(marked.contains(&8), is_skipped);
        }
    }
}

// SPDX-License-Identifier: MIT OR Apache-2.0
//! From two ends to the first that is bad, whatever there is in between. What the log knows is not examined again, so that to
//! resume is to start over.

use std::time::{Duration, Instant};

use vremount_kernel::base::Base;
use vremount_runner::results::Record;

use crate::bisect::policy::{Mark, Rule, judge};
use crate::bisect::{BisectRange, Log, NextStep, Revision, Step};
use crate::error::Error;

/// What there is to see while it goes on.
pub enum BisectEvent<'a> {
    /// One is about to be examined; so long one took so far, and so many more will be needed, if that can be told.
    Starts {
        point: &'a Revision,
        mean: Option<Duration>,
        left: Option<usize>,
    },
    Done(&'a Step),
    /// An earlier run examined it.
    Known(&'a Step),
}

/// How it ended.
#[derive(Debug)]
pub enum BisectResult {
    /// The first that is bad, and the last before it that is known to be good.
    Found { good: Box<Step>, bad: Box<Step> },
    /// It is one of these.
    Among(Vec<Revision>),
}

/// Runs of a kernel over the same cases.
type RepeatedRuns = Vec<Vec<Record>>;

/// Looks for the first that is bad.
///
/// # Errors
/// If an end is not what it was said to be, or something is wrong that other kernels would not make better.
pub fn run(
    range: &mut dyn BisectRange,
    log: &mut Log,
    reason_changed: bool,
    examine: &mut dyn FnMut(&Base) -> Result<RepeatedRuns, Error>,
    news: &mut dyn FnMut(BisectEvent<'_>),
) -> Result<BisectResult, Error> {
    let mut driver = Driver { log, reference: reason_changed.then(Vec::new), examine, news };
    for (place, good) in range.good().to_vec().iter().enumerate() {
        let step = driver.step(range, good, None)?;
        is_as_given(&step, Mark::Good)?;
        if place == 0 {
            driver.reference = reason_changed.then(|| step.records.clone());
        }
    }
    let bad = range.bad().clone();
    is_as_given(&driver.step(range, &bad, None)?, Mark::Bad)?;
    loop {
        match range.next()? {
            NextStep::Examine(point, left) => {
                let step = driver.step(range, &point, left)?;
                range.mark(&point, step.mark)?;
            }
            NextStep::Among(points) => return Ok(BisectResult::Among(points)),
            NextStep::Found(point) => {
                let known = driver.log.so_far().step(&point.id).cloned();
                let bad = known.map_or_else(|| driver.step(range, &point, None), Ok)?;
                let good = driver.last_good(range, &point)?;
                return Ok(BisectResult::Found { good: Box::new(good), bad: Box::new(bad) });
            }
        }
    }
}

struct Driver<'a> {
    log: &'a mut Log,
    /// What the good end did, where bad is to do something else; empty while that one is examined.
    reference: Option<Vec<Record>>,
    examine: &'a mut dyn FnMut(&Base) -> Result<RepeatedRuns, Error>,
    news: &'a mut dyn FnMut(BisectEvent<'_>),
}

impl Driver<'_> {
    fn step(&mut self, range: &dyn BisectRange, point: &Revision, left: Option<usize>) -> Result<Step, Error> {
        if let Some(step) = self.log.so_far().step(&point.id) {
            (self.news)(BisectEvent::Known(step));
            return Ok(step.clone());
        }
        let mean = self.mean();
        (self.news)(BisectEvent::Starts { point, mean, left });
        let started = Instant::now();
        let mut kernel = String::new();
        let examined = range.base(point).and_then(|(base, words)| {
            kernel = words;
            (self.examine)(&base)
        });
        let (mark, why, records) = match examined {
            Ok(mut runs) => {
                let (mark, why) = self.judge(&runs);
                (mark, why, runs.pop().unwrap_or_default())
            }
            Err(error) if error.is_of_the_kernel() => (Mark::Skip, error.to_string(), Vec::new()),
            Err(error) => return Err(error),
        };
        let ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
        let step = Step { point: point.clone(), mark, why, kernel, ms, records };
        self.log.add(step.clone())?;
        (self.news)(BisectEvent::Done(&step));
        Ok(step)
    }

    fn judge(&self, runs: &RepeatedRuns) -> (Mark, String) {
        match &self.reference {
            None => judge(runs, Rule::Broken),
            Some(none) if none.is_empty() => judge(runs, Rule::Differs(runs.first().map_or(&[], Vec::as_slice))),
            Some(reference) => judge(runs, Rule::Differs(reference)),
        }
    }

    /// Of all that were examined; the first builds everything and says nothing about the others.
    fn mean(&self) -> Option<Duration> {
        let times: Vec<u64> = self.log.so_far().steps.iter().skip(1).map(|step| step.ms).collect();
        let count = u64::try_from(times.len()).ok().filter(|count| *count > 0)?;
        Some(Duration::from_millis(times.iter().sum::<u64>() / count))
    }

    /// The one right before, if that is known; else the one that was found to be good last, which is the closest.
    fn last_good(&self, range: &dyn BisectRange, bad: &Revision) -> Result<Step, Error> {
        let before = range.before(bad)?;
        let good = || self.log.so_far().steps.iter().filter(|step| step.mark == Mark::Good);
        let right_before = good().find(|step| before.contains(&step.point.id));
        let found = right_before.or_else(|| good().next_back()).cloned();
        found.ok_or_else(|| Error::NotBisected(format!("nothing before {} is known to be good", bad.id)))
    }
}

fn is_as_given(step: &Step, given: Mark) -> Result<(), Error> {
    let Step { point: Revision { id, title }, mark, why, .. } = step;
    let (word, way_out) = match given {
        Mark::Bad => ("bad", "a newer one with --bad, or another claim with --claim"),
        Mark::Good | Mark::Skip => ("good", "an older one with --good, or another claim with --claim"),
    };
    match mark {
        mark if *mark == given => Ok(()),
        Mark::Skip => {
            let what = format!("nothing can be told of {id} ({title}), given as {word}: {why}; name another");
            Err(Error::NotBisected(what))
        }
        Mark::Good | Mark::Bad => {
            let is = if *mark == Mark::Good { "good" } else { "bad" };
            let what = format!("{id} ({title}) was given as {word} and is {is}: {why}; name {way_out}");
            Err(Error::Usage(format!("failed to bisect: {what}")))
        }
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

    /// Numbers, of which each but the first comes right after the one before.
    struct Numbers {
        good: [Revision; 1],
        bad: Revision,
        between: (usize, usize),
        asked: Vec<usize>,
    }

    fn point(number: usize) -> Revision {
        Revision { id: number.to_string(), title: format!("number {number}") }
    }

    impl Numbers {
        fn new() -> Self {
            Numbers { good: [point(0)], bad: point(16), between: (0, 16), asked: Vec::new() }
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
                NextStep::Found(point(high))
            } else {
                NextStep::Examine(point((low + high) / 2), Some(1))
            })
        }

        fn mark(&mut self, point: &Revision, mark: Mark) -> Result<(), Error> {
            let number = point.id.parse().unwrap();
            self.asked.push(number);
            match mark {
                Mark::Good => self.between.0 = number,
                _ => self.between.1 = number,
            }
            Ok(())
        }

        fn before(&self, point: &Revision) -> Result<Vec<String>, Error> {
            Ok(vec![(point.id.parse::<usize>().unwrap() - 1).to_string()])
        }

        fn base(&self, point: &Revision) -> Result<(Base, String), Error> {
            let root = vremount_kernel::testing::checkout();
            let base = Base::find(&root, None).unwrap();
            Ok((Base { name: point.id.clone(), ..base }, "as it is".to_string()))
        }
    }

    fn of(verdict: Verdict) -> RepeatedRuns {
        let judgement = VerdictDetail { verdict, expected: None, observed: None, because: Some("so it is".into()) };
        vec![vec![record("c", Fs::Ext4, judgement)]]
    }

    /// The kernel with that number, where all from `first_bad` on are broken.
    fn examined(base: &Base, first_bad: usize) -> RepeatedRuns {
        of(if base.name.parse::<usize>().unwrap() < first_bad { Verdict::Holds } else { Verdict::Broken })
    }

    fn drive(
        log: &mut Log,
        examine: &mut dyn FnMut(&Base) -> Result<RepeatedRuns, Error>,
    ) -> (Result<BisectResult, Error>, Vec<usize>) {
        let mut numbers = Numbers::new();
        let ending = run(&mut numbers, log, false, examine, &mut |_| ());
        (ending, numbers.asked)
    }

    fn log(folder: &tempfile::TempDir) -> Log {
        Log::create(&folder.path().join("log"), &header()).unwrap()
    }

    #[test]
    fn the_first_bad_is_found_with_the_last_good() {
        for first_bad in 1..=16 {
            let folder = tempfile::tempdir().unwrap();
            let (ending, _) = drive(&mut log(&folder), &mut |base| Ok(examined(base, first_bad)));
            let Ok(BisectResult::Found { good, bad }) = ending else { panic!("{first_bad}: {ending:?}") };
            assert_eq!((good.point, bad.point), (point(first_bad - 1), point(first_bad)));
        }
    }

    /// Whatever was on its way when it was interrupted is examined again, and nothing else is.
    #[test]
    fn what_is_known_is_not_examined_again() {
        for interrupted_at in 0..6 {
            let folder = tempfile::tempdir().unwrap();
            let mut examined_first = Vec::new();
            let (ending, _) = drive(&mut log(&folder), &mut |base| {
                if examined_first.len() == interrupted_at {
                    return Err(Error::Usage("interrupted".into()));
                }
                examined_first.push(base.name.clone());
                Ok(examined(base, 5))
            });
            assert!(matches!(ending, Err(Error::Usage(_))));
            let mut resumed = Log::resume(&folder.path().join("log"), &header()).unwrap();
            let mut examined_then = Vec::new();
            let (ending, asked) = drive(&mut resumed, &mut |base| {
                examined_then.push(base.name.clone());
                Ok(examined(base, 5))
            });
            assert!(matches!(ending, Ok(BisectResult::Found { bad, .. }) if bad.point == point(5)));
            assert_eq!(examined_first.len() + examined_then.len(), 6);
            assert!(examined_first.iter().all(|id| !examined_then.contains(id)));
            assert_eq!(asked, [8, 4, 6, 5]);
        }
    }

    #[test]
    fn ends_that_are_not_what_they_should_be_are_told() {
        let folder = tempfile::tempdir().unwrap();
        let why = |examine: &mut dyn FnMut(&Base) -> Result<RepeatedRuns, Error>| {
            drive(&mut log(&folder), examine).0.unwrap_err()
        };
        let error = why(&mut |base| Ok(examined(base, 0)));
        let expected =
            "failed to bisect: 0 (number 0) was given as good and is bad: c on ext4: so it is; name an older one";
        assert!(error.to_string().starts_with(expected), "{error}");
        assert!(error.is_usage());
        let error = why(&mut |base| Ok(examined(base, 17)));
        assert!(error.to_string().contains("16 (number 16) was given as bad and is good"), "{error}");
        let error = why(&mut |_| Ok(of(Verdict::CannotTell)));
        assert!(error.to_string().contains("nothing can be told of 0 (number 0), given as good"), "{error}");
        assert!(!error.is_usage());
    }

    /// A kernel that does not build is skipped; with a disk that is full nothing would build.
    #[test]
    fn what_is_wrong_with_the_kernel_is_skipped_and_what_is_wrong_with_us_ends_it() {
        let not_built = |first: &str| {
            Error::from(build::Error::Build { what: "Linux".into(), first: first.into(), log: "/log".into() })
        };
        for (first, is_skipped) in [("fs/a.c:1:2: error: x", true), ("a.o: No space left on device", false)] {
            let folder = tempfile::tempdir().unwrap();
            let (ending, asked) = drive(&mut log(&folder), &mut |base| match base.name.as_str() {
                "8" => Err(not_built(first)),
                _ => Ok(examined(base, 2)),
            });
            assert_eq!(ending.is_ok(), is_skipped);
            assert_eq!(asked.contains(&8), is_skipped);
        }
    }
}

// SPDX-License-Identifier: MIT OR Apache-2.0
//! Several claims on one machine, where booting is dear. Between two of them the guest takes everything down and checks that
//! the machine is as it was. What cannot be told that way is told by a machine of its own.

use std::time::Duration;

use vremount_claims::verdict::{Judgement, Verdict, judge};
use vremount_claims::{Case, Step, Want, describe, describe_outcome};
use vremount_kernel::build::Kernel;
use vremount_machine::image::Fs;
use vremount_machine::{Run, Times};
use vremount_protocol::{Op, Outcome, StepReport, classify};

use crate::boot_segment::Part;
use crate::case_runner::{Proof, Prover};
use crate::transcript;
use crate::validate::{check, complaint, reports};

/// Proves claims on one filesystem, one after the other; none may need the host in between.
#[must_use]
pub fn prove(prover: &Prover<'_>, cases: &[Case<'_>]) -> Vec<Proof> {
    let scripts: Vec<Vec<Step>> = cases.iter().map(|case| prover.steps(case.claim)).collect();
    let Some(first) = cases.first() else { return Vec::new() };
    let name = format!("{}-and-{}-more", first.name(), cases.len() - 1);
    let Company { told, times, amiss } = run(prover, &name, first.fs, &scripts);
    let mut told = told.into_iter();
    let mut proofs = Vec::new();
    for (place, (case, steps)) in cases.iter().zip(&scripts).enumerate() {
        proofs.push(match told.next() {
            Some((own, judgement)) if judgement.verdict == Verdict::Holds => {
                // The first of them has waited for the machine; what it is made of is told with none.
                let ready = times.ready.filter(|_| place == 0);
                let steps_time = own.iter().map(|report| Duration::from_micros(report.us)).sum();
                let machine = Times { ready, steps: steps_time, ..Times::default() };
                let time = ready.unwrap_or_default() + steps_time;
                prover.proof(case, steps, &[&own], judgement, time, vec![machine])
            }
            Some((_, Judgement { verdict: Verdict::Broken, because, .. })) => {
                doubted(prover, case, prover.prove_alone(case), &because.unwrap_or_default())
            }
            _ => prover.prove_alone(case),
        });
    }
    if let Some(amiss) = amiss {
        let doubt = |place: usize, proof, why: &str| doubted(prover, &cases[place], proof, why);
        amiss.blame(&mut proofs, |proof| &proof.judgement, doubt);
    }
    proofs
}

/// A claim that holds, when the kernel did something else after other claims: proved once more, and that all can be taken down.
fn doubted(prover: &Prover<'_>, case: &Case<'_>, proof: Proof, seen: &str) -> Proof {
    if proof.judgement.verdict != Verdict::Holds {
        return proof;
    }
    let steps = [prover.steps(case.claim), vec![Step::Then(Op::Reset, Want::Done)]].concat();
    let again = prover.prove_steps(case, &steps);
    if again.judgement.verdict != Verdict::Holds {
        return again;
    }
    let judgement = Judgement::cannot_tell(format!("it holds by itself, but not after others on one machine: {seen}"));
    // Undecided it is either way; the transcript only says so too.
    let _ = transcript::revise(&again.log, &judgement);
    Proof { judgement, ..again }
}

/// What came of scripts on one machine.
#[derive(Default)]
pub struct Company {
    /// Of each; nothing, if the machine did not end well.
    pub told: Vec<Told>,
    pub times: Times,
    pub amiss: Option<Amiss>,
}

/// What is wrong with the kernel, though it may do no script by itself any harm.
pub struct Amiss {
    /// The script at which it showed, or the last before it did.
    pub place: usize,
    pub why: String,
}

impl Amiss {
    /// Has the one doubted at which it showed. One that shows it by itself is to blame, and no other.
    pub fn blame<T>(
        &self,
        found: &mut Vec<T>,
        judgement: impl Fn(&T) -> &Judgement,
        doubt: impl FnOnce(usize, T, &str) -> T,
    ) {
        if self.place < found.len() && !found.iter().any(|one| judgement(one).is_complaint()) {
            let doubted = doubt(self.place, found.remove(self.place), &self.why);
            found.insert(self.place, doubted);
        }
    }
}

/// Reports of a script with what can be said of them.
pub(crate) type Told = (Vec<StepReport>, Judgement);

/// Runs scripts on one machine. After each all is taken down, so that what it left behind shows.
pub fn run(prover: &Prover<'_>, name: &str, fs: Fs, scripts: &[Vec<Step>]) -> Company {
    let with_reset =
        |steps: &Vec<Step>| steps.iter().filter_map(Step::op).cloned().chain([Op::Reset]).collect::<Vec<_>>();
    let parts = [Part { ops: scripts.iter().flat_map(with_reset).collect(), ends_in: None }];
    // Where there is no machine each has to do without company, and tells why.
    let run = prover.run_machine(name, fs, 0, &parts, None);
    run.map_or_else(|_| Company::default(), |run| what_came_of(scripts, prover.kernel, &parts, run))
}

fn what_came_of(scripts: &[Vec<Step>], kernel: &Kernel, parts: &[Part], run: Run) -> Company {
    let reports = reports(&run.events);
    let amiss = |why| Company { amiss: Some(Amiss { place: reached(scripts, &reports), why }), ..Company::default() };
    if let Some(why) = complaint(std::slice::from_ref(&run)) {
        return amiss(why);
    }
    match check(kernel, parts, &run) {
        Ok(()) => Company { times: run.times, ..tell(scripts, &reports) },
        // It did not get to the first script: none has to do with it.
        Err(_) if run.times.ready.is_none() => Company::default(),
        Err(why) => amiss(why),
    }
}

/// The script in which the kernel said in its log that it was not well, or else how far it got.
fn reached(scripts: &[Vec<Step>], reports: &[StepReport]) -> usize {
    let said = reports.iter().position(|report| report.log.iter().any(|line| classify(line).is_some()));
    let step = said.unwrap_or(reports.len());
    let ends = scripts.iter().scan(0, |end, steps| {
        *end += steps.len() + 1;
        Some(*end)
    });
    ends.take_while(|end| *end <= step).count().min(scripts.len().saturating_sub(1))
}

fn tell(scripts: &[Vec<Step>], reports: &[StepReport]) -> Company {
    let mut company = Company::default();
    let mut rest = reports;
    let mut clean = true;
    for (place, steps) in scripts.iter().enumerate() {
        let (own, behind) = rest.split_at(rest.len().min(steps.len()));
        let (reset, behind) = behind.split_at(behind.len().min(1));
        rest = behind;
        let judgement = match clean {
            true => judge(steps, own),
            false => Judgement::cannot_tell("the machine was not as clean as a new one"),
        };
        company.told.push((own.to_vec(), judgement));
        let Some(outcome) = reset.first().map(|report| &report.outcome).filter(|_| clean) else { continue };
        clean = *outcome == Outcome::Done;
        // With no errno it is the guest that could not, whatever the kernel is like.
        if !clean && !matches!(outcome, Outcome::Failed { errno: 0, .. }) {
            company.amiss =
                Some(Amiss { place, why: format!("{}: {}", describe(&Op::Reset), describe_outcome(outcome)) });
        }
    }
    company
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use vremount_claims::verdict::Seen;
    use vremount_machine::End;

    use super::*;

    fn scripts() -> Vec<Vec<Step>> {
        let step = || Step::Then(Op::WriteBack, Want::Done);
        vec![vec![step()], vec![step(), step()], vec![step()]]
    }

    fn failed(errno: i32) -> Outcome {
        Outcome::Failed { errno, what: "failed to unload overlay".to_string() }
    }

    /// Reports of all scripts, with the reset after the second as given.
    fn told(second: Outcome) -> Company {
        let outcomes = [vec![Outcome::Done; 4], vec![second], vec![Outcome::Done; 2]].concat();
        let report = |(index, outcome)| StepReport { index, outcome, log: Vec::new(), us: 1 };
        tell(&scripts(), &outcomes.into_iter().enumerate().map(report).collect::<Vec<_>>())
    }

    /// What is wrong with a machine is told, whatever it is, and not what is wrong with the host.
    #[rstest]
    #[case::hung(End::Hung("h".into()), true, Some("h"))]
    #[case::out_of_memory(End::OutOfMemory("o".into()), true, Some("o"))]
    #[case::lost(End::Lost("l".into()), true, Some("l"))]
    #[case::crashed(End::Oops("x".into()), true, Some("the kernel crashed: x"))]
    #[case::not_started(End::NotStarted("n".into()), false, None)]
    #[case::lost_while_booting(End::Lost("l".into()), false, None)]
    fn a_machine_that_ends_otherwise_is_amiss(#[case] end: End, #[case] ready: bool, #[case] expected: Option<&str>) {
        let times = Times { ready: ready.then_some(Duration::from_secs(1)), ..Times::default() };
        let run = Run { end, times, ..Run::not_started(String::new()) };
        let company = what_came_of(&scripts(), &vremount_kernel::testing::kernel(), &[], run);
        assert!(company.told.is_empty());
        let why = company.amiss.map(|amiss| amiss.why);
        assert_eq!(why.is_some(), expected.is_some(), "{why:?}");
        assert!(why.is_none_or(|why| why.contains(expected.unwrap())));
    }

    #[rstest]
    #[case::clean(Outcome::Done, true, None)]
    #[case::module_in_use(failed(libc::EAGAIN), false, Some(1))]
    #[case::guest_could_not(failed(0), false, None)]
    fn what_a_script_leaves_behind_is_told(
        #[case] reset: Outcome,
        #[case] next_holds: bool,
        #[case] amiss: Option<usize>,
    ) {
        let company = told(reset);
        let holds: Vec<_> = company.told.iter().map(|(_, judgement)| judgement.verdict == Verdict::Holds).collect();
        assert_eq!(holds, [true, true, next_holds]);
        assert_eq!(company.amiss.map(|amiss| amiss.place), amiss);
    }

    #[rstest]
    #[case::all_hold(1, &[None, None, None], Some(1))]
    #[case::another_broke(1, &[Some("expected"), None, None], Some(1))]
    #[case::another_complained(1, &[None, None, Some("the kernel warned")], None)]
    #[case::enough_were_looked_at(3, &[None, None, None], None)]
    fn who_does_not_show_it_alone_is_doubted(
        #[case] place: usize,
        #[case] broken: &[Option<&str>],
        #[case] expected: Option<usize>,
    ) {
        let holds = || Judgement { verdict: Verdict::Holds, ..Judgement::complained(String::new()) };
        let broke = |why: &str| match why {
            "expected" => {
                Judgement { expected: Some(Seen::wanted(Want::Done)), ..Judgement::complained(String::new()) }
            }
            _ => Judgement::complained(why.to_string()),
        };
        let mut found: Vec<_> = broken.iter().map(|why| why.map_or_else(holds, broke)).collect();
        let mut doubted = None;
        let amiss = Amiss { place, why: "it hung".to_string() };
        amiss.blame(
            &mut found,
            |one| one,
            |place, one, why| {
                doubted = Some(place);
                Judgement { because: Some(why.to_string()), ..one }
            },
        );
        assert_eq!((doubted, found.len()), (expected, 3));
        assert_eq!(found.iter().position(|one| one.because.as_deref() == Some("it hung")), expected);
    }

    #[rstest]
    #[case::in_the_first(1, 0)]
    #[case::in_the_second(2, 1)]
    #[case::while_that_is_taken_down(4, 1)]
    #[case::in_the_third(5, 2)]
    #[case::after_all(7, 2)]
    fn a_crash_is_of_the_script_that_was_reached(#[case] done: usize, #[case] place: usize) {
        let report = |index| StepReport { index, outcome: Outcome::Done, log: Vec::new(), us: 1 };
        let mut reports: Vec<_> = (0..done).map(report).collect();
        assert_eq!(reached(&scripts(), &reports), place);
        // A warning that ends nothing is where it was said.
        reports[0].log = vec!["WARNING: CPU: 0 PID: 1 at fs/super.c:1".to_string()];
        assert_eq!(reached(&scripts(), &reports), 0);
    }
}

// SPDX-License-Identifier: MIT OR Apache-2.0
//! Several claims on one machine, where booting is dear. Between two of them the guest takes everything down and checks that
//! the machine is as it was. What cannot be told that way is told by a machine of its own.

use std::time::Duration;

use vremount_wire::{Op, Outcome, StepReport};

use crate::claims::Step;
use crate::evidence::{check, reports};
use crate::image::Fs;
use crate::machine::Times;
use crate::prove::{Case, Part, Proof, Prover};
use crate::verdict::{Judgement, Verdict, judge};

/// Proves claims on one filesystem, one after the other; none may need the host in between.
#[must_use]
pub fn prove(prover: &Prover<'_>, cases: &[Case<'_>]) -> Vec<Proof> {
    let scripts: Vec<Vec<Step>> = cases.iter().map(|case| prover.steps(case.claim)).collect();
    let company = || {
        let first = cases.first()?;
        let name = format!("{}-and-{}-more", first.name(), cases.len() - 1);
        run(prover, &name, first.fs, &scripts)
    };
    let Some((told, times)) = company() else {
        return cases.iter().map(|case| prover.prove_alone(case)).collect();
    };
    let mut proofs = Vec::new();
    for (place, ((case, steps), (own, judgement))) in cases.iter().zip(&scripts).zip(told).enumerate() {
        if judgement.verdict == Verdict::Holds {
            // The first of them has waited for the machine; what it is made of is told with none.
            let ready = times.ready.filter(|_| place == 0);
            let steps_time = own.iter().map(|report| Duration::from_micros(report.us)).sum();
            let machine = Times { ready, steps: steps_time, ..Times::default() };
            let time = ready.unwrap_or_default() + steps_time;
            proofs.push(prover.proof(case, steps, &[&own], judgement, time, vec![machine]));
        } else {
            proofs.push(prover.prove_alone(case));
        }
    }
    proofs
}

/// What came of each script on a machine that ended well, with no warning of its kernel.
pub(crate) fn run(prover: &Prover<'_>, name: &str, fs: Fs, scripts: &[Vec<Step>]) -> Option<(Vec<Told>, Times)> {
    let mut ops = Vec::new();
    for steps in scripts {
        if !ops.is_empty() {
            ops.push(Op::Reset);
        }
        ops.extend(steps.iter().filter_map(Step::op).cloned());
    }
    let parts = [Part { ops, ends_in: None }];
    let run = prover.run_machine(name, fs, 0, &parts, None).ok()?;
    check(prover.kernel, &parts, &run).ok()?;
    run.splats.is_empty().then(|| (tell(scripts, &reports(&run.events)), run.times))
}

/// Reports of a script with what can be said of them: nothing, if the machine was not clean before it.
pub(crate) type Told = (Vec<StepReport>, Judgement);

fn tell(scripts: &[Vec<Step>], reports: &[StepReport]) -> Vec<Told> {
    let mut rest = reports;
    let mut clean = true;
    let mut told = Vec::new();
    for (place, steps) in scripts.iter().enumerate() {
        if place > 0 {
            let (reset, behind) = rest.split_at(rest.len().min(1));
            clean &= reset.iter().all(|report| report.outcome == Outcome::Done);
            rest = behind;
        }
        let (own, behind) = rest.split_at(rest.len().min(steps.len()));
        rest = behind;
        let judgement = match clean {
            true => judge(steps, own),
            false => Judgement::cannot_tell("the machine was not as clean as a new one"),
        };
        told.push((own.to_vec(), judgement));
    }
    told
}

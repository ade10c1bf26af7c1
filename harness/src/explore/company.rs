// SPDX-License-Identifier: MIT OR Apache-2.0
//! Sequences that share a machine. One that does not agree is worked off again by itself, and if it agrees then, with all
//! that came before it.

use std::ops::Range;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};

use vremount_wire::{Op, StepReport};

use super::report::again;
use super::{Found, Kept, Plan, foretell};
use crate::claims::{Act, Step};
use crate::evidence::reports;
use crate::image::Fs;
use crate::machine::Run;
use crate::prove::Prover;
use crate::reproduce;
use crate::together;
use crate::transcript::{self, Title};
use crate::verdict::{Judgement, Verdict};

/// Differences after which no more are looked for: the kernel is another than the model speaks of.
const ENOUGH: u64 = 8;

/// What an exploration has at hand.
pub(super) struct Explorer<'a> {
    pub prover: &'a Prover<'a>,
    pub plan: &'a Plan,
    pub differences: AtomicU64,
}

impl Explorer<'_> {
    /// Works off sequences of the plan; those in which something happens to the machine have one of their own.
    pub fn run(&self, numbers: Range<u64>) -> Vec<Found> {
        let start = numbers.start;
        let mut found = Vec::new();
        let mut company = Vec::new();
        for number in numbers.take_while(|_| !self.has_enough()) {
            let acts = self.plan.acts(number);
            match foretell(self.plan.fs, &acts) {
                Ok(steps) if acts.iter().any(|act| matches!(act, Act::Host(_))) => {
                    found.push(self.look_into(number, steps));
                }
                Ok(steps) => company.push((number, steps)),
                Err(beyond) => found.push(undecided(number, Vec::new(), &beyond.to_string())),
            }
        }
        if company.is_empty() {
            return found;
        }
        let scripts: Vec<Vec<Step>> = company.iter().map(|(_, steps)| steps.clone()).collect();
        let name = format!("explore-{start}-and-more");
        let told = together::run(self.prover, &name, self.plan.fs, &scripts);
        // What is looked into has consoles of its own.
        let _ = std::fs::remove_file(self.prover.logs.join(format!("{name}.0.console")));
        let mut told = told.map(|(told, _)| told).unwrap_or_default().into_iter();
        for (place, (number, steps)) in company.into_iter().enumerate().take_while(|_| !self.has_enough()) {
            found.push(match told.next() {
                Some((_, judgement)) if judgement.verdict == Verdict::Holds => agreed(number, steps, judgement),
                Some((_, judgement)) if judgement.verdict == Verdict::Broken => {
                    self.after_others(number, &scripts[..=place], judgement)
                }
                _ => self.look_into(number, steps),
            });
        }
        found
    }

    fn has_enough(&self) -> bool {
        self.differences.load(Ordering::Relaxed) >= ENOUGH
    }

    /// By itself, and smaller if it does not agree.
    fn look_into(&self, number: u64, steps: Vec<Step>) -> Found {
        let found = alone(self.prover, self.plan.fs, number, steps);
        if found.judgement.verdict != Verdict::Broken {
            return found;
        }
        self.differences.fetch_add(1, Ordering::Relaxed);
        self.shrink(found)
    }

    /// The last of these scripts did not agree after the others.
    fn after_others(&self, number: u64, scripts: &[Vec<Step>], seen: Judgement) -> Found {
        let by_itself = self.look_into(number, scripts.last().cloned().unwrap_or_default());
        if by_itself.judgement.verdict != Verdict::Holds {
            return by_itself;
        }
        let reset = vec![Act::Guest(Op::Reset)];
        let acts: Vec<Vec<Act>> = scripts.iter().map(|steps| steps.iter().map(Step::act).collect()).collect();
        let found = match foretell(self.plan.fs, &acts.join(reset.as_slice())) {
            Ok(steps) => alone(self.prover, self.plan.fs, number, steps),
            Err(beyond) => undecided(number, Vec::new(), &beyond.to_string()),
        };
        match found.judgement.verdict {
            Verdict::Holds => {
                let because = seen.because.unwrap_or_default();
                undecided(number, found.steps, &format!("it differed once, and not again: {because}"))
            }
            _ => found,
        }
    }
}

/// On machines of its own. A transcript is kept of what does not agree.
pub(super) fn alone(prover: &Prover<'_>, fs: Fs, number: u64, steps: Vec<Step>) -> Found {
    let name = format!("explore-{number}");
    let (judgement, runs) = prover.work_off(&name, fs, &steps);
    if judgement.verdict == Verdict::Holds {
        return agreed(number, steps, judgement);
    }
    let parts: Vec<Vec<StepReport>> = runs.iter().flat_map(Run::lives).map(reports).collect();
    let parts: Vec<&[StepReport]> = parts.iter().map(Vec::as_slice).collect();
    let title = Title { claim: &name, title: "kernel and model agree", sentence: "", fs };
    let path = prover.logs.join(format!("{name}.jsonl"));
    match transcript::write(&path, prover.kernel, title, &steps, &parts, &judgement) {
        Ok(()) => {
            let kept = Some(keep_script(path, title, &steps));
            Found { number, steps, judgement, kept }
        }
        Err(cause) => undecided(number, steps, &format!("failed to write {}: {cause}", path.display())),
    }
}

/// A script beside the transcript, where a shell can do what was done.
fn keep_script(transcript: PathBuf, title: Title<'_>, steps: &[Step]) -> Kept {
    let path = transcript.with_extension("sh");
    let written = reproduce::script(title, steps, &again(&transcript)).map_err(str::to_string).and_then(|script| {
        std::fs::write(&path, script).map_err(|cause| format!("failed to write {}: {cause}", path.display()))
    });
    match written {
        Ok(()) => Kept { transcript, script: Some(path), no_script: None },
        Err(why) => Kept { transcript, script: None, no_script: Some(why) },
    }
}

fn agreed(number: u64, steps: Vec<Step>, judgement: Judgement) -> Found {
    Found { number, steps, judgement, kept: None }
}

fn undecided(number: u64, steps: Vec<Step>, because: &str) -> Found {
    Found { number, steps, judgement: Judgement::cannot_tell(because), kept: None }
}

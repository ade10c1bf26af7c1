// SPDX-License-Identifier: MIT OR Apache-2.0
//! What happened, step by step, for a person who was not there.

use std::fmt::Write as _;
use std::io;
use std::path::Path;

use vremount_wire::{Event, StepReport};

use crate::claims::{Claim, Step, describe_outcome};
use crate::machine::Run;
use crate::verdict::Judgement;

/// Writes the transcript of a claim.
///
/// # Errors
/// If the file cannot be written.
pub fn write(to: &Path, claim: &Claim, steps: &[Step], runs: &[Run], judgement: &Judgement) -> io::Result<()> {
    std::fs::write(to, text(claim, steps, runs, judgement))
}

fn text(claim: &Claim, steps: &[Step], runs: &[Run], judgement: &Judgement) -> String {
    let mut text = format!("{}: {}\n\n", claim.name, claim.title);
    let mut runs = runs.iter();
    let mut reports = reports(runs.next());
    for step in steps {
        let _ = writeln!(text, "{step}");
        if matches!(step, Step::Host(_)) {
            reports = self::reports(runs.next());
        } else if let Some(report) = reports.next() {
            let _ = writeln!(text, "    {} ({} us)", describe_outcome(&report.outcome), report.us);
            for line in &report.log {
                let _ = writeln!(text, "    | {line}");
            }
        } else {
            let _ = writeln!(text, "    not reached");
        }
    }
    let _ = writeln!(text, "\n{:?}", judgement.verdict);
    if let Some(because) = &judgement.because {
        let _ = writeln!(text, "{because}");
    }
    text
}

fn reports(run: Option<&Run>) -> impl Iterator<Item = &StepReport> {
    run.into_iter().flat_map(|run| &run.events).filter_map(|event| match event {
        Event::Step(report) => Some(report),
        _ => None,
    })
}

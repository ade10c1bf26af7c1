// SPDX-License-Identifier: MIT OR Apache-2.0
//! What happened, step by step, for a person who was not there.

use std::fmt::Write as _;
use std::io;
use std::path::Path;

use vremount_wire::StepReport;

use crate::claims::{Claim, Step, describe_outcome};
use crate::verdict::Judgement;

/// Writes the transcript of a claim; `parts` holds the reports of each of its machines.
///
/// # Errors
/// If the file cannot be written.
pub fn write(
    to: &Path,
    claim: &Claim,
    steps: &[Step],
    parts: &[&[StepReport]],
    judgement: &Judgement,
) -> io::Result<()> {
    std::fs::write(to, text(claim, steps, parts, judgement))
}

fn text(claim: &Claim, steps: &[Step], parts: &[&[StepReport]], judgement: &Judgement) -> String {
    let mut text = format!("{}: {}\n\n", claim.name, claim.title);
    let mut parts = parts.iter();
    let mut reports = parts.next().copied().unwrap_or_default().iter();
    for step in steps {
        let _ = writeln!(text, "{step}");
        if matches!(step, Step::Host(_)) {
            reports = parts.next().copied().unwrap_or_default().iter();
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

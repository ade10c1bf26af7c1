// SPDX-License-Identifier: MIT OR Apache-2.0
//! What happened, step by step, for who was not there: a line of JSON for the claim, one for each step, one for the
//! verdict. Nothing of the host is in it, so that under time travel the same run leaves the same bytes.

use std::io;
use std::path::Path;

use serde::Serialize;
use vremount_wire::{Outcome, StepReport};

use crate::build::Kernel;
use crate::claims::{Step, describe};
use crate::image::Fs;
use crate::prove::Case;
use crate::verdict::{Judgement, Verdict};

#[derive(Serialize)]
struct Start<'a> {
    claim: &'a str,
    title: &'a str,
    sentence: &'a str,
    fs: Fs,
    base: &'a str,
    level: u8,
}

#[derive(Serialize)]
struct Line<'a> {
    /// In words.
    step: String,
    kind: Kind,
    /// What it must lead to, in words; none for the host.
    expected: Option<String>,
    /// None if the guest did not get there.
    outcome: Option<&'a Outcome>,
    /// Of guest time.
    us: Option<u64>,
    /// What the kernel logged meanwhile.
    log: &'a [String],
}

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
enum Kind {
    Evidence,
    Claim,
    Host,
}

#[derive(Serialize)]
struct Last<'a> {
    verdict: Verdict,
    because: Option<&'a str>,
}

/// Writes the transcript of a case; `parts` holds the reports of each of its machines.
///
/// # Errors
/// If the file cannot be written.
pub fn write(
    to: &Path,
    kernel: &Kernel,
    case: &Case<'_>,
    steps: &[Step],
    parts: &[&[StepReport]],
    judgement: &Judgement,
) -> io::Result<()> {
    std::fs::write(to, text(kernel, case, steps, parts, judgement)?)
}

fn text(
    kernel: &Kernel,
    case: &Case<'_>,
    steps: &[Step],
    parts: &[&[StepReport]],
    judgement: &Judgement,
) -> serde_json::Result<String> {
    let claim = case.claim;
    let mut text = line(&Start {
        claim: claim.name,
        title: claim.title,
        sentence: claim.sentence,
        fs: case.fs,
        base: &kernel.base,
        level: kernel.level.number(),
    })?;
    let mut parts = parts.iter();
    let mut reports = parts.next().copied().unwrap_or_default().iter();
    for step in steps {
        let (words, kind, expected) = match step {
            Step::Given(op, want) => (describe(op), Kind::Evidence, Some(want.to_string())),
            Step::Then(op, want) => (describe(op), Kind::Claim, Some(want.to_string())),
            Step::Host(_) => (step.to_string(), Kind::Host, None),
        };
        let report = match kind {
            Kind::Host => {
                reports = parts.next().copied().unwrap_or_default().iter();
                None
            }
            _ => reports.next(),
        };
        text += &line(&Line {
            step: words,
            kind,
            expected,
            outcome: report.map(|report| &report.outcome),
            us: report.map(|report| report.us),
            log: report.map_or(&[], |report| &report.log),
        })?;
    }
    text += &line(&Last { verdict: judgement.verdict, because: judgement.because.as_deref() })?;
    Ok(text)
}

fn line(value: &impl Serialize) -> serde_json::Result<String> {
    Ok(serde_json::to_string(value)? + "\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::claims::{Claim, HostStep, Want};
    use vremount_wire::Op;

    #[test]
    fn each_step_is_a_line_also_where_the_guest_did_not_get() {
        let steps = vec![
            Step::Given(Op::WriteBack, Want::Done),
            Step::Host(HostStep::PowerCut),
            Step::Then(Op::WriteBack, Want::Fails(5)),
            Step::Then(Op::ReloadOverlay, Want::Done),
        ];
        let claim = Claim {
            name: "c",
            topic: "t",
            title: "A title",
            sentence: "He said \"so\".",
            since: 3,
            steps: steps.clone(),
            only: None,
        };
        let report = |outcome, log: &[&str]| StepReport {
            index: 0,
            outcome,
            log: log.iter().map(ToString::to_string).collect(),
            us: 7,
        };
        let first = [report(Outcome::Done, &["one", "two"])];
        let second = [report(Outcome::Failed { errno: 5, what: "sync".to_string() }, &[])];
        let judgement = Judgement::cannot_tell("it hung");
        let case = Case { claim: &claim, fs: Fs::Ext4NoJournal };
        assert_eq!(
            text(&Kernel::toy(), &case, &steps, &[&first, &second], &judgement).unwrap(),
            r#"{"claim":"c","title":"A title","sentence":"He said \"so\".","fs":"ext4-no-journal","base":"toy","level":4}
{"step":"sync(2)","kind":"evidence","expected":"done","outcome":"done","us":7,"log":["one","two"]}
{"step":"cut the machine's power","kind":"host","expected":null,"outcome":null,"us":null,"log":[]}
{"step":"sync(2)","kind":"claim","expected":"fails EIO","outcome":{"failed":{"errno":5,"what":"sync"}},"us":7,"log":[]}
{"step":"unload and load overlay","kind":"claim","expected":"done","outcome":null,"us":null,"log":[]}
{"verdict":"cannot-tell","because":"it hung"}
"#
        );
    }
}

// SPDX-License-Identifier: MIT OR Apache-2.0
//! The transcript of a case, a file of JSON lines: the claim, each step with its outcome and kernel
//! log, and the verdict.
//!
//! A transcript contains nothing that depends on the host. With time travel, two runs of a case
//! write identical files.

use std::borrow::Cow;
use std::io;
use std::path::Path;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};
use vremount_claims::verdict::{Verdict, VerdictDetail};
use vremount_claims::{Action, Claim, Step, describe, describe_outcome};
use vremount_kernel::build::Kernel;
use vremount_machine::image::Fs;
use vremount_protocol::{Outcome, StepReport};

/// A line of a transcript. The kind of a line is recognized by its fields.
#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Line<'a> {
    First {
        claim: Cow<'a, str>,
        title: Cow<'a, str>,
        sentence: Cow<'a, str>,
        fs: Fs,
        base: Cow<'a, str>,
        level: u8,
    },
    Step {
        /// The step for people.
        step: String,
        /// The step for a replay.
        act: Action,
        kind: Kind,
        /// The expected outcome for people; none for a host step.
        expected: Option<String>,
        /// None if the guest did not reach the step.
        #[serde(deserialize_with = "deserialize_outcome")]
        outcome: Option<Cow<'a, Outcome>>,
        /// Duration in guest time, microseconds.
        us: Option<u64>,
        /// Kernel log of the step.
        log: Cow<'a, [String]>,
    },
    Last {
        verdict: Verdict,
        because: Option<Cow<'a, str>>,
    },
}

#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Kind {
    Evidence,
    Claim,
    Host,
}

/// Deserializes an outcome by way of a JSON value. Otherwise the integer keys of an outcome cannot
/// be read, because serde buffers the fields of an untagged enum with their keys as strings.
fn deserialize_outcome<'a, 'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Cow<'a, Outcome>>, D::Error> {
    let outcome = Option::<serde_json::Value>::deserialize(deserializer)?.map(serde_json::from_value).transpose();
    outcome.map(|outcome| outcome.map(Cow::Owned)).map_err(D::Error::custom)
}

/// The claim and the filesystem of a transcript.
#[derive(Clone, Copy)]
pub struct Title<'a> {
    /// Name of the claim.
    pub claim: &'a str,
    /// Title of the claim.
    pub title: &'a str,
    /// The cited sentence that the claim tests.
    pub sentence: &'a str,
    /// The upper filesystem.
    pub fs: Fs,
}

impl<'a> Title<'a> {
    /// The title of a case.
    #[must_use]
    pub fn from_claim(claim: &'a Claim, fs: Fs) -> Self {
        Title { claim: claim.name, title: claim.title, sentence: claim.sentence, fs }
    }
}

/// Writes a transcript to the file `to`. `boots` holds the reports of each boot.
///
/// # Errors
/// The [`io::Error`] of the file operation.
pub fn write(
    to: &Path,
    kernel: &Kernel,
    title: Title<'_>,
    steps: &[Step],
    boots: &[&[StepReport]],
    verdict_detail: &VerdictDetail,
) -> io::Result<()> {
    std::fs::write(to, text(kernel, title, steps, boots, verdict_detail)?)
}

/// Replaces the verdict of a transcript.
///
/// # Errors
/// The [`io::Error`] of the file operation.
pub fn replace_verdict(path: &Path, verdict_detail: &VerdictDetail) -> io::Result<()> {
    let text = std::fs::read_to_string(path)?;
    let kept = text.trim_end().rfind('\n').map_or("", |end| &text[..=end]);
    std::fs::write(path, format!("{kept}{}", last(verdict_detail)?))
}

fn text(
    kernel: &Kernel,
    title: Title<'_>,
    steps: &[Step],
    boots: &[&[StepReport]],
    verdict_detail: &VerdictDetail,
) -> serde_json::Result<String> {
    let Title { claim, title, sentence, fs } = title;
    let mut text = line(&Line::First {
        claim: claim.into(),
        title: title.into(),
        sentence: sentence.into(),
        fs,
        base: kernel.base.as_str().into(),
        level: kernel.level.number(),
    })?;
    let mut boots = boots.iter();
    let mut reports = boots.next().copied().unwrap_or_default().iter();
    for step in steps {
        let (step_text, kind, expected) = match step {
            Step::Precondition(op, want) => (describe(op), Kind::Evidence, Some(want.to_string())),
            Step::Assertion(op, want) => (describe(op), Kind::Claim, Some(want.to_string())),
            Step::Host(_) => (step.to_string(), Kind::Host, None),
        };
        let report = match kind {
            Kind::Host => {
                reports = boots.next().copied().unwrap_or_default().iter();
                None
            }
            _ => reports.next(),
        };
        text += &line(&Line::Step {
            step: step_text,
            act: step.action(),
            kind,
            expected,
            outcome: report.map(|report| Cow::Borrowed(&report.outcome)),
            us: report.map(|report| report.us),
            log: Cow::Borrowed(report.map_or(&[], |report| &report.log)),
        })?;
    }
    Ok(text + &last(verdict_detail)?)
}

fn last(verdict_detail: &VerdictDetail) -> serde_json::Result<String> {
    line(&Line::Last { verdict: verdict_detail.verdict, because: verdict_detail.because.as_deref().map(Cow::from) })
}

fn line(line: &Line<'_>) -> serde_json::Result<String> {
    Ok(serde_json::to_string(line)? + "\n")
}

/// Reads the filesystem and the actions of a transcript, to replay them.
///
/// # Errors
/// The [`serde_json::Error`] of the first malformed line, or of a missing first line.
pub fn read_actions(text: &str) -> serde_json::Result<(Fs, Vec<Action>)> {
    let mut filesystem = None;
    let mut acts = Vec::new();
    for line in text.lines() {
        match serde_json::from_str(line)? {
            Line::First { fs, .. } => filesystem = Some(fs),
            Line::Step { act, .. } => acts.push(act),
            Line::Last { .. } => {}
        }
    }
    let fs = filesystem.ok_or_else(|| serde::de::Error::custom("the line with the claim is missing"))?;
    Ok((fs, acts))
}

/// Formats a line of a transcript for people.
///
/// # Errors
/// The [`serde_json::Error`] of a malformed line.
pub fn format_line(line: &str) -> serde_json::Result<String> {
    format_with(line, |us| format!(" ({us} us)"))
}

/// Formats a line of a transcript for people, without durations. They differ between kernels.
///
/// # Errors
/// The [`serde_json::Error`] of a malformed line.
pub fn format_line_without_times(line: &str) -> serde_json::Result<String> {
    format_with(line, |_| String::new())
}

/// The text of a transcript for a page that shows the verdict elsewhere.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct TranscriptText {
    /// Title of the claim.
    pub title: String,
    /// The cited sentence that the claim tests.
    pub sentence: String,
    /// Each step with its outcome and kernel log.
    pub steps: String,
}

/// Formats a transcript for people, without its verdict.
///
/// # Errors
/// The [`serde_json::Error`] of the first malformed line.
pub fn format_without_verdict(text: &str) -> serde_json::Result<TranscriptText> {
    let mut formatted = TranscriptText::default();
    for line in text.lines() {
        match serde_json::from_str(line)? {
            Line::First { title, sentence, .. } => {
                (formatted.title, formatted.sentence) = (title.into_owned(), sentence.into_owned());
            }
            Line::Step { .. } => formatted.steps += &format_line(line)?,
            Line::Last { .. } => {}
        }
    }
    Ok(formatted)
}

/// Formats a line; `time` formats a duration in microseconds.
fn format_with(line: &str, time: fn(u64) -> String) -> serde_json::Result<String> {
    Ok(match serde_json::from_str(line)? {
        Line::First { claim, title, fs, base, level, .. } => {
            format!("{claim}: {title}\non {}, Linux {base} at level {level}\n\n", fs.name())
        }
        Line::Step { step, kind, expected, outcome, us, log, .. } => {
            let expected = match (kind, expected) {
                (Kind::Claim, Some(expected)) => format!(" => {expected}"),
                (Kind::Evidence, Some(expected)) if expected != "done" => format!(" ({expected})"),
                _ => String::new(),
            };
            let outcome = match (kind, &outcome) {
                (Kind::Host, _) => String::new(),
                (_, Some(outcome)) => format!("    {}{}\n", describe_outcome(outcome), time(us.unwrap_or_default())),
                (_, None) => "    not reached\n".to_string(),
            };
            let log: String = log.iter().map(|line| format!("    | {line}\n")).collect();
            format!("{step}{expected}\n{outcome}{log}")
        }
        Line::Last { verdict, because } => {
            format!("\n{verdict}\n{}", because.map_or_else(String::new, |because| format!("{because}\n")))
        }
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use vremount_claims::{Claim, Expectation, HostStep};
    use vremount_protocol::Op;

    use super::*;

    #[test]
    fn outcome_with_errnos_as_keys_is_read_back() {
        let steps = [Step::Assertion(Op::WriteBack, Expectation::AtMostOneMounted)];
        let outcome = Outcome::Raced { mounted: 1, refused: BTreeMap::from([(22, 15)]) };
        let reports = [StepReport { index: 0, outcome, log: Vec::new(), us: 7 }];
        let title = Title { claim: "c", title: "A title", sentence: "So.", fs: Fs::Ext4 };
        let text =
            text(&vremount_kernel::testing::kernel(), title, &steps, &[&reports], &VerdictDetail::cannot_tell("so"))
                .unwrap();
        assert!(format_without_verdict(&text).unwrap().steps.contains("EINVAL"), "{text}");
        assert_eq!(read_actions(&text).unwrap().1, [steps[0].action()]);
    }

    #[test]
    fn each_step_is_a_line_even_if_not_reached() {
        let steps = vec![
            Step::Precondition(Op::WriteBack, Expectation::Done),
            Step::Host(HostStep::PowerCut),
            Step::Assertion(Op::WriteBack, Expectation::Fails(5)),
            Step::Assertion(Op::ReloadOverlay, Expectation::Done),
        ];
        let claim = Claim {
            name: "c",
            topic: "t",
            title: "A title",
            sentence: "He said \"so\".",
            min_level: 3,
            steps: steps.clone(),
            filesystems: None,
            requires: &[],
            since_override: None,
            conflicts: &[],
            excluded_on: None,
            skip_reason: None,
        };
        let report = |outcome, log: &[&str]| StepReport {
            index: 0,
            outcome,
            log: log.iter().map(ToString::to_string).collect(),
            us: 7,
        };
        let first = [report(Outcome::Done, &["one", "two"])];
        let second = [report(Outcome::Failed { errno: 5, message: "sync".to_string() }, &[])];
        let verdict_detail = VerdictDetail::cannot_tell("it hung");
        let title = Title::from_claim(&claim, Fs::Ext4NoJournal);
        let text =
            text(&vremount_kernel::testing::kernel(), title, &steps, &[&first, &second], &verdict_detail).unwrap();
        assert_eq!(
            text,
            r#"{"claim":"c","title":"A title","sentence":"He said \"so\".","fs":"ext4-no-journal","base":"toy","level":4}
{"step":"sync(2)","act":{"guest":"write-back"},"kind":"evidence","expected":"done","outcome":"done","us":7,"log":["one","two"]}
{"step":"cut the machine's power","act":{"host":"power-cut"},"kind":"host","expected":null,"outcome":null,"us":null,"log":[]}
{"step":"sync(2)","act":{"guest":"write-back"},"kind":"claim","expected":"fails EIO","outcome":{"failed":{"errno":5,"what":"sync"}},"us":7,"log":[]}
{"step":"unload and load the overlay module","act":{"guest":"reload-overlay"},"kind":"claim","expected":"done","outcome":null,"us":null,"log":[]}
{"verdict":"cannot-tell","because":"it hung"}
"#
        );
        assert_eq!(read_actions(&text).unwrap(), (Fs::Ext4NoJournal, steps.iter().map(Step::action).collect()));
        assert!(read_actions("").is_err());
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), &text).unwrap();
        replace_verdict(file.path(), &VerdictDetail::cannot_tell("it differs")).unwrap();
        assert_eq!(std::fs::read_to_string(file.path()).unwrap(), text.replace("it hung", "it differs"));
        let formatted: String = text.lines().map(|line| format_line(line).unwrap()).collect();
        let without_verdict = format_without_verdict(&text).unwrap();
        assert_eq!((without_verdict.title.as_str(), without_verdict.sentence.as_str()), ("A title", "He said \"so\"."));
        assert!(
            formatted.contains(&format!("level 4\n\n{}\ncannot tell", without_verdict.steps)),
            "{}",
            without_verdict.steps
        );
        assert_eq!(
            formatted,
            "c: A title
on ext4-no-journal, Linux toy at level 4

sync(2)
    done (7 us)
    | one
    | two
cut the machine's power
sync(2) => fails EIO
    sync: EIO (7 us)
unload and load the overlay module => done
    not reached

cannot tell
it hung
"
        );
    }
}

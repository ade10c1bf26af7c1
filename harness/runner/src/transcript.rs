// SPDX-License-Identifier: MIT OR Apache-2.0
//! What happened, step by step, for who was not there: a line of JSON for the claim, one for each step, one for the
//! verdict. Nothing of the host is in it, so that under time travel the same run leaves the same bytes.

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

/// A line of a transcript; its fields tell which.
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
        /// In words.
        step: String,
        /// The same for who does it again.
        act: Action,
        kind: Kind,
        /// What it must lead to, in words; none for the host.
        expected: Option<String>,
        /// None if the guest did not get there.
        #[serde(deserialize_with = "outcome")]
        outcome: Option<Cow<'a, Outcome>>,
        /// Of guest time.
        us: Option<u64>,
        /// What the kernel logged meanwhile.
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

/// An outcome by way of JSON as it is: errnos that are keys would not come through what looks for the kind of a line.
fn outcome<'a, 'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Cow<'a, Outcome>>, D::Error> {
    let outcome = Option::<serde_json::Value>::deserialize(deserializer)?.map(serde_json::from_value).transpose();
    outcome.map(|outcome| outcome.map(Cow::Owned)).map_err(D::Error::custom)
}

/// What a transcript is about.
#[derive(Clone, Copy)]
pub struct Title<'a> {
    pub claim: &'a str,
    pub title: &'a str,
    pub sentence: &'a str,
    pub fs: Fs,
}

impl<'a> Title<'a> {
    #[must_use]
    pub fn of(claim: &'a Claim, fs: Fs) -> Self {
        Title { claim: claim.name, title: claim.title, sentence: claim.sentence, fs }
    }
}

/// Writes a transcript; `parts` holds the reports of each of its machines.
///
/// # Errors
/// If the file cannot be written.
pub fn write(
    to: &Path,
    kernel: &Kernel,
    title: Title<'_>,
    steps: &[Step],
    parts: &[&[StepReport]],
    judgement: &VerdictDetail,
) -> io::Result<()> {
    std::fs::write(to, text(kernel, title, steps, parts, judgement)?)
}

/// Gives a transcript another verdict than it was written with.
///
/// # Errors
/// If the file cannot be read or written.
pub fn revise(path: &Path, judgement: &VerdictDetail) -> io::Result<()> {
    let text = std::fs::read_to_string(path)?;
    let kept = text.trim_end().rfind('\n').map_or("", |end| &text[..=end]);
    std::fs::write(path, format!("{kept}{}", last(judgement)?))
}

fn text(
    kernel: &Kernel,
    title: Title<'_>,
    steps: &[Step],
    parts: &[&[StepReport]],
    judgement: &VerdictDetail,
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
    let mut parts = parts.iter();
    let mut reports = parts.next().copied().unwrap_or_default().iter();
    for step in steps {
        let (words, kind, expected) = match step {
            Step::Precondition(op, want) => (describe(op), Kind::Evidence, Some(want.to_string())),
            Step::Assertion(op, want) => (describe(op), Kind::Claim, Some(want.to_string())),
            Step::Host(_) => (step.to_string(), Kind::Host, None),
        };
        let report = match kind {
            Kind::Host => {
                reports = parts.next().copied().unwrap_or_default().iter();
                None
            }
            _ => reports.next(),
        };
        text += &line(&Line::Step {
            step: words,
            act: step.action(),
            kind,
            expected,
            outcome: report.map(|report| Cow::Borrowed(&report.outcome)),
            us: report.map(|report| report.us),
            log: Cow::Borrowed(report.map_or(&[], |report| &report.log)),
        })?;
    }
    Ok(text + &last(judgement)?)
}

fn last(judgement: &VerdictDetail) -> serde_json::Result<String> {
    line(&Line::Last { verdict: judgement.verdict, because: judgement.because.as_deref().map(Cow::from) })
}

fn line(line: &Line<'_>) -> serde_json::Result<String> {
    Ok(serde_json::to_string(line)? + "\n")
}

/// What a transcript says was done, and on which filesystem, to do it again.
///
/// # Errors
/// If it is none.
pub fn acts(text: &str) -> serde_json::Result<(Fs, Vec<Action>)> {
    let mut found = None;
    let mut acts = Vec::new();
    for line in text.lines() {
        match serde_json::from_str(line)? {
            Line::First { fs, .. } => found = Some(fs),
            Line::Step { act, .. } => acts.push(act),
            Line::Last { .. } => {}
        }
    }
    let fs = found.ok_or_else(|| serde::de::Error::custom("there is no first line"))?;
    Ok((fs, acts))
}

/// A line of a transcript, for people.
///
/// # Errors
/// If it is none.
pub fn in_words(line: &str) -> serde_json::Result<String> {
    words(line, |us| format!(" ({us} us)"))
}

/// The same without what it took, which is never the same on another kernel.
///
/// # Errors
/// If it is none.
pub fn in_words_without_times(line: &str) -> serde_json::Result<String> {
    words(line, |_| String::new())
}

/// A transcript for people who have its verdict already.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct TranscriptText {
    pub title: String,
    pub sentence: String,
    /// Each step with what it led to, and what the kernel logged.
    pub steps: String,
}

/// # Errors
/// If it is none.
pub fn to_text(text: &str) -> serde_json::Result<TranscriptText> {
    let mut told = TranscriptText::default();
    for line in text.lines() {
        match serde_json::from_str(line)? {
            Line::First { title, sentence, .. } => {
                (told.title, told.sentence) = (title.into_owned(), sentence.into_owned());
            }
            Line::Step { .. } => told.steps += &in_words(line)?,
            Line::Last { .. } => {}
        }
    }
    Ok(told)
}

fn words(line: &str, time: fn(u64) -> String) -> serde_json::Result<String> {
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
    fn errnos_that_are_keys_are_read_again() {
        let steps = [Step::Assertion(Op::WriteBack, Expectation::AtMostOneWins)];
        let outcome = Outcome::Raced { mounted: 1, refused: BTreeMap::from([(22, 15)]) };
        let reports = [StepReport { index: 0, outcome, log: Vec::new(), us: 7 }];
        let title = Title { claim: "c", title: "A title", sentence: "So.", fs: Fs::Ext4 };
        let text =
            text(&vremount_kernel::testing::kernel(), title, &steps, &[&reports], &VerdictDetail::cannot_tell("so"))
                .unwrap();
        assert!(to_text(&text).unwrap().steps.contains("EINVAL"), "{text}");
        assert_eq!(acts(&text).unwrap().1, [steps[0].action()]);
    }

    #[test]
    fn each_step_is_a_line_also_where_the_guest_did_not_get() {
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
        let second = [report(Outcome::Failed { errno: 5, what: "sync".to_string() }, &[])];
        let judgement = VerdictDetail::cannot_tell("it hung");
        let title = Title::of(&claim, Fs::Ext4NoJournal);
        let text = text(&vremount_kernel::testing::kernel(), title, &steps, &[&first, &second], &judgement).unwrap();
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
        assert_eq!(acts(&text).unwrap(), (Fs::Ext4NoJournal, steps.iter().map(Step::action).collect()));
        assert!(acts("").is_err());
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), &text).unwrap();
        revise(file.path(), &VerdictDetail::cannot_tell("it differs")).unwrap();
        assert_eq!(std::fs::read_to_string(file.path()).unwrap(), text.replace("it hung", "it differs"));
        let words: String = text.lines().map(|line| in_words(line).unwrap()).collect();
        let told = to_text(&text).unwrap();
        assert_eq!((told.title.as_str(), told.sentence.as_str()), ("A title", "He said \"so\"."));
        assert!(words.contains(&format!("level 4\n\n{}\ncannot tell", told.steps)), "{}", told.steps);
        assert_eq!(
            words,
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

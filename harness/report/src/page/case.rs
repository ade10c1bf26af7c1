// SPDX-License-Identifier: MIT OR Apache-2.0
//! A case that was not skipped: its verdict, its transcript, its console logs.

use std::fs;
use std::path::Path;

use serde::Serialize;
use vremount_claims::verdict::ObservedOutcome;
use vremount_runner::results::Record;
use vremount_runner::transcript::{self, TranscriptText};

use crate::page::console::{Console, Consoles};
use crate::verdict_label::VerdictLabel;

#[derive(Serialize)]
pub struct Case {
    pub id: String,
    /// The anchor that closing the panel leads to.
    back: String,
    claim: String,
    fs: &'static str,
    label: VerdictLabel,
    because: Option<String>,
    expected: Option<String>,
    observed: Option<String>,
    seconds: String,
    title: String,
    sentence: String,
    /// The lines of the transcript; empty if it cannot be read.
    steps: Vec<Line>,
    file: String,
    /// Why the transcript cannot be read.
    missing: Option<String>,
    consoles: Vec<Console>,
}

/// A line of a transcript.
#[derive(Serialize)]
struct Line {
    /// `log` (a line of the kernel log), `outcome` (of a step) or `step`.
    kind: &'static str,
    text: String,
}

impl Case {
    /// The view of a case. Reads its transcript and its console logs.
    #[must_use]
    pub fn new(record: &Record, id: String, back: &str, consoles: &mut Consoles) -> Self {
        let (transcript, missing) = match read(&record.log) {
            Ok(transcript) => (transcript, None),
            Err(reason) => (TranscriptText::default(), Some(reason)),
        };
        Case {
            id,
            back: back.to_string(),
            claim: record.claim.clone(),
            fs: record.fs.name(),
            label: VerdictLabel::new(Some(record.verdict)),
            because: record.because.clone(),
            expected: record.expected.as_ref().map(ObservedOutcome::to_string),
            observed: record.observed.as_ref().map(ObservedOutcome::to_string),
            seconds: format!("{:.2} s", std::time::Duration::from_millis(record.ms).as_secs_f64()),
            title: transcript.title,
            sentence: transcript.sentence,
            steps: transcript.steps.lines().map(line).collect(),
            file: record.log.file_name().unwrap_or_default().to_string_lossy().into_owned(),
            missing,
            consoles: consoles.read(&record.log),
        }
    }
}

/// The title of the claim in its transcript; empty if that cannot be read.
#[must_use]
pub fn title(transcript: &Path) -> String {
    read(transcript).unwrap_or_default().title
}

fn read(path: &Path) -> Result<TranscriptText, String> {
    let text = fs::read_to_string(path).map_err(|cause| format!("failed to read {}: {cause}", path.display()))?;
    transcript::format_without_verdict(&text).map_err(|reason| format!("failed to parse {}: {reason}", path.display()))
}

fn line(text: &str) -> Line {
    let kind = match text.strip_prefix("    ") {
        Some(rest) if rest.starts_with("| ") => "log",
        Some(_) => "outcome",
        None => "step",
    };
    Line { kind, text: text.to_string() }
}

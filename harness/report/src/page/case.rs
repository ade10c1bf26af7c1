// SPDX-License-Identifier: MIT OR Apache-2.0
//! A case that ran: its verdict, its transcript, what its machines said.

use std::fs;
use std::path::Path;

use serde::Serialize;
use vremount_claims::verdict::ObservedOutcome;
use vremount_runner::results::Record;
use vremount_runner::transcript::{self, TranscriptText};

use crate::page::Word;
use crate::page::console::{Console, Consoles};

#[derive(Serialize)]
pub struct Case {
    pub id: String,
    /// Where one gets back to.
    back: String,
    claim: String,
    fs: &'static str,
    word: Word,
    because: Option<String>,
    expected: Option<String>,
    observed: Option<String>,
    seconds: String,
    title: String,
    sentence: String,
    /// Lines, and what kind of lines they are; none if the transcript is gone.
    steps: Vec<Line>,
    file: String,
    gone: Option<String>,
    consoles: Vec<Console>,
}

/// Of a transcript.
#[derive(Serialize)]
struct Line {
    /// What the kernel logged, or what a step led to, or a step.
    kind: &'static str,
    text: String,
}

impl Case {
    #[must_use]
    pub fn of(record: &Record, id: String, back: &str, consoles: &mut Consoles) -> Self {
        let (told, gone) = match read(&record.log) {
            Ok(told) => (told, None),
            Err(why) => (TranscriptText::default(), Some(why)),
        };
        Case {
            id,
            back: back.to_string(),
            claim: record.claim.clone(),
            fs: record.fs.name(),
            word: Word::of(Some(record.verdict)),
            because: record.because.clone(),
            expected: record.expected.as_ref().map(ObservedOutcome::to_string),
            observed: record.observed.as_ref().map(ObservedOutcome::to_string),
            seconds: format!("{:.2} s", std::time::Duration::from_millis(record.ms).as_secs_f64()),
            title: told.title,
            sentence: told.sentence,
            steps: told.steps.lines().map(line).collect(),
            file: record.log.file_name().unwrap_or_default().to_string_lossy().into_owned(),
            gone,
            consoles: consoles.of(&record.log),
        }
    }
}

/// What is claimed, as the transcript has it; nothing if that is gone.
#[must_use]
pub fn title(transcript: &Path) -> String {
    read(transcript).unwrap_or_default().title
}

fn read(path: &Path) -> Result<TranscriptText, String> {
    let text = fs::read_to_string(path).map_err(|cause| format!("failed to read {}: {cause}", path.display()))?;
    transcript::to_text(&text).map_err(|why| format!("failed to understand {}: {why}", path.display()))
}

fn line(text: &str) -> Line {
    let kind = match text.strip_prefix("    ") {
        Some(rest) if rest.starts_with("| ") => "log",
        Some(_) => "outcome",
        None => "step",
    };
    Line { kind, text: text.to_string() }
}

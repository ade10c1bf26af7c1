// SPDX-License-Identifier: MIT OR Apache-2.0
//! `vremount transcript`

use std::fs;
use std::path::{Path, PathBuf};

use clap::Args;
use vremount_claims::exit::Exit;
use vremount_runner::transcript;
use vremount_util::io_error;

use crate::error::Error;

/// Where transcripts are.
const HINT: &str = "name a transcript, target/runs/RUN/CLAIM-FS.jsonl";

/// Print a transcript in readable form
///
/// Prints each step of the case with its expected outcome, its observed outcome, and what the
/// kernel logged during the step.
#[derive(Args)]
pub struct Options {
    /// Transcript of a case: target/runs/RUN/CLAIM-FS.jsonl
    file: PathBuf,
}

pub fn run(options: &Options) -> Result<Exit, Error> {
    print!("{}", read(&options.file)?);
    Ok(Exit::Success)
}

/// Reads a transcript as text for people.
fn read(path: &Path) -> Result<String, Error> {
    let shown = path.display();
    if !path.is_file() {
        return Err(Error::Usage(format!("failed to find {shown}: {HINT}")));
    }
    let bytes = fs::read(path).map_err(io_error("read", path))?;
    let not_a_transcript = |cause: &str| Error::Usage(format!("failed to understand {shown}: {cause}; {HINT}"));
    let text = String::from_utf8(bytes).map_err(|_| not_a_transcript("it is not text"))?;
    if text.trim().is_empty() {
        return Err(not_a_transcript("it is empty"));
    }
    let to_text = |(number, line)| {
        transcript::format_line(line).map_err(|cause| not_a_transcript(&format!("line {}: {cause}", number + 1)))
    };
    text.lines().enumerate().map(to_text).collect()
}

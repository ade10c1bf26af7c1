// SPDX-License-Identifier: MIT OR Apache-2.0
//! `vremount transcript`

use std::fs;
use std::path::PathBuf;

use clap::Args;
use vremount_claims::exit::Exit;
use vremount_runner::transcript;
use vremount_util::io_error;

use crate::error::Error;

#[derive(Args)]
pub struct Options {
    /// The transcript of a claim, below target/runs/
    file: PathBuf,
}

pub fn run(options: &Options) -> Result<Exit, Error> {
    let path = &options.file;
    if !path.is_file() {
        let path = path.display();
        return Err(Error::Usage(format!(
            "failed to find {path}: a transcript is a file target/runs/*/<claim>-<fs>.jsonl"
        )));
    }
    let text = fs::read_to_string(path).map_err(io_error("read", path))?;
    let words: Result<String, _> = text.lines().map(transcript::in_words).collect();
    let not_understood =
        |why: serde_json::Error| vremount_runner::Error::Results { path: path.clone(), why: why.to_string() };
    print!("{}", words.map_err(not_understood)?);
    Ok(Exit::Success)
}

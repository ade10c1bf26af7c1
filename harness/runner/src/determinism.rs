// SPDX-License-Identifier: MIT OR Apache-2.0
//! Whether a claim that is proved again leaves the same behind, byte for byte: transcript, times included, and the
//! console of every machine.

use std::path::{Path, PathBuf};
use std::{fs, io};

use crate::case_runner::CaseResult;

/// Where what the first run left behind is kept, below the folder with logs.
const FIRST: &str = "first";

/// Puts aside what a claim left behind. The second run must have the same names: they show in its console.
///
/// # Errors
/// If a file cannot be moved.
pub fn keep(logs: &Path, case_result: &CaseResult) -> io::Result<Vec<PathBuf>> {
    let folder = logs.join(FIRST);
    fs::create_dir_all(&folder)?;
    let stem = case_result.log.file_stem().unwrap_or_default().to_string_lossy().into_owned() + ".";
    let mut kept = Vec::new();
    for entry in fs::read_dir(logs)? {
        let name = entry?.file_name();
        if name.to_string_lossy().starts_with(&stem) {
            let to = folder.join(&name);
            fs::rename(logs.join(&name), &to)?;
            kept.push(to);
        }
    }
    kept.sort();
    Ok(kept)
}

/// The first line that differs, with its file.
///
/// # Errors
/// If a file cannot be read; one that is missing is a difference.
pub fn difference(kept: &[PathBuf], logs: &Path) -> io::Result<Option<String>> {
    for first in kept {
        let name = first.file_name().unwrap_or_default();
        let again = logs.join(name);
        let again = if again.exists() { fs::read(again)? } else { Vec::new() };
        if let Some(line) = differing_line(&fs::read(first)?, &again) {
            return Ok(Some(format!("{} {line}", name.display())));
        }
    }
    Ok(None)
}

/// Newlines at the end do not count: when its kernel has halted already, the program of a User Mode Linux machine prints one
/// more on its way out, and now and then a signal keeps it from that.
fn differing_line(first: &[u8], again: &[u8]) -> Option<String> {
    let (first, again) = (first.trim_ascii_end(), again.trim_ascii_end());
    if first == again {
        return None;
    }
    let lines = |bytes: &[u8]| String::from_utf8_lossy(bytes).lines().map(ToString::to_string).collect::<Vec<_>>();
    let (first, again) = (lines(first), lines(again));
    let number = first.iter().zip(&again).take_while(|(a, b)| a == b).count();
    let line =
        |lines: &[String]| lines.get(number).map_or_else(|| "nothing more".to_string(), |line| format!("{line:?}"));
    Some(format!("line {}: {}, then {}", number + 1, line(&first), line(&again)))
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::same("a\nb\n", "a\nb\n", None)]
    #[case::a_line("a\nb\n", "a\nc\n", Some("line 2: \"b\", then \"c\""))]
    #[case::shorter("a\nb\n", "a\n", Some("line 2: \"b\", then nothing more"))]
    #[case::longer("", "a", Some("line 1: nothing more, then \"a\""))]
    #[case::newlines_at_the_end("a\n\n", "a\n", None)]
    #[case::a_newline_within("a\n\nb", "a\nb", Some("line 2: \"\", then \"b\""))]
    fn names_the_line_that_differs(#[case] first: &str, #[case] again: &str, #[case] expected: Option<&str>) {
        assert_eq!(differing_line(first.as_bytes(), again.as_bytes()).as_deref(), expected);
    }
}

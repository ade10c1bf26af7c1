// SPDX-License-Identifier: MIT OR Apache-2.0
//! Compares the files of two runs of a case byte by byte: the transcript with its times, and the
//! console of each machine.

use std::path::{Path, PathBuf};
use std::{fs, io};

/// Directory for the files of the first run, below the log directory.
const FIRST_RUN_DIR: &str = "first";

/// Moves the files of a case to a subdirectory of `log_dir` and returns their new paths, sorted.
/// They are the files whose names start with the stem of `transcript`. The second run must use the
/// same names, because they appear on its console.
///
/// # Errors
/// The [`io::Error`] of the first file that cannot be moved.
pub(crate) fn move_files(log_dir: &Path, transcript: &Path) -> io::Result<Vec<PathBuf>> {
    let folder = log_dir.join(FIRST_RUN_DIR);
    fs::create_dir_all(&folder)?;
    let prefix = transcript.file_stem().unwrap_or_default().to_string_lossy().into_owned() + ".";
    let mut moved = Vec::new();
    for entry in fs::read_dir(log_dir)? {
        let name = entry?.file_name();
        if name.to_string_lossy().starts_with(&prefix) {
            let to = folder.join(&name);
            fs::rename(log_dir.join(&name), &to)?;
            moved.push(to);
        }
    }
    moved.sort();
    Ok(moved)
}

/// Describes the first line that differs between the files `first_run` and those of the same names
/// in `log_dir`. None if all files are equal; a missing file counts as empty.
///
/// # Errors
/// The [`io::Error`] of the first file that cannot be read.
pub(crate) fn first_difference(first_run: &[PathBuf], log_dir: &Path) -> io::Result<Option<String>> {
    for first in first_run {
        let name = first.file_name().unwrap_or_default();
        let second = log_dir.join(name);
        let second = if second.exists() { fs::read(second)? } else { Vec::new() };
        if let Some(line) = first_differing_line(&fs::read(first)?, &second) {
            return Ok(Some(format!("{} {line}", name.display())));
        }
    }
    Ok(None)
}

/// Newlines at the end are ignored: User Mode Linux prints one after its kernel has halted, but not
/// if a signal interrupts the write.
fn first_differing_line(first: &[u8], second: &[u8]) -> Option<String> {
    let (first, second) = (first.trim_ascii_end(), second.trim_ascii_end());
    if first == second {
        return None;
    }
    let lines = |bytes: &[u8]| String::from_utf8_lossy(bytes).lines().map(ToString::to_string).collect::<Vec<_>>();
    let (first, second) = (lines(first), lines(second));
    let index = first.iter().zip(&second).take_while(|(a, b)| a == b).count();
    let line =
        |lines: &[String]| lines.get(index).map_or_else(|| "end of file".to_string(), |line| format!("{line:?}"));
    Some(format!("line {}: first {}, second {}", index + 1, line(&first), line(&second)))
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::equal("a\nb\n", "a\nb\n", None)]
    #[case::other_line("a\nb\n", "a\nc\n", Some("line 2: first \"b\", second \"c\""))]
    #[case::second_is_shorter("a\nb\n", "a\n", Some("line 2: first \"b\", second end of file"))]
    #[case::second_is_longer("", "a", Some("line 1: first end of file, second \"a\""))]
    #[case::trailing_newlines("a\n\n", "a\n", None)]
    #[case::empty_line("a\n\nb", "a\nb", Some("line 2: first \"\", second \"b\""))]
    fn first_differing_line_is_found(#[case] first: &str, #[case] second: &str, #[case] expected: Option<&str>) {
        assert_eq!(first_differing_line(first.as_bytes(), second.as_bytes()).as_deref(), expected);
    }

    #[test]
    fn only_files_of_the_case_are_moved_and_compared() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
        write("claim-ext4.jsonl", "a\n");
        write("claim-ext4.0.console", "b\n");
        write("claim-ext4-no-journal.jsonl", "c\n");
        let moved = move_files(folder.path(), &folder.path().join("claim-ext4.jsonl")).unwrap();
        assert_eq!(moved.len(), 2);
        assert!(folder.path().join("claim-ext4-no-journal.jsonl").exists());
        write("claim-ext4.jsonl", "a\n");
        let difference = first_difference(&moved, folder.path()).unwrap();
        assert_eq!(difference.as_deref(), Some("claim-ext4.0.console line 1: first \"b\", second end of file"));
    }
}

// SPDX-License-Identifier: MIT OR Apache-2.0
//! Reads the messages of tools, and finds out whether a tool failed.

use std::collections::BTreeMap;
use std::process::Command;

use vremount_util::command;

use crate::lint_series::finding::Outcome;

/// Output of tools in Python that failed.
const CRASHES: [&str; 2] = ["Traceback (most recent call last)", "Exiting due to error"];

/// Messages and how often each occurs. Line and column numbers are left out: they differ between
/// levels.
pub type Messages = BTreeMap<String, usize>;

/// Lines of a diffstat that are not in a cover letter.
pub fn missing_diffstat_lines(letter: &str, stat: &str) -> Vec<String> {
    let lines: Vec<_> = letter.lines().map(str::trim).collect();
    stat.lines().map(str::trim).filter(|line| !lines.contains(line)).map(ToString::to_string).collect()
}

/// Runs a tool and returns its output. The tool may exit with an error if it printed messages.
///
/// # Errors
/// If the tool cannot be started, is killed by a signal, crashes, or exits with an error without
/// messages.
pub fn run_linter(command: &mut Command) -> Result<String, command::Error> {
    let (status, output) = command::run_capture(command)?;
    let crashed = status.code().is_none() || CRASHES.iter().any(|words| output.contains(words));
    if status.success() || !crashed && !messages(&output).is_empty() {
        return Ok(output);
    }
    let program = command.get_program().to_string_lossy().into_owned();
    Err(command::Error::Failed { what: "check a tree".to_string(), program, status, output })
}

/// Runs checkpatch. It exits with an error if it printed messages, which are `path:line: KIND:
/// text`.
pub fn checkpatch(command: &mut Command) -> Outcome {
    let is_message = |line: &&str| ["ERROR: ", "WARNING: ", "CHECK: "].iter().any(|kind| line.contains(kind));
    match command::run("check a patch", command) {
        Ok(_) => Outcome::Clean,
        Err(command::Error::Failed { output, status, .. })
            if status.code().is_some() && output.lines().any(|line| is_message(&line)) =>
        {
            Outcome::Found(output.lines().filter(is_message).map(ToString::to_string).collect())
        }
        Err(error) => Outcome::CannotTell(error.to_string()),
    }
}

/// Warnings and errors in the output of compilers, sparse, kernel-doc and docutils:
/// `path:line[:column]: kind: text`.
pub fn messages(text: &str) -> Messages {
    let mut messages = Messages::new();
    for line in text.lines() {
        let kinds = [" warning: ", " error: ", "Warning: ", "(INFO/1)", "(WARNING/2)", "(ERROR/3)", "(SEVERE/4)"];
        if kinds.iter().any(|kind| line.contains(kind)) {
            let without_numbers: Vec<_> = line.split(':').filter(|part| part.parse::<u32>().is_err()).collect();
            *messages.entry(without_numbers.join(":")).or_default() += 1;
        }
    }
    messages
}

/// The messages that occur more often at a level than at the level below.
pub fn new_messages(below: &Messages, current: &Messages) -> Vec<String> {
    let more = current.iter().filter(|(message, count)| below.get(*message).is_none_or(|before| before < *count));
    more.map(|(message, _)| message.clone()).collect()
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    /// No output means no findings only if the tool succeeds.
    #[rstest]
    #[case::clean("true", true)]
    #[case::warning("echo 'a.c:1: warning: x'; exit 1", true)]
    #[case::failed("exit 3", false)]
    #[case::killed("kill -9 $$", false)]
    #[case::warned_and_killed("echo 'a.c:1: warning: x'; kill -9 $$", false)]
    #[case::crashed("echo 'a.rst:1: (WARNING/2) x'; echo 'Exiting due to error.'; exit 1", false)]
    fn failed_tool_is_an_error(#[case] script: &str, #[case] expected: bool) {
        assert_eq!(run_linter(Command::new("sh").args(["-c", script])).is_ok(), expected);
    }

    #[rstest]
    #[case::clean("true", Some(0))]
    #[case::warning("echo 'a.patch:1: CHECK: x'; echo; exit 1", Some(1))]
    #[case::failed("exit 2", None)]
    #[case::missing("echo 'perl: not found'; exit 127", None)]
    #[case::warned_and_killed("echo 'a.patch:1: CHECK: x'; kill -9 $$", None)]
    fn failed_checkpatch_is_undecided(#[case] script: &str, #[case] expected: Option<usize>) {
        let found = match checkpatch(Command::new("sh").args(["-c", script])) {
            Outcome::Clean => Some(0),
            Outcome::Found(lines) => Some(lines.len()),
            Outcome::CannotTell(_) => None,
        };
        assert_eq!(found, expected);
    }

    #[test]
    fn cover_letter_must_contain_every_line_of_the_diffstat() {
        let stat = " fs/a.c | 10 ++++++++--\n 1 file changed, 8 insertions(+), 2 deletions(-)\n";
        assert!(missing_diffstat_lines(&format!("Text.\n\n{stat}\nbase-commit: x\n"), stat).is_empty());
        assert_eq!(missing_diffstat_lines(" fs/a.c |  9 +++++++--\n", stat).len(), 2);
    }

    #[rstest]
    #[case::same("a.c:1:2: warning: x\n", "a.c:1:2: warning: x\n", &[])]
    #[case::moved("a.c:1:2: warning: x\n", "a.c:9:2: warning: x\n", &[])]
    #[case::new("", "a.c:1:2: warning: x\n", &["a.c: warning: x"])]
    #[case::once_more("a.c:1: warning: x\n", "a.c:1: warning: x\na.c:2: warning: x\n", &["a.c: warning: x"])]
    #[case::gone("a.c:1:2: warning: x\n", "", &[])]
    #[case::sparse("", "a.c:3:4: error: undefined identifier 'y'\n", &["a.c: error: undefined identifier 'y'"])]
    #[case::document("", "a.rst:5: (WARNING/2) Title underline too short.\n", &["a.rst: (WARNING/2) Title underline too short."])]
    #[case::kernel_doc("", "a.h:7: Warning: no description\n", &["a.h: Warning: no description"])]
    #[case::progress("", "  CC      a.o\n", &[])]
    fn only_new_messages_count(#[case] below: &str, #[case] current: &str, #[case] expected: &[&str]) {
        assert_eq!(new_messages(&messages(below), &messages(current)), expected);
    }
}

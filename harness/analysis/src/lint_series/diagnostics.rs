// SPDX-License-Identifier: MIT OR Apache-2.0
//! What tools have to say, and whether they did their work at all.

use std::collections::BTreeMap;
use std::process::Command;

use vremount_util::command;

use crate::lint_series::Outcome;

/// How tools in Python tell that they failed.
const CRASHES: [&str; 2] = ["Traceback (most recent call last)", "Exiting due to error"];

/// Messages and how often each came, without the lines they came from: those move.
pub type Messages = BTreeMap<String, usize>;

/// Lines of a diffstat that a letter has not.
pub fn unsaid(letter: &str, stat: &str) -> Vec<String> {
    let said: Vec<_> = letter.lines().map(str::trim).collect();
    stat.lines().map(str::trim).filter(|line| !said.contains(line)).map(ToString::to_string).collect()
}

/// What a tool says that may end badly because it has something to say; one that does and has nothing did not do its work.
pub fn run_linter(command: &mut Command) -> Result<String, command::Error> {
    let (status, output) = command::run_capture(command)?;
    let crashed = status.code().is_none() || CRASHES.iter().any(|words| output.contains(words));
    if status.success() || !crashed && !messages(&output).is_empty() {
        return Ok(output);
    }
    let program = command.get_program().to_string_lossy().into_owned();
    Err(command::Error::Failed { what: "check a tree".to_string(), program, status, output })
}

/// What checkpatch says, which fails when it has something to say: `path:line: KIND: text`.
pub fn checkpatch(command: &mut Command) -> Outcome {
    let says = |line: &&str| ["ERROR: ", "WARNING: ", "CHECK: "].iter().any(|kind| line.contains(kind));
    match command::run("check a patch", command) {
        Ok(_) => Outcome::Clean,
        Err(command::Error::Failed { output, status, .. })
            if status.code().is_some() && output.lines().any(|line| says(&line)) =>
        {
            Outcome::Found(output.lines().filter(says).map(ToString::to_string).collect())
        }
        Err(error) => Outcome::CannotTell(error.to_string()),
    }
}

/// Warnings and errors of compilers, sparse, kernel-doc and docutils: `path:line[:column]: kind: text`.
pub fn messages(text: &str) -> Messages {
    let mut messages = Messages::new();
    for line in text.lines() {
        let kinds = [" warning: ", " error: ", "Warning: ", "(INFO/1)", "(WARNING/2)", "(ERROR/3)", "(SEVERE/4)"];
        if kinds.iter().any(|kind| line.contains(kind)) {
            let steady: Vec<_> = line.split(':').filter(|part| part.parse::<u32>().is_err()).collect();
            *messages.entry(steady.join(":")).or_default() += 1;
        }
    }
    messages
}

pub fn added(below: &Messages, here: &Messages) -> Vec<String> {
    let more = here.iter().filter(|(message, count)| below.get(*message).is_none_or(|before| before < *count));
    more.map(|(message, _)| message.clone()).collect()
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    /// To say nothing is to have found nothing only for who does not fail.
    #[rstest]
    #[case::clean("true", true)]
    #[case::warning("echo 'a.c:1: warning: x'; exit 1", true)]
    #[case::failed("exit 3", false)]
    #[case::killed("kill -9 $$", false)]
    #[case::warned_and_killed("echo 'a.c:1: warning: x'; kill -9 $$", false)]
    #[case::crashed("echo 'a.rst:1: (WARNING/2) x'; echo 'Exiting due to error.'; exit 1", false)]
    fn a_tool_that_failed_is_not_content(#[case] script: &str, #[case] expected: bool) {
        assert_eq!(run_linter(Command::new("sh").args(["-c", script])).is_ok(), expected);
    }

    #[rstest]
    #[case::clean("true", Some(0))]
    #[case::warning("echo 'a.patch:1: CHECK: x'; echo; exit 1", Some(1))]
    #[case::failed("exit 2", None)]
    #[case::missing("echo 'perl: not found'; exit 127", None)]
    #[case::warned_and_killed("echo 'a.patch:1: CHECK: x'; kill -9 $$", None)]
    fn checkpatch_finds_something_or_is_no_use(#[case] script: &str, #[case] expected: Option<usize>) {
        let found = match checkpatch(Command::new("sh").args(["-c", script])) {
            Outcome::Clean => Some(0),
            Outcome::Found(lines) => Some(lines.len()),
            Outcome::CannotTell(_) => None,
        };
        assert_eq!(found, expected);
    }

    #[test]
    fn a_letter_counts_every_line() {
        let stat = " fs/a.c | 10 ++++++++--\n 1 file changed, 8 insertions(+), 2 deletions(-)\n";
        assert!(unsaid(&format!("Words.\n\n{stat}\nbase-commit: x\n"), stat).is_empty());
        assert_eq!(unsaid(" fs/a.c |  9 +++++++--\n", stat).len(), 2);
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
    fn only_what_is_new_counts(#[case] below: &str, #[case] here: &str, #[case] expected: &[&str]) {
        assert_eq!(added(&messages(below), &messages(here)), expected);
    }
}

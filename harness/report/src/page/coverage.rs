// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the claims execute of a series: each line that it adds, by patch.

use serde::Serialize;
use vremount_analysis::coverage::{Coverage, Line, LineStatus, Patch};

use crate::page::run::Fact;

#[derive(Serialize)]
pub struct View {
    id: String,
    title: String,
    facts: Vec<Fact>,
    patches: Vec<Section>,
    in_vain: Vec<String>,
}

/// A patch.
#[derive(Serialize)]
struct Section {
    id: String,
    title: String,
    lines: String,
    branches: String,
    no_code: usize,
    rows: Vec<Row>,
}

/// A line.
#[derive(Serialize)]
struct Row {
    /// File and function, where they are others than those of the line before.
    place: Option<String>,
    number: u32,
    class: &'static str,
    /// None if there is no code of it.
    executed: Option<u64>,
    branches: String,
    text: String,
    because: Option<String>,
}

impl View {
    #[must_use]
    pub fn of((place, coverage): (usize, &Coverage)) -> Self {
        let id = format!("coverage{place}");
        let in_vain = coverage.in_vain.iter().map(|argument| format!("{}: {}", argument.function, argument.line));
        View {
            title: format!("Linux {}, series {}", coverage.base, coverage.series),
            facts: vec![("claims", coverage.tally.to_string()), ("executor", coverage.executor.clone())],
            patches: coverage.patches.iter().map(|patch| Section::of(&id, patch)).collect(),
            in_vain: in_vain.collect(),
            id,
        }
    }
}

impl Section {
    fn of(coverage: &str, patch: &Patch) -> Self {
        let mut here = None;
        Section {
            id: format!("{coverage}:{}", patch.level),
            title: format!("{} {}", patch.level, patch.subject),
            lines: patch.sums.lines.words(),
            branches: patch.sums.branches.words(),
            no_code: patch.sums.no_code,
            rows: patch.lines.iter().map(|line| Row::of(line, &mut here)).collect(),
        }
    }
}

impl Row {
    /// `here` is where the line before is.
    fn of<'a>(line: &'a Line, here: &mut Option<(&'a str, &'a str)>) -> Self {
        let Line { file, function, .. } = line;
        // Of a line without code nobody says which function has it.
        let same = here.is_some_and(|(f, of)| f == file && (function.is_empty() || of == function));
        let place = (!same).then(|| if function.is_empty() { file.clone() } else { format!("{file}, {function}()") });
        if !same {
            *here = Some((file, function));
        }
        let branches: Vec<_> = line.branches.iter().map(u64::to_string).collect();
        Row {
            place,
            number: line.number,
            class: match line.ruling {
                LineStatus::Executed => "holds",
                LineStatus::Argued => "cannot-tell",
                LineStatus::Unexecuted => "broken",
                LineStatus::NoCode => "skipped",
            },
            executed: (line.ruling != LineStatus::NoCode).then_some(line.executed),
            branches: branches.join(" "),
            text: line.text.clone(),
            because: line.because.clone(),
        }
    }
}

// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the claims execute of a series: each line that it adds, by patch.

use serde::Serialize;

use super::run::Fact;
use crate::coverage::{Coverage, Line, Patch, Ruling, Sums};

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
    rows: Vec<Row>,
}

/// A line.
#[derive(Serialize)]
struct Row {
    /// File and function, where they are others than those of the line before.
    place: Option<String>,
    number: u32,
    class: &'static str,
    executed: u64,
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
        let sums = Sums::of(patch);
        let before = [None].into_iter().chain(patch.lines.iter().map(Some));
        Section {
            id: format!("{coverage}:{}", patch.level),
            title: format!("{} {}", patch.level, patch.subject),
            lines: sums.lines.words(),
            branches: sums.branches.words(),
            rows: patch.lines.iter().zip(before).map(|(line, before)| Row::of(line, before)).collect(),
        }
    }
}

impl Row {
    fn of(line: &Line, before: Option<&Line>) -> Self {
        let place = |line: &Line| format!("{}, {}()", line.file, line.function);
        let branches: Vec<_> = line.branches.iter().map(u64::to_string).collect();
        Row {
            place: Some(place(line)).filter(|here| before.map(place).as_ref() != Some(here)),
            number: line.number,
            class: match line.ruling {
                Ruling::Executed => "holds",
                Ruling::Argued => "cannot-tell",
                Ruling::Unexecuted => "broken",
            },
            executed: line.executed,
            branches: branches.join(" "),
            text: line.text.clone(),
            because: line.because.clone(),
        }
    }
}

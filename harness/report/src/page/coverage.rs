// SPDX-License-Identifier: MIT OR Apache-2.0
//! The coverage of a series: each line that it adds, by patch.

use serde::Serialize;
use vremount_analysis::coverage::{Coverage, Line, LineStatus, Patch};

use crate::page::run::Fact;

#[derive(Serialize)]
pub struct View {
    id: String,
    title: String,
    facts: Vec<Fact>,
    patches: Vec<Section>,
    unused_exemptions: Vec<String>,
}

/// The section of a patch.
#[derive(Serialize)]
struct Section {
    id: String,
    title: String,
    lines: String,
    branches: String,
    no_code: usize,
    rows: Vec<Row>,
}

/// The row of a line.
#[derive(Serialize)]
struct Row {
    /// File and function, if they differ from those of the line before.
    location: Option<String>,
    number: u32,
    class: &'static str,
    /// `None` for a line without code.
    executed: Option<u64>,
    branches: String,
    text: String,
    because: Option<String>,
}

impl View {
    /// The view of the coverage with this index.
    #[must_use]
    pub fn new(index: usize, coverage: &Coverage) -> Self {
        let id = format!("coverage{index}");
        let unused =
            coverage.wrong_exemptions.iter().map(|exemption| format!("{}: {}", exemption.function, exemption.line));
        View {
            title: format!("Linux {}, series {}", coverage.base, coverage.series),
            facts: vec![("claims", coverage.tally.to_string()), ("executor", coverage.executor.clone())],
            patches: coverage.patches.iter().map(|patch| Section::new(&id, patch)).collect(),
            unused_exemptions: unused.collect(),
            id,
        }
    }
}

impl Section {
    fn new(coverage: &str, patch: &Patch) -> Self {
        let mut location = None;
        Section {
            id: format!("{coverage}:{}", patch.level),
            title: format!("{} {}", patch.level, patch.subject),
            lines: patch.totals.lines.to_text(),
            branches: patch.totals.branches.to_text(),
            no_code: patch.totals.no_code,
            rows: patch.lines.iter().map(|line| Row::new(line, &mut location)).collect(),
        }
    }
}

impl Row {
    /// `location` is that of the line before, and is updated.
    fn new<'a>(line: &'a Line, location: &mut Option<(&'a str, &'a str)>) -> Self {
        let Line { file, function, .. } = line;
        // The function of a line without code is unknown.
        let is_same = location.is_some_and(|before| before.0 == file && (function.is_empty() || before.1 == function));
        let text = (!is_same).then(|| if function.is_empty() { file.clone() } else { format!("{file}, {function}()") });
        if !is_same {
            *location = Some((file, function));
        }
        let branches: Vec<_> = line.branches.iter().map(u64::to_string).collect();
        Row {
            location: text,
            number: line.number,
            class: match line.status {
                LineStatus::Executed => "holds",
                LineStatus::Exempt => "cannot-tell",
                LineStatus::Unexecuted => "broken",
                LineStatus::NoCode => "skipped",
            },
            executed: (line.status != LineStatus::NoCode).then_some(line.executed),
            branches: branches.join(" "),
            text: line.text.clone(),
            because: line.because.clone(),
        }
    }
}

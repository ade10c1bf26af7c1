// SPDX-License-Identifier: MIT OR Apache-2.0
//! Results of all mutants, as text and as JSON.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde::Serialize;
use vremount_claims::exit::Exit;
use vremount_kernel::base::Base;

use crate::mutants::minimal_killers::cover;
use crate::mutants::outcome::{MutantResult, MutantStatus};

/// Version of the JSON report. Fields are added without a change of the version.
const SCHEMA: u32 = 1;

/// JSON report.
#[derive(Serialize)]
pub struct Report<'a> {
    /// Version of this structure.
    pub schema: u32,
    /// Name of the base.
    pub base: &'a str,
    /// Folder name of the series.
    pub series: &'a str,
    /// Title of the executor.
    pub executor: &'a str,
    /// The mutants, in the order of the tests.
    pub mutants: Vec<Entry<'a>>,
}

/// A mutant in the JSON report.
#[derive(Serialize)]
pub struct Entry<'a> {
    /// The status.
    #[serde(rename = "ruling")]
    pub status: MutantStatus,
    /// The result.
    #[serde(flatten)]
    pub result: &'a MutantResult,
}

impl<'a> Report<'a> {
    /// The report of results on a base.
    #[must_use]
    pub fn new(base: &'a Base, executor: &'a str, results: &'a [MutantResult]) -> Self {
        let mutants = results.iter().map(|result| Entry { status: result.status(), result }).collect();
        Report { schema: SCHEMA, base: &base.name, series: &base.series, executor, mutants }
    }
}

/// Formats the result of a mutant as one line.
#[must_use]
pub fn format_result(result: &MutantResult) -> String {
    let status = match result.status() {
        MutantStatus::Killed => match (result.killers().as_slice(), result.killed_by.as_slice()) {
            // The reason may be a stack trace of the kernel.
            ([one], [killer, ..]) => {
                format!("killed by {one} alone: {}", killer.because.lines().next().unwrap_or_default())
            }
            (killers, _) => format!("killed by {}: {}", killers.len(), first_names(killers)),
        },
        MutantStatus::Equivalent => format!("equivalent: {}", result.equivalence.as_deref().unwrap_or_default()),
        MutantStatus::Survived => format!("SURVIVED {} cases: {}", result.holding_cases, result.description),
        MutantStatus::NotEquivalent => {
            let killers = first_names(&result.killers());
            format!("NOT EQUIVALENT, killed by {killers}; remove the paragraph that says otherwise from its file")
        }
        MutantStatus::CannotTell => {
            format!("cannot tell: {}", result.cannot_tell.as_deref().unwrap_or("no case was run").trim_end())
        }
    };
    format!("{:<34} {status}", result.name)
}

fn first_names(names: &[&str]) -> String {
    const SHOWN: usize = 3;
    let more = if names.len() > SHOWN { ", ..." } else { "" };
    format!("{}{more}", names.iter().take(SHOWN).copied().collect::<Vec<_>>().join(", "))
}

/// A table of mutants and of a few killers that together detect all detected mutants. The names of
/// the killers are below it.
#[must_use]
pub fn killer_table(results: &[MutantResult]) -> String {
    let columns = cover(results);
    let mut text = String::new();
    let head: String = (0..columns.len()).map(|index| format!(" {}", letter(index))).collect();
    // Writing to a string does not fail.
    let _ = writeln!(text, "{:<34} all{head}", "");
    for result in results {
        let killers = result.killers();
        let kills = |name: &String| killers.contains(&name.as_str());
        let cells: String = columns.iter().map(|name| if kills(name) { " x" } else { " ." }).collect();
        let _ = writeln!(text, "{:<34} {:>3}{cells}", result.name, killers.len());
    }
    let _ = writeln!(text);
    for (index, name) in columns.iter().enumerate() {
        let _ = writeln!(text, "{} {name}", letter(index));
    }
    text
}

/// Name of a column: `A` to `Z`, then `a` to `z`, then `?`.
fn letter(index: usize) -> char {
    ('A'..='Z').chain('a'..='z').nth(index).unwrap_or('?')
}

/// Number of mutants by status, for a summary.
#[must_use]
pub fn tally(results: &[MutantResult]) -> BTreeMap<&'static str, usize> {
    let mut tally = BTreeMap::new();
    for result in results {
        let status = match result.status() {
            MutantStatus::Killed => "killed",
            MutantStatus::Equivalent => "equivalent",
            MutantStatus::Survived => "survived",
            MutantStatus::NotEquivalent => "not equivalent",
            MutantStatus::CannotTell => "cannot tell",
        };
        *tally.entry(status).or_default() += 1;
    }
    tally
}

/// [`Exit::Broken`] if a mutant survived or is wrongly said to be equivalent, else
/// [`Exit::CannotTell`] if one is undecided or there is none, else [`Exit::Success`].
#[must_use]
pub fn exit(results: &[MutantResult]) -> Exit {
    let has = |statuses: &[MutantStatus]| results.iter().any(|result| statuses.contains(&result.status()));
    if has(&[MutantStatus::Survived, MutantStatus::NotEquivalent]) {
        Exit::Broken
    } else if results.is_empty() || has(&[MutantStatus::CannotTell]) {
        Exit::CannotTell
    } else {
        Exit::Success
    }
}

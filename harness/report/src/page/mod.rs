// SPDX-License-Identifier: MIT OR Apache-2.0
//! All that was found, as one page for people: a file that needs no network and no other file. Cells of tables lead to
//! transcripts and console logs by anchors, so that all of it can be read without scripts; a script only filters.

mod bench;
mod bisection;
mod case;
mod console;
mod coverage;
mod overview;
mod run;

use minijinja::syntax::SyntaxConfig;
use minijinja::value::Serde;
use minijinja::{AutoEscape, Environment, UndefinedBehavior};
use serde::Serialize;
use vremount_claims::verdict::Verdict;
use vremount_runner::results::Tally;

use self::overview::Overview;
use self::run::Run;
use crate::error::Error;
use crate::fs_table::sign;
use crate::input::ReportInput;

const TEMPLATE: &str = include_str!("page.html");
const STYLE: &str = include_str!("page.css");
const SCRIPT: &str = include_str!("page.js");

/// What the template makes the page of.
#[derive(Serialize)]
struct Page {
    style: &'static str,
    script: &'static str,
    version: &'static str,
    /// None if there is no run.
    tally: Option<String>,
    words: [(Word, usize); 5],
    filesystems: Vec<&'static str>,
    /// None of one run.
    overview: Option<Overview>,
    /// Titles of those that could not start, and why.
    not_run: Vec<(String, String)>,
    runs: Vec<Run>,
    bisections: Vec<bisection::View>,
    benches: Vec<bench::View>,
    coverages: Vec<coverage::View>,
}

/// The text of the file.
///
/// # Errors
/// If a plot cannot be drawn.
pub fn page(findings: &ReportInput) -> Result<String, Error> {
    let ReportInput { merged, bisections, benches, coverages } = findings;
    let runs: Vec<_> = merged.runs.iter().map(Run::of).collect();
    let tally = Tally::of_all(merged);
    let page = Page {
        style: STYLE,
        script: SCRIPT,
        version: env!("CARGO_PKG_VERSION"),
        tally: (!merged.is_empty()).then(|| tally.to_string()),
        words: Word::counted(tally),
        filesystems: run::filesystems(&merged.runs),
        overview: (runs.len() + merged.not_run.len() > 1).then(|| Overview::of(merged, &runs)),
        not_run: merged.not_run.iter().map(|word| (word.title(), word.cannot_tell.clone())).collect(),
        runs,
        bisections: bisections.iter().enumerate().map(bisection::View::of).collect(),
        benches: benches.iter().enumerate().map(bench::View::of).collect::<Result<_, _>>()?,
        coverages: coverages.iter().enumerate().map(coverage::View::of).collect(),
    };
    render(page).map_err(|why| Error::Page(why.to_string()))
}

fn render(page: Page) -> Result<String, minijinja::Error> {
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.set_auto_escape_callback(|_| AutoEscape::Html);
    environment.set_syntax(SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build()?);
    environment.template_from_str(TEMPLATE)?.render(Serde(page))
}

/// What became of a case: as cells say it, as people do, and as style and script know it.
#[derive(Debug, Clone, Copy, Serialize)]
struct Word {
    class: &'static str,
    sign: &'static str,
    words: &'static str,
}

impl Word {
    /// None: it never ran to its end.
    fn of(verdict: Option<Verdict>) -> Self {
        let (class, words) = match verdict {
            Some(Verdict::Holds) => ("holds", "holds"),
            Some(Verdict::Broken) => ("broken", "broken"),
            Some(Verdict::CannotTell) => ("cannot-tell", "cannot tell"),
            Some(Verdict::Skipped) => ("skipped", "skipped"),
            None => ("missing", "missing"),
        };
        Word { class, sign: sign(verdict), words }
    }

    /// With how often it is said.
    fn counted(tally: Tally) -> [(Self, usize); 5] {
        let Tally { holds, broken, cannot_tell, skipped, missing } = tally;
        [
            (Some(Verdict::Holds), holds),
            (Some(Verdict::Broken), broken),
            (Some(Verdict::CannotTell), cannot_tell),
            (Some(Verdict::Skipped), skipped),
            (None, missing),
        ]
        .map(|(verdict, count)| (Word::of(verdict), count))
    }
}

/// A name as a part of an anchor: different ones stay different, and a browser changes nothing in it.
fn anchor(name: &str) -> String {
    let plain = |char: char| match char {
        'a'..='z' | 'A'..='Z' | '0'..='9' | '.' | '-' => char.to_string(),
        other => format!("_{:x}_", u32::from(other)),
    };
    name.chars().map(plain).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn anchors_of_different_names_differ_and_need_no_escape() {
        let anchors = ["a/b", "a_b", "a:b", "a=b", "a b", "é"].map(anchor);
        assert!(anchors.concat().chars().all(|char| char.is_ascii_alphanumeric() || char == '_'), "{anchors:?}");
        assert_eq!(anchors.iter().collect::<std::collections::BTreeSet<_>>().len(), anchors.len());
        assert_eq!(anchor("5.10.13"), "5.10.13");
    }
}

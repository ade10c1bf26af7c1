// SPDX-License-Identifier: MIT OR Apache-2.0
//! The HTML page. It is a single file that loads nothing. Cells of tables link to transcripts and console logs by anchors, so
//! that the page can be read without scripts; the script only filters.

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
const STYLE: &str = concat!(include_str!("colours.css"), include_str!("page.css"));
/// The colours of the page, as CSS variables.
pub(crate) const COLOURS: &str = include_str!("colours.css");
const SCRIPT: &str = include_str!("page.js");

/// The values of the template.
#[derive(Serialize)]
struct Page {
    style: &'static str,
    script: &'static str,
    version: &'static str,
    /// `None` if there is no run.
    tally: Option<String>,
    /// Each verdict with its number of cases.
    labels: [(VerdictLabel, usize); 5],
    filesystems: Vec<&'static str>,
    /// `None` if there is one run only.
    overview: Option<Overview>,
    /// Titles of the runs that could not start, and the reasons.
    not_run: Vec<(String, String)>,
    runs: Vec<Run>,
    bisections: Vec<bisection::View>,
    benches: Vec<bench::View>,
    coverages: Vec<coverage::View>,
}

/// The HTML page of all inputs. Transcripts and console logs are read from the directories of the runs; the page shows which
/// of them cannot be read.
///
/// # Errors
/// [`Error::Plot`] if a plot cannot be drawn; [`Error::Page`] if the template cannot be rendered.
pub fn page(input: &ReportInput) -> Result<String, Error> {
    let ReportInput { merged, bisections, benches, coverages } = input;
    let runs: Vec<_> = merged.runs.iter().map(Run::new).collect();
    let tally = Tally::of_all(merged);
    let page = Page {
        style: STYLE,
        script: SCRIPT,
        version: env!("CARGO_PKG_VERSION"),
        tally: (!merged.is_empty()).then(|| tally.to_string()),
        labels: VerdictLabel::with_counts(tally),
        filesystems: run::all_filesystems(&merged.runs),
        overview: (runs.len() + merged.not_run.len() > 1).then(|| Overview::new(merged, &runs)),
        not_run: merged.not_run.iter().map(|error| (error.title(), error.cannot_tell.clone())).collect(),
        runs,
        bisections: bisections
            .iter()
            .enumerate()
            .map(|(index, bisection)| bisection::View::new(index, bisection))
            .collect(),
        benches: benches
            .iter()
            .enumerate()
            .map(|(index, results)| bench::View::new(index, results))
            .collect::<Result<_, _>>()?,
        coverages: coverages.iter().enumerate().map(|(index, coverage)| coverage::View::new(index, coverage)).collect(),
    };
    render(page).map_err(Error::Page)
}

fn render(page: Page) -> Result<String, minijinja::Error> {
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.set_auto_escape_callback(|_| AutoEscape::Html);
    environment.set_syntax(SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build()?);
    environment.template_from_str(TEMPLATE)?.render(Serde(page))
}

/// How a verdict is shown.
#[derive(Debug, Clone, Copy, Serialize)]
pub(crate) struct VerdictLabel {
    /// The class in style sheets and in the script.
    pub class: &'static str,
    /// The text of a cell.
    sign: &'static str,
    name: &'static str,
    meaning: &'static str,
}

impl VerdictLabel {
    /// The label of a verdict. `None`: the case did not finish.
    pub fn new(verdict: Option<Verdict>) -> Self {
        let (class, name, meaning) = match verdict {
            Some(Verdict::Holds) => ("holds", "holds", "the outcome is the claimed one"),
            Some(Verdict::Broken) => ("broken", "broken", "the outcome differs, or the kernel printed a warning"),
            Some(Verdict::CannotTell) => ("cannot-tell", "cannot tell", "something outside the claim failed"),
            Some(Verdict::Skipped) => ("skipped", "skipped", "the claim does not apply"),
            None => ("missing", "missing", "the case did not finish"),
        };
        VerdictLabel { class, sign: sign(verdict), name, meaning }
    }

    fn with_counts(tally: Tally) -> [(Self, usize); 5] {
        let Tally { holds, broken, cannot_tell, skipped, missing } = tally;
        [
            (Some(Verdict::Holds), holds),
            (Some(Verdict::Broken), broken),
            (Some(Verdict::CannotTell), cannot_tell),
            (Some(Verdict::Skipped), skipped),
            (None, missing),
        ]
        .map(|(verdict, count)| (VerdictLabel::new(verdict), count))
    }
}

/// A name as a part of an anchor. Different names have different anchors, and a browser does not have to escape them.
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
    fn anchors_are_unique_and_need_no_escape() {
        let anchors = ["a/b", "a_b", "a:b", "a=b", "a b", "é"].map(anchor);
        assert!(anchors.concat().chars().all(|char| char.is_ascii_alphanumeric() || char == '_'), "{anchors:?}");
        assert_eq!(anchors.iter().collect::<std::collections::BTreeSet<_>>().len(), anchors.len());
        assert_eq!(anchor("5.10.13"), "5.10.13");
    }
}

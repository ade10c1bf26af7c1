// SPDX-License-Identifier: MIT OR Apache-2.0
//! The HTML page. It is a single file that loads nothing. Cells of tables link to transcripts and console logs by anchors, so
//! that the page can be read without scripts; the script only filters.

mod anchor;
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
use vremount_runner::results::Tally;

use self::overview::Overview;
use self::run::Run;
use crate::error::Error;
use crate::input::ReportInput;
use crate::verdict_label::VerdictLabel;

const TEMPLATE: &str = include_str!("page.html");
const STYLE: &str = concat!(include_str!("colours.css"), include_str!("page.css"));
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
pub fn html_page(input: &ReportInput) -> Result<String, Error> {
    let ReportInput { merged, bisections, benches, coverages } = input;
    let runs: Vec<_> = merged.runs.iter().map(Run::new).collect();
    let tally = Tally::from_merged(merged);
    let page = Page {
        style: STYLE,
        script: SCRIPT,
        version: env!("CARGO_PKG_VERSION"),
        tally: (!merged.is_empty()).then(|| tally.to_string()),
        labels: VerdictLabel::with_counts(tally),
        filesystems: run::all_filesystems(&merged.runs),
        overview: (runs.len() + merged.run_errors.len() > 1).then(|| Overview::new(merged, &runs)),
        not_run: merged.run_errors.iter().map(|error| (error.title(), error.cannot_tell.clone())).collect(),
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

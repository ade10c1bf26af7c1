// SPDX-License-Identifier: MIT OR Apache-2.0
//! A bisection: what was found, kernel by kernel, and how the last good one and the first bad one differ.

use serde::Serialize;
use vremount_analysis::bisect::{Bisection, Step, short};
use vremount_runner::results::{Record, Results};

use crate::page::anchor;
use crate::page::case::Case;
use crate::page::console::{Boot, Consoles};
use crate::page::run::{Fact, who};

#[derive(Serialize)]
pub struct View {
    id: String,
    title: String,
    facts: Vec<Fact>,
    found: String,
    steps: Vec<Row>,
    cases: Vec<Case>,
    boots: Vec<Boot>,
    differences: Vec<String>,
    /// Why the difference cannot be shown.
    gone: Option<String>,
}

/// A kernel that was examined.
#[derive(Serialize)]
struct Row {
    id: String,
    mark: String,
    name: String,
    title: String,
    why: String,
    kernel: String,
    seconds: String,
    /// Anchors of its cases, with their names.
    cases: Vec<(String, String)>,
}

impl View {
    #[must_use]
    pub fn of((place, bisection): (usize, &Bisection)) -> Self {
        let id = format!("bisection{place}");
        let header = &bisection.header;
        let (differences, gone) = match bisection.differences() {
            Ok(differences) => (differences, None),
            Err(error) => (Vec::new(), Some(error.to_string())),
        };
        let (mut cases, mut boots) = (Vec::new(), Vec::new());
        let row = |step: &Step| {
            let row = format!("{id}:{}", anchor(&step.point.id));
            let mut consoles = Consoles::new(&row);
            let of = |record: &Record| {
                let id = format!("{row}:{}:{}", anchor(&record.claim), record.fs.name());
                Case::of(record, id, &row, &mut consoles)
            };
            let own: Vec<_> = step.records.iter().map(of).collect();
            boots.extend(consoles.boot());
            let names = step.records.iter().map(|record| format!("{} on {}", record.claim, record.fs.name()));
            let links = own.iter().map(|case| case.id.clone()).zip(names).collect();
            cases.extend(own);
            Row {
                id: row,
                mark: step.mark.to_string(),
                name: short(&step.point.id).to_string(),
                title: step.point.title.clone(),
                why: step.why.clone(),
                kernel: step.kernel.clone(),
                seconds: format!("{:.1} s", std::time::Duration::from_millis(step.ms).as_secs_f64()),
                cases: links,
            }
        };
        let steps = bisection.steps.iter().map(row).collect();
        let good: Vec<_> = header.good.iter().map(|id| short(id)).collect();
        View {
            title: format!("{}, from {} to {}", header.of, good.join(", "), short(&header.bad)),
            facts: facts(bisection),
            found: bisection.found(),
            steps,
            cases,
            boots,
            differences,
            gone,
            id,
        }
    }
}

/// Machine and command line, as the run of any of its kernels knows them.
fn facts(bisection: &Bisection) -> Vec<Fact> {
    let record = bisection.steps.iter().find_map(|step| step.records.first());
    let run = record.and_then(|record| Results::read(record.log.parent()?).ok());
    run.map(|(results, _)| who(&results.plan.executor, &results.starts)).unwrap_or_default()
}

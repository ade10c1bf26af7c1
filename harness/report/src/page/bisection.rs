// SPDX-License-Identifier: MIT OR Apache-2.0
//! The section of a bisection: its result, each tested kernel, and the difference between the transcripts of the last good and
//! the first bad kernel.

use serde::Serialize;
use vremount_analysis::bisect::{Bisection, Step, abbreviate_id};
use vremount_runner::results::{Record, Results};

use crate::page::anchor::anchor;
use crate::page::case::Case;
use crate::page::console::{Boot, Consoles};
use crate::page::run::{Fact, invocation_facts};

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
    /// Why the differences cannot be shown.
    no_differences: Option<String>,
}

/// The row of a tested kernel.
#[derive(Serialize)]
struct Row {
    id: String,
    mark: String,
    name: String,
    title: String,
    reason: String,
    kernel: String,
    seconds: String,
    /// The anchors of its cases with their names.
    cases: Vec<(String, String)>,
}

impl View {
    /// The view of the bisection with this index. Reads the transcripts and console logs of its cases.
    #[must_use]
    pub fn new(index: usize, bisection: &Bisection) -> Self {
        let id = format!("bisection{index}");
        let header = &bisection.header;
        let (differences, no_differences) = match bisection.transcript_diffs() {
            Ok(differences) => (differences, None),
            Err(error) => (Vec::new(), Some(error.to_string())),
        };
        let (mut cases, mut boots) = (Vec::new(), Vec::new());
        let row = |step: &Step| {
            let row = format!("{id}:{}", anchor(&step.revision.id));
            let mut consoles = Consoles::new(&row);
            let case = |record: &Record| {
                let id = format!("{row}:{}:{}", anchor(&record.claim), record.fs.name());
                Case::new(record, id, &row, &mut consoles)
            };
            let own: Vec<_> = step.records.iter().map(case).collect();
            boots.extend(consoles.boot());
            let names = step.records.iter().map(|record| format!("{} on {}", record.claim, record.fs.name()));
            let links = own.iter().map(|case| case.id.clone()).zip(names).collect();
            cases.extend(own);
            Row {
                id: row,
                mark: step.mark.to_string(),
                name: abbreviate_id(&step.revision.id).to_string(),
                title: step.revision.title.clone(),
                reason: step.why.clone(),
                kernel: step.kernel.clone(),
                seconds: format!("{:.1} s", std::time::Duration::from_millis(step.duration_ms).as_secs_f64()),
                cases: links,
            }
        };
        let steps = bisection.steps.iter().map(row).collect();
        let good: Vec<_> = header.good.iter().map(|id| abbreviate_id(id)).collect();
        View {
            title: format!("{}, from {} to {}", header.subject, good.join(", "), abbreviate_id(&header.bad)),
            facts: facts(bisection),
            found: bisection.result_text(),
            steps,
            cases,
            boots,
            differences,
            no_differences,
            id,
        }
    }
}

/// Command line, executor and host, from the run of the first kernel whose results can be read.
fn facts(bisection: &Bisection) -> Vec<Fact> {
    let record = bisection.steps.iter().find_map(|step| step.records.first());
    let run = record.and_then(|record| Results::read(record.log.parent()?).ok());
    run.map(|(results, _)| invocation_facts(&results.plan.executor, &results.invocations)).unwrap_or_default()
}

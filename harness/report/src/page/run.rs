// SPDX-License-Identifier: MIT OR Apache-2.0
//! A run: what it was of, its matrix, its cases.

use std::collections::BTreeSet;

use serde::Serialize;
use vremount_claims::verdict::Verdict;
use vremount_machine::image::Fs;
use vremount_runner::results::{Invocation, PlannedCase, Record, Results, RunOptions, RunPlan, Tally};

use crate::fs_table::{counts, reasons};
use crate::page::case::Case;
use crate::page::console::{Boot, Consoles};
use crate::page::{Word, anchor, case};

/// Its name, and what there is to say.
pub type Fact = (&'static str, String);

#[derive(Serialize)]
pub struct Run {
    pub id: String,
    title: String,
    facts: Vec<Fact>,
    tally: String,
    filesystems: Vec<&'static str>,
    rows: Vec<Row>,
    reasons: Vec<Reason>,
    cases: Vec<Case>,
    boot: Option<Boot>,
}

/// A claim.
#[derive(Serialize)]
struct Row {
    id: String,
    claim: String,
    title: String,
    /// One for each filesystem; none where it was not planned.
    cells: Vec<Option<Cell>>,
}

#[derive(Serialize)]
struct Cell {
    fs: &'static str,
    word: Word,
    /// Where more is to be seen; nowhere if it never ran.
    link: Option<String>,
}

/// Why claims were skipped.
#[derive(Serialize)]
struct Reason {
    id: String,
    counts: String,
    because: String,
}

impl Run {
    #[must_use]
    pub fn of(results: &Results) -> Self {
        let RunPlan { base, level, config, executor, .. } = &results.plan;
        let config = config.as_ref().map_or_else(String::new, |config| format!("-{}", anchor(config)));
        let id = format!("{}-{executor}-level{level}{config}", anchor(base));
        let reasons: Vec<_> = reasons(results)
            .into_iter()
            .enumerate()
            .map(|(place, (because, of))| Reason {
                id: format!("{id}:skipped-{place}"),
                counts: counts(&of),
                because: because.to_string(),
            })
            .collect();
        let filesystems = filesystems([results]);
        let mut consoles = Consoles::new(&id);
        let mut cases = Vec::new();
        let rows = results.claims().filter_map(|planned| {
            let claim = planned.first()?.0.claim.clone();
            let row = row_anchor(&id, &claim);
            let own: Vec<_> = planned.iter().filter_map(|(_, record)| *record).collect();
            let title = own.iter().map(|record| case::title(&record.log)).find(|title| !title.is_empty());
            let told = own.into_iter().filter(|record| record.verdict != Verdict::Skipped);
            cases.extend(told.map(|record| Case::of(record, case_anchor(&row, record.fs), &row, &mut consoles)));
            let cell = |fs: &&str| {
                let (case, record) = planned.iter().find(|(case, _)| case.fs.name() == *fs)?;
                Some(cell(case, *record, &row, &reasons))
            };
            let cells = filesystems.iter().map(cell).collect();
            Some(Row { id: row, claim, title: title.unwrap_or_default(), cells })
        });
        let rows = rows.collect();
        Run {
            title: results.plan.title(),
            facts: facts(results),
            tally: Tally::of(results).to_string(),
            filesystems,
            rows,
            reasons,
            cases,
            boot: consoles.boot(),
            id,
        }
    }
}

/// Of a claim in a run.
pub fn row_anchor(run: &str, claim: &str) -> String {
    format!("{run}:{}", anchor(claim))
}

/// Of a case, below its row.
fn case_anchor(row: &str, fs: Fs) -> String {
    format!("{row}:{}", fs.name())
}

fn cell(case: &PlannedCase, record: Option<&Record>, row: &str, reasons: &[Reason]) -> Cell {
    let because = record.filter(|record| record.verdict == Verdict::Skipped).map(|record| record.because.as_deref());
    let link = match because {
        // What is skipped has nothing but a reason, which it shares with others.
        Some(because) => reasons.iter().find(|reason| Some(reason.because.as_str()) == because).map(|r| r.id.clone()),
        None => record.map(|_| case_anchor(row, case.fs)),
    };
    Cell { fs: case.fs.name(), word: Word::of(record.map(|record| record.verdict)), link }
}

/// Those that anything was planned on.
pub fn filesystems<'a>(runs: impl IntoIterator<Item = &'a Results>) -> Vec<&'static str> {
    let runs: Vec<_> = runs.into_iter().collect();
    let planned = |fs: &Fs| runs.iter().any(|run| run.plan.cases.iter().any(|case| case.fs == *fs));
    Fs::ALL.into_iter().filter(planned).map(Fs::name).collect()
}

/// Machine, kernel, command lines.
fn facts(results: &Results) -> Vec<Fact> {
    let RunPlan { arch, executor, build_id, module_sha256, harness_sha256, how, .. } = &results.plan;
    let mut facts = who(executor, &results.starts);
    facts.extend(options(*how).map(|options| ("options", options)));
    facts.push(("kernel", format!("{arch}, build {build_id}")));
    facts.push(("overlay.ko", module_sha256.clone()));
    facts.push(("vremount", harness_sha256.clone()));
    facts
}

/// Who proved it. What starts have in common is said once.
pub fn who(executor: &str, starts: &[Invocation]) -> Vec<Fact> {
    let commands = starts.iter().map(|start| ("command", start.command.join(" ")));
    let whys = starts.iter().map(|start| ("executor", format!("{executor}, {}", start.why)));
    let hosts = starts.iter().map(|start| ("machine", start.host.to_string()));
    let once = |facts: BTreeSet<Fact>| facts.into_iter();
    commands.chain(once(whys.collect())).chain(once(hosts.collect())).collect()
}

/// Those that are not as usual.
fn options(RunOptions { faults, twice, fresh }: RunOptions) -> Option<String> {
    let said = [(!faults, "nothing is broken on purpose"), (twice, "each twice"), (fresh, "a machine for each")];
    let said: Vec<_> = said.into_iter().filter(|(is, _)| *is).map(|(_, words)| words).collect();
    (!said.is_empty()).then(|| said.join(", "))
}

// SPDX-License-Identifier: MIT OR Apache-2.0
//! The section of a run: its options and machines, its table, its cases.

use std::collections::BTreeSet;

use serde::Serialize;
use vremount_claims::verdict::Verdict;
use vremount_machine::image::Fs;
use vremount_runner::results::{Invocation, PlannedCase, Record, Results, RunOptions, RunPlan, Tally};

use crate::fs_table::{filesystems, format_counts, skip_reasons};
use crate::page::anchor::anchor;
use crate::page::case;
use crate::page::case::Case;
use crate::page::console::{Boot, Consoles};
use crate::verdict_label::VerdictLabel;

/// A name and its value.
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

/// The row of a claim.
#[derive(Serialize)]
struct Row {
    id: String,
    claim: String,
    title: String,
    /// A cell for each filesystem; `None` if the claim was not planned there.
    cells: Vec<Option<Cell>>,
}

#[derive(Serialize)]
struct Cell {
    fs: &'static str,
    label: VerdictLabel,
    /// The anchor of the case, or of the reason why it was skipped. `None` if it did not finish.
    link: Option<String>,
}

/// A reason for skipping.
#[derive(Serialize)]
struct Reason {
    id: String,
    counts: String,
    because: String,
}

impl Run {
    /// The view of a run. Reads the transcripts and console logs of its cases.
    #[must_use]
    pub fn new(results: &Results) -> Self {
        let RunPlan { base, level, config, executor, .. } = &results.plan;
        let config = config.as_ref().map_or_else(String::new, |config| format!("-{}", anchor(config)));
        let id = format!("{}-{executor}-level{level}{config}", anchor(base));
        let reasons: Vec<_> = skip_reasons(results)
            .into_iter()
            .enumerate()
            .map(|(number, (because, claims))| Reason {
                id: format!("{id}:skipped-{number}"),
                counts: format_counts(&claims),
                because: because.to_string(),
            })
            .collect();
        let filesystems = filesystems(results);
        let mut consoles = Consoles::new(&id);
        let mut cases = Vec::new();
        let rows = results.claims().filter_map(|planned| {
            let claim = planned.first()?.0.claim.clone();
            let row = row_anchor(&id, &claim);
            let own: Vec<_> = planned.iter().filter_map(|(_, record)| *record).collect();
            let title = own.iter().map(|record| case::title(&record.log)).find(|title| !title.is_empty());
            let ran = own.into_iter().filter(|record| record.verdict != Verdict::Skipped);
            cases.extend(ran.map(|record| Case::new(record, case_anchor(&row, record.fs), &row, &mut consoles)));
            let cell = |fs: &Fs| {
                let (case, record) = planned.iter().find(|(case, _)| case.fs == *fs)?;
                Some(cell(case, *record, &row, &reasons))
            };
            let cells = filesystems.iter().map(cell).collect();
            Some(Row { id: row, claim, title: title.unwrap_or_default(), cells })
        });
        let rows = rows.collect();
        Run {
            title: results.plan.title(),
            facts: facts(results),
            tally: Tally::from_results(results).to_string(),
            filesystems: filesystems.into_iter().map(Fs::name).collect(),
            rows,
            reasons,
            cases,
            boot: consoles.boot(),
            id,
        }
    }
}

/// The anchor of a claim's row in a run.
pub fn row_anchor(run: &str, claim: &str) -> String {
    format!("{run}:{}", anchor(claim))
}

/// The anchor of a case.
fn case_anchor(row: &str, fs: Fs) -> String {
    format!("{row}:{}", fs.name())
}

fn cell(case: &PlannedCase, record: Option<&Record>, row: &str, reasons: &[Reason]) -> Cell {
    let skipped = record.filter(|record| record.verdict == Verdict::Skipped).map(|record| record.because.as_deref());
    let link = match skipped {
        // Skipped cases with the same reason share its anchor.
        Some(because) => reasons.iter().find(|reason| Some(reason.because.as_str()) == because).map(|r| r.id.clone()),
        None => record.map(|_| case_anchor(row, case.fs)),
    };
    Cell { fs: case.fs.name(), label: VerdictLabel::new(record.map(|record| record.verdict)), link }
}

/// The filesystems of all runs.
pub fn all_filesystems(runs: &[Results]) -> Vec<&'static str> {
    let is_planned = |fs: &Fs| runs.iter().any(|run| run.plan.cases.iter().any(|case| case.fs == *fs));
    Fs::ALL.into_iter().filter(is_planned).map(Fs::name).collect()
}

/// Command lines, executor, host, options, kernel and program.
fn facts(results: &Results) -> Vec<Fact> {
    let RunPlan { arch, executor, build_id, module_sha256, harness_sha256, options: how, .. } = &results.plan;
    let mut facts = invocation_facts(executor, &results.invocations);
    facts.extend(options(*how).map(|options| ("options", options)));
    facts.push(("kernel", format!("{arch}, build {build_id}")));
    facts.push(("overlay.ko", module_sha256.clone()));
    facts.push(("vremount", harness_sha256.clone()));
    facts
}

/// Command lines, executor and host of all invocations. Equal executors and hosts are listed once.
pub fn invocation_facts(executor: &str, starts: &[Invocation]) -> Vec<Fact> {
    let commands = starts.iter().map(|start| ("command", start.command.join(" ")));
    let executors = starts.iter().map(|start| ("executor", format!("{executor}, {}", start.executor_reason)));
    let hosts = starts.iter().map(|start| ("host", start.host.to_string()));
    let once = |facts: BTreeSet<Fact>| facts.into_iter();
    commands.chain(once(executors.collect())).chain(once(hosts.collect())).collect()
}

/// The options that differ from the defaults.
fn options(RunOptions { faults, twice, fresh }: RunOptions) -> Option<String> {
    let all =
        [(!faults, "without faults"), (twice, "each case runs twice"), (fresh, "each case has a machine of its own")];
    let set: Vec<_> = all.into_iter().filter(|(is_set, _)| *is_set).map(|(_, text)| text).collect();
    (!set.is_empty()).then(|| set.join(", "))
}

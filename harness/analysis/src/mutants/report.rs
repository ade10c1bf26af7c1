// SPDX-License-Identifier: MIT OR Apache-2.0
//! What became of all mutants, for people and programs.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde::Serialize;
use vremount_claims::exit::Exit;
use vremount_kernel::base::Base;

use crate::mutants::minimal_killers::cover;
use crate::mutants::{MutantResult, MutantStatus};

/// Fields are added, never changed; this counts what is.
const SCHEMA: u32 = 1;

/// For programs.
#[derive(Serialize)]
pub struct Report<'a> {
    pub schema: u32,
    pub base: &'a str,
    pub series: &'a str,
    /// What machines ran on.
    pub executor: &'a str,
    pub mutants: Vec<Entry<'a>>,
}

#[derive(Serialize)]
pub struct Entry<'a> {
    pub ruling: MutantStatus,
    #[serde(flatten)]
    pub fate: &'a MutantResult,
}

impl<'a> Report<'a> {
    #[must_use]
    pub fn new(base: &'a Base, executor: &'a str, fates: &'a [MutantResult]) -> Self {
        let mutants = fates.iter().map(|fate| Entry { ruling: fate.ruling(), fate }).collect();
        Report { schema: SCHEMA, base: &base.name, series: &base.series, executor, mutants }
    }
}

/// A mutant on one line, with what there is to say of it.
#[must_use]
pub fn line(fate: &MutantResult) -> String {
    let said = match fate.ruling() {
        MutantStatus::Killed => match (fate.killers().as_slice(), fate.killed_by.as_slice()) {
            // The kernel's own words may be a stack.
            ([one], [killer, ..]) => {
                format!("killed by {one} alone: {}", killer.because.lines().next().unwrap_or_default())
            }
            (killers, _) => format!("killed by {}: {}", killers.len(), few(killers)),
        },
        MutantStatus::Argued => format!("argued: {}", fate.argument.as_deref().unwrap_or_default()),
        MutantStatus::Survived => format!("SURVIVED {} proofs: {}", fate.hold, fate.what),
        MutantStatus::ArguedInVain => {
            format!("ARGUED IN VAIN, killed by {}; take the argument out", few(&fate.killers()))
        }
        MutantStatus::CannotTell => {
            format!("cannot tell: {}", fate.cannot_tell.as_deref().unwrap_or("nothing was proved of it").trim_end())
        }
    };
    format!("{:<34} {said}", fate.name)
}

fn few(names: &[&str]) -> String {
    const SHOWN: usize = 3;
    let more = if names.len() > SHOWN { ", ..." } else { "" };
    format!("{}{more}", names.iter().take(SHOWN).copied().collect::<Vec<_>>().join(", "))
}

/// Mutants down, and across a few killers that together kill all that is killed, named below.
#[must_use]
pub fn table(fates: &[MutantResult]) -> String {
    let columns = cover(fates);
    let mut text = String::new();
    let head: String = (0..columns.len()).map(|place| format!(" {}", letter(place))).collect();
    // Writing to a string does not fail.
    let _ = writeln!(text, "{:<34} all{head}", "");
    for fate in fates {
        let killers = fate.killers();
        let kills = |name: &String| killers.contains(&name.as_str());
        let cells: String = columns.iter().map(|name| if kills(name) { " x" } else { " ." }).collect();
        let _ = writeln!(text, "{:<34} {:>3}{cells}", fate.name, killers.len());
    }
    let _ = writeln!(text);
    for (place, name) in columns.iter().enumerate() {
        let _ = writeln!(text, "{} {name}", letter(place));
    }
    text
}

/// `A` to `Z`, then `a` and so on: more columns than a terminal has room for.
fn letter(place: usize) -> char {
    ('A'..='Z').chain('a'..='z').nth(place).unwrap_or('?')
}

/// How many came to what end.
#[must_use]
pub fn tally(fates: &[MutantResult]) -> BTreeMap<&'static str, usize> {
    let mut tally = BTreeMap::new();
    for fate in fates {
        let word = match fate.ruling() {
            MutantStatus::Killed => "killed",
            MutantStatus::Argued => "argued",
            MutantStatus::Survived | MutantStatus::ArguedInVain => "not as they should",
            MutantStatus::CannotTell => "cannot tell",
        };
        *tally.entry(word).or_default() += 1;
    }
    tally
}

/// A survivor is a claim that is missing; of others there is nothing to say as long as one cannot be told.
#[must_use]
pub fn exit(fates: &[MutantResult]) -> Exit {
    let some = |rulings: &[MutantStatus]| fates.iter().any(|fate| rulings.contains(&fate.ruling()));
    if some(&[MutantStatus::Survived, MutantStatus::ArguedInVain]) {
        Exit::Broken
    } else if fates.is_empty() || some(&[MutantStatus::CannotTell]) {
        Exit::CannotTell
    } else {
        Exit::Success
    }
}

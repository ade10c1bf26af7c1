// SPDX-License-Identifier: MIT OR Apache-2.0
//! What became of all mutants, for people and programs.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde::Serialize;

use super::cover::cover;
use super::{Fate, Ruling};
use crate::base::Base;
use crate::error::Exit;
use crate::lab::Wanted;

/// For programs.
#[derive(Serialize)]
pub struct Report<'a> {
    pub schema: u32,
    pub base: &'a str,
    pub series: &'a str,
    pub executor: &'a str,
    pub mutants: Vec<Entry<'a>>,
}

#[derive(Serialize)]
pub struct Entry<'a> {
    pub ruling: Ruling,
    #[serde(flatten)]
    pub fate: &'a Fate,
}

impl<'a> Report<'a> {
    #[must_use]
    pub fn new(base: &'a Base, wanted: Wanted, fates: &'a [Fate]) -> Self {
        let mutants = fates.iter().map(|fate| Entry { ruling: fate.ruling(), fate }).collect();
        Report { schema: 1, base: &base.name, series: &base.series, executor: wanted.name(), mutants }
    }
}

/// A mutant on one line, with what there is to say of it.
#[must_use]
pub fn line(fate: &Fate) -> String {
    let said = match fate.ruling() {
        Ruling::Killed => match fate.killed_by.as_slice() {
            [one] => format!("killed by {} alone: {}", one.name, one.because),
            killers => {
                format!("killed by {}: {}", killers.len(), names(killers.iter().map(|killer| killer.name.as_str())))
            }
        },
        Ruling::Argued => format!("argued: {}", fate.argument.as_deref().unwrap_or_default()),
        Ruling::Survived => format!("SURVIVED {} claims: {}", fate.hold, fate.what),
        Ruling::ArguedInVain => {
            let killers = names(fate.killed_by.iter().map(|killer| killer.name.as_str()));
            format!("ARGUED IN VAIN, killed by {killers}; take the argument out")
        }
        Ruling::CannotTell => {
            format!("cannot tell: {}", fate.cannot_tell.as_deref().unwrap_or("nothing was proved of it").trim_end())
        }
    };
    format!("{:<34} {said}", fate.name)
}

/// The first few, each once.
fn names<'a>(names: impl Iterator<Item = &'a str>) -> String {
    const SHOWN: usize = 3;
    let mut names: Vec<_> = names.collect();
    names.dedup();
    let more = if names.len() > SHOWN { ", ..." } else { "" };
    format!("{}{more}", names.iter().take(SHOWN).copied().collect::<Vec<_>>().join(", "))
}

/// Mutants down, and across a few killers that together kill all that is killed, named below.
#[must_use]
pub fn table(fates: &[Fate]) -> String {
    let columns = cover(fates);
    let mut text = String::new();
    let head: String = (0..columns.len()).map(|place| format!(" {}", letter(place))).collect();
    // Writing to a string does not fail.
    let _ = writeln!(text, "{:<34} all{head}", "");
    for fate in fates {
        let kills = |name: &String| fate.killed_by.iter().any(|killer| killer.name == *name);
        let cells: String = columns.iter().map(|name| if kills(name) { " x" } else { " ." }).collect();
        let _ = writeln!(text, "{:<34} {:>3}{cells}", fate.name, fate.killed_by.len());
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
pub fn tally(fates: &[Fate]) -> BTreeMap<&'static str, usize> {
    let mut tally = BTreeMap::new();
    for fate in fates {
        let word = match fate.ruling() {
            Ruling::Killed => "killed",
            Ruling::Argued => "argued",
            Ruling::Survived | Ruling::ArguedInVain => "not as they should",
            Ruling::CannotTell => "cannot tell",
        };
        *tally.entry(word).or_default() += 1;
    }
    tally
}

/// A survivor is a claim that is missing; of others there is nothing to say as long as one cannot be told.
#[must_use]
pub fn exit(fates: &[Fate]) -> Exit {
    let some = |rulings: &[Ruling]| fates.iter().any(|fate| rulings.contains(&fate.ruling()));
    if some(&[Ruling::Survived, Ruling::ArguedInVain]) {
        Exit::Broken
    } else if fates.is_empty() || some(&[Ruling::CannotTell]) {
        Exit::CannotTell
    } else {
        Exit::Holds
    }
}

// SPDX-License-Identifier: MIT OR Apache-2.0
//! Wrong versions of the series: each of them must be told from the right one by a claim or an explored sequence. One that
//! is not shows what nobody claims.

mod cover;
mod fate;
mod report;

use std::fs;
use std::path::{Path, PathBuf};

use crate::base::{Base, Level};
use crate::build::Wish;
use crate::error::Error;
use crate::explore::{self, EVERY};
use crate::image::Fs;
use crate::lab::{Order, Wanted};
use crate::project::Project;
use crate::prove::MEMORY_MIB;
use crate::results::How;
use crate::select::{self, Filters};
use crate::session::Session;
use crate::verdict::Verdict;
use crate::verify::jobs;

pub use fate::{Fate, Killer, Ruling};
pub use report::{Report, exit, line, table, tally};

/// Begins the paragraph of a mutant that says why nobody can tell it from the right series.
const ARGUMENT: &str = "Nobody can tell: ";
/// What a diff of git begins with.
const DIFF: &str = "diff --git ";
/// Random sequences have at most that many steps.
const STEPS: usize = 12;

/// A diff on top of the series.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mutant {
    pub name: String,
    /// What is wrong with it.
    pub what: String,
    /// Why it need not be told from the right one, if that is so.
    pub argument: Option<String>,
    patch: PathBuf,
    /// Whether it needs a kernel of its own, and not only a module.
    shows_in_image: bool,
}

impl Mutant {
    /// Those of a folder, by name.
    ///
    /// # Errors
    /// If one of them cannot be read or is none, or there is none.
    pub fn all(folder: &Path) -> Result<Vec<Mutant>, Error> {
        let mut mutants = Vec::new();
        for entry in fs::read_dir(folder).map_err(Error::io("read", folder))? {
            let patch = entry.map_err(Error::io("read", folder))?.path();
            if patch.extension().is_some_and(|end| end == "patch") {
                let text = fs::read_to_string(&patch).map_err(Error::io("read", &patch))?;
                mutants.push(Mutant::read(&patch, &text)?);
            }
        }
        mutants.sort_by(|one, other| one.name.cmp(&other.name));
        match mutants.is_empty() {
            true => Err(Error::Usage(format!("failed to find a mutant: there is no .patch in {}", folder.display()))),
            false => Ok(mutants),
        }
    }

    fn read(patch: &Path, text: &str) -> Result<Mutant, Error> {
        let failed = |why: &str| Error::Usage(format!("failed to understand mutant {}: {why}", patch.display()));
        let start = text.find(DIFF).ok_or_else(|| failed("it holds no diff of git"))?;
        let mut paragraphs =
            text[..start].split("\n\n").map(|lines| lines.split_whitespace().collect::<Vec<_>>().join(" "));
        let what = paragraphs.next().filter(|what| !what.is_empty());
        let what = what.ok_or_else(|| failed("it must say first, in words, what is wrong with it"))?;
        let argument = paragraphs.find_map(|words| words.strip_prefix(ARGUMENT).map(str::to_string));
        let changed = text.lines().filter_map(|line| line.strip_prefix(DIFF));
        let shows_in_image = changed.into_iter().any(|paths| !paths.starts_with("a/fs/overlayfs/"));
        let name = patch.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        Ok(Mutant { name, what, argument, patch: patch.to_path_buf(), shows_in_image })
    }
}

/// What all mutants of a base go through.
pub struct Trial<'a> {
    pub project: &'a Project,
    pub base: &'a Base,
    pub wanted: Wanted,
    /// What is proved: first on ext4, and only of what outlives that on the others.
    pub filters: &'a Filters,
    /// What outlives the claims on ext4 is explored there with so many sequences.
    pub sequences: u64,
    /// Machines side by side.
    pub jobs: Option<u16>,
}

impl Trial<'_> {
    /// Builds a mutant and looks for what kills it.
    ///
    /// # Errors
    /// If that cannot be tried, for a reason that is not the mutant's.
    pub fn of(&self, mutant: &Mutant) -> Result<Fate, Error> {
        let mut fate = Fate::of(mutant);
        let (first, others): (Vec<Fs>, Vec<Fs>) =
            self.filters.filesystems().into_iter().partition(|fs| *fs == Fs::Ext4);
        for filesystems in [first, others] {
            if filesystems.is_empty() || !fate.killed_by.is_empty() {
                continue;
            }
            match self.prove(mutant, &filesystems, &mut fate) {
                Err(error) if error.is_of_the_kernel() => {
                    fate.cannot_tell = Some(error.to_string());
                    return Ok(fate);
                }
                proved => proved?,
            }
        }
        Ok(fate)
    }

    /// Proves claims on these filesystems; what outlives that on ext4 is explored there.
    fn prove(&self, mutant: &Mutant, filesystems: &[Fs], fate: &mut Fate) -> Result<(), Error> {
        let claims = self.filters.claims(self.base)?;
        let cases = select::cases(&claims, filesystems);
        let workspace = mutant.shows_in_image.then(|| format!("mutants-{}", self.base.name));
        let kernel = Wish {
            base: self.base,
            level: Level::FULL,
            fragment: None,
            workspace: workspace.as_deref(),
            mutant: Some(&mutant.patch),
        };
        let order = Order { kernel, filesystems, wanted: self.wanted, resume: false, shard: None };
        let how = How { faults: true, twice: false, fresh: false };
        let mut session = Session::start(self.project, &order, how, &cases)?;
        let jobs = jobs(self.jobs, MEMORY_MIB);
        session.prove(jobs, |_| ())?;
        session.log.results().cases().filter_map(|(_, record)| record).for_each(|record| fate.add(record));
        if fate.killed_by.is_empty() && filesystems.contains(&Fs::Ext4) && self.sequences > 0 {
            let plan = explore::Plan::new(Fs::Ext4, self.sequences, STEPS, 1, EVERY);
            let prover = session.lab.prover();
            explore::explore(&prover, &plan, jobs, |found| {
                found
                    .iter()
                    .filter(|found| found.judgement.verdict == Verdict::Broken)
                    .for_each(|found| fate.add_sequence(found));
            });
        }
        Ok(())
    }
}

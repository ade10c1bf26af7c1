// SPDX-License-Identifier: MIT OR Apache-2.0
//! Wrong versions of the series: each of them must be told from the right one by a claim or an explored sequence. One that
//! is not shows what nobody claims.

mod minimal_killers;
mod outcome;
mod report;

use std::path::{Path, PathBuf};
use std::{fs, io};

pub use outcome::{Killer, MutantResult, MutantStatus};
pub use report::{Report, exit, line, table, tally};
use vremount_claims::filter::{self, Filters};
use vremount_claims::verdict::Verdict;
use vremount_kernel::base::{Base, Level};
use vremount_kernel::build::KernelSpec;
use vremount_kernel::series::Series;
use vremount_kernel::source::Tree;
use vremount_kernel::workspace::Workspace;
use vremount_kernel::{build, series};
use vremount_machine::ExecutorChoice;
use vremount_machine::image::Fs;
use vremount_runner::case_runner::CaseRunner;
use vremount_runner::results::RunOptions;
use vremount_runner::scheduler::jobs;
use vremount_runner::session::Session;
use vremount_runner::testbed::RunSpec;
use vremount_util::{command, io_error};

use crate::error::Error;
use crate::explore;

/// Begins the paragraph of a mutant that says why nobody can tell it from the right series.
const ARGUMENT: &str = "Nobody can tell: ";
/// What a diff of git begins with.
const DIFF: &str = "diff --git ";
/// Random sequences have at most that many steps.
const STEPS: usize = 12;
/// Those of up to so many letters are all tried: few enough of all that most are random.
const EVERY: u32 = 2;

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
        if !folder.is_dir() {
            let next = "name another with --from (patches/README.md says what is in it)";
            return Err(Error::Usage(format!("failed to find mutants: there is no {}; {next}", folder.display())));
        }
        for patch in files(folder).map_err(io_error("read", folder))? {
            let text = fs::read_to_string(&patch).map_err(io_error("read", &patch))?;
            mutants.push(Mutant::read(&patch, &text)?);
        }
        match mutants.is_empty() {
            true => Err(Error::Usage(format!("failed to find a mutant: there is no .patch in {}", folder.display()))),
            false => Ok(mutants),
        }
    }

    fn read(patch: &Path, text: &str) -> Result<Mutant, Error> {
        let failed = |why: &str| Error::Usage(format!("failed to understand mutant {}: {why}", patch.display()));
        let first = text.lines().position(|line| line.starts_with(DIFF));
        let first = first.ok_or_else(|| failed("it holds no diff of git"))?;
        let words: Vec<_> = text.lines().take(first).collect();
        let words = words.join("\n");
        let mut paragraphs = words.split("\n\n").map(|lines| lines.split_whitespace().collect::<Vec<_>>().join(" "));
        let what = paragraphs.next().filter(|what| !what.is_empty());
        let what = what.ok_or_else(|| failed("it must say first, in words, what is wrong with it"))?;
        let argument = paragraphs.find_map(|words| words.strip_prefix(ARGUMENT).map(str::to_string));
        let changed = text.lines().filter_map(|line| line.strip_prefix(DIFF));
        let shows_in_image = changed.into_iter().any(|paths| !paths.starts_with("a/fs/overlayfs/"));
        let name = patch.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        Ok(Mutant { name, what, argument, patch: patch.to_path_buf(), shows_in_image })
    }
}

/// Where the mutants of a series are, if it has any.
#[must_use]
pub fn folder(root: &Path, series: &str) -> PathBuf {
    root.join("patches").join(series).join("mutants")
}

/// The files of a folder of mutants, by name.
///
/// # Errors
/// If it cannot be read.
pub fn files(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let is_patch = |path: &PathBuf| path.extension().is_some_and(|end| end == "patch");
    Ok(command::entries(folder)?.into_iter().filter(is_patch).collect())
}

/// The files of a folder of mutants that do not apply to the series.
///
/// # Errors
/// If the folder cannot be read, or the series does not apply itself.
pub fn unfit(folder: &Path, series: &Series, pristine: &Tree) -> Result<Vec<PathBuf>, build::Error> {
    let commit = series.commit_at(pristine, Level::FULL)?;
    let tree = Tree { repository: pristine.repository.clone(), commit };
    let trial = series::ApplyCheck::of(&tree)?;
    let mut unfit = Vec::new();
    for patch in files(folder).map_err(io_error("read", folder))? {
        if !trial.applies(&patch)? {
            unfit.push(patch);
        }
    }
    Ok(unfit)
}

/// What all mutants of a base go through.
pub struct MutationRun<'a> {
    pub workspace: &'a Workspace,
    pub base: &'a Base,
    /// A further configuration fragment.
    pub fragment: Option<&'a str>,
    pub wanted: ExecutorChoice,
    /// What is proved: first on ext4, and only of what outlives that on the others.
    pub filters: &'a Filters,
    /// What outlives the claims on ext4 is explored there with so many sequences.
    pub sequences: u64,
    /// Machines side by side.
    pub jobs: Option<u16>,
}

impl MutationRun<'_> {
    /// Proves all of it with the series as it is, and gives what machines ran on: who kills that one is no judge of others.
    ///
    /// # Errors
    /// If something kills it, or cannot be told of it.
    pub fn control(&self) -> Result<String, Error> {
        let mut control = MutantResult::default();
        let mut executor = String::new();
        for stage in self.stages() {
            executor = self.prove(None, &stage, &mut control)?;
        }
        let why = |killer: &Killer| format!("{} on {}: {}", killer.name, killer.fs.name(), killer.because);
        match control.killed_by.first().map(why).or(control.cannot_tell) {
            Some(why) => Err(Error::NoControl { series: self.base.series.clone(), why }),
            None => Ok(executor),
        }
    }

    /// Builds a mutant and looks for what kills it.
    ///
    /// # Errors
    /// If that cannot be tried, for a reason that is not the mutant's.
    pub fn of(&self, mutant: &Mutant) -> Result<MutantResult, Error> {
        let mut fate = MutantResult::of(mutant);
        for stage in self.stages() {
            if fate.killed_by.is_empty() {
                match self.prove(Some(mutant), &stage, &mut fate) {
                    Err(error) if error.is_of_the_kernel() => {
                        fate.cannot_tell = Some(error.to_string());
                        return Ok(fate);
                    }
                    proved => proved.map(drop)?,
                }
            }
        }
        Ok(fate)
    }

    fn stages(&self) -> Vec<Stage> {
        let (ext4, others): (Vec<Fs>, Vec<Fs>) = self.filters.filesystems().into_iter().partition(|fs| *fs == Fs::Ext4);
        let stages = [Stage { name: "ext4", filesystems: ext4 }, Stage { name: "others", filesystems: others }];
        stages.into_iter().filter(|stage| !stage.filesystems.is_empty()).collect()
    }

    /// Proves claims; what outlives them on ext4 is explored.
    fn prove(&self, mutant: Option<&Mutant>, stage: &Stage, fate: &mut MutantResult) -> Result<String, Error> {
        let claims = self.filters.claims(self.base)?;
        let cases = filter::cases(&claims, &stage.filesystems);
        let shows_in_image = mutant.is_some_and(|mutant| mutant.shows_in_image);
        let shared_build = shows_in_image.then(|| format!("mutants-{}", self.base.name));
        let kernel = KernelSpec {
            base: self.base,
            level: Level::FULL,
            fragment: self.fragment,
            shared_build: shared_build.as_deref(),
            mutant: mutant.map(|mutant| mutant.patch.as_path()),
        };
        let place = format!("mutants/{}/{}", mutant.map_or("none", |mutant| &mutant.name), stage.name);
        let run_spec = RunSpec { aside: Some(&place), ..RunSpec::new(kernel, &stage.filesystems, self.wanted) };
        let how = RunOptions { faults: true, twice: false, fresh: false };
        let mut session = Session::start(self.workspace, &run_spec, how, &cases)?;
        let jobs = jobs(self.jobs, session.testbed.kernel.memory_mib());
        session.run(jobs, |_| ())?;
        let case_runner = CaseRunner::new(&session.testbed);
        for case in &cases {
            let Some(record) = session.log.results().of(case.claim.name, case.fs) else { continue };
            // One killer must be sure: what the host did to a machine kills no mutant.
            let is_first = record.verdict == Verdict::Broken && fate.killed_by.is_empty();
            match is_first && case_runner.run_isolated(case).judgement.verdict != Verdict::Broken {
                true => fate.add_doubted(record),
                false => fate.add(record),
            }
        }
        if fate.killed_by.is_empty() && stage.filesystems.contains(&Fs::Ext4) && self.sequences > 0 {
            let plan = plan(self.sequences);
            explore::explore(&case_runner, &plan, jobs, |found| {
                found.iter().for_each(|found| fate.add_sequence(found));
            });
        }
        Ok(session.testbed.title())
    }
}

/// What a mutant is explored with.
fn plan(sequences: u64) -> explore::ExplorePlan {
    explore::ExplorePlan::new(Fs::Ext4, sequences, STEPS, 1, EVERY)
}

/// Filesystems that are proved together.
struct Stage {
    name: &'static str,
    filesystems: Vec<Fs>,
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What takes two disks, a failure or a reboot is in none of the short ones.
    #[test]
    fn most_sequences_are_random() {
        let plan = plan(1000);
        assert!(plan.every() > 100 && plan.every() < plan.sequences / 2, "{}", plan.every());
    }
}

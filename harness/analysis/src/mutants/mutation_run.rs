// SPDX-License-Identifier: MIT OR Apache-2.0
//! Builds a mutant, runs the claims on it, and explores it.

use vremount_claims::filter::{self, Filters};
use vremount_claims::verdict::Verdict;
use vremount_kernel::base::{Base, Level};
use vremount_kernel::build::KernelSpec;
use vremount_kernel::workspace::Workspace;
use vremount_machine::ExecutorChoice;
use vremount_machine::image::Fs;
use vremount_runner::case_runner::CaseRunner;
use vremount_runner::results::RunOptions;
use vremount_runner::scheduler::job_count;
use vremount_runner::session::Session;
use vremount_runner::testbed::RunSpec;

use crate::error::Error;
use crate::explore;
use crate::mutants::mutant::Mutant;
use crate::mutants::outcome::{Killer, MutantResult};

/// Maximum number of action groups of a random sequence.
const STEPS: usize = 12;
/// Length up to which all sequences are tried. They are few, so that most sequences of a run are
/// random.
const EVERY: u32 = 2;
/// Seed of the random sequences.
const SEED: u64 = 1;

/// How the mutants of a base are tested.
pub struct MutationRun<'a> {
    /// The checkout and the cache.
    pub workspace: &'a Workspace,
    /// The base. Its series is mutated.
    pub base: &'a Base,
    /// Name of a further configuration fragment; none for the default configuration.
    pub fragment: Option<&'a str>,
    /// What runs the machines.
    pub executor: ExecutorChoice,
    /// Selects the cases. Cases on ext4 are run first, others only if no case on ext4 detects the
    /// mutant.
    pub filters: &'a Filters,
    /// Number of sequences to explore on ext4 if no claim on ext4 detects the mutant.
    pub sequences: u64,
    /// Number of machines that run at the same time, as far as memory allows; none for one per
    /// processor.
    pub jobs: Option<u16>,
}

/// Filesystems that are tested together.
struct Stage {
    name: &'static str,
    filesystems: Vec<Fs>,
}

impl MutationRun<'_> {
    /// Tests the unchanged series and returns the title of the executor.
    ///
    /// # Errors
    /// [`Error::UnmodifiedSeries`] if a claim or a sequence is broken or undecided: it could not
    /// detect mutants.
    pub fn check_unmodified_series(&self) -> Result<String, Error> {
        let mut result = MutantResult::default();
        let mut executor = String::new();
        for stage in self.stages() {
            executor = self.run_stage(None, &stage, &mut result)?;
        }
        let why = |killer: &Killer| format!("{} on {}: {}", killer.name, killer.fs.name(), killer.because);
        match result.killed_by.first().map(why).or(result.cannot_tell) {
            Some(why) => Err(Error::UnmodifiedSeries { series: self.base.series.clone(), why }),
            None => Ok(executor),
        }
    }

    /// Builds a mutant and tests it. A mutant that does not build or boot is undecided.
    ///
    /// # Errors
    /// If the test failed for a reason other than the mutant.
    pub fn test(&self, mutant: &Mutant) -> Result<MutantResult, Error> {
        let mut result = MutantResult::new(mutant);
        for stage in self.stages() {
            if result.killed_by.is_empty() {
                match self.run_stage(Some(mutant), &stage, &mut result) {
                    Err(error) if error.is_kernel_failure() => {
                        result.cannot_tell = Some(error.to_string());
                        return Ok(result);
                    }
                    executor => executor.map(drop)?,
                }
            }
        }
        Ok(result)
    }

    fn stages(&self) -> Vec<Stage> {
        let (ext4, others): (Vec<Fs>, Vec<Fs>) =
            self.filters.select_filesystems().into_iter().partition(|fs| *fs == Fs::Ext4);
        let stages = [Stage { name: "ext4", filesystems: ext4 }, Stage { name: "others", filesystems: others }];
        stages.into_iter().filter(|stage| !stage.filesystems.is_empty()).collect()
    }

    /// Runs the cases on the filesystems of a stage, and explores a mutant that they do not detect
    /// on ext4. Returns the title of the executor.
    fn run_stage(&self, mutant: Option<&Mutant>, stage: &Stage, result: &mut MutantResult) -> Result<String, Error> {
        let claims = self.filters.select_claims(self.base)?;
        let cases = filter::cases(&claims, &stage.filesystems);
        let changes_image = mutant.is_some_and(|mutant| mutant.changes_image);
        let shared_build = changes_image.then(|| format!("mutants-{}", self.base.name));
        let kernel = KernelSpec {
            base: self.base,
            level: Level::FULL,
            fragment: self.fragment,
            shared_build: shared_build.as_deref(),
            mutant: mutant.map(|mutant| mutant.patch.as_path()),
        };
        let run_dir = format!("mutants/{}/{}", mutant.map_or("none", |mutant| &mutant.name), stage.name);
        let run_spec =
            RunSpec { subdirectory: Some(&run_dir), ..RunSpec::new(kernel, &stage.filesystems, self.executor) };
        let options = RunOptions { faults: true, twice: false, fresh: false };
        let mut session = Session::start(self.workspace, &run_spec, options, &cases)?;
        let jobs = job_count(self.jobs, session.testbed.kernel.memory_mib());
        session.run(jobs, |_| ())?;
        let runner = CaseRunner::new(&session.testbed);
        for case in &cases {
            let Some(record) = session.log.results().find_record(case.claim.name, case.fs) else { continue };
            // The first killer is run again alone: a fault of the host must not count as a
            // detection.
            let is_first = record.verdict == Verdict::Broken && result.killed_by.is_empty();
            if is_first && runner.run_isolated(case).verdict_detail.verdict != Verdict::Broken {
                result.add_unrepeated(record);
            } else {
                result.add(record);
            }
        }
        if result.killed_by.is_empty() && stage.filesystems.contains(&Fs::Ext4) && self.sequences > 0 {
            explore::run_plan(&runner, &explore_plan(self.sequences), jobs, |sequences| {
                sequences.iter().for_each(|sequence| result.add_sequence(sequence));
            });
        }
        Ok(session.testbed.title())
    }
}

fn explore_plan(sequences: u64) -> explore::ExplorePlan {
    explore::ExplorePlan::new(Fs::Ext4, sequences, STEPS, SEED, EVERY)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// No short sequence contains two disks, a failure or a reboot.
    #[test]
    fn most_sequences_are_random() {
        let plan = explore_plan(1000);
        assert!(
            plan.exhaustive_count() > 100 && plan.exhaustive_count() < plan.sequences / 2,
            "{}",
            plan.exhaustive_count()
        );
    }
}

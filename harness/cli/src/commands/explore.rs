// SPDX-License-Identifier: MIT OR Apache-2.0
//! `vremount explore`

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Instant;

use clap::Args;
use vremount_analysis::explore::{self, DEFAULT_EXHAUSTIVE_LENGTH, Difference, ExplorePlan, Report, Tally};
use vremount_claims::Action;
use vremount_claims::exit::Exit;
use vremount_claims::verdict::Verdict;
use vremount_machine::image::Fs;
use vremount_runner::case_runner::CaseRunner;
use vremount_runner::scheduler::job_count;
use vremount_runner::testbed::{RunSpec, TestBed};
use vremount_runner::transcript;
use vremount_util::atomic_file::AtomicFile;
use vremount_util::{io_error, progress};

use crate::args::{ExecutorArg, FsArg, JobsArg, JsonArg, KernelArgs, heading};
use crate::commands::{CANNOT_TELL, WRONG_COMMAND_LINE, exit_codes};
use crate::display;
use crate::error::{Error, to_json};
use crate::run_setup::RunSetup;

/// Compare the kernel with the model, over generated sequences of operations
///
/// Runs all short sequences over a small set of operations first, then random ones over a large
/// set: uppers and overlays at the same time, faults, tampered checkpoints, unmounts, reloads and
/// reboots. The model predicts the outcome of each operation (docs/model.md). A sequence on which
/// kernel and model differ is shortened, printed, and kept as a transcript that --replay takes.
/// After eight differences the command stops.
#[derive(Args)]
#[command(after_long_help = exit_codes(&[
    (0, "kernel and model agree on every sequence"),
    (1, "they differ"),
    (2, WRONG_COMMAND_LINE),
    (125, CANNOT_TELL),
]))]
pub struct Options {
    #[command(flatten)]
    kernel: KernelArgs,
    #[command(flatten)]
    fs: FsArg,
    /// Number of sequences
    #[arg(long, value_name = "N", default_value_t = 10_000, value_parser = clap::value_parser!(u64).range(1..),
        help_heading = heading::SELECTION)]
    sequences: u64,
    /// Maximum length of a random sequence, in operations
    #[arg(long, value_name = "K", default_value_t = 12, value_parser = clap::value_parser!(u16).range(1..=100),
        help_heading = heading::SELECTION)]
    steps: u16,
    /// Seed of the random sequences; the same seed gives the same sequences
    #[arg(long, value_name = "S", default_value_t = 1, help_heading = heading::SELECTION)]
    seed: u64,
    /// Maximum length of the sequences that are all tried, in operations
    #[arg(long, value_name = "K", default_value_t = DEFAULT_EXHAUSTIVE_LENGTH, value_parser = clap::value_parser!(u32).range(0..=4),
        help_heading = heading::SELECTION)]
    every: u32,
    /// Run only the sequence with this number
    #[arg(long, value_name = "N", conflicts_with_all = ["replay", "json"], help_heading = heading::SELECTION)]
    case: Option<u64>,
    /// Repeat the operations of a transcript, of an exploration or of a claim
    #[arg(long, value_name = "FILE", conflicts_with_all = ["sequences", "steps", "seed", "every", "fs", "json"],
        help_heading = heading::SELECTION)]
    replay: Option<PathBuf>,
    #[command(flatten)]
    executor: ExecutorArg<false>,
    #[command(flatten)]
    jobs: JobsArg,
    #[command(flatten)]
    json: JsonArg,
}

/// One sequence that is run alone.
struct SingleSequence<'a> {
    /// File name of its transcript.
    name: String,
    number: u64,
    actions: &'a [Action],
}

pub fn run(options: &Options) -> Result<Exit, Error> {
    // Read first: the run may remove the directory that contains the file.
    let replayed = options.replay.as_deref().map(read_transcript).transpose()?;
    let json = options.json.json.as_deref().map(AtomicFile::new).transpose()?;
    let setup = RunSetup::open(options.kernel.spec().as_ref())?;
    let fs = replayed.as_ref().map_or(options.fs.fs, |(fs, _)| *fs);
    let filesystems = [fs];
    // `resume` keeps the results of the last `verify` in the same run directory.
    let run_spec = RunSpec {
        resume: true,
        ..RunSpec::new(options.kernel.kernel(&setup.base), &filesystems, options.executor.executor)
    };
    let mut testbed = setup.testbed(&run_spec)?;
    testbed.run_dir.push("explore");
    fs::create_dir_all(&testbed.run_dir).map_err(io_error("create", &testbed.run_dir))?;
    println!(
        "Linux {}, series {} at level {}\nexecutor {}: {}",
        testbed.kernel.base,
        testbed.kernel.series,
        testbed.kernel.level,
        testbed.title(),
        testbed.executor_reason
    );
    let kernel_options = format!("{} --executor {}", options.kernel.to_command_line(), testbed.executor.name());
    if let (Some((fs, actions)), Some(path)) = (&replayed, &options.replay) {
        let stem = path.file_stem().unwrap_or_default().to_string_lossy();
        // A replay of a replay gets the same name.
        let name = format!("again-{}", stem.trim_start_matches("again-"));
        let plan = ExplorePlan::for_replay(*fs).with_kernel_options(kernel_options);
        return run_one(&testbed, &plan, &SingleSequence { name, number: 0, actions });
    }
    let plan = ExplorePlan::new(fs, options.sequences, usize::from(options.steps), options.seed, options.every);
    let plan = plan.with_kernel_options(kernel_options);
    if let Some(number) = options.case {
        let (name, actions) = (format!("again-explore-{number}"), &plan.actions(number));
        return run_one(&testbed, &plan, &SingleSequence { name, number, actions });
    }
    run_all(&testbed, &plan, job_count(options.jobs.jobs, testbed.kernel.memory_mib()), json)
}

fn run_all(testbed: &TestBed, plan: &ExplorePlan, jobs: usize, json: Option<AtomicFile>) -> Result<Exit, Error> {
    fs::remove_dir_all(&testbed.run_dir)
        .and_then(|()| fs::create_dir_all(&testbed.run_dir))
        .map_err(io_error("clean", &testbed.run_dir))?;
    println!(
        "{} sequences on {}: {} short ones, then random ones of up to {} operations, seed {}\n",
        plan.sequences,
        plan.fs.name(),
        plan.exhaustive_count(),
        plan.max_steps,
        plan.seed
    );
    let started = Instant::now();
    let mut tally = Tally::default();
    let bar = progress::start_with_total("exploring", usize::try_from(plan.sequences).unwrap_or(usize::MAX));
    explore::run_plan(&CaseRunner::new(testbed), plan, jobs, |results| {
        for result in &results {
            tally.add(result);
            if result.verdict_detail.verdict != Verdict::Holds {
                display::print_line(&Difference::new(result).to_string());
            }
            bar.advance();
        }
        bar.rename(format!("{} differ", tally.differ));
    });
    drop(bar);
    let time = started.elapsed();
    let not_run = match plan.sequences - tally.agree - tally.differ - tally.cannot_tell {
        0 => String::new(),
        count => format!(", {count} not run because enough differ"),
    };
    println!("{tally}{not_run}, in {:.0} s", time.as_secs_f64());
    if let Some(json) = json {
        json.write(&to_json("the results of the exploration", &Report::new(testbed, plan, time, &tally))?)?;
    }
    Ok(tally.exit())
}

/// Runs one sequence and prints each of its steps.
fn run_one(testbed: &TestBed, plan: &ExplorePlan, sequence: &SingleSequence<'_>) -> Result<Exit, Error> {
    let SingleSequence { name, number, actions } = sequence;
    let fs = plan.fs;
    let steps = explore::predict_steps(fs, actions).map_err(|cause| {
        let step = (1..=actions.len()).find(|count| explore::predict_steps(fs, &actions[..*count]).is_err());
        Error::Usage(format!(
            "failed to predict step {}: {cause}; docs/model.md says what the model covers",
            step.unwrap_or_default()
        ))
    })?;
    let result = explore::run_sequence(&CaseRunner::new(testbed), plan, name, *number, steps);
    let mut tally = Tally::default();
    tally.add(&result);
    match result.verdict_detail.verdict {
        Verdict::Holds => {
            println!("\nsequence {number} agrees:");
            result.steps.iter().for_each(|step| println!("    {step}"));
        }
        _ => println!("\n{}", Difference::new(&result)),
    }
    Ok(tally.exit())
}

/// Filesystem and actions of a transcript.
fn read_transcript(path: &Path) -> Result<(Fs, Vec<Action>), Error> {
    let text = fs::read_to_string(path).map_err(io_error("read", path))?;
    transcript::read_actions(&text).map_err(|cause| {
        let path = path.display();
        Error::Usage(format!("failed to replay {path}: {cause}; name a transcript, target/runs/RUN/CLAIM-FS.jsonl"))
    })
}

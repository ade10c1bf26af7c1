// SPDX-License-Identifier: MIT OR Apache-2.0
//! `vremount explore`

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Instant;

use clap::Args;
use vremount_analysis::explore::{self, Difference, EVERY, ExplorePlan, Report, SequenceResult, Tally};
use vremount_claims::Action;
use vremount_claims::exit::Exit;
use vremount_claims::verdict::Verdict;
use vremount_kernel::workspace::Workspace;
use vremount_machine::ExecutorChoice;
use vremount_machine::image::Fs;
use vremount_runner::case_runner::CaseRunner;
use vremount_runner::scheduler::jobs;
use vremount_runner::testbed::{RunSpec, TestBed};
use vremount_runner::transcript;
use vremount_util::atomic_file::AtomicFile;
use vremount_util::{io_error, progress};

use crate::commands::KernelArgs;
use crate::error::Error;
use crate::{args, display};

#[derive(Args)]
pub struct Options {
    #[command(flatten)]
    which: KernelArgs,
    /// How many sequences
    #[arg(long, value_name = "N", default_value_t = 10_000, value_parser = clap::value_parser!(u64).range(1..))]
    sequences: u64,
    /// Most steps of a random sequence
    #[arg(long, value_name = "K", default_value_t = 12, value_parser = clap::value_parser!(u16).range(1..=100))]
    steps: u16,
    /// What random sequences are drawn from: the same seed, the same sequences
    #[arg(long, value_name = "S", default_value_t = 1)]
    seed: u64,
    /// Longest sequences that are all tried
    #[arg(long, value_name = "K", default_value_t = EVERY, value_parser = clap::value_parser!(u32).range(0..=4))]
    every: u32,
    /// Upper filesystem
    #[arg(long, value_name = "NAME", default_value = Fs::Ext4.name())]
    fs: Fs,
    /// What machines run on
    #[arg(long, value_parser = args::executor(), default_value = "auto")]
    executor: ExecutorChoice,
    /// Machines side by side, as far as memory allows [default: cores]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    jobs: Option<u16>,
    /// Write all of it to this file
    #[arg(long, value_name = "FILE", conflicts_with_all = ["case", "replay"])]
    json: Option<PathBuf>,
    /// Work off the sequence with this number alone
    #[arg(long, value_name = "N", conflicts_with = "replay")]
    case: Option<u64>,
    /// Do again what a transcript says was done: of an exploration, or of a claim
    #[arg(long, value_name = "FILE", conflicts_with_all = ["sequences", "steps", "seed", "every", "fs"])]
    replay: Option<PathBuf>,
}

pub fn run(options: &Options) -> Result<Exit, Error> {
    // The folder it is in may be cleaned.
    let replayed = options.replay.as_deref().map(read).transpose()?;
    let json = options.json.as_deref().map(AtomicFile::new).transpose()?;
    let workspace = Workspace::find()?;
    let _cache = workspace.lock_cache_shared()?;
    let base = options.which.base(&workspace)?;
    let filesystems = [replayed.as_ref().map_or(options.fs, |(fs, _)| *fs)];
    // The claims that were proved last stay.
    let run_spec =
        RunSpec { resume: true, ..RunSpec::new(options.which.kernel(&base), &filesystems, options.executor) };
    let mut testbed = TestBed::new(&workspace, &run_spec)?;
    testbed.logs.push("explore");
    fs::create_dir_all(&testbed.logs).map_err(io_error("create", &testbed.logs))?;
    println!(
        "Linux {}, series {} at level {}\nexecutor {}: {}",
        testbed.kernel.base,
        testbed.kernel.series,
        testbed.kernel.level,
        testbed.title(),
        testbed.why
    );
    let on = format!("{} --executor {}", options.which, testbed.executor.name());
    if let (Some((fs, acts)), Some(path)) = (replayed, &options.replay) {
        let stem = path.file_stem().unwrap_or_default().to_string_lossy();
        // Of one that was done again already it is the same.
        let name = format!("again-{}", stem.trim_start_matches("again-"));
        return one(&testbed, &ExplorePlan::to_replay(fs).on(on), &name, 0, &acts);
    }
    let plan =
        ExplorePlan::new(options.fs, options.sequences, usize::from(options.steps), options.seed, options.every).on(on);
    if let Some(number) = options.case {
        return one(&testbed, &plan, &format!("again-explore-{number}"), number, &plan.acts(number));
    }
    all(&testbed, &plan, options, json)
}

fn all(testbed: &TestBed, plan: &ExplorePlan, options: &Options, json: Option<AtomicFile>) -> Result<Exit, Error> {
    fs::remove_dir_all(&testbed.logs)
        .and_then(|()| fs::create_dir_all(&testbed.logs))
        .map_err(io_error("clean", &testbed.logs))?;
    println!(
        "{} sequences on {}: {} short ones, then random ones of up to {} steps, seed {}\n",
        plan.sequences,
        plan.fs.name(),
        plan.every(),
        plan.steps,
        plan.seed
    );
    let started = Instant::now();
    let mut tally = Tally::default();
    let bar = progress::count("exploring", usize::try_from(plan.sequences).unwrap_or(usize::MAX));
    explore::explore(&CaseRunner::new(testbed), plan, jobs(options.jobs, testbed.kernel.memory_mib()), |found| {
        for found in &found {
            tally.add(found);
            if found.judgement.verdict != Verdict::Holds {
                display::line(&Difference::of(found).to_string());
            }
            bar.advance();
        }
        bar.rename(format!("{} differ", tally.differ));
    });
    drop(bar);
    let time = started.elapsed();
    let left = match plan.sequences - tally.agree - tally.differ - tally.cannot_tell {
        0 => String::new(),
        left => format!(", {left} not tried: that is enough"),
    };
    println!("{tally}{left}, in {:.0} s", time.as_secs_f64());
    if let Some(json) = json {
        let report = Report::new(testbed, plan, time, &tally);
        // Strings and numbers in structures always have a JSON form.
        json.write(&serde_json::to_string_pretty(&report).unwrap_or_default())?;
    }
    Ok(tally.exit())
}

/// One sequence, told step by step.
fn one(testbed: &TestBed, plan: &ExplorePlan, name: &str, number: u64, acts: &[Action]) -> Result<Exit, Error> {
    let fs = plan.fs;
    let steps = explore::foretell(fs, acts).map_err(|beyond| {
        let until = (1..=acts.len()).find(|until| explore::foretell(fs, &acts[..*until]).is_err());
        Error::Usage(format!("failed to foretell step {}: {beyond}", until.unwrap_or_default()))
    })?;
    let found: SequenceResult = explore::rerun(&CaseRunner::new(testbed), plan, name, number, steps);
    let mut tally = Tally::default();
    tally.add(&found);
    match found.judgement.verdict {
        Verdict::Holds => {
            println!("\nsequence {number} agrees:");
            found.steps.iter().for_each(|step| println!("    {step}"));
        }
        _ => println!("\n{}", Difference::of(&found)),
    }
    Ok(tally.exit())
}

fn read(path: &Path) -> Result<(Fs, Vec<Action>), Error> {
    let text = fs::read_to_string(path).map_err(io_error("read", path))?;
    Ok(transcript::acts(&text)
        .map_err(|why| vremount_runner::Error::Results { path: path.to_path_buf(), why: why.to_string() })?)
}

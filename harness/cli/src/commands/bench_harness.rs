// SPDX-License-Identifier: MIT OR Apache-2.0
//! `vremount bench-harness`

use std::fmt;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use clap::Args;
use serde::Serialize;
use vremount_claims as claims;
use vremount_claims::Case;
use vremount_claims::exit::Exit;
use vremount_claims::verdict::Verdict;
use vremount_kernel::base::Base;
use vremount_kernel::build::Arch;
use vremount_kernel::workspace::Workspace;
use vremount_machine::ExecutorChoice;
use vremount_machine::image::Fs;
use vremount_runner::case_runner::{CaseResult, CaseRunner};
use vremount_runner::scheduler::{jobs, run_cases};
use vremount_runner::testbed::{RunSpec, TestBed};
use vremount_util::atomic_file::AtomicFile;
use vremount_util::progress;
use vremount_util::stats::Summary;

use crate::args;
use crate::commands::KernelArgs;
use crate::commands::bench_build::Stages;
use crate::error::Error;

/// The claim that is timed: it formats nothing, breaks a disk, and is refused.
const CLAIM: &str = "error-while-mounted";
/// How many verdicts are timed as a whole.
const VERDICTS: usize = 300;

/// How fast claims are proved, on every executor, side by side in one run.
#[derive(Args)]
pub struct Options {
    #[command(flatten)]
    which: KernelArgs,
    /// How often each executor proves the claim
    #[arg(long, value_name = "N", default_value_t = 11, value_parser = clap::value_parser!(u16).range(1..))]
    rounds: u16,
    /// Time this one alone [default: both, side by side]
    #[arg(long, value_parser = args::executor())]
    executor: Option<ExecutorChoice>,
    /// Build the kernel for this too, in a cache of its own, and again by make alone: time per stage, cold and warm
    #[arg(long, value_name = "ARCH", value_parser = args::arch())]
    build: Option<Arch>,
    /// Write every figure to this file
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

#[derive(Serialize)]
struct Bench {
    schema: u32,
    base: String,
    claim: &'static str,
    rounds: u16,
    executors: Vec<Figures>,
    #[serde(skip_serializing_if = "Option::is_none")]
    build: Option<Stages>,
}

#[derive(Serialize)]
struct Figures {
    executor: String,
    /// Milliseconds, as all times here.
    exec_to_ready: Summary,
    exec_to_verdict: Summary,
    /// What the harness itself needs for a claim.
    overhead: Summary,
    peak_memory_kib: u64,
    /// How long a number of verdicts take, with as many machines side by side as there are cores; the first executor only.
    #[serde(skip_serializing_if = "Option::is_none")]
    many: Option<Many>,
}

#[derive(Serialize)]
struct Many {
    verdicts: usize,
    jobs: usize,
    seconds: f64,
}

pub fn run(options: &Options) -> Result<Exit, Error> {
    let workspace = Workspace::find()?;
    let _cache = workspace.lock_cache_shared()?;
    let base = options.which.base(&workspace)?;
    let filesystems = &[Fs::Ext4];
    let kernel = options.which.kernel(&base);
    // First: the machines boot what that builds.
    let build = options.build.map(|arch| Stages::time(&workspace, &kernel, arch)).transpose()?;
    let run_spec = |wanted| RunSpec::new(kernel, filesystems, wanted);
    let wanted = options.executor.map_or(vec![ExecutorChoice::Uml, ExecutorChoice::Qemu], |wanted| vec![wanted]);
    let labs: Vec<_> =
        wanted.into_iter().map(|wanted| TestBed::new(&workspace, &run_spec(wanted))).collect::<Result<_, _>>()?;
    let claim = claims::all().into_iter().find(|claim| claim.name == CLAIM);
    let claim = claim.ok_or_else(|| Error::Usage(format!("failed to find claim {CLAIM:?}")))?;
    let mut case_results: Vec<Vec<CaseResult>> = labs.iter().map(|_| Vec::new()).collect();
    let bar = progress::count("timing", usize::from(options.rounds));
    for _ in 0..options.rounds {
        for (testbed, case_results) in labs.iter().zip(&mut case_results) {
            case_results.push(CaseRunner::new(&testbed).run_case(&Case { claim: &claim, fs: Fs::Ext4 }));
        }
        bar.advance();
    }
    drop(bar);
    if case_results.iter().flatten().any(|case_result| case_result.judgement.verdict != Verdict::Holds) {
        eprintln!("failed to time {CLAIM}: it does not hold; `vremount verify` says why");
        return Ok(Exit::CannotTell);
    }
    let figures = |(testbed, case_results): (&TestBed, &Vec<CaseResult>)| {
        Figures::new(testbed, case_results)
            .ok_or_else(|| Error::Usage("failed to time nothing: give --rounds".to_string()))
    };
    let executors = labs.iter().zip(&case_results).map(figures).collect::<Result<_, _>>()?;
    let mut bench =
        Bench { schema: 1, base: base.name.clone(), claim: CLAIM, rounds: options.rounds, executors, build };
    if let (Some(fast), Some(testbed)) = (bench.executors.first_mut(), labs.first()) {
        fast.many = Some(many(testbed, &base));
    }
    print!("{bench}");
    if let Some(path) = &options.json {
        // Numbers and strings in structures always have a JSON form.
        let text = serde_json::to_string_pretty(&bench).unwrap_or_default() + "\n";
        AtomicFile::new(path)?.write(&text)?;
    }
    let met = bench.build.as_ref().is_none_or(Stages::are_as_they_should);
    Ok(if met { Exit::Success } else { Exit::Broken })
}

/// All claims, again and again.
fn many(testbed: &TestBed, base: &Base) -> Many {
    let jobs = jobs(None, testbed.kernel.memory_mib());
    let bar = progress::count("timing many", VERDICTS);
    let started = Instant::now();
    let mut verdicts = 0;
    let claims = claims::for_base(base);
    let provable = claims.iter().filter(|claim| claim.skip_reason_on(Fs::Ext4).is_none());
    let cases: Vec<_> = provable.map(|claim| Case { claim, fs: Fs::Ext4 }).collect();
    while verdicts < VERDICTS {
        let cases = &cases[..cases.len().min(VERDICTS - verdicts)];
        verdicts += run_cases(&CaseRunner::new(testbed), cases, jobs, |_| (), |_| bar.advance()).len();
    }
    Many { verdicts, jobs, seconds: started.elapsed().as_secs_f64() }
}

impl Figures {
    fn new(testbed: &TestBed, case_results: &[CaseResult]) -> Option<Self> {
        let machines = |case_result: &CaseResult| {
            let times = case_result.machines.iter();
            times.map(|times| times.ready.unwrap_or_default() + times.steps + times.stop).sum::<Duration>()
        };
        Some(Figures {
            executor: testbed.title(),
            exec_to_ready: spread(case_results.iter().filter_map(|case_result| case_result.machines.first()?.ready))?,
            exec_to_verdict: spread(case_results.iter().map(|case_result| case_result.time))?,
            overhead: spread(
                case_results.iter().map(|case_result| case_result.time.saturating_sub(machines(case_result))),
            )?,
            peak_memory_kib: case_results
                .iter()
                .filter_map(|case_result| case_result.peak_kib)
                .max()
                .unwrap_or_default(),
            many: None,
        })
    }
}

/// In milliseconds.
fn spread(times: impl Iterator<Item = Duration>) -> Option<Summary> {
    Summary::of(times.map(|time| time.as_secs_f64() * 1000.0))
}

impl fmt::Display for Bench {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "Linux {}, {}, {} rounds: median (min to max)", self.base, self.claim, self.rounds)?;
        for figures in &self.executors {
            writeln!(f, "\n{}", figures.executor)?;
            writeln!(f, "  exec to guest ready    {}", figures.exec_to_ready)?;
            writeln!(f, "  exec to verdict        {}", figures.exec_to_verdict)?;
            writeln!(f, "  harness's own part     {}", figures.overhead)?;
            writeln!(f, "  peak memory            {} MiB", figures.peak_memory_kib / 1024)?;
            if let Some(Many { verdicts, jobs, seconds }) = &figures.many {
                writeln!(f, "  {verdicts} verdicts           {seconds:.1} s, {jobs} machines side by side")?;
            }
        }
        if let [fast, slow] = self.executors.as_slice() {
            let ratio = slow.exec_to_verdict.median / fast.exec_to_verdict.median;
            writeln!(f, "\n{} takes {ratio:.1} times as long to a verdict as {}", slow.executor, fast.executor)?;
        }
        self.build.as_ref().map_or(Ok(()), |build| write!(f, "\n{build}"))
    }
}

// SPDX-License-Identifier: MIT OR Apache-2.0
//! `vremount bench-harness`

use std::fmt;
use std::time::{Duration, Instant};

use clap::Args;
use serde::Serialize;
use vremount_claims as claims;
use vremount_claims::Case;
use vremount_claims::exit::Exit;
use vremount_claims::verdict::Verdict;
use vremount_kernel::base::Base;
use vremount_kernel::build::Arch;
use vremount_machine::ExecutorChoice;
use vremount_machine::image::Fs;
use vremount_runner::case_runner::{CaseResult, CaseRunner};
use vremount_runner::scheduler::{job_count, run_cases};
use vremount_runner::testbed::{RunSpec, TestBed};
use vremount_util::atomic_file::AtomicFile;
use vremount_util::progress;
use vremount_util::stats::Summary;

use crate::args::{self, JsonArg, KernelArgs, heading};
use crate::commands::bench_build::BuildTimes;
use crate::commands::{CANNOT_TELL, WRONG_COMMAND_LINE, exit_codes};
use crate::error::{Error, to_json};
use crate::run_setup::RunSetup;

/// The claim that is timed. It creates no filesystem, injects a fault, and ends with a refusal.
const CLAIM: &str = "error-while-mounted";
/// Number of verdicts that are timed together.
const VERDICTS: usize = 300;

/// Measure the speed of the harness itself, on every executor
///
/// Times one claim, from starting the machine until the guest is ready and until the verdict, with
/// the executors in turn. Then times 300 verdicts with as many machines as processors.
#[derive(Args)]
#[command(after_long_help = exit_codes(&[
    (0, "measured"),
    (1, "with --build, the harness adds more than 5 % to make"),
    (2, WRONG_COMMAND_LINE),
    (125, CANNOT_TELL),
]))]
pub struct Options {
    #[command(flatten)]
    kernel: KernelArgs,
    /// Also build the kernel for ARCH in a separate cache, cold and warm, and by make alone, and
    /// time each stage
    #[arg(long, value_name = "ARCH", value_parser = args::arch(), help_heading = heading::KERNEL)]
    build: Option<Arch>,
    /// Executor that runs the machines [default: uml and qemu, in turn]
    #[arg(long, value_parser = args::executor(), help_heading = heading::EXECUTION)]
    executor: Option<ExecutorChoice>,
    /// Number of measurements on each executor
    #[arg(long, value_name = "N", default_value_t = 11, value_parser = clap::value_parser!(u16).range(1..),
        help_heading = heading::EXECUTION)]
    rounds: u16,
    #[command(flatten)]
    json: JsonArg,
}

/// All results; the JSON report.
#[derive(Serialize)]
struct HarnessTimes {
    schema: u32,
    base: String,
    claim: &'static str,
    rounds: u16,
    executors: Vec<ExecutorTimes>,
    #[serde(skip_serializing_if = "Option::is_none")]
    build: Option<BuildTimes>,
}

/// Results on one executor, in milliseconds.
#[derive(Serialize)]
struct ExecutorTimes {
    executor: String,
    exec_to_ready: Summary,
    exec_to_verdict: Summary,
    /// Time until the verdict minus the time in which machines ran.
    overhead: Summary,
    peak_memory_kib: u64,
    /// Only on the first executor.
    #[serde(skip_serializing_if = "Option::is_none")]
    many: Option<Throughput>,
}

/// Time of many verdicts, with as many machines at the same time as there are processors.
#[derive(Serialize)]
struct Throughput {
    verdicts: usize,
    jobs: usize,
    seconds: f64,
}

pub fn run(options: &Options) -> Result<Exit, Error> {
    let setup = RunSetup::open(options.kernel.spec().as_ref())?;
    let kernel = options.kernel.kernel(&setup.base);
    // Built first, because the machines boot this kernel.
    let build = options.build.map(|arch| BuildTimes::measure(&setup.workspace, &kernel, arch)).transpose()?;
    let executors = options.executor.map_or(vec![ExecutorChoice::Uml, ExecutorChoice::Qemu], |executor| vec![executor]);
    let testbed = |executor| setup.testbed(&RunSpec::new(kernel, &[Fs::Ext4], executor));
    let testbeds: Vec<_> = executors.into_iter().map(testbed).collect::<Result<_, _>>()?;
    let Some(results) = time_claim(&testbeds, options.rounds)? else {
        eprintln!("error: failed to time {CLAIM}: it does not hold; `vremount verify --claim {CLAIM}` shows why");
        return Ok(Exit::CannotTell);
    };
    let executor_times = |(testbed, results): (&TestBed, &Vec<CaseResult>)| {
        ExecutorTimes::new(testbed, results)
            .ok_or_else(|| Error::Usage(format!("failed to time {CLAIM}: no machine ran; name another --executor")))
    };
    let executors = testbeds.iter().zip(&results).map(executor_times).collect::<Result<_, _>>()?;
    let mut times = HarnessTimes {
        schema: 1,
        base: setup.base.name.clone(),
        claim: CLAIM,
        rounds: options.rounds,
        executors,
        build,
    };
    if let (Some(first), Some(testbed)) = (times.executors.first_mut(), testbeds.first()) {
        first.many = Some(Throughput::measure(testbed, &setup.base));
    }
    print!("{times}");
    if let Some(path) = &options.json.json {
        AtomicFile::new(path)?.write(&(to_json("the times of the harness", &times)? + "\n"))?;
    }
    let is_met = times.build.as_ref().is_none_or(BuildTimes::is_within_limit);
    Ok(if is_met { Exit::Success } else { Exit::Broken })
}

/// Runs the claim `rounds` times on each testbed, in turn. Returns none if it did not always hold.
fn time_claim(testbeds: &[TestBed], rounds: u16) -> Result<Option<Vec<Vec<CaseResult>>>, Error> {
    let claim = claims::all().into_iter().find(|claim| claim.name == CLAIM);
    let claim = claim.ok_or_else(|| Error::Usage(format!("failed to find claim {CLAIM:?}; please report this bug")))?;
    let mut results: Vec<Vec<CaseResult>> = testbeds.iter().map(|_| Vec::new()).collect();
    let bar = progress::start_with_total("timing one claim", usize::from(rounds));
    for _ in 0..rounds {
        for (testbed, results) in testbeds.iter().zip(&mut results) {
            results.push(CaseRunner::new(testbed).run_case(&Case { claim: &claim, fs: Fs::Ext4 }));
        }
        bar.advance();
    }
    let all_hold = results.iter().flatten().all(|result| result.verdict_detail.verdict == Verdict::Holds);
    Ok(all_hold.then_some(results))
}

impl Throughput {
    /// Runs all claims on ext4 until there are enough verdicts.
    fn measure(testbed: &TestBed, base: &Base) -> Self {
        let jobs = job_count(None, testbed.kernel.memory_mib());
        let bar = progress::start_with_total("timing many claims", VERDICTS);
        let claims = claims::for_base(base);
        let applicable = claims.iter().filter(|claim| claim.skip_reason_on(Fs::Ext4).is_none());
        let cases: Vec<_> = applicable.map(|claim| Case { claim, fs: Fs::Ext4 }).collect();
        let started = Instant::now();
        let mut verdicts = 0;
        while verdicts < VERDICTS {
            let cases = &cases[..cases.len().min(VERDICTS - verdicts)];
            verdicts += run_cases(&CaseRunner::new(testbed), cases, jobs, |_| (), |_| bar.advance()).len();
        }
        Throughput { verdicts, jobs, seconds: started.elapsed().as_secs_f64() }
    }
}

impl ExecutorTimes {
    /// Returns none if there are no results.
    fn new(testbed: &TestBed, results: &[CaseResult]) -> Option<Self> {
        let in_machines = |result: &CaseResult| -> Duration {
            result.machine_timings.iter().map(|times| times.ready.unwrap_or_default() + times.steps + times.stop).sum()
        };
        Some(ExecutorTimes {
            executor: testbed.title(),
            exec_to_ready: summarize(results.iter().filter_map(|result| result.machine_timings.first()?.ready))?,
            exec_to_verdict: summarize(results.iter().map(|result| result.duration))?,
            overhead: summarize(results.iter().map(|result| result.duration.saturating_sub(in_machines(result))))?,
            peak_memory_kib: results.iter().filter_map(|result| result.peak_kib).max().unwrap_or_default(),
            many: None,
        })
    }
}

/// In milliseconds; none if there are no times.
fn summarize(times: impl Iterator<Item = Duration>) -> Option<Summary> {
    Summary::from_values(times.map(|time| time.as_secs_f64() * 1000.0))
}

impl fmt::Display for HarnessTimes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "Linux {}, {}, {} rounds: median (min to max)", self.base, self.claim, self.rounds)?;
        for times in &self.executors {
            writeln!(f, "\n{}", times.executor)?;
            writeln!(f, "  exec to guest ready    {}", times.exec_to_ready)?;
            writeln!(f, "  exec to verdict        {}", times.exec_to_verdict)?;
            writeln!(f, "  harness's own part     {}", times.overhead)?;
            writeln!(f, "  peak memory            {} MiB", times.peak_memory_kib / 1024)?;
            if let Some(Throughput { verdicts, jobs, seconds }) = &times.many {
                writeln!(f, "  {verdicts} verdicts           {seconds:.1} s, {jobs} machines at the same time")?;
            }
        }
        if let [first, second] = self.executors.as_slice() {
            let ratio = second.exec_to_verdict.median / first.exec_to_verdict.median;
            writeln!(f, "\n{} takes {ratio:.1} times as long to a verdict as {}", second.executor, first.executor)?;
        }
        self.build.as_ref().map_or(Ok(()), |build| write!(f, "\n{build}"))
    }
}

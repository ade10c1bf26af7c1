// SPDX-License-Identifier: MIT OR Apache-2.0
//! One claim from its steps to its verdict: programs for the guest, machines to run them, a judgement of what came back.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use vremount_claims::verdict::{VerdictDetail, judge};
use vremount_claims::{Case, Claim, HostStep, Step};
use vremount_kernel::build::Kernel;
use vremount_machine::image::{DiskSetup, Fs, MODULE_PATH};
use vremount_machine::{Executor, MachineConfig, MachineOutput, Timings, image};
use vremount_protocol::{Disk, GuestTask, Op, Program, Shutdown, StepReport};

use crate::boot_segment::BootSegment;
use crate::transcript::Title;
use crate::validate::{check, crashed_in_setup, kernel_failure, reports};
use crate::{determinism, gcov_data, transcript};

/// Everything that the claims of a run share.
pub struct CaseRunner<'a> {
    pub kernel: &'a Kernel,
    pub executor: &'a dyn Executor,
    /// Of every filesystem that is asked for.
    pub disk_setups: &'a BTreeMap<Fs, DiskSetup>,
    /// Off: nothing is ever broken, and claims about faults must end undecided.
    pub faults: bool,
    /// Where console logs and transcripts go.
    pub logs: &'a Path,
    /// Prove each claim again, and compare.
    pub twice: bool,
    /// Never use a machine for more than one claim, however long it takes to boot.
    pub fresh: bool,
}

/// What became of a case.
pub struct CaseResult {
    pub claim: &'static str,
    pub fs: Fs,
    pub judgement: VerdictDetail,
    /// The kernel crashed in a step that only prepares what is claimed.
    pub early_crash: bool,
    /// Wall time, machines included.
    pub time: Duration,
    /// Of each machine.
    pub machines: Vec<Timings>,
    /// Most memory that a machine had, KiB.
    pub peak_kib: Option<u64>,
    /// The transcript.
    pub log: PathBuf,
}

impl CaseRunner<'_> {
    /// Proves a claim on machines of its own, once or twice.
    #[must_use]
    pub fn run_case(&self, case: &Case<'_>) -> CaseResult {
        let skipped_for = || case.claim.skip_reason_for_arch(self.executor.arch());
        if let Some(why) = case.claim.skip_reason_on(case.fs).or_else(skipped_for) {
            return self.case_result(case, &[], &[], VerdictDetail::skipped(why), Duration::ZERO, Vec::new());
        }
        let first = self.run_isolated(case);
        if !self.twice {
            return first;
        }
        let again = determinism::keep(self.logs, &first).map(|kept| (kept, self.run_isolated(case)));
        match again.and_then(|(kept, again)| Ok((determinism::difference(&kept, self.logs)?, again))) {
            Ok((None, again)) => CaseResult { time: first.time + again.time, ..again },
            Ok((Some(difference), again)) => {
                let judgement = VerdictDetail::cannot_tell(format!("run again it was not the same: {difference}"));
                // Undecided it is either way; the transcript only says so too.
                let _ = transcript::revise(&again.log, &judgement);
                CaseResult { judgement, time: first.time + again.time, ..again }
            }
            Err(cause) => CaseResult { judgement: VerdictDetail::cannot_tell(cause.to_string()), ..first },
        }
    }

    /// Proves a claim on machines of its own.
    pub fn run_isolated(&self, case: &Case<'_>) -> CaseResult {
        self.run_case_steps(case, &self.steps(case.claim))
    }

    /// The same by other steps than are its own.
    pub(crate) fn run_case_steps(&self, case: &Case<'_>, steps: &[Step]) -> CaseResult {
        let started = Instant::now();
        let (judgement, runs) = self.run_steps(&case.name(), case.fs, steps);
        let parts: Vec<Vec<StepReport>> = runs.iter().flat_map(MachineOutput::per_kernel_events).map(reports).collect();
        let parts: Vec<&[StepReport]> = parts.iter().map(Vec::as_slice).collect();
        let machines = runs.iter().map(|run| run.times).collect();
        let early_crash = crashed_in_setup(steps, &runs);
        let case_result = self.case_result(case, steps, &parts, judgement, started.elapsed(), machines);
        CaseResult { early_crash, peak_kib: runs.iter().filter_map(|run| run.peak_kib).max(), ..case_result }
    }

    /// Works off steps on machines of their own, which leave their files under this name.
    pub fn run_steps(&self, name: &str, fs: Fs, steps: &[Step]) -> (VerdictDetail, Vec<MachineOutput>) {
        let mut runs = Vec::new();
        let judgement = match self.run(name, fs, steps, &mut runs) {
            Ok(reports) => judge(steps, &reports),
            Err(why) => VerdictDetail::cannot_tell(why),
        };
        (kernel_failure(&runs).map_or(judgement, VerdictDetail::kernel_complained), runs)
    }

    /// The steps of a claim in this run.
    pub(crate) fn steps(&self, claim: &Claim) -> Vec<Step> {
        claim.steps.iter().filter(|step| self.faults || !step.is_fault()).cloned().collect()
    }

    /// A proof with its transcript; `parts` holds the reports of each machine.
    pub(crate) fn case_result(
        &self,
        case: &Case<'_>,
        steps: &[Step],
        parts: &[&[StepReport]],
        judgement: VerdictDetail,
        time: Duration,
        machines: Vec<Timings>,
    ) -> CaseResult {
        let log = self.file(&case.name(), "jsonl");
        let judgement =
            match transcript::write(&log, self.kernel, Title::of(case.claim, case.fs), steps, parts, &judgement) {
                Ok(()) => judgement,
                Err(cause) => VerdictDetail::cannot_tell(format!("failed to write {}: {cause}", log.display())),
            };
        let (claim, fs) = (case.claim.name, case.fs);
        CaseResult { claim, fs, judgement, early_crash: false, time, machines, peak_kib: None, log }
    }

    /// Runs the parts one after the other; the error is why nothing can be told.
    fn run(
        &self,
        name: &str,
        fs: Fs,
        steps: &[Step],
        runs: &mut Vec<MachineOutput>,
    ) -> Result<Vec<StepReport>, String> {
        let parts = split(steps);
        let upper = self.disk_setup(fs)?.upper.as_ref().filter(|_| parts.len() > 1);
        let disk = upper.map(|_| self.file(name, "disk"));
        if let (Some(upper), Some(disk)) = (upper, &disk) {
            image::unpack(upper, disk).map_err(|error| error.to_string())?;
        }
        let mut all = Vec::new();
        let machines = parts.split_inclusive(|part| part.ends_in != Some(HostStep::Kexec));
        for (number, parts) in machines.enumerate() {
            let run = self.run_machine(name, fs, number, parts, disk.as_deref())?;
            let outcome = check(self.kernel, parts, &run);
            all.extend(reports(&run.events));
            runs.push(run);
            outcome?;
        }
        if let Some(disk) = &disk {
            // Only of use to look into a failure, and then the transcript says more.
            let _ = std::fs::remove_file(disk);
        }
        Ok(all)
    }

    /// Runs one machine, which has a kernel for each of the parts.
    pub(crate) fn run_machine(
        &self,
        name: &str,
        fs: Fs,
        number: usize,
        parts: &[BootSegment],
        disk: Option<&Path>,
    ) -> Result<MachineOutput, String> {
        let initramfs = self.file(name, &format!("{number}.initramfs"));
        self.write_initramfs(fs, parts, disk, &initramfs)?;
        let ops: Vec<&Op> = parts.iter().flat_map(|part| &part.ops).collect();
        let silent = ops.iter().map(|op| op.max_silence()).sum();
        let boot = MachineConfig {
            image: &self.kernel.image,
            initramfs: &initramfs,
            disk,
            memory_mib: self.kernel.memory_mib(),
            processors: if ops.iter().any(|op| op.is_race()) { 2 } else { 1 },
            console_log: &self.file(name, &format!("{number}.console")),
            limits: self.executor.limits().scale(self.kernel.slowdown()).and_silent(silent),
            kernels: parts.len(),
            power_cut: ends_in(parts) == Some(HostStep::PowerCut),
        };
        let mut run = self.executor.run(&boot);
        run.times.devices = spent(&run, &ops, |op| matches!(op, Op::Attach { .. }));
        run.times.filesystem = spent(&run, &ops, |op| matches!(op, Op::MountUpper { .. }));
        let _ = std::fs::remove_file(&initramfs);
        let kept = gcov_data::keep(&run.arcs, &self.file(name, &number.to_string()));
        kept.map_err(|cause| format!("failed to keep what the kernel counted: {cause}"))?;
        Ok(run)
    }

    /// The initramfs of the first part, with those of the others in it, each in the one before.
    fn write_initramfs(&self, fs: Fs, parts: &[BootSegment], disk: Option<&Path>, to: &Path) -> Result<(), String> {
        let disk_setup = self.disk_setup(fs)?;
        let mut next = None;
        for part in parts.iter().rev() {
            let first = disk.map_or_else(|| disk_setup.backing(), |disk| self.executor.backing(disk));
            let program = Program {
                work: GuestTask::Steps(part.ops.clone()),
                module: MODULE_PATH.to_string(),
                disks: BTreeMap::from([(Disk::A, first), (Disk::B, disk_setup.backing())]),
                fs: fs.filesystem(),
                channel: self.executor.channel_device().to_string(),
                shutdown: match part.ends_in {
                    Some(HostStep::PowerCut) => Shutdown::Spin,
                    Some(HostStep::Kexec) => Shutdown::Kexec,
                    Some(HostStep::Reboot) | None => self.executor.shutdown(),
                },
            };
            // What is read of the file to be put into another is read before that is written.
            let written = match next.replace(to) {
                None => disk_setup.initramfs.write(&program, to),
                Some(next) => disk_setup.initramfs.write_with_next(&program, &self.kernel.image, next, to),
            };
            written.map_err(|error| error.to_string())?;
        }
        Ok(())
    }

    fn disk_setup(&self, fs: Fs) -> Result<&DiskSetup, String> {
        self.disk_setups.get(&fs).ok_or_else(|| format!("{} was not prepared", fs.name()))
    }

    fn file(&self, name: &str, ending: &str) -> PathBuf {
        self.logs.join(format!("{name}.{ending}"))
    }
}

/// What happens to the machine in the end.
pub(crate) fn ends_in(parts: &[BootSegment]) -> Option<HostStep> {
    parts.last().and_then(|part| part.ends_in)
}

/// Time that steps of a kind took.
fn spent(run: &MachineOutput, ops: &[&Op], counts: impl Fn(&Op) -> bool) -> Duration {
    ops.iter().zip(&run.step_times).filter(|(op, _)| counts(op)).map(|(_, time)| *time).sum()
}

fn split(steps: &[Step]) -> Vec<BootSegment> {
    let mut parts = vec![BootSegment { ops: Vec::new(), ends_in: None }];
    for step in steps {
        if let Some(part) = parts.last_mut() {
            match step {
                Step::Precondition(op, _) | Step::Assertion(op, _) => part.ops.push(op.clone()),
                Step::Host(host) => {
                    part.ends_in = Some(*host);
                    parts.push(BootSegment { ops: Vec::new(), ends_in: None });
                }
            }
        }
    }
    parts
}

// SPDX-License-Identifier: MIT OR Apache-2.0
//! One claim from its steps to its verdict: programs for the guest, machines to run them, a judgement of what came back.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use vremount_claims::verdict::{Judgement, judge};
use vremount_claims::{Case, Claim, HostStep, Step};
use vremount_kernel::build::Kernel;
use vremount_machine::image::{Fs, MODULE_PATH, Medium};
use vremount_machine::{Boot, Executor, Run, Times, image};
use vremount_protocol::{Disk, Op, Program, Shutdown, StepReport, Work};

use crate::boot_segment::Part;
use crate::transcript::Title;
use crate::validate::{check, complaint, crashed_early, reports};
use crate::{determinism, gcov_data, transcript};

/// Everything that the claims of a run share.
pub struct Prover<'a> {
    pub kernel: &'a Kernel,
    pub executor: &'a dyn Executor,
    /// Of every filesystem that is asked for.
    pub media: &'a BTreeMap<Fs, Medium>,
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
pub struct Proof {
    pub claim: &'static str,
    pub fs: Fs,
    pub judgement: Judgement,
    /// The kernel crashed in a step that only prepares what is claimed.
    pub early_crash: bool,
    /// Wall time, machines included.
    pub time: Duration,
    /// Of each machine.
    pub machines: Vec<Times>,
    /// Most memory that a machine had, KiB.
    pub peak_kib: Option<u64>,
    /// The transcript.
    pub log: PathBuf,
}

impl Prover<'_> {
    /// Proves a claim on machines of its own, once or twice.
    #[must_use]
    pub fn prove(&self, case: &Case<'_>) -> Proof {
        let skipped_for = || case.claim.skipped_for(self.executor.arch());
        if let Some(why) = case.claim.skipped_on(case.fs).or_else(skipped_for) {
            return self.proof(case, &[], &[], Judgement::skipped(why), Duration::ZERO, Vec::new());
        }
        let first = self.prove_alone(case);
        if !self.twice {
            return first;
        }
        let again = determinism::keep(self.logs, &first).map(|kept| (kept, self.prove_alone(case)));
        match again.and_then(|(kept, again)| Ok((determinism::difference(&kept, self.logs)?, again))) {
            Ok((None, again)) => Proof { time: first.time + again.time, ..again },
            Ok((Some(difference), again)) => {
                let judgement = Judgement::cannot_tell(format!("run again it was not the same: {difference}"));
                // Undecided it is either way; the transcript only says so too.
                let _ = transcript::revise(&again.log, &judgement);
                Proof { judgement, time: first.time + again.time, ..again }
            }
            Err(cause) => Proof { judgement: Judgement::cannot_tell(cause.to_string()), ..first },
        }
    }

    /// Proves a claim on machines of its own.
    pub fn prove_alone(&self, case: &Case<'_>) -> Proof {
        self.prove_steps(case, &self.steps(case.claim))
    }

    /// The same by other steps than are its own.
    pub(crate) fn prove_steps(&self, case: &Case<'_>, steps: &[Step]) -> Proof {
        let started = Instant::now();
        let (judgement, runs) = self.work_off(&case.name(), case.fs, steps);
        let parts: Vec<Vec<StepReport>> = runs.iter().flat_map(Run::lives).map(reports).collect();
        let parts: Vec<&[StepReport]> = parts.iter().map(Vec::as_slice).collect();
        let machines = runs.iter().map(|run| run.times).collect();
        let early_crash = crashed_early(steps, &runs);
        let proof = self.proof(case, steps, &parts, judgement, started.elapsed(), machines);
        Proof { early_crash, peak_kib: runs.iter().filter_map(|run| run.peak_kib).max(), ..proof }
    }

    /// Works off steps on machines of their own, which leave their files under this name.
    pub fn work_off(&self, name: &str, fs: Fs, steps: &[Step]) -> (Judgement, Vec<Run>) {
        let mut runs = Vec::new();
        let judgement = match self.run(name, fs, steps, &mut runs) {
            Ok(reports) => judge(steps, &reports),
            Err(why) => Judgement::cannot_tell(why),
        };
        (complaint(&runs).map_or(judgement, Judgement::complained), runs)
    }

    /// The steps of a claim in this run.
    pub(crate) fn steps(&self, claim: &Claim) -> Vec<Step> {
        claim.steps.iter().filter(|step| self.faults || !step.is_fault()).cloned().collect()
    }

    /// A proof with its transcript; `parts` holds the reports of each machine.
    pub(crate) fn proof(
        &self,
        case: &Case<'_>,
        steps: &[Step],
        parts: &[&[StepReport]],
        judgement: Judgement,
        time: Duration,
        machines: Vec<Times>,
    ) -> Proof {
        let log = self.file(&case.name(), "jsonl");
        let judgement =
            match transcript::write(&log, self.kernel, Title::of(case.claim, case.fs), steps, parts, &judgement) {
                Ok(()) => judgement,
                Err(cause) => Judgement::cannot_tell(format!("failed to write {}: {cause}", log.display())),
            };
        let (claim, fs) = (case.claim.name, case.fs);
        Proof { claim, fs, judgement, early_crash: false, time, machines, peak_kib: None, log }
    }

    /// Runs the parts one after the other; the error is why nothing can be told.
    fn run(&self, name: &str, fs: Fs, steps: &[Step], runs: &mut Vec<Run>) -> Result<Vec<StepReport>, String> {
        let parts = split(steps);
        let upper = self.medium(fs)?.upper.as_ref().filter(|_| parts.len() > 1);
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
        parts: &[Part],
        disk: Option<&Path>,
    ) -> Result<Run, String> {
        let initramfs = self.file(name, &format!("{number}.initramfs"));
        self.write_initramfs(fs, parts, disk, &initramfs)?;
        let ops: Vec<&Op> = parts.iter().flat_map(|part| &part.ops).collect();
        let silent = ops.iter().map(|op| op.may_be_silent()).sum();
        let boot = Boot {
            image: &self.kernel.image,
            initramfs: &initramfs,
            disk,
            memory_mib: self.kernel.memory_mib(),
            processors: if ops.iter().any(|op| op.is_race()) { 2 } else { 1 },
            console_log: &self.file(name, &format!("{number}.console")),
            limits: self.executor.limits().times(self.kernel.slower()).and_silent(silent),
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
    fn write_initramfs(&self, fs: Fs, parts: &[Part], disk: Option<&Path>, to: &Path) -> Result<(), String> {
        let medium = self.medium(fs)?;
        let mut next = None;
        for part in parts.iter().rev() {
            let first = disk.map_or_else(|| medium.backing(), |disk| self.executor.backing(disk));
            let program = Program {
                work: Work::Steps(part.ops.clone()),
                module: MODULE_PATH.to_string(),
                disks: BTreeMap::from([(Disk::A, first), (Disk::B, medium.backing())]),
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
                None => medium.initramfs.write(&program, to),
                Some(next) => medium.initramfs.write_with_next(&program, &self.kernel.image, next, to),
            };
            written.map_err(|error| error.to_string())?;
        }
        Ok(())
    }

    fn medium(&self, fs: Fs) -> Result<&Medium, String> {
        self.media.get(&fs).ok_or_else(|| format!("{} was not prepared", fs.name()))
    }

    fn file(&self, name: &str, ending: &str) -> PathBuf {
        self.logs.join(format!("{name}.{ending}"))
    }
}

/// What happens to the machine in the end.
pub(crate) fn ends_in(parts: &[Part]) -> Option<HostStep> {
    parts.last().and_then(|part| part.ends_in)
}

/// Time that steps of a kind took.
fn spent(run: &Run, ops: &[&Op], counts: impl Fn(&Op) -> bool) -> Duration {
    ops.iter().zip(&run.step_times).filter(|(op, _)| counts(op)).map(|(_, time)| *time).sum()
}

fn split(steps: &[Step]) -> Vec<Part> {
    let mut parts = vec![Part { ops: Vec::new(), ends_in: None }];
    for step in steps {
        if let Some(part) = parts.last_mut() {
            match step {
                Step::Given(op, _) | Step::Then(op, _) => part.ops.push(op.clone()),
                Step::Host(host) => {
                    part.ends_in = Some(*host);
                    parts.push(Part { ops: Vec::new(), ends_in: None });
                }
            }
        }
    }
    parts
}

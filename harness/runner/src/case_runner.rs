// SPDX-License-Identifier: MIT OR Apache-2.0
//! Runs one case: writes the programs for its machines, runs them, and judges the reports.

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
use crate::testbed::TestBed;
use crate::transcript::Title;
use crate::validate::{check, crashed_in_setup, kernel_failure, step_reports};
use crate::{determinism, gcov_data, transcript};

/// Runs cases on one kernel with one executor.
pub struct CaseRunner<'a> {
    /// The kernel under test.
    pub kernel: &'a Kernel,
    /// The executor of its machines.
    pub executor: &'a dyn Executor,
    /// Disk image and initramfs of each filesystem that cases may name.
    pub disk_setups: &'a BTreeMap<Fs, DiskSetup>,
    /// Whether faults are injected. If not, a claim that needs a fault must be *cannot tell*: this
    /// tests its evidence.
    pub faults: bool,
    /// Directory for transcripts, console logs and coverage data.
    pub log_dir: &'a Path,
    /// Whether each case runs twice and must leave identical files.
    pub twice: bool,
    /// Whether each case gets its own machine, however long a boot takes.
    pub fresh: bool,
}

/// Result of running one case (one claim on one filesystem).
pub struct CaseResult {
    /// Name of the claim.
    pub claim: &'static str,
    /// The upper filesystem.
    pub fs: Fs,
    /// The verdict and what decided it.
    pub verdict_detail: VerdictDetail,
    /// Whether the kernel crashed before the first assertion of the claim.
    pub early_crash: bool,
    /// Wall-clock time, with boots; both runs if the case ran twice.
    pub duration: Duration,
    /// Durations of the phases of each machine.
    pub machine_timings: Vec<Timings>,
    /// Peak memory of its largest machine, KiB; none if unknown.
    pub peak_kib: Option<u64>,
    /// File with the transcript.
    pub transcript: PathBuf,
}

impl<'a> CaseRunner<'a> {
    /// A runner for the kernel and the executor of `testbed`: each case runs once, with faults, and
    /// shares a machine with others if booting is slow.
    #[must_use]
    pub fn new(testbed: &'a TestBed) -> Self {
        let TestBed { kernel, executor, disk_setups, run_dir: logs, .. } = testbed;
        let executor = executor.as_ref();
        CaseRunner { kernel, executor, disk_setups, log_dir: logs, faults: true, twice: false, fresh: false }
    }

    /// Runs a case on its own machines, twice if [`twice`](Self::twice) is set. A case that is not
    /// applicable is skipped.
    #[must_use]
    pub fn run_case(&self, case: &Case<'_>) -> CaseResult {
        let skip_reason_for_arch = || case.claim.skip_reason_for_arch(self.executor.arch());
        if let Some(reason) = case.claim.skip_reason_on(case.fs).or_else(skip_reason_for_arch) {
            return self.case_result(case, &[], &[], VerdictDetail::skipped(reason), Duration::ZERO, Vec::new());
        }
        let first = self.run_isolated(case);
        if !self.twice {
            return first;
        }
        let moved = match determinism::move_files(self.log_dir, &first.transcript) {
            Ok(moved) => moved,
            Err(cause) => {
                let reason = format!("failed to move the files of the first run: {cause}");
                return CaseResult { verdict_detail: VerdictDetail::cannot_tell(reason), ..first };
            }
        };
        let second = self.run_isolated(case);
        let time = first.duration + second.duration;
        let reason = match determinism::first_difference(&moved, self.log_dir) {
            Ok(None) => return CaseResult { duration: time, ..second },
            Ok(Some(difference)) => format!("the second run differs from the first: {difference}"),
            Err(cause) => format!("failed to compare the second run with the first: {cause}"),
        };
        let verdict_detail = VerdictDetail::cannot_tell(reason);
        // If the transcript cannot be changed, it shows the verdict of the second run; the record
        // has this one.
        let _ = transcript::replace_verdict(&second.transcript, &verdict_detail);
        CaseResult { verdict_detail, duration: time, ..second }
    }

    /// Runs a case once, on its own machines.
    pub fn run_isolated(&self, case: &Case<'_>) -> CaseResult {
        self.run_case_steps(case, &self.steps(case.claim))
    }

    /// Runs a case once, on its own machines, with `steps` instead of those of its claim.
    pub(crate) fn run_case_steps(&self, case: &Case<'_>, steps: &[Step]) -> CaseResult {
        let started = Instant::now();
        let (verdict_detail, outputs) = self.run_steps(&case.name(), case.fs, steps);
        let boots: Vec<Vec<StepReport>> =
            outputs.iter().flat_map(MachineOutput::per_kernel_events).map(step_reports).collect();
        let boots: Vec<&[StepReport]> = boots.iter().map(Vec::as_slice).collect();
        let machines = outputs.iter().map(|output| output.timings).collect();
        let early_crash = crashed_in_setup(steps, &outputs);
        let case_result = self.case_result(case, steps, &boots, verdict_detail, started.elapsed(), machines);
        CaseResult { early_crash, peak_kib: outputs.iter().filter_map(|output| output.peak_kib).max(), ..case_result }
    }

    /// Runs steps on their own machines and judges them. The names of all files start with `name`.
    pub fn run_steps(&self, name: &str, fs: Fs, steps: &[Step]) -> (VerdictDetail, Vec<MachineOutput>) {
        let mut outputs = Vec::new();
        let verdict_detail = match self.run_machines(name, fs, steps, &mut outputs) {
            Ok(reports) => judge(steps, &reports),
            Err(reason) => VerdictDetail::cannot_tell(reason),
        };
        (kernel_failure(&outputs).map_or(verdict_detail, VerdictDetail::kernel_failure), outputs)
    }

    /// The steps of a claim, without faults if [`faults`](Self::faults) is not set.
    pub(crate) fn steps(&self, claim: &Claim) -> Vec<Step> {
        claim.steps.iter().filter(|step| self.faults || !step.is_fault()).cloned().collect()
    }

    /// Writes the transcript and returns the result of a case. `boots` holds the reports of each
    /// boot.
    pub(crate) fn case_result(
        &self,
        case: &Case<'_>,
        steps: &[Step],
        boots: &[&[StepReport]],
        verdict_detail: VerdictDetail,
        time: Duration,
        machines: Vec<Timings>,
    ) -> CaseResult {
        let log = self.path(&case.name(), "jsonl");
        let title = Title::from_claim(case.claim, case.fs);
        let verdict_detail = match transcript::write(&log, self.kernel, title, steps, boots, &verdict_detail) {
            Ok(()) => verdict_detail,
            Err(cause) => VerdictDetail::cannot_tell(format!("failed to write {}: {cause}", log.display())),
        };
        let (claim, fs) = (case.claim.name, case.fs);
        CaseResult {
            claim,
            fs,
            verdict_detail,
            early_crash: false,
            duration: time,
            machine_timings: machines,
            peak_kib: None,
            transcript: log,
        }
    }

    /// Runs the machines of `steps` one after the other and adds their outputs to `outputs`. The
    /// error is the reason why the steps cannot be judged.
    fn run_machines(
        &self,
        name: &str,
        fs: Fs,
        steps: &[Step],
        outputs: &mut Vec<MachineOutput>,
    ) -> Result<Vec<StepReport>, String> {
        let segments = BootSegment::split(steps);
        let image = self.disk_setup(fs)?.packed_disk.as_ref().filter(|_| segments.len() > 1);
        let disk = image.map(|_| self.path(name, "disk"));
        if let (Some(image), Some(disk)) = (image, &disk) {
            image::unpack_disk(image, disk).map_err(|error| error.to_string())?;
        }
        let mut all_reports = Vec::new();
        let machines = segments.split_inclusive(|segment| segment.host_step != Some(HostStep::Kexec));
        for (number, segments) in machines.enumerate() {
            let output = self.run_machine(name, fs, number, segments, disk.as_deref())?;
            let outcome = check(self.kernel, segments, &output);
            all_reports.extend(step_reports(&output.events));
            outputs.push(output);
            outcome?;
        }
        if let Some(disk) = &disk {
            // The disk of a failed case stays for debugging; this one is not needed.
            let _ = std::fs::remove_file(disk);
        }
        Ok(all_reports)
    }

    /// Runs one machine, which boots a kernel for each segment. `number` is its index among the
    /// machines of the case. The error is the reason why there is no output.
    pub(crate) fn run_machine(
        &self,
        name: &str,
        fs: Fs,
        number: usize,
        segments: &[BootSegment],
        disk: Option<&Path>,
    ) -> Result<MachineOutput, String> {
        let initramfs = self.path(name, &format!("{number}.initramfs"));
        self.write_initramfs(fs, segments, disk, &initramfs)?;
        let ops: Vec<&Op> = segments.iter().flat_map(|segment| &segment.ops).collect();
        let silence = ops.iter().map(|op| op.max_silence()).sum();
        let limits = self.executor.timeouts().scale(self.kernel.slowdown()).extend(silence);
        let console = self.path(name, &format!("{number}.console"));
        let mut output = self.executor.run(&MachineConfig {
            disk,
            processors: if ops.iter().any(|op| op.is_race()) { 2 } else { 1 },
            kernel_count: segments.len(),
            power_cut: BootSegment::last_host_step(segments) == Some(HostStep::PowerCut),
            ..MachineConfig::new(self.kernel, &initramfs, &console, limits)
        });
        output.timings.devices = total_time(&output, &ops, |op| matches!(op, Op::Attach { .. }));
        output.timings.filesystem = total_time(&output, &ops, |op| matches!(op, Op::MountUpper { .. }));
        let _ = std::fs::remove_file(&initramfs);
        gcov_data::store(&output.coverage_data, &self.path(name, &number.to_string()))
            .map_err(|cause| format!("failed to store coverage data: {cause}"))?;
        Ok(output)
    }

    /// Writes the initramfs of the first segment. That of each further segment is a file in the one
    /// before.
    fn write_initramfs(&self, fs: Fs, segments: &[BootSegment], disk: Option<&Path>, to: &Path) -> Result<(), String> {
        let disk_setup = self.disk_setup(fs)?;
        let mut next = None;
        for segment in segments.iter().rev() {
            let disk_a = disk.map_or_else(|| disk_setup.backing(), |disk| self.executor.backing(disk));
            let program = Program {
                task: GuestTask::Steps(segment.ops.clone()),
                module: MODULE_PATH.to_string(),
                disks: BTreeMap::from([(Disk::A, disk_a), (Disk::B, disk_setup.backing())]),
                fs: fs.filesystem(),
                channel: self.executor.channel_device().to_string(),
                shutdown: match segment.host_step {
                    Some(HostStep::PowerCut) => Shutdown::Spin,
                    Some(HostStep::Kexec) => Shutdown::Kexec,
                    Some(HostStep::Reboot) | None => self.executor.shutdown(),
                },
            };
            let written = match next.replace(to) {
                None => disk_setup.initramfs.write(&program, to),
                Some(next) => disk_setup.initramfs.write_with_next(&program, &self.kernel.image, next, to),
            };
            written.map_err(|error| error.to_string())?;
        }
        Ok(())
    }

    fn disk_setup(&self, fs: Fs) -> Result<&DiskSetup, String> {
        self.disk_setups.get(&fs).ok_or_else(|| format!("there is no disk image of {} for this run", fs.name()))
    }

    fn path(&self, name: &str, extension: &str) -> PathBuf {
        self.log_dir.join(format!("{name}.{extension}"))
    }
}

/// Total time of the operations that `is_counted` selects.
fn total_time(output: &MachineOutput, ops: &[&Op], is_counted: impl Fn(&Op) -> bool) -> Duration {
    ops.iter().zip(&output.step_durations).filter(|(op, _)| is_counted(op)).map(|(_, time)| *time).sum()
}

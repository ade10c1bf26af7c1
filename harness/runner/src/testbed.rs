// SPDX-License-Identifier: MIT OR Apache-2.0
//! Prepares a run: builds kernel, guest and disk images, finds an executor that works, and creates
//! the run directory.

use std::collections::BTreeMap;
use std::env;
use std::fs::{self, File};
use std::path::{Path, PathBuf};

use vremount_claims::shard::Shard;
use vremount_kernel::build::{Arch, Kernel, KernelSpec};
use vremount_kernel::workspace::Workspace;
use vremount_kernel::{build, workspace};
use vremount_machine as machine;
use vremount_machine::image::{DiskSetup, Fs, Initramfs, MODULE_PATH};
use vremount_machine::{
    Accel, AccelChoice, Executor, ExecutorChoice, ExitReason, MachineConfig, MachineOutput, Qemu, Timeouts, Uml, image,
};
use vremount_protocol::{Filesystem, GuestTask, Program};
use vremount_util::io_error;

use crate::error::Error;

/// The QEMU binary. It is looked up in PATH.
pub const QEMU: &str = "qemu-system-x86_64";

/// What a run tests, and where its files go.
pub struct RunSpec<'a> {
    /// The kernel.
    pub kernel: KernelSpec<'a>,
    /// The upper filesystems.
    pub filesystems: &'a [Fs],
    /// The executor that the user asks for.
    pub executor: ExecutorChoice,
    /// Whether the run continues an earlier one, whose files are kept. Default: no.
    pub resume: bool,
    /// The part of the run that this process executes. Default: none, the whole run.
    pub shard: Option<Shard>,
    /// Subdirectory of `target/runs` for the run directory, so that other runs of the same kernel
    /// do not overwrite it. Default: none.
    pub subdirectory: Option<&'a str>,
}

impl<'a> RunSpec<'a> {
    /// A whole, new run in the default directory.
    #[must_use]
    pub fn new(kernel: KernelSpec<'a>, filesystems: &'a [Fs], executor: ExecutorChoice) -> Self {
        RunSpec { kernel, filesystems, executor, resume: false, shard: None, subdirectory: None }
    }
}

/// Everything that a run needs to boot machines.
pub struct TestBed {
    /// The kernel.
    pub kernel: Kernel,
    /// The executor.
    pub executor: Box<dyn Executor>,
    /// The accelerator of QEMU; none for User Mode Linux.
    pub accel: Option<Accel>,
    /// Why this executor was chosen, as a clause for people.
    pub executor_reason: String,
    /// Disk image and initramfs of each filesystem of the run.
    pub disk_setups: BTreeMap<Fs, DiskSetup>,
    /// The guest binary.
    pub guest: PathBuf,
    /// The run directory: results, transcripts and console logs.
    pub run_dir: PathBuf,
    /// Lock that keeps other runs from using the same directory.
    _logs_lock: File,
}

impl TestBed {
    /// Prepares a run. The run directory is emptied unless `run_spec` resumes an earlier run.
    ///
    /// # Errors
    /// [`Error::Kernel`] if the kernel cannot be built, [`Error::Image`] if an image cannot be
    /// made, and [`Error::Machine`] if the executor does not work on this host.
    pub fn new(workspace: &Workspace, run_spec: &RunSpec<'_>) -> Result<Self, Error> {
        match run_spec.executor {
            ExecutorChoice::Uml => TestBed::with_uml(workspace, run_spec, "as requested".to_string()),
            ExecutorChoice::Qemu => {
                let AccelChoice { accel, reason } = choose_accel(workspace, run_spec)?;
                TestBed::with_qemu(workspace, run_spec, accel, reason)
            }
            ExecutorChoice::Auto => match choose_accel(workspace, run_spec) {
                Ok(AccelChoice { accel: Accel::Kvm, reason }) => {
                    TestBed::with_qemu(workspace, run_spec, Accel::Kvm, reason)
                }
                Ok(AccelChoice { accel: Accel::Tcg, reason }) => {
                    match TestBed::with_uml(workspace, run_spec, reason.clone()) {
                        Err(Error::Machine(machine::Error::NoUml(uml_reason))) => {
                            let reason = format!("{reason}; User Mode Linux does not run: {uml_reason}");
                            TestBed::with_qemu(workspace, run_spec, Accel::Tcg, reason)
                        }
                        testbed => testbed,
                    }
                }
                Err(Error::Machine(error @ machine::Error::NoQemu { .. })) => {
                    TestBed::with_uml(workspace, run_spec, error.to_string())
                }
                Err(error) => Err(error),
            },
        }
    }

    fn with_qemu(workspace: &Workspace, run_spec: &RunSpec<'_>, accel: Accel, why: String) -> Result<Self, Error> {
        let artifacts = BootArtifacts::obtain(workspace, run_spec, Arch::X86_64)?;
        artifacts.into_testbed(workspace, run_spec, Box::new(Qemu::new(Path::new(QEMU), accel)), Some(accel), why)
    }

    fn with_uml(workspace: &Workspace, run_spec: &RunSpec<'_>, why: String) -> Result<Self, Error> {
        let artifacts = BootArtifacts::obtain(workspace, run_spec, Arch::Um)?;
        let uml = artifacts.probe_uml()?;
        artifacts.into_testbed(workspace, run_spec, Box::new(uml), None, why)
    }

    /// The executor and its accelerator for people: `qemu with kvm`.
    #[must_use]
    pub fn title(&self) -> String {
        let accel = self.accel.map_or_else(String::new, |accel| format!(" with {}", accel.name()));
        format!("{}{accel}", self.executor.name())
    }
}

/// Chooses the accelerator of QEMU. The kernel for QEMU is built only if a probe boot is needed.
fn choose_accel(workspace: &Workspace, run_spec: &RunSpec<'_>) -> Result<AccelChoice, Error> {
    let probe = |qemu: &Qemu, limits| BootArtifacts::obtain(workspace, run_spec, qemu.arch())?.probe_boot(qemu, limits);
    vremount_machine::choose_accel(Path::new(QEMU), &workspace.cache, probe)
}

/// Files that a machine boots from, for one architecture.
struct BootArtifacts {
    kernel: Kernel,
    disk_setups: BTreeMap<Fs, DiskSetup>,
    guest: PathBuf,
    /// Initramfs without a disk image.
    diskless: Initramfs,
}

impl BootArtifacts {
    fn obtain(workspace: &Workspace, run_spec: &RunSpec<'_>, arch: Arch) -> Result<Self, Error> {
        let kernel = build::build_kernel(workspace, &run_spec.kernel, arch)?;
        let guest = image::build_guest(&workspace.root)?;
        let disk_setup =
            |fs: &Fs| Ok((*fs, DiskSetup::obtain(*fs, &workspace.cache, &guest, &kernel.module.path, Vec::new())?));
        let disk_setups = run_spec.filesystems.iter().map(disk_setup).collect::<Result<_, Error>>()?;
        let diskless = Initramfs::new(&guest, &kernel.module.path, None, Vec::new())?;
        Ok(BootArtifacts { kernel, disk_setups, guest, diskless })
    }

    /// Creates the run directory. Called only after the executor is known to work, because it
    /// removes the earlier run.
    fn into_testbed(
        self,
        workspace: &Workspace,
        run_spec: &RunSpec<'_>,
        executor: Box<dyn Executor>,
        accel: Option<Accel>,
        why: String,
    ) -> Result<TestBed, Error> {
        let BootArtifacts { kernel, disk_setups, guest, .. } = self;
        let (logs, logs_lock) = create_run_dir(workspace, run_spec, executor.arch())?;
        Ok(TestBed {
            kernel,
            executor,
            accel,
            executor_reason: why,
            disk_setups,
            guest,
            run_dir: logs,
            _logs_lock: logs_lock,
        })
    }

    /// Boots a machine with User Mode Linux. This is as fast as checking what it needs.
    fn probe_uml(&self) -> Result<Uml, Error> {
        let output = self.probe_boot(&Uml, Uml.timeouts())?;
        match &output.exit_reason {
            ExitReason::Finished => Ok(Uml),
            end => {
                // At its start the kernel prints what it checks on the host. The last check is the
                // one that failed.
                let check = output.console_tail.lines().rfind(|line| line.starts_with("Checking "));
                let check = check.map_or_else(String::new, |check| format!("; last check: {check}"));
                Err(machine::Error::NoUml(format!("{end}{check}")).into())
            }
        }
    }

    /// Boots a machine without any operations.
    fn probe_boot(&self, executor: &dyn Executor, limits: Timeouts) -> Result<MachineOutput, Error> {
        let program = Program {
            task: GuestTask::Steps(Vec::new()),
            module: MODULE_PATH.to_string(),
            disks: BTreeMap::new(),
            fs: Filesystem::default(),
            channel: executor.channel_device().to_string(),
            shutdown: executor.shutdown(),
        };
        let folder = tempfile::tempdir().map_err(io_error("create", env::temp_dir()))?;
        let initramfs = folder.path().join("probe.initramfs");
        self.diskless.write(&program, &initramfs)?;
        let console = folder.path().join("probe.console");
        let limits = limits.scale(self.kernel.slowdown());
        Ok(executor.run(&MachineConfig::new(&self.kernel, &initramfs, &console, limits)))
    }
}

/// Directory that contains all run directories: `target/runs`, or its subdirectory `aside`.
#[must_use]
pub fn runs_dir(workspace: &Workspace, aside: Option<&str>) -> PathBuf {
    let runs = workspace.root.join("target/runs");
    aside.map_or(runs.clone(), |name| runs.join(name))
}

/// Run directory of a run. `target` is the architecture, or the name of the requested executor for
/// a run that failed to start.
#[must_use]
pub fn run_dir(workspace: &Workspace, run_spec: &RunSpec<'_>, target: &str) -> PathBuf {
    let shard =
        run_spec.shard.map_or_else(String::new, |shard| format!("-shard-{}", shard.to_string().replace('/', "-of-")));
    let KernelSpec { base, level, fragment, .. } = run_spec.kernel;
    let fragment = fragment.map(|name| format!("-{name}")).unwrap_or_default();
    let runs = runs_dir(workspace, run_spec.subdirectory);
    runs.join(format!("{}-level{level}-{target}{fragment}{shard}", base.name))
}

/// Creates and locks the run directory. It is emptied unless the run resumes an earlier one.
fn create_run_dir(workspace: &Workspace, run_spec: &RunSpec<'_>, arch: Arch) -> Result<(PathBuf, File), Error> {
    let logs = run_dir(workspace, run_spec, arch.name());
    let lock = workspace::lock(Path::new(&format!("{}.lock", logs.display())))?;
    if logs.exists() && !run_spec.resume {
        fs::remove_dir_all(&logs).map_err(io_error("remove", &logs))?;
    }
    fs::create_dir_all(&logs).map_err(io_error("create", &logs))?;
    Ok((logs, lock))
}

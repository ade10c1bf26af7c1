// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a run needs before its first claim: kernel, images, a way of running machines that is known to work, and a place
//! for logs.

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

use crate::case_runner::CaseRunner;
use crate::error::Error;

/// The program that runs machines, looked up on PATH.
pub const QEMU: &str = "qemu-system-x86_64";

/// The kernel that is to be proved on, and how.
pub struct RunSpec<'a> {
    pub kernel: KernelSpec<'a>,
    pub filesystems: &'a [Fs],
    pub wanted: ExecutorChoice,
    /// Whether logs of an earlier run stay.
    pub resume: bool,
    /// The part of the run that this is, where jobs share it.
    pub shard: Option<Shard>,
    /// A place for its logs below that of all others, where they stay although the same kernel is proved elsewhere.
    pub aside: Option<&'a str>,
}

impl<'a> RunSpec<'a> {
    /// A whole run that begins anew, in its usual place.
    #[must_use]
    pub fn new(kernel: KernelSpec<'a>, filesystems: &'a [Fs], wanted: ExecutorChoice) -> Self {
        RunSpec { kernel, filesystems, wanted, resume: false, shard: None, aside: None }
    }
}

pub struct TestBed {
    pub kernel: Kernel,
    pub executor: Box<dyn Executor>,
    /// What runs guest code, where there is a choice.
    pub accel: Option<Accel>,
    /// Why this executor.
    pub why: String,
    /// Of every filesystem that was ordered.
    pub disk_setups: BTreeMap<Fs, DiskSetup>,
    /// PID 1 of its machines.
    pub guest: PathBuf,
    /// Transcripts and console logs of the last run of this base, level and architecture.
    pub logs: PathBuf,
    /// Keeps another run from writing there too.
    _logs_lock: File,
}

impl TestBed {
    /// # Errors
    /// If a kernel or an image cannot be made, or machines do not run here.
    pub fn new(workspace: &Workspace, run_spec: &RunSpec<'_>) -> Result<Self, Error> {
        match run_spec.wanted {
            ExecutorChoice::Uml => TestBed::with_uml(workspace, run_spec, "as asked for".to_string()),
            ExecutorChoice::Qemu => {
                let AccelChoice { accel, why } = choose(workspace, run_spec)?;
                TestBed::with_qemu(workspace, run_spec, accel, why)
            }
            ExecutorChoice::Auto => match choose(workspace, run_spec) {
                Ok(AccelChoice { accel: Accel::Kvm, why }) => TestBed::with_qemu(workspace, run_spec, Accel::Kvm, why),
                Ok(AccelChoice { accel: Accel::Tcg, why }) => match TestBed::with_uml(workspace, run_spec, why.clone())
                {
                    Err(Error::Machine(machine::Error::NoUml(also))) => TestBed::with_qemu(
                        workspace,
                        run_spec,
                        Accel::Tcg,
                        format!("{why}; and no User Mode Linux: {also}"),
                    ),
                    testbed => testbed,
                },
                Err(Error::Machine(error @ machine::Error::NoQemu { .. })) => {
                    TestBed::with_uml(workspace, run_spec, error.to_string())
                }
                Err(error) => Err(error),
            },
        }
    }

    fn with_qemu(workspace: &Workspace, run_spec: &RunSpec<'_>, accel: Accel, why: String) -> Result<Self, Error> {
        let things = BootArtifacts::obtain(workspace, run_spec, Arch::X86_64)?;
        things.into_lab(workspace, run_spec, Box::new(Qemu::new(Path::new(QEMU), accel)), Some(accel), why)
    }

    fn with_uml(workspace: &Workspace, run_spec: &RunSpec<'_>, why: String) -> Result<Self, Error> {
        let things = BootArtifacts::obtain(workspace, run_spec, Arch::Um)?;
        let uml = things.try_uml()?;
        things.into_lab(workspace, run_spec, Box::new(uml), None, why)
    }

    /// The executor in words.
    #[must_use]
    pub fn title(&self) -> String {
        let accel = self.accel.map_or_else(String::new, |accel| format!(" with {}", accel.name()));
        format!("{}{accel}", self.executor.name())
    }

    /// One that proves each claim once, with faults, the fastest way.
    #[must_use]
    pub fn case_runner(&self) -> CaseRunner<'_> {
        let TestBed { kernel, executor, disk_setups, logs, .. } = self;
        let executor = executor.as_ref();
        CaseRunner { kernel, executor, disk_setups, logs, faults: true, twice: false, fresh: false }
    }
}

/// What QEMU runs guest code with, and why.
fn choose(workspace: &Workspace, run_spec: &RunSpec<'_>) -> Result<AccelChoice, Error> {
    let probe = |qemu: &Qemu, limits| BootArtifacts::obtain(workspace, run_spec, qemu.arch())?.probe_boot(qemu, limits);
    machine::choose(Path::new(QEMU), &workspace.cache, probe)
}

/// All that a machine is made of, whatever it runs on.
struct BootArtifacts {
    kernel: Kernel,
    disk_setups: BTreeMap<Fs, DiskSetup>,
    guest: PathBuf,
    /// Without an upper filesystem.
    bare: Initramfs,
}

impl BootArtifacts {
    fn obtain(workspace: &Workspace, run_spec: &RunSpec<'_>, arch: Arch) -> Result<Self, Error> {
        let kernel = build::kernel(workspace, &run_spec.kernel, arch)?;
        let guest = image::build_guest(&workspace.root)?;
        let disk_setup =
            |fs: &Fs| Ok((*fs, DiskSetup::obtain(*fs, &workspace.cache, &guest, &kernel.module.path, Vec::new())?));
        let disk_setups = run_spec.filesystems.iter().map(disk_setup).collect::<Result<_, Error>>()?;
        let bare = Initramfs::new(&guest, &kernel.module.path, None, Vec::new())?;
        Ok(BootArtifacts { kernel, disk_setups, guest, bare })
    }

    /// Known to work: only now may what an earlier run left behind go.
    fn into_lab(
        self,
        workspace: &Workspace,
        run_spec: &RunSpec<'_>,
        executor: Box<dyn Executor>,
        accel: Option<Accel>,
        why: String,
    ) -> Result<TestBed, Error> {
        let BootArtifacts { kernel, disk_setups, guest, .. } = self;
        let (logs, logs_lock) = create_run_dir(workspace, run_spec, executor.arch())?;
        Ok(TestBed { kernel, executor, accel, why, disk_setups, guest, logs, _logs_lock: logs_lock })
    }

    /// User Mode Linux, if it runs here: to try takes no longer than to guess.
    fn try_uml(&self) -> Result<Uml, Error> {
        let run = self.probe_boot(&Uml, Uml.limits())?;
        match &run.end {
            ExitReason::Finished => Ok(Uml),
            end => {
                // What it checked last is what this host does not let it do.
                let checked = run.console_tail.lines().rfind(|line| line.starts_with("Checking "));
                Err(machine::Error::NoUml(format!("{end}; {}", checked.unwrap_or("it checked nothing"))).into())
            }
        }
    }

    /// Boots a machine with nothing to do.
    fn probe_boot(&self, executor: &dyn Executor, limits: Timeouts) -> Result<MachineOutput, Error> {
        let program = Program {
            work: GuestTask::Steps(Vec::new()),
            module: MODULE_PATH.to_string(),
            disks: BTreeMap::new(),
            fs: Filesystem::default(),
            channel: executor.channel_device().to_string(),
            shutdown: executor.shutdown(),
        };
        let folder = tempfile::tempdir().map_err(io_error("create", env::temp_dir()))?;
        let initramfs = folder.path().join("probe.initramfs");
        self.bare.write(&program, &initramfs)?;
        Ok(executor.run(&MachineConfig {
            image: &self.kernel.image,
            initramfs: &initramfs,
            disk: None,
            memory_mib: self.kernel.memory_mib(),
            processors: 1,
            console_log: &folder.path().join("probe.console"),
            limits: limits.scale(self.kernel.slowdown()),
            kernels: 1,
            power_cut: false,
        }))
    }
}

/// Where all runs leave what they leave, or those that stay aside.
#[must_use]
pub fn runs_dir(workspace: &Workspace, aside: Option<&str>) -> PathBuf {
    let runs = workspace.root.join("target/runs");
    aside.map_or(runs.clone(), |place| runs.join(place))
}

/// Where a run on an architecture, or what was wanted in its place, leaves what it leaves.
#[must_use]
pub fn run_dir(workspace: &Workspace, run_spec: &RunSpec<'_>, on: &str) -> PathBuf {
    let shard =
        run_spec.shard.map_or_else(String::new, |shard| format!("-shard-{}", shard.to_string().replace('/', "-of-")));
    let KernelSpec { base, level, fragment, .. } = run_spec.kernel;
    let fragment = fragment.map(|name| format!("-{name}")).unwrap_or_default();
    let runs = runs_dir(workspace, run_spec.aside);
    runs.join(format!("{}-level{level}-{on}{fragment}{shard}", base.name))
}

/// The folder for what a run leaves behind, empty unless it goes on with an earlier one, and the lock on it.
fn create_run_dir(workspace: &Workspace, run_spec: &RunSpec<'_>, arch: Arch) -> Result<(PathBuf, File), Error> {
    let logs = run_dir(workspace, run_spec, arch.name());
    let lock = workspace::lock(Path::new(&format!("{}.lock", logs.display())))?;
    if logs.exists() && !run_spec.resume {
        fs::remove_dir_all(&logs).map_err(io_error("remove", &logs))?;
    }
    fs::create_dir_all(&logs).map_err(io_error("create", &logs))?;
    Ok((logs, lock))
}

// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a run needs before its first claim: kernel, images, a way of running machines that is known to work, and a place
//! for logs.

use std::collections::BTreeMap;
use std::env;
use std::fs::{self, File};
use std::path::{Path, PathBuf};

use vremount_claims::shard::Shard;
use vremount_kernel::build::{Arch, Kernel, Wish};
use vremount_kernel::workspace::Project;
use vremount_kernel::{build, workspace};
use vremount_machine as machine;
use vremount_machine::image::{Fs, Initramfs, MODULE_PATH, Medium};
use vremount_machine::{Accel, Boot, Choice, End, Executor, Limits, Qemu, Run, Uml, Wanted, image};
use vremount_protocol::{Filesystem, Program, Work};
use vremount_util::io_error;

use crate::case_runner::Prover;
use crate::error::Error;

/// The program that runs machines, looked up on PATH.
pub const QEMU: &str = "qemu-system-x86_64";

/// The kernel that is to be proved on, and how.
pub struct Order<'a> {
    pub kernel: Wish<'a>,
    pub filesystems: &'a [Fs],
    pub wanted: Wanted,
    /// Whether logs of an earlier run stay.
    pub resume: bool,
    /// The part of the run that this is, where jobs share it.
    pub shard: Option<Shard>,
    /// A place for its logs below that of all others, where they stay although the same kernel is proved elsewhere.
    pub aside: Option<&'a str>,
}

impl<'a> Order<'a> {
    /// A whole run that begins anew, in its usual place.
    #[must_use]
    pub fn new(kernel: Wish<'a>, filesystems: &'a [Fs], wanted: Wanted) -> Self {
        Order { kernel, filesystems, wanted, resume: false, shard: None, aside: None }
    }
}

pub struct Lab {
    pub kernel: Kernel,
    pub executor: Box<dyn Executor>,
    /// What runs guest code, where there is a choice.
    pub accel: Option<Accel>,
    /// Why this executor.
    pub why: String,
    /// Of every filesystem that was ordered.
    pub media: BTreeMap<Fs, Medium>,
    /// PID 1 of its machines.
    pub guest: PathBuf,
    /// Transcripts and console logs of the last run of this base, level and architecture.
    pub logs: PathBuf,
    /// Keeps another run from writing there too.
    _logs_lock: File,
}

impl Lab {
    /// # Errors
    /// If a kernel or an image cannot be made, or machines do not run here.
    pub fn new(project: &Project, order: &Order<'_>) -> Result<Self, Error> {
        match order.wanted {
            Wanted::Uml => Lab::with_uml(project, order, "as asked for".to_string()),
            Wanted::Qemu => {
                let Choice { accel, why } = choose(project, order)?;
                Lab::with_qemu(project, order, accel, why)
            }
            Wanted::Auto => match choose(project, order) {
                Ok(Choice { accel: Accel::Kvm, why }) => Lab::with_qemu(project, order, Accel::Kvm, why),
                Ok(Choice { accel: Accel::Tcg, why }) => match Lab::with_uml(project, order, why.clone()) {
                    Err(Error::Machine(machine::Error::NoUml(also))) => {
                        Lab::with_qemu(project, order, Accel::Tcg, format!("{why}; and no User Mode Linux: {also}"))
                    }
                    lab => lab,
                },
                Err(Error::Machine(error @ machine::Error::NoQemu { .. })) => {
                    Lab::with_uml(project, order, error.to_string())
                }
                Err(error) => Err(error),
            },
        }
    }

    fn with_qemu(project: &Project, order: &Order<'_>, accel: Accel, why: String) -> Result<Self, Error> {
        let things = Things::obtain(project, order, Arch::X86_64)?;
        things.into_lab(project, order, Box::new(Qemu::new(Path::new(QEMU), accel)), Some(accel), why)
    }

    fn with_uml(project: &Project, order: &Order<'_>, why: String) -> Result<Self, Error> {
        let things = Things::obtain(project, order, Arch::Um)?;
        let uml = things.try_uml()?;
        things.into_lab(project, order, Box::new(uml), None, why)
    }

    /// The executor in words.
    #[must_use]
    pub fn title(&self) -> String {
        let accel = self.accel.map_or_else(String::new, |accel| format!(" with {}", accel.name()));
        format!("{}{accel}", self.executor.name())
    }

    /// One that proves each claim once, with faults, the fastest way.
    #[must_use]
    pub fn prover(&self) -> Prover<'_> {
        let Lab { kernel, executor, media, logs, .. } = self;
        let executor = executor.as_ref();
        Prover { kernel, executor, media, logs, faults: true, twice: false, fresh: false }
    }
}

/// What QEMU runs guest code with, and why.
fn choose(project: &Project, order: &Order<'_>) -> Result<Choice, Error> {
    let probe = |qemu: &Qemu, limits| Things::obtain(project, order, qemu.arch())?.idle(qemu, limits);
    machine::choose(Path::new(QEMU), &project.cache, probe)
}

/// All that a machine is made of, whatever it runs on.
struct Things {
    kernel: Kernel,
    media: BTreeMap<Fs, Medium>,
    guest: PathBuf,
    /// Without an upper filesystem.
    bare: Initramfs,
}

impl Things {
    fn obtain(project: &Project, order: &Order<'_>, arch: Arch) -> Result<Self, Error> {
        let kernel = build::kernel(project, &order.kernel, arch)?;
        let guest = image::build_guest(&project.root)?;
        let medium = |fs: &Fs| Ok((*fs, Medium::obtain(*fs, &project.cache, &guest, &kernel.module.path, Vec::new())?));
        let media = order.filesystems.iter().map(medium).collect::<Result<_, Error>>()?;
        let bare = Initramfs::new(&guest, &kernel.module.path, None, Vec::new())?;
        Ok(Things { kernel, media, guest, bare })
    }

    /// Known to work: only now may what an earlier run left behind go.
    fn into_lab(
        self,
        project: &Project,
        order: &Order<'_>,
        executor: Box<dyn Executor>,
        accel: Option<Accel>,
        why: String,
    ) -> Result<Lab, Error> {
        let Things { kernel, media, guest, .. } = self;
        let (logs, logs_lock) = logs(project, order, executor.arch())?;
        Ok(Lab { kernel, executor, accel, why, media, guest, logs, _logs_lock: logs_lock })
    }

    /// User Mode Linux, if it runs here: to try takes no longer than to guess.
    fn try_uml(&self) -> Result<Uml, Error> {
        let run = self.idle(&Uml, Uml.limits())?;
        match &run.end {
            End::Finished => Ok(Uml),
            end => {
                // What it checked last is what this host does not let it do.
                let checked = run.console_tail.lines().rfind(|line| line.starts_with("Checking "));
                Err(machine::Error::NoUml(format!("{end}; {}", checked.unwrap_or("it checked nothing"))).into())
            }
        }
    }

    /// Boots a machine with nothing to do.
    fn idle(&self, executor: &dyn Executor, limits: Limits) -> Result<Run, Error> {
        let program = Program {
            work: Work::Steps(Vec::new()),
            module: MODULE_PATH.to_string(),
            disks: BTreeMap::new(),
            fs: Filesystem::default(),
            channel: executor.channel_device().to_string(),
            shutdown: executor.shutdown(),
        };
        let folder = tempfile::tempdir().map_err(io_error("create", env::temp_dir()))?;
        let initramfs = folder.path().join("probe.initramfs");
        self.bare.write(&program, &initramfs)?;
        Ok(executor.run(&Boot {
            image: &self.kernel.image,
            initramfs: &initramfs,
            disk: None,
            memory_mib: self.kernel.memory_mib(),
            processors: 1,
            console_log: &folder.path().join("probe.console"),
            limits: limits.times(self.kernel.slower()),
            kernels: 1,
            power_cut: false,
        }))
    }
}

/// Where all runs leave what they leave, or those that stay aside.
#[must_use]
pub fn runs(project: &Project, aside: Option<&str>) -> PathBuf {
    let runs = project.root.join("target/runs");
    aside.map_or(runs.clone(), |place| runs.join(place))
}

/// Where a run on an architecture, or what was wanted in its place, leaves what it leaves.
#[must_use]
pub fn folder(project: &Project, order: &Order<'_>, on: &str) -> PathBuf {
    let shard =
        order.shard.map_or_else(String::new, |shard| format!("-shard-{}", shard.to_string().replace('/', "-of-")));
    let Wish { base, level, fragment, .. } = order.kernel;
    let fragment = fragment.map(|name| format!("-{name}")).unwrap_or_default();
    let runs = runs(project, order.aside);
    runs.join(format!("{}-level{level}-{on}{fragment}{shard}", base.name))
}

/// The folder for what a run leaves behind, empty unless it goes on with an earlier one, and the lock on it.
fn logs(project: &Project, order: &Order<'_>, arch: Arch) -> Result<(PathBuf, File), Error> {
    let logs = folder(project, order, arch.name());
    let lock = workspace::lock(Path::new(&format!("{}.lock", logs.display())))?;
    if logs.exists() && !order.resume {
        fs::remove_dir_all(&logs).map_err(io_error("remove", &logs))?;
    }
    fs::create_dir_all(&logs).map_err(io_error("create", &logs))?;
    Ok((logs, lock))
}

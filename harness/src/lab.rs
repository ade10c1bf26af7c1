// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a run needs before its first claim: kernel, images, a way of running machines that is known to work, and a place
//! for logs.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};

use vremount_wire::{Program, Work};

use crate::build::Kernel;
use crate::error::Error;
use crate::image::{self, Fs, Initramfs, MODULE_PATH, Upper};
use crate::machine::{self, Boot, Choice, Limits, Qemu, Run};
use crate::project::{self, Project};
use crate::prove::{MEMORY_MIB, Prover};

/// The program that runs machines, looked up on PATH.
const QEMU: &str = "qemu-system-x86_64";

pub struct Lab {
    pub kernel: Kernel,
    pub qemu: Qemu,
    pub choice: Choice,
    pub initramfs: Initramfs,
    pub fs: Fs,
    pub upper: Upper,
    /// Transcripts and console logs of the last run of this base and level.
    pub logs: PathBuf,
    /// Keeps another run from writing there too.
    _logs_lock: File,
}

impl Lab {
    /// # Errors
    /// If an image cannot be made or there is no QEMU.
    pub fn new(project: &Project, kernel: Kernel, fs: Fs) -> Result<Self, Error> {
        Self::with_qemu(project, kernel, fs, Path::new(QEMU))
    }

    /// The same with another QEMU.
    ///
    /// # Errors
    /// If an image cannot be made or the program does not run.
    pub fn with_qemu(project: &Project, kernel: Kernel, fs: Fs, qemu: &Path) -> Result<Self, Error> {
        let runs = project.root.join("target/runs");
        let name = format!("{}-level{}-qemu", kernel.base, kernel.level);
        let logs_lock = project::lock(&runs.join(format!("{name}.lock")))?;
        let logs = runs.join(name);
        if logs.exists() {
            fs::remove_dir_all(&logs).map_err(Error::io("remove", &logs))?;
        }
        fs::create_dir_all(&logs).map_err(Error::io("create", &logs))?;
        let upper = Upper::obtain(fs, &project.cache)?;
        let guest = image::build_guest(&project.root)?;
        let initramfs = Initramfs::new(&guest, &kernel.module.path, &upper, Vec::new())?;
        let choice =
            machine::choose(qemu, &project.cache, |qemu, limits| probe(qemu, limits, &kernel, &initramfs, &logs))?;
        let qemu = Qemu::new(qemu, choice.accel);
        Ok(Lab { kernel, qemu, choice, initramfs, fs, upper, logs, _logs_lock: logs_lock })
    }

    #[must_use]
    pub fn prover(&self, faults: bool) -> Prover<'_> {
        let Lab { kernel, qemu, initramfs, fs, upper, logs, .. } = self;
        Prover { kernel, qemu, initramfs, fs: *fs, upper, faults, logs }
    }
}

/// A machine with nothing to do.
fn probe(qemu: &Qemu, limits: Limits, kernel: &Kernel, initramfs: &Initramfs, logs: &Path) -> Run {
    let program = Program {
        work: Work::Steps(Vec::new()),
        module: MODULE_PATH.to_string(),
        disks: BTreeMap::new(),
        fs: String::new(),
        channel: qemu.channel_device().to_string(),
        shutdown: qemu.shutdown(),
    };
    let path = logs.join("probe.initramfs");
    if let Err(error) = initramfs.write(&program, &path) {
        return Run::not_started(error.to_string());
    }
    let run = qemu.run(&Boot {
        image: &kernel.image,
        initramfs: &path,
        disk: None,
        memory_mib: MEMORY_MIB,
        console_log: &logs.join("probe.console"),
        limits,
        power_cut: false,
    });
    // Its console says why it failed; the image says nothing.
    let _ = fs::remove_file(path);
    run
}

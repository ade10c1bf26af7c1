// SPDX-License-Identifier: MIT OR Apache-2.0
//! Runs scripts in machines, to compare their results with the verdicts of their claims.

use std::collections::BTreeMap;
use std::fs;

use vremount_claims::verdict::Verdict;
use vremount_machine::image::{Initramfs, MODULE_PATH};
use vremount_machine::{ExitReason, MachineConfig, image};
use vremount_protocol::{Event, Filesystem, GuestTask, Program};
use vremount_runner::testbed::TestBed;
use vremount_runner::validate::kernel_failure;

use crate::error::Error;

/// Factor for timeouts. A script starts processes where a guest makes system calls, and is slower.
const TIMEOUT_FACTOR: u32 = 4;

/// Runs scripts in machines of a testbed.
pub struct Checker<'a> {
    testbed: &'a TestBed,
    initramfs: Initramfs,
    /// Path of the shell in the machine.
    shell: String,
}

/// Result of a script.
pub struct ScriptRun {
    /// The verdict of its exit code, or [`Verdict::Broken`] if the kernel failed.
    pub verdict: Verdict,
    /// Its output.
    pub output: String,
    /// Mounts and devices that it did not remove.
    pub leftovers: Vec<String>,
}

impl<'a> Checker<'a> {
    /// Prepares machines of this testbed with the tools of scripts.
    ///
    /// # Errors
    /// If a tool is not installed on the host.
    pub fn new(testbed: &'a TestBed, shell: &str) -> Result<Self, Error> {
        let files = image::shell_files(None)?;
        let initramfs = Initramfs::new(&testbed.guest, &testbed.kernel.module.path, None, files)?;
        Ok(Checker { testbed, initramfs, shell: shell.to_string() })
    }

    /// Runs a script in a machine. Keeps `NAME.sh`, its output `NAME.said`, and
    /// `NAME.script.console` in the run directory. `asleep` is the time that the script sleeps.
    ///
    /// # Errors
    /// Why the script did not end with one of its exit codes, or a file could not be written.
    pub fn run(&self, name: &str, script: &str, asleep: std::time::Duration) -> Result<ScriptRun, String> {
        let TestBed { kernel, executor, run_dir: logs, .. } = self.testbed;
        let program = Program {
            task: GuestTask::Script(self.shell.clone()),
            module: MODULE_PATH.to_string(),
            disks: BTreeMap::new(),
            fs: Filesystem::default(),
            channel: executor.channel_device().to_string(),
            shutdown: executor.shutdown(),
        };
        let initramfs = logs.join(format!("{name}.script.initramfs"));
        self.initramfs.write_with_script(&program, script, &initramfs).map_err(|error| error.to_string())?;
        let console = logs.join(format!("{name}.script.console"));
        let limits = executor.timeouts().scale(TIMEOUT_FACTOR).extend(asleep);
        let run = executor.run(&MachineConfig::new(kernel, &initramfs, &console, limits));
        let _ = fs::remove_file(&initramfs);
        let keep = |extension: &str, text: &str| {
            let path = logs.join(format!("{name}.{extension}"));
            fs::write(&path, text).map_err(|cause| format!("failed to write {}: {cause}", path.display()))
        };
        keep("sh", script)?;
        let mut output = String::new();
        let mut exited = None;
        for event in &run.events {
            match event {
                Event::ScriptOutput(line) => output += &format!("{line}\n"),
                Event::Exited { code, leftovers: left } => exited = Some((*code, left.clone())),
                _ => {}
            }
        }
        keep("said", &output)?;
        let runs = [run];
        if kernel_failure(&runs).is_some() {
            return Ok(ScriptRun { verdict: Verdict::Broken, output, leftovers: Vec::new() });
        }
        let [run] = runs;
        let Some((code, left)) = exited.filter(|_| run.exit_reason == ExitReason::Finished) else {
            return Err(format!("{}{}\n{output}", run.exit_reason, run.last_lines()));
        };
        let verdict = match code {
            Some(0) => Verdict::Holds,
            Some(1) => Verdict::Broken,
            Some(125) => Verdict::CannotTell,
            Some(code) => return Err(format!("unexpected exit code {code}\n{output}")),
            None => return Err(format!("it was killed by a signal\n{output}")),
        };
        Ok(ScriptRun { verdict, output, leftovers: left })
    }
}

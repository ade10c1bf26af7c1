// SPDX-License-Identifier: MIT OR Apache-2.0
//! Scripts on machines, where they must say the same as the claims they were printed from.

use std::collections::BTreeMap;
use std::fs;

use vremount_claims::verdict::Verdict;
use vremount_machine::image::{Initramfs, MODULE_PATH};
use vremount_machine::{ExitReason, MachineConfig, image};
use vremount_protocol::{Event, Filesystem, GuestTask, Program};
use vremount_runner::testbed::TestBed;
use vremount_runner::validate::kernel_failure;

use crate::error::Error;

/// A script starts a process for nearly all that it does, and a guest that only makes system calls does not.
const PATIENCE: u32 = 4;

/// Runs scripts on machines of a lab.
pub struct Checker<'a> {
    testbed: &'a TestBed,
    initramfs: Initramfs,
    /// What runs them there.
    shell: String,
}

/// What came of a script.
pub struct ScriptRun {
    pub verdict: Verdict,
    /// All that it said.
    pub said: String,
    /// What it should have taken down.
    pub left: Vec<String>,
}

impl<'a> Checker<'a> {
    /// # Errors
    /// If a tool that scripts use cannot be had.
    pub fn new(testbed: &'a TestBed, shell: &str) -> Result<Self, Error> {
        let files = image::shell_files(None)?;
        let initramfs = Initramfs::new(&testbed.guest, &testbed.kernel.module.path, None, files)?;
        Ok(Checker { testbed, initramfs, shell: shell.to_string() })
    }

    /// Runs a script on a machine of its own, which leaves its files under this name: the script, what it said, the console.
    ///
    /// # Errors
    /// Why it did not come to its end there.
    pub fn run(&self, name: &str, script: &str, asleep: std::time::Duration) -> Result<ScriptRun, String> {
        let TestBed { kernel, executor, logs, .. } = self.testbed;
        let program = Program {
            work: GuestTask::Script(self.shell.clone()),
            module: MODULE_PATH.to_string(),
            disks: BTreeMap::new(),
            fs: Filesystem::default(),
            channel: executor.channel_device().to_string(),
            shutdown: executor.shutdown(),
        };
        let initramfs = logs.join(format!("{name}.script.initramfs"));
        self.initramfs.write_with_script(&program, script, &initramfs).map_err(|error| error.to_string())?;
        let console = logs.join(format!("{name}.script.console"));
        let limits = executor.limits().scale(PATIENCE).and_silent(asleep);
        let run = executor.run(&MachineConfig::new(kernel, &initramfs, &console, limits));
        let _ = fs::remove_file(&initramfs);
        let keep = |ending: &str, text: &str| {
            let path = logs.join(format!("{name}.{ending}"));
            fs::write(&path, text).map_err(|cause| format!("failed to write {}: {cause}", path.display()))
        };
        keep("sh", script)?;
        let mut said = String::new();
        let mut exited = None;
        for event in &run.events {
            match event {
                Event::Said(line) => said += &format!("{line}\n"),
                Event::Exited { code, left } => exited = Some((*code, left.clone())),
                _ => {}
            }
        }
        keep("said", &said)?;
        let runs = [run];
        if kernel_failure(&runs).is_some() {
            return Ok(ScriptRun { verdict: Verdict::Broken, said, left: Vec::new() });
        }
        let [run] = runs;
        let Some((code, left)) = exited.filter(|_| run.end == ExitReason::Finished) else {
            return Err(format!("{}{}\n{said}", run.end, run.last_lines()));
        };
        let verdict = match code {
            Some(0) => Verdict::Holds,
            Some(1) => Verdict::Broken,
            Some(125) => Verdict::CannotTell,
            _ => return Err(format!("it ended with {code:?}, which means nothing\n{said}")),
        };
        Ok(ScriptRun { verdict, said, left })
    }
}

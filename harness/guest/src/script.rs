// SPDX-License-Identifier: MIT OR Apache-2.0
//! The task "script": runs a self-contained script and reports what it leaves behind.

use std::collections::BTreeSet;
use std::fs;
use std::io::{self, BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

use vremount_protocol::{Event, Program, SCRIPT_PATH};

use crate::channel::Channel;
use crate::error::{Failure, context};
use crate::ops::mount_table;
use crate::shell;

/// Runs [`SCRIPT_PATH`] with `script_interpreter`. Each line of output is sent when it is printed,
/// so that the output of a script that hangs is not lost.
pub fn run(program: &Program, script_interpreter: &str, channel: &mut Channel) -> Result<(), Failure> {
    shell::install_busybox(program)?;
    let before = resources()?;
    let (reader, writer) = context("create", "a pipe", io::pipe())?;
    let mut command = Command::new(script_interpreter);
    command.arg(SCRIPT_PATH).env("PATH", shell::PATH).env("HOME", "/").stdin(Stdio::null());
    command.stdout(context("duplicate", "a pipe", writer.try_clone())?).stderr(writer);
    let mut script = context("start", script_interpreter, command.spawn())?;
    // It holds the write ends of the pipe; with them open, the reader would never reach the end.
    drop(command);
    for line in BufReader::new(reader).split(b'\n') {
        let line = context("read from", script_interpreter, line)?;
        channel.send(&Event::ScriptOutput(String::from_utf8_lossy(&line).into_owned()))?;
    }
    let code = context("wait for", script_interpreter, script.wait())?.code();
    let left = resources()?.difference(&before).cloned().collect();
    channel.send(&Event::Exited { code, leftovers: left })
}

/// Names of all mounts, bound loop devices, device-mapper devices and temporary files.
fn resources() -> Result<BTreeSet<String>, Failure> {
    let mut resources: BTreeSet<String> =
        mount_table::mount_points()?.iter().map(|mount_point| format!("mount {}", mount_point.display())).collect();
    for name in file_names("/sys/block")? {
        if name.starts_with("dm-") || Path::new("/sys/block").join(&name).join("loop").exists() {
            resources.insert(format!("device {name}"));
        }
    }
    resources.extend(file_names("/tmp")?.into_iter().map(|name| format!("file /tmp/{name}")));
    Ok(resources)
}

fn file_names(dir: &str) -> Result<Vec<String>, Failure> {
    let entries = context("list", dir, fs::read_dir(dir))?;
    entries.map(|entry| Ok(context("list", dir, entry)?.file_name().to_string_lossy().into_owned())).collect()
}

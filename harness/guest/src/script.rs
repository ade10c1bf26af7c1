// SPDX-License-Identifier: MIT OR Apache-2.0
//! A script that brings all it needs, and must leave nothing behind.

use std::collections::BTreeSet;
use std::fs;
use std::io::{self, BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

use vremount_protocol::{Event, Program, SCRIPT_PATH};

use crate::channel::Channel;
use crate::error::{Failure, context};
use crate::{mounts, shell};

/// Tells what the script says as it says it: of one that hangs too.
pub fn run(program: &Program, with: &str, channel: &mut Channel) -> Result<(), Failure> {
    shell::install_busybox(program)?;
    let before = world()?;
    let (said, output) = context("create", "a pipe", io::pipe())?;
    let mut command = Command::new(with);
    command.arg(SCRIPT_PATH).env("PATH", shell::PATH).env("HOME", "/").stdin(Stdio::null());
    command.stdout(context("share", "a pipe", output.try_clone())?).stderr(output);
    let mut script = context("start", with, command.spawn())?;
    // It holds ends of the pipe too.
    drop(command);
    for line in BufReader::new(said).split(b'\n') {
        let line = context("read from", with, line)?;
        channel.send(&Event::Said(String::from_utf8_lossy(&line).into_owned()))?;
    }
    let code = context("wait for", with, script.wait())?.code();
    let left = world()?.difference(&before).cloned().collect();
    channel.send(&Event::Exited { code, left })
}

/// Mounts, loop devices that are in use, device-mapper devices, temporary files.
fn world() -> Result<BTreeSet<String>, Failure> {
    let mut world: BTreeSet<String> = mounts::all()?.iter().map(|at| format!("mount {}", at.display())).collect();
    for name in names("/sys/block")? {
        if name.starts_with("dm-") || Path::new("/sys/block").join(&name).join("loop").exists() {
            world.insert(format!("device {name}"));
        }
    }
    world.extend(names("/tmp")?.into_iter().map(|name| format!("file /tmp/{name}")));
    Ok(world)
}

fn names(folder: &str) -> Result<Vec<String>, Failure> {
    let entries = context("list", folder, fs::read_dir(folder))?;
    entries.map(|entry| Ok(context("list", folder, entry)?.file_name().to_string_lossy().into_owned())).collect()
}

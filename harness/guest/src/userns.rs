// SPDX-License-Identifier: MIT OR Apache-2.0
//! User namespaces. Only a process of one thread may enter one, so each has a process of its own: this program again,
//! started with a role.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read, Write, stdin, stdout};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::chown;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use nix::mount::{MsFlags, mount as mount_2};
use nix::sched::{CloneFlags, unshare};
use nix::sys::prctl::set_dumpable;
use nix::unistd::{Gid, Uid, setgroups, setresgid, setresuid};
use rustix::fs::CWD;
use rustix::mount::{MoveMountFlags, OpenTreeFlags, move_mount, open_tree};
use vremount_protocol::{Disk, Mode, Outcome};

use crate::error::{Failure, context};
use crate::overlay::{self, Overlay};
use crate::{ioctl, mounts};

const USER: u32 = 1000;
const MOUNT: &str = "mount-in-user-namespace";
const HOLD: &str = "hold-user-namespace";
const MYSELF: &str = "/proc/self/exe";

/// Lets user 1000 mount an overlay in a user namespace of his own, and unmount it.
pub fn mount(disk: Disk, mode: Mode, options: &str) -> Result<Outcome, Failure> {
    for folder in [mounts::upperdir(disk), mounts::workdir(disk)] {
        context("give away", &folder, chown(&folder, Some(USER), Some(USER)))?;
    }
    let at = PathBuf::from(format!("/merged/{disk}-user"));
    context("create", &at, fs::create_dir_all(&at))?;
    let data = Overlay::of(disk, mode).data(options);
    let ran = Command::new(MYSELF).args([MOUNT, &data]).arg(&at).output();
    let ran = context("run", MYSELF, ran)?;
    match ran.status.success() {
        true => serde_json::from_slice(&ran.stdout).map_err(Failure::new),
        false => Err(Failure::new(String::from_utf8_lossy(&ran.stderr).trim_end())),
    }
}

/// Mounts an upper filesystem at another place, where users 0 and 1000 have changed places.
pub fn mount_idmapped(from: &Path, to: &Path) -> Result<(), Failure> {
    let users = swapped()?;
    let tree = context("open", from, open_tree(CWD, from, OpenTreeFlags::OPEN_TREE_CLONE))?;
    context("map the users of", from, ioctl::map_users(tree.as_fd(), users.as_fd()))?;
    context("mount", to, move_mount(&tree, "", CWD, to, MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH))
}

/// A user namespace in which users 0 and 1000 have changed places.
fn swapped() -> Result<OwnedFd, Failure> {
    let started = Command::new(MYSELF).arg(HOLD).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
    let mut holder = context("run", MYSELF, started)?;
    let mut line = String::new();
    let output = holder.stdout.take().ok_or_else(|| Failure::new("there is no pipe to the holder of a namespace"))?;
    context("read from", MYSELF, BufReader::new(output).read_line(&mut line))?;
    let folder = PathBuf::from(format!("/proc/{}", holder.id()));
    for map in ["uid_map", "gid_map"].map(|name| folder.join(name)) {
        context("write", &map, fs::write(&map, format!("0 {USER} 1\n{USER} 0 1\n")))?;
    }
    let path = folder.join("ns/user");
    let users = context("open", &path, File::open(&path))?;
    // It ends with its standard input.
    drop(holder.stdin.take());
    context("wait for", MYSELF, holder.wait())?;
    Ok(users.into())
}

/// What this program does when it is not PID 1: nothing, unless it was started with a role.
pub fn act(args: &[String]) -> Result<(), Failure> {
    let args: Vec<_> = args.iter().map(String::as_str).collect();
    match args.as_slice() {
        [MOUNT, data, at] => {
            let outcome = mount_as_user(data, Path::new(at))?;
            let text = serde_json::to_vec(&outcome).map_err(Failure::new)?;
            context("write to", "standard output", stdout().write_all(&text))
        }
        [HOLD] => {
            context("enter", "a user namespace", unshare(CloneFlags::CLONE_NEWUSER))?;
            context("write to", "standard output", writeln!(stdout()))?;
            context("read from", "standard input", stdin().read_to_end(&mut Vec::new())).map(drop)
        }
        _ => Err(Failure::new("vremount-guest is PID 1 of a vremount machine and does nothing anywhere else")),
    }
}

fn mount_as_user(data: &str, at: &Path) -> Result<Outcome, Failure> {
    enter().map_err(|errno| Failure { errno: errno as i32, what: "failed to enter a user namespace".to_string() })?;
    // Before a group is mapped, none may be given up.
    for (path, text) in [("setgroups", "deny"), ("uid_map", "0 1000 1"), ("gid_map", "0 1000 1")] {
        let path = Path::new("/proc/self").join(path);
        context("write", &path, fs::write(&path, text))?;
    }
    let mounted = mount_2(Some("overlay"), at, Some("overlay"), MsFlags::empty(), Some(data));
    let outcome = overlay::outcome(mounted.map_err(Into::into), at)?;
    if matches!(outcome, Outcome::Mounted { .. }) {
        mounts::unmount_at(at)?;
    }
    Ok(outcome)
}

/// From root to user 1000, and from there to root of a user namespace.
fn enter() -> nix::Result<()> {
    let (user, group) = (Uid::from_raw(USER), Gid::from_raw(USER));
    setgroups(&[])?;
    setresgid(group, group, group)?;
    setresuid(user, user, user)?;
    // Who has changed users may not open what /proc has of him, unless he says so.
    set_dumpable(true)?;
    unshare(CloneFlags::CLONE_NEWUSER | CloneFlags::CLONE_NEWNS)
}

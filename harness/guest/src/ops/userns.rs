// SPDX-License-Identifier: MIT OR Apache-2.0
//! User namespaces. Only a single-threaded process can enter one, so the guest executes itself with
//! a role for each.

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

use super::overlay::{Overlay, mount_outcome};
use super::{ioctl, mount_table, paths};
use crate::error::{Failure, context};

/// The unprivileged user.
const USER: u32 = 1000;
/// Role: mount an overlay as the unprivileged user. Arguments: mount data, mount point.
const ROLE_MOUNT: &str = "mount-in-user-namespace";
/// Role: keep a user namespace alive until standard input is closed.
const ROLE_HOLD: &str = "hold-user-namespace";
const GUEST_EXE: &str = "/proc/self/exe";

/// Mounts an overlay as user 1000 in a new user namespace, and unmounts it. Changes the owner of
/// upper and work.
pub fn mount(disk: Disk, mode: Mode, options: &str) -> Result<Outcome, Failure> {
    for dir in [paths::upperdir(disk), paths::workdir(disk)] {
        context("change the owner of", &dir, chown(&dir, Some(USER), Some(USER)))?;
    }
    let mount_point = PathBuf::from(format!("/merged/{disk}-user"));
    context("create", &mount_point, fs::create_dir_all(&mount_point))?;
    let data = Overlay::new(disk, mode).mount_data(options);
    let output = Command::new(GUEST_EXE).args([ROLE_MOUNT, &data]).arg(&mount_point).output();
    let output = context("run", GUEST_EXE, output)?;
    match output.status.success() {
        true => serde_json::from_slice(&output.stdout).map_err(Failure::new),
        false => Err(Failure::new(String::from_utf8_lossy(&output.stderr).trim_end())),
    }
}

/// Creates an idmapped mount of `from` at `to` that swaps users 0 and 1000.
pub fn mount_idmapped(from: &Path, to: &Path) -> Result<(), Failure> {
    let userns = create_swapping_namespace()?;
    let tree = context("clone the mount", from, open_tree(CWD, from, OpenTreeFlags::OPEN_TREE_CLONE))?;
    context("map the users of", from, ioctl::set_idmap(tree.as_fd(), userns.as_fd()))?;
    context("mount", to, move_mount(&tree, "", CWD, to, MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH))
}

/// Creates a user namespace that swaps users 0 and 1000.
fn create_swapping_namespace() -> Result<OwnedFd, Failure> {
    let spawned = Command::new(GUEST_EXE).arg(ROLE_HOLD).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
    let mut holder = context("run", GUEST_EXE, spawned)?;
    let mut line = String::new();
    let output =
        holder.stdout.take().ok_or_else(|| Failure::new("failed to get the output of the namespace holder"))?;
    context("read from", GUEST_EXE, BufReader::new(output).read_line(&mut line))?;
    let proc_dir = PathBuf::from(format!("/proc/{}", holder.id()));
    for map in ["uid_map", "gid_map"].map(|name| proc_dir.join(name)) {
        context("write", &map, fs::write(&map, format!("0 {USER} 1\n{USER} 0 1\n")))?;
    }
    let path = proc_dir.join("ns/user");
    let userns = context("open", &path, File::open(&path))?;
    // The holder exits at the end of its input. The open file keeps the namespace.
    drop(holder.stdin.take());
    context("wait for", GUEST_EXE, holder.wait())?;
    Ok(userns.into())
}

/// Runs a role. Fails without one: then the guest was started outside of a machine.
pub fn run_role(args: &[String]) -> Result<(), Failure> {
    let args: Vec<_> = args.iter().map(String::as_str).collect();
    match args.as_slice() {
        [ROLE_MOUNT, data, mount_point] => {
            let outcome = mount_as_user(data, Path::new(mount_point))?;
            let json = serde_json::to_vec(&outcome).map_err(Failure::new)?;
            context("write to", "standard output", stdout().write_all(&json))
        }
        [ROLE_HOLD] => {
            context("enter", "a user namespace", unshare(CloneFlags::CLONE_NEWUSER))?;
            context("write to", "standard output", writeln!(stdout()))?;
            context("read from", "standard input", stdin().read_to_end(&mut Vec::new())).map(drop)
        }
        _ => Err(Failure::new("failed to start vremount-guest: it runs only as PID 1 of a vremount machine")),
    }
}

/// Mounts an overlay as user 1000 in a new user namespace, in this process.
fn mount_as_user(data: &str, mount_point: &Path) -> Result<Outcome, Failure> {
    enter_as_user().map_err(|errno| Failure::from_errno(errno as i32, "failed to enter a user namespace"))?;
    // user_namespaces(7): without privileges, gid_map can be written only after setgroups(2) was
    // disabled.
    for (name, text) in [("setgroups", "deny"), ("uid_map", "0 1000 1"), ("gid_map", "0 1000 1")] {
        let path = Path::new("/proc/self").join(name);
        context("write", &path, fs::write(&path, text))?;
    }
    let mounted = mount_2(Some("overlay"), mount_point, Some("overlay"), MsFlags::empty(), Some(data));
    let outcome = mount_outcome(mounted.map_err(Into::into), mount_point)?;
    if matches!(outcome, Outcome::Mounted { .. }) {
        mount_table::unmount_at(mount_point)?;
    }
    Ok(outcome)
}

/// Changes from root to user 1000, then enters a new user namespace and mount namespace.
fn enter_as_user() -> nix::Result<()> {
    let (user, group) = (Uid::from_raw(USER), Gid::from_raw(USER));
    setgroups(&[])?;
    setresgid(group, group, group)?;
    setresuid(user, user, user)?;
    // prctl(2): a change of user clears the dumpable flag, and then root owns the files in
    // /proc/self.
    set_dumpable(true)?;
    unshare(CloneFlags::CLONE_NEWUSER | CloneFlags::CLONE_NEWNS)
}

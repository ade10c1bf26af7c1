// SPDX-License-Identifier: MIT OR Apache-2.0
//! Overlay mounts with fsopen(2): each option is set separately, and the filesystem context has a
//! log.

use std::fs::{self, File};
use std::io::{self, Read};
use std::os::fd::AsFd;
use std::path::Path;

use rustix::fs::CWD;
use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, MoveMountFlags, fsconfig_create, fsconfig_set_flag, fsconfig_set_string,
    fsmount, fsopen, move_mount,
};
use vremount_protocol::{FS_CONTEXT_PREFIX, Outcome};

use super::overlay;
use crate::error::{Failure, context};

/// Mounts an overlay. `options` has the format of the data argument of mount(2). Appends the log of
/// the context to `log`.
pub fn mount(options: &str, mount_point: &Path, log: &mut Vec<String>) -> Result<Outcome, Failure> {
    context("create", mount_point, fs::create_dir_all(mount_point))?;
    let fs_context =
        context("open a filesystem context of", "overlay", fsopen("overlay", FsOpenFlags::FSOPEN_CLOEXEC))?;
    let mounted = configure_and_mount(&fs_context, options, mount_point);
    log.extend(read_log(File::from(fs_context))?);
    overlay::mount_outcome(mounted, mount_point)
}

fn configure_and_mount(fs_context: impl AsFd, options: &str, mount_point: &Path) -> io::Result<()> {
    for option in options.split(',') {
        match option.split_once('=') {
            Some((name, value)) => fsconfig_set_string(&fs_context, name, value)?,
            None => fsconfig_set_flag(&fs_context, option)?,
        }
    }
    fsconfig_create(&fs_context)?;
    let mount = fsmount(&fs_context, FsMountFlags::FSMOUNT_CLOEXEC, MountAttrFlags::empty())?;
    Ok(move_mount(&mount, "", CWD, mount_point, MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH)?)
}

/// Reads all messages. Each read(2) returns one: level, space, text.
fn read_log(mut fs_context: File) -> Result<Vec<String>, Failure> {
    let mut messages = Vec::new();
    let mut message = [0; 4096];
    loop {
        match fs_context.read(&mut message) {
            Ok(length) => {
                messages.push(format!("{FS_CONTEXT_PREFIX}{}", String::from_utf8_lossy(&message[..length]).trim_end()));
            }
            Err(error) if error.raw_os_error() == Some(libc::ENODATA) => return Ok(messages),
            Err(error) => return context("read the log of", "the filesystem context", Err(error)),
        }
    }
}

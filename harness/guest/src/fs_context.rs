// SPDX-License-Identifier: MIT OR Apache-2.0
//! Overlays by fsopen(2): option by option, with a log of their own.

use std::fs::{self, File};
use std::io::{self, Read};
use std::os::fd::AsFd;
use std::path::Path;

use rustix::fs::CWD;
use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, MoveMountFlags, fsconfig_create, fsconfig_set_flag, fsconfig_set_string,
    fsmount, fsopen, move_mount,
};
use vremount_protocol::{FS_CONTEXT, Outcome};

use crate::error::{Failure, context};
use crate::overlay;

/// Mounts an overlay with options as mount(2) takes them; `told` gets the log.
pub fn mount(options: &str, at: &Path, told: &mut Vec<String>) -> Result<Outcome, Failure> {
    context("create", at, fs::create_dir_all(at))?;
    let filesystem = context("fsopen", "overlay", fsopen("overlay", FsOpenFlags::FSOPEN_CLOEXEC))?;
    let mounted = set_up(&filesystem, options, at);
    told.extend(log(File::from(filesystem))?);
    overlay::outcome(mounted, at)
}

fn set_up(filesystem: impl AsFd, options: &str, at: &Path) -> io::Result<()> {
    for option in options.split(',') {
        match option.split_once('=') {
            Some((name, value)) => fsconfig_set_string(&filesystem, name, value)?,
            None => fsconfig_set_flag(&filesystem, option)?,
        }
    }
    fsconfig_create(&filesystem)?;
    let mount = fsmount(&filesystem, FsMountFlags::FSMOUNT_CLOEXEC, MountAttrFlags::empty())?;
    Ok(move_mount(&mount, "", CWD, at, MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH)?)
}

/// A message for each read: level, space, text.
fn log(mut filesystem: File) -> Result<Vec<String>, Failure> {
    let mut messages = Vec::new();
    let mut message = [0; 4096];
    loop {
        match filesystem.read(&mut message) {
            Ok(length) => {
                messages.push(format!("{FS_CONTEXT}{}", String::from_utf8_lossy(&message[..length]).trim_end()));
            }
            Err(error) if error.raw_os_error() == Some(libc::ENODATA) => return Ok(messages),
            Err(error) => return context("read the log of", "an fs context", Err(error)),
        }
    }
}

// SPDX-License-Identifier: MIT OR Apache-2.0
//! Files for the shell of a machine: busybox, and the tools whose busybox version does not suffice.

use std::path::{Path, PathBuf};
use std::process::Command;

use vremount_protocol::SCRIPT_PATH;
use vremount_util::io_error;

use crate::image::error::Error;
use crate::image::initramfs::CpioEntry;

/// Tools of the host that are copied with their libraries, each with the Debian package that
/// contains it.
pub const TOOLS: [(&str, &str); 21] = [
    ("dmsetup", "dmsetup"),
    ("getfattr", "attr"),
    ("setfattr", "attr"),
    ("mkfs.ext4", "e2fsprogs"),
    ("mkfs.ext2", "e2fsprogs"),
    ("filefrag", "e2fsprogs"),
    ("chattr", "e2fsprogs"),
    ("mkfs.xfs", "xfsprogs"),
    ("xfs_io", "xfsprogs"),
    ("mkfs.btrfs", "btrfs-progs"),
    ("btrfs", "btrfs-progs"),
    ("mkfs.f2fs", "f2fs-tools"),
    ("losetup", "mount"),
    ("mount", "mount"),
    ("umount", "mount"),
    ("setpriv", "util-linux"),
    ("unshare", "util-linux"),
    ("fsfreeze", "util-linux"),
    ("blockdev", "util-linux"),
    ("sync", "coreutils"),
    ("dash", "dash"),
];

/// Reads the files for a machine with a shell. `script` is the script that the shell runs; without
/// one, it is interactive.
///
/// # Errors
/// [`Error::Missing`] if a tool is not installed, [`Error::Io`] if it cannot be read.
pub fn shell_files(script: Option<Vec<u8>>) -> Result<Vec<CpioEntry>, Error> {
    let busybox = locate("busybox", "busybox-static")?;
    let mut entries =
        vec![CpioEntry::from_executable("/bin/busybox", &busybox)?, CpioEntry::from_executable("/bin/sh", &busybox)?];
    let mut copied = std::collections::BTreeSet::new();
    for (tool, package) in TOOLS {
        let path = locate(tool, package)?;
        entries.push(CpioEntry::from_executable(&format!("/usr/bin/{tool}"), &path)?);
        for library in libraries(&path)? {
            if copied.insert(library.clone()) {
                entries.push(CpioEntry::from_executable(&library.to_string_lossy(), &library)?);
            }
        }
    }
    entries.extend(script.map(|script| CpioEntry::from_bytes(SCRIPT_PATH, script)));
    Ok(entries)
}

fn locate(program: &'static str, package: &'static str) -> Result<PathBuf, Error> {
    ["/usr/sbin", "/usr/bin", "/sbin", "/bin"]
        .iter()
        .map(|folder| Path::new(folder).join(program))
        .find(|path| path.is_file())
        .ok_or_else(|| Error::Missing { program, package, cause: std::io::ErrorKind::NotFound.into() })
}

/// Libraries that the dynamic linker loads for `tool`, and the linker itself, as `ldd` prints them.
fn libraries(tool: &Path) -> Result<Vec<PathBuf>, Error> {
    let output = Command::new("ldd").arg(tool).output().map_err(io_error("list the libraries of", tool))?;
    let listed = String::from_utf8_lossy(&output.stdout);
    Ok(listed.split_whitespace().filter(|word| word.starts_with('/')).map(PathBuf::from).collect())
}

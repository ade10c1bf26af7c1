// SPDX-License-Identifier: MIT OR Apache-2.0
//! Builds initramfs files.
//!
//! An initramfs consists of two concatenated cpio archives: one with the files that all machines of
//! a run share, and one with the program of one machine. The kernel unpacks both. They are not
//! compressed, because decompression on an emulated processor takes longer than reading.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::Path;

use cpio::newc;
use vremount_protocol::{NEXT_INITRAMFS_PATH, NEXT_KERNEL_PATH, PROGRAM_PATH, Program, SCRIPT_PATH};
use vremount_util::io_error;

use crate::image::error::Error;
use crate::image::packed_disk::PackedDisk;

/// Path of the overlay module in the guest.
pub const MODULE_PATH: &str = "/vremount/overlay.ko";
/// Path of the packed disk image in the guest.
pub const EXTENTS_PATH: &str = "/vremount/upper.extents";

/// Modes of archive entries: type and permissions.
const EXECUTABLE: u32 = 0o100_755;
const FILE: u32 = 0o100_644;
const DIRECTORY: u32 = 0o040_755;

/// The files that all machines of a run share, as a cpio archive.
pub struct Initramfs {
    archive: Vec<u8>,
}

/// A file in the archive.
pub struct CpioEntry {
    /// Absolute path in the guest.
    pub path: String,
    /// Type and permissions as in `st_mode`.
    pub mode: u32,
    /// The content.
    pub content: Vec<u8>,
}

impl CpioEntry {
    fn from_file(path: &str, mode: u32, from: &Path) -> Result<Self, Error> {
        let content = fs::read(from).map_err(io_error("read", from))?;
        Ok(CpioEntry { path: path.to_string(), mode, content })
    }

    /// A regular file with mode 0644.
    pub fn from_bytes(path: &str, content: Vec<u8>) -> Self {
        CpioEntry { path: path.to_string(), mode: FILE, content }
    }

    /// An executable with mode 0755 and the content of the host's file `from`.
    ///
    /// # Errors
    /// [`Error::Io`] if `from` cannot be read.
    pub fn from_executable(path: &str, from: &Path) -> Result<Self, Error> {
        CpioEntry::from_file(path, EXECUTABLE, from)
    }
}

impl Initramfs {
    /// Builds the archive from the guest binary `guest`, the overlay module `module`, the disk
    /// image `upper`, and the files `more`.
    ///
    /// # Errors
    /// [`Error::Io`] if a file cannot be read.
    pub fn new(guest: &Path, module: &Path, upper: Option<&PackedDisk>, more: Vec<CpioEntry>) -> Result<Self, Error> {
        let mut entries =
            vec![CpioEntry::from_executable("/init", guest)?, CpioEntry::from_file(MODULE_PATH, FILE, module)?];
        if let Some(upper) = upper {
            entries.push(CpioEntry::from_file(EXTENTS_PATH, FILE, upper.path())?);
        }
        entries.extend(more);
        let archive = archive(&entries).map_err(io_error("archive", guest))?;
        Ok(Initramfs { archive })
    }

    /// Writes the initramfs of a machine that runs `program` to the file `to`.
    ///
    /// # Errors
    /// [`Error::Io`] if `to` cannot be written.
    pub fn write(&self, program: &Program, to: &Path) -> Result<(), Error> {
        self.write_with(program, Vec::new(), to)
    }

    /// Writes the initramfs of a machine that runs `program`, with `script` for its shell.
    ///
    /// # Errors
    /// [`Error::Io`] if `to` cannot be written.
    pub fn write_with_script(&self, program: &Program, script: &str, to: &Path) -> Result<(), Error> {
        self.write_with(program, vec![CpioEntry::from_bytes(SCRIPT_PATH, script.into())], to)
    }

    /// Writes the initramfs of a machine that runs `program` and then starts `kernel` by kexec,
    /// with the initramfs in the file `next`. `next` is read before `to` is written, so they may be
    /// the same file.
    ///
    /// # Errors
    /// [`Error::Io`] if `kernel` or `next` cannot be read or `to` cannot be written.
    pub fn write_with_next(&self, program: &Program, kernel: &Path, next: &Path, to: &Path) -> Result<(), Error> {
        let more = [(NEXT_KERNEL_PATH, kernel), (NEXT_INITRAMFS_PATH, next)];
        let more =
            more.map(|(path, from)| CpioEntry::from_file(path, FILE, from)).into_iter().collect::<Result<_, _>>()?;
        self.write_with(program, more, to)
    }

    fn write_with(&self, program: &Program, mut entries: Vec<CpioEntry>, to: &Path) -> Result<(), Error> {
        entries.push(CpioEntry::from_bytes(PROGRAM_PATH, serde_json::to_vec(program)?));
        let write = |second: Vec<u8>| {
            let mut file = BufWriter::new(File::create(to)?);
            file.write_all(&self.archive)?;
            file.write_all(&second)?;
            file.flush()
        };
        Ok(archive(&entries).and_then(write).map_err(io_error("write", to))?)
    }
}

/// Builds a cpio archive. The kernel creates no parent directories, so an entry for each precedes
/// its files.
fn archive(entries: &[CpioEntry]) -> io::Result<Vec<u8>> {
    let mut archive = Vec::new();
    let mut inode = 1;
    let mut add = |archive: Vec<u8>, path: &str, mode: u32, content: &[u8]| -> io::Result<Vec<u8>> {
        inode += 1;
        let name = path.trim_start_matches('/');
        let size = u32::try_from(content.len()).map_err(|_| io::Error::from(io::ErrorKind::FileTooLarge))?;
        let mut writer = newc::Builder::new(name).ino(inode).nlink(1).mode(mode).write(archive, size);
        writer.write_all(content)?;
        writer.finish()
    };
    let mut directories = std::collections::BTreeSet::new();
    for entry in entries {
        let ancestors: Vec<_> = Path::new(&entry.path).ancestors().skip(1).collect();
        for folder in ancestors.into_iter().rev().filter(|folder| folder.parent().is_some()) {
            if directories.insert(folder.to_path_buf()) {
                archive = add(archive, &folder.to_string_lossy(), DIRECTORY, &[])?;
            }
        }
        archive = add(archive, &entry.path, entry.mode, &entry.content)?;
    }
    newc::trailer(archive)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn directories_precede_their_files() {
        let file = |path| CpioEntry::from_bytes(path, b"x".to_vec());
        let bytes = archive(&[file("/a/b/one"), file("/a/two")]).unwrap();
        let mut names = Vec::new();
        let mut rest = bytes.as_slice();
        loop {
            let reader = newc::Reader::new(rest).unwrap();
            if reader.entry().is_trailer() {
                break;
            }
            names.push(reader.entry().name().to_string());
            rest = reader.finish().unwrap();
        }
        assert_eq!(names, ["a", "a/b", "a/b/one", "a/two"]);
    }
}

// SPDX-License-Identifier: MIT OR Apache-2.0
//! Programs of the host, and free room for what they write.

use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};
use std::{fs, io};

use nix::sys::statvfs::statvfs;

use crate::process_group;

/// Why a program of the host did not do its work.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("failed to run {program}: {cause}; `make deps` installs what is missing")]
    NotRun { program: String, cause: io::Error },
    #[error("failed to {what}: {program} ended with {status}\n{output}")]
    Failed { what: String, program: String, status: ExitStatus, output: String },
    #[error("failed to {what}: {free_mib} MiB are free in {folder}, {needed_mib} MiB are needed; make room, \
             `vremount cache clean` may help", folder = folder.display())]
    DiskFull { what: String, folder: PathBuf, free_mib: u64, needed_mib: u64 },
}

/// Runs a program for what it has to say, on standard output or error, and however it ends.
///
/// # Errors
/// If it cannot be run.
pub fn run_capture(command: &mut Command) -> Result<(ExitStatus, String), Error> {
    let program = command.get_program().to_string_lossy().into_owned();
    let output = process_group::output(command).map_err(|cause| Error::NotRun { program, cause })?;
    Ok((output.status, String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned()))
}

/// Runs a program to its end; `what` is what it is run for. Gives what it wrote to its standard output.
///
/// # Errors
/// If it cannot be run, or says that it failed.
pub fn run(what: &str, command: &mut Command) -> Result<String, Error> {
    let program = command.get_program().to_string_lossy().into_owned();
    let output = process_group::output(command).map_err(|cause| Error::NotRun { program: program.clone(), cause })?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    if output.status.success() {
        return Ok(text(&output.stdout));
    }
    let output_text = text(&output.stdout) + &text(&output.stderr);
    Err(Error::Failed { what: what.to_string(), program, status: output.status, output: output_text })
}

/// Whether the disk has room, before it is too late.
///
/// # Errors
/// If it has not.
pub fn ensure_free_space(what: &str, folder: &Path, needed_mib: u64) -> Result<(), Error> {
    let existing = folder.ancestors().find(|folder| folder.exists()).unwrap_or(folder);
    // A filesystem that does not tell is not full.
    let Ok(stat) = statvfs(existing) else { return Ok(()) };
    let free_mib = (stat.blocks_available() * stat.fragment_size()) >> 20;
    if free_mib < needed_mib {
        let (what, folder) = (what.to_string(), folder.to_path_buf());
        return Err(Error::DiskFull { what, folder, free_mib, needed_mib });
    }
    Ok(())
}

/// What is in a folder, by name.
///
/// # Errors
/// If it cannot be read, all of it.
pub fn entries(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut paths = fs::read_dir(folder)?.map(|entry| Ok(entry?.path())).collect::<io::Result<Vec<_>>>()?;
    paths.sort();
    Ok(paths)
}

/// Puts a finished file or folder in its place. What stands there already was finished by another and is as good.
///
/// # Errors
/// If it can neither be renamed nor is there already.
pub fn rename_into_place(finished: &Path, place: &Path) -> io::Result<()> {
    match fs::rename(finished, place) {
        Err(_) if place.exists() => Ok(()),
        renamed => renamed,
    }
}

// SPDX-License-Identifier: MIT OR Apache-2.0
//! Runs programs of the host to their end, and checks that there is room for what they write.

use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};
use std::{fs, io};

use nix::sys::statvfs::statvfs;

use crate::process_group;

/// Why a program of the host did not do its work.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The program could not be started.
    #[error("failed to run {program}: {cause}; `make deps` installs the programs that are needed")]
    NotRun {
        /// Name of the program.
        program: String,
        /// Why it could not be started.
        #[source]
        cause: io::Error,
    },
    /// The program ran and ended with a failure.
    #[error("failed to {what}: {program} ended with {status}\n{output}")]
    Failed {
        /// What the program was run for, as a verb with its object.
        what: String,
        /// Name of the program.
        program: String,
        /// How it ended.
        status: ExitStatus,
        /// Its standard output, then its standard error.
        output: String,
    },
    /// The filesystem has too little free space.
    #[error("failed to {what}: {free_mib} MiB are free in {folder}, {needed_mib} MiB are needed; free some space, for \
             example with `vremount cache clean`", folder = folder.display())]
    DiskFull {
        /// What the space is needed for, as a verb with its object.
        what: String,
        /// A folder on the filesystem.
        folder: PathBuf,
        /// Free space, MiB.
        free_mib: u64,
        /// Space that is needed, MiB.
        needed_mib: u64,
    },
}

/// Runs a program and returns its exit status and its output: standard output, then standard error.
/// A program that ends with a failure is not an error here.
///
/// # Errors
/// [`Error::NotRun`] if the program cannot be started.
pub fn run_capture(command: &mut Command) -> Result<(ExitStatus, String), Error> {
    let program = program_name(command);
    let output = process_group::run_with_output(command).map_err(|cause| Error::NotRun { program, cause })?;
    Ok((output.status, lossy(&[output.stdout, output.stderr].concat())))
}

/// Runs a program and returns its standard output. `what` is what it is run for, a verb with its
/// object: `list a tree`.
///
/// # Errors
/// [`Error::NotRun`] if the program cannot be started, [`Error::Failed`] if it ends with a failure.
pub fn run(what: &str, command: &mut Command) -> Result<String, Error> {
    let program = program_name(command);
    let output =
        process_group::run_with_output(command).map_err(|cause| Error::NotRun { program: program.clone(), cause })?;
    if output.status.success() {
        return Ok(lossy(&output.stdout));
    }
    let text = lossy(&output.stdout) + &lossy(&output.stderr);
    Err(Error::Failed { what: what.to_string(), program, status: output.status, output: text })
}

fn program_name(command: &Command) -> String {
    command.get_program().to_string_lossy().into_owned()
}

fn lossy(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Checks that the filesystem of `folder` has `needed_mib` MiB of free space. The folder need not
/// exist. A filesystem that does not report its free space passes.
///
/// # Errors
/// [`Error::DiskFull`] if less is free; `what` is part of its message.
pub fn ensure_free_space(what: &str, folder: &Path, needed_mib: u64) -> Result<(), Error> {
    let existing = folder.ancestors().find(|folder| folder.exists()).unwrap_or(folder);
    let Ok(stat) = statvfs(existing) else { return Ok(()) };
    let free_mib = (stat.blocks_available() * stat.fragment_size()) >> 20;
    if free_mib < needed_mib {
        let (what, folder) = (what.to_string(), folder.to_path_buf());
        return Err(Error::DiskFull { what, folder, free_mib, needed_mib });
    }
    Ok(())
}

/// Paths of the entries of a folder, sorted.
///
/// # Errors
/// [`io::Error`] if the folder cannot be read completely.
pub fn sorted_entries(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut paths = fs::read_dir(folder)?.map(|entry| Ok(entry?.path())).collect::<io::Result<Vec<_>>>()?;
    paths.sort();
    Ok(paths)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failed_command_is_reported_with_its_output() {
        let mut command = Command::new("sh");
        let error = run("do the work", command.args(["-c", "echo out; echo err >&2; exit 3"])).unwrap_err();
        assert_eq!(error.to_string(), "failed to do the work: sh ended with exit status: 3\nout\nerr\n");
        assert!(matches!(run("x", &mut Command::new("/nowhere/program")), Err(Error::NotRun { .. })));
    }

    #[test]
    fn free_space_is_checked_on_the_nearest_existing_folder() {
        let missing = std::env::temp_dir().join("missing/folder");
        ensure_free_space("write", &missing, 0).unwrap();
        assert!(matches!(ensure_free_space("write", &missing, u64::MAX), Err(Error::DiskFull { .. })));
    }
}

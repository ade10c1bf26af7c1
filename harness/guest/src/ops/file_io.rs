// SPDX-License-Identifier: MIT OR Apache-2.0
//! File content that is generated from a seed, written, and compared.

use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::mpsc::Sender;

use nix::unistd::syncfs;
use vremount_protocol::{Outcome, Prng};

use crate::error::{Failure, context};

const CHUNK: usize = 64 * 1024;

/// Generates the content of a file and calls `consume` with each chunk, until it returns false.
fn generate(bytes: u64, seed: u64, mut consume: impl FnMut(&[u8]) -> Result<bool, Failure>) -> Result<(), Failure> {
    let mut prng = Prng::new(seed);
    let mut chunk = [0; CHUNK];
    let mut left = bytes;
    while left > 0 {
        let length = usize::try_from(left).unwrap_or(CHUNK).min(CHUNK);
        prng.fill(&mut chunk[..length]);
        if !consume(&chunk[..length])? {
            break;
        }
        left -= length as u64;
    }
    Ok(())
}

/// Writes generated content without a sync. Creates the file and its directory. An existing file
/// keeps its blocks.
pub fn write(path: &Path, bytes: u64, seed: u64) -> Result<(), Failure> {
    if let Some(dir) = path.parent() {
        context("create", dir, fs::create_dir_all(dir))?;
    }
    let opened = OpenOptions::new().write(true).create(true).truncate(false).open(path);
    let mut file = context("open", path, opened)?;
    generate(bytes, seed, |chunk| context("write", path, file.write_all(chunk)).map(|()| true))
}

/// Writes generated content to an existing file with `O_DIRECT`.
pub fn write_direct(path: &Path, bytes: u64, seed: u64) -> Result<(), Failure> {
    let opened = OpenOptions::new().write(true).custom_flags(libc::O_DIRECT).open(path);
    let mut file = context("open", path, opened)?;
    let mut aligned = Aligned([0; CHUNK]);
    generate(bytes, seed, |chunk| {
        let buffer = &mut aligned.0[..chunk.len()];
        buffer.copy_from_slice(chunk);
        context("write with O_DIRECT to", path, file.write_all(buffer)).map(|()| true)
    })
}

/// Writes files in a directory and syncs the filesystem, without end. Sends to `started` when the
/// first files are written.
pub fn keep_writing(dir: &Path, filesystem: &Path, started: &Sender<()>) -> Result<(), Failure> {
    const BYTES: u64 = 2 * CHUNK as u64;
    let synced = context("open", filesystem, File::open(filesystem))?;
    // Reusing the names limits the space, and some writes overwrite existing blocks.
    for number in (0..).map(|count: u64| count % 64) {
        write(&dir.join(format!("busy/{number}")), BYTES, number)?;
        if number % 8 == 7 {
            context("syncfs", filesystem, syncfs(&synced))?;
        }
        if number == 36 {
            // The receiver is gone after the first message.
            let _ = started.send(());
        }
    }
    Ok(())
}

/// A buffer with the alignment that `O_DIRECT` requires.
#[repr(align(4096))]
struct Aligned([u8; CHUNK]);

/// Compares a file with the content that [`write()`] generates.
pub fn compare(path: &Path, bytes: u64, seed: u64) -> Result<Outcome, Failure> {
    compare_open_file(context("open", path, File::open(path))?, path, bytes, seed)
}

/// Compares a file like [`compare`], with `O_DIRECT`.
pub fn compare_on_disk(path: &Path, bytes: u64, seed: u64) -> Result<Outcome, Failure> {
    let open = || context("open", path, OpenOptions::new().read(true).custom_flags(libc::O_DIRECT).open(path));
    // The read writes dirty pages back first. An earlier writeback error makes it fail once.
    match compare_open_file(open()?, path, bytes, seed) {
        Err(Failure { errno: libc::EIO, .. }) => compare_open_file(open()?, path, bytes, seed),
        result => result,
    }
}

fn compare_open_file(mut file: File, path: &Path, bytes: u64, seed: u64) -> Result<Outcome, Failure> {
    let mut aligned = Aligned([0; CHUNK]);
    let buffer = &mut aligned.0;
    let mut offset = 0_u64;
    let mut difference = None;
    generate(bytes, seed, |expected| {
        let found = &mut buffer[..expected.len()];
        match file.read_exact(found) {
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => {
                difference = Some(format!("{} ends before byte {}", path.display(), offset + expected.len() as u64));
            }
            read => context("read", path, read)?,
        }
        if difference.is_none()
            && let Some(position) = found.iter().zip(expected).position(|(found, expected)| found != expected)
        {
            difference = Some(format!("{} differs at byte {}", path.display(), offset + position as u64));
        }
        offset += expected.len() as u64;
        Ok(difference.is_none())
    })?;
    if difference.is_none() && context("read", path, file.read(&mut buffer[..]))? > 0 {
        difference = Some(format!("{} is longer than {bytes} bytes", path.display()));
    }
    Ok(difference.map_or(Outcome::Done, |what| Outcome::Differs { difference: what }))
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::empty(0)]
    #[case::odd_length(7)]
    #[case::one_chunk(CHUNK as u64)]
    #[case::several_chunks(3 * CHUNK as u64 + 5)]
    fn only_written_content_compares_equal(#[case] bytes: u64) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a/file");
        write(&path, bytes, 1).unwrap();
        assert_eq!(compare(&path, bytes, 1).unwrap(), Outcome::Done);
        assert!(bytes == 0 || compare(&path, bytes, 2).unwrap() != Outcome::Done);
        assert_ne!(compare(&path, bytes + 1, 1).unwrap(), Outcome::Done);
        assert!(bytes == 0 || compare(&path, bytes - 1, 1).unwrap() != Outcome::Done);
    }

    #[test]
    fn first_difference_is_reported() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        write(&path, 100_000, 1).unwrap();
        let mut content = fs::read(&path).unwrap();
        content[70_000] ^= 1;
        fs::write(&path, content).unwrap();
        let Outcome::Differs { difference: what } = compare(&path, 100_000, 1).unwrap() else { panic!() };
        assert!(what.ends_with("differs at byte 70000"), "{what}");
    }
}

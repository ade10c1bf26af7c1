// SPDX-License-Identifier: MIT OR Apache-2.0
//! File content that can be written and recognised.

use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::mpsc::Sender;

use nix::unistd::syncfs;
use vremount_protocol::{Outcome, Prng};

use crate::error::{Failure, context};

const CHUNK: usize = 64 * 1024;

/// Calls `each` with all chunks of a file in the making.
fn chunks(bytes: u64, seed: u64, mut each: impl FnMut(&[u8]) -> Result<bool, Failure>) -> Result<(), Failure> {
    let mut source = Prng::of(seed);
    let mut chunk = [0; CHUNK];
    let mut left = bytes;
    while left > 0 {
        let length = usize::try_from(left).unwrap_or(CHUNK).min(CHUNK);
        source.fill(&mut chunk[..length]);
        if !each(&chunk[..length])? {
            break;
        }
        left -= length as u64;
    }
    Ok(())
}

/// Writes over what is there, so that a file that has its blocks keeps them. No sync.
pub fn write(path: &Path, bytes: u64, seed: u64) -> Result<(), Failure> {
    if let Some(folder) = path.parent() {
        context("create", folder, fs::create_dir_all(folder))?;
    }
    let opened = OpenOptions::new().write(true).create(true).truncate(false).open(path);
    let mut file = context("open", path, opened)?;
    chunks(bytes, seed, |chunk| context("write", path, file.write_all(chunk)).map(|()| true))
}

/// Writes to a file that is there, past the page cache.
pub fn write_direct(path: &Path, bytes: u64, seed: u64) -> Result<(), Failure> {
    let opened = OpenOptions::new().write(true).custom_flags(libc::O_DIRECT).open(path);
    let mut file = context("open", path, opened)?;
    let mut aligned = Aligned([0; CHUNK]);
    chunks(bytes, seed, |chunk| {
        let buffer = &mut aligned.0[..chunk.len()];
        buffer.copy_from_slice(chunk);
        context("write past the page cache to", path, file.write_all(buffer)).map(|()| true)
    })
}

/// Writes files of a folder, for ever, and has their filesystem synced now and then. Tells when it is in the middle of it.
pub fn keep_writing(folder: &Path, filesystem: &Path, tell: &Sender<()>) -> Result<(), Failure> {
    const BYTES: u64 = 2 * CHUNK as u64;
    let synced = context("open", filesystem, File::open(filesystem))?;
    // The names come again, so that what is written fits, and some of it is written over.
    for number in (0..).map(|count: u64| count % 64) {
        write(&folder.join(format!("busy/{number}")), BYTES, number)?;
        if number % 8 == 7 {
            context("syncfs", filesystem, syncfs(&synced))?;
        }
        if number == 36 {
            // Only the first one is waited for.
            let _ = tell.send(());
        }
    }
    Ok(())
}

/// What the disk itself can take data from.
#[repr(align(4096))]
struct Aligned([u8; CHUNK]);

/// Whether the file is what [`write`] wrote, and nothing more.
pub fn compare(path: &Path, bytes: u64, seed: u64) -> Result<Outcome, Failure> {
    compare_with(context("open", path, File::open(path))?, path, bytes, seed)
}

/// The same past the page cache.
pub fn compare_on_disk(path: &Path, bytes: u64, seed: u64) -> Result<Outcome, Failure> {
    let open = || context("open", path, OpenOptions::new().read(true).custom_flags(libc::O_DIRECT).open(path));
    // What was dirty is written back first, and an old error of that is told once.
    match compare_with(open()?, path, bytes, seed) {
        Err(Failure { errno: libc::EIO, .. }) => compare_with(open()?, path, bytes, seed),
        told => told,
    }
}

fn compare_with(mut file: File, path: &Path, bytes: u64, seed: u64) -> Result<Outcome, Failure> {
    let mut aligned = Aligned([0; CHUNK]);
    let found = &mut aligned.0;
    let mut at = 0_u64;
    let mut differs = None;
    chunks(bytes, seed, |expected| {
        let found = &mut found[..expected.len()];
        match file.read_exact(found) {
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => {
                differs = Some(format!("{} ends before byte {}", path.display(), at + expected.len() as u64));
            }
            read => context("read", path, read)?,
        }
        if differs.is_none()
            && let Some(place) = found.iter().zip(expected).position(|(found, expected)| found != expected)
        {
            differs = Some(format!("{} differs at byte {}", path.display(), at + place as u64));
        }
        at += expected.len() as u64;
        Ok(differs.is_none())
    })?;
    if differs.is_none() && context("read", path, file.read(&mut found[..]))? > 0 {
        differs = Some(format!("{} is longer than {bytes} bytes", path.display()));
    }
    Ok(differs.map_or(Outcome::Done, |what| Outcome::Differs { what }))
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::nothing(0)]
    #[case::odd(7)]
    #[case::a_chunk(CHUNK as u64)]
    #[case::more(3 * CHUNK as u64 + 5)]
    fn recognises_what_was_written(#[case] bytes: u64) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a/file");
        write(&path, bytes, 1).unwrap();
        assert_eq!(compare(&path, bytes, 1).unwrap(), Outcome::Done);
        assert!(bytes == 0 || compare(&path, bytes, 2).unwrap() != Outcome::Done);
        assert_ne!(compare(&path, bytes + 1, 1).unwrap(), Outcome::Done);
        assert!(bytes == 0 || compare(&path, bytes - 1, 1).unwrap() != Outcome::Done);
    }

    #[test]
    fn says_where_it_differs() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        write(&path, 100_000, 1).unwrap();
        let mut content = fs::read(&path).unwrap();
        content[70_000] ^= 1;
        fs::write(&path, content).unwrap();
        let Outcome::Differs { what } = compare(&path, 100_000, 1).unwrap() else { panic!() };
        assert!(what.ends_with("differs at byte 70000"), "{what}");
    }
}

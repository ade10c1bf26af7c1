// SPDX-License-Identifier: MIT OR Apache-2.0
//! Content of an upper: many small files, and dirty pages.

use std::fs::{self, File};
use std::io::Write;
use std::path::Path;

use crate::error::{Failure, context};

const FILE_BYTES: usize = 512;
/// Number of files per directory.
const FILES_PER_DIR: u32 = 1000;
const CHUNK: usize = 1 << 20;

/// Creates small files.
pub fn create_files(upper: &Path, files: u32) -> Result<(), Failure> {
    let content = [b'x'; FILE_BYTES];
    for number in 0..files {
        let dir = upper.join(format!("files/{}", number / FILES_PER_DIR));
        if number % FILES_PER_DIR == 0 {
            context("create", &dir, fs::create_dir_all(&dir))?;
        }
        let path = dir.join(number.to_string());
        context("write", &path, fs::write(&path, content))?;
    }
    Ok(())
}

/// Overwrites a file without a sync. The content is constant, because generating it would take
/// longer than writing it.
pub fn write_dirty(path: &Path, bytes: u64) -> Result<(), Failure> {
    let opened = File::options().write(true).create(true).truncate(false).open(path);
    let mut file = context("open", path, opened)?;
    let chunk = vec![b'y'; CHUNK];
    let mut remaining = bytes;
    while remaining > 0 {
        let length = usize::try_from(remaining).unwrap_or(CHUNK).min(CHUNK);
        context("write", path, file.write_all(&chunk[..length]))?;
        remaining -= length as u64;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requested_number_of_files_is_created() {
        let dir = tempfile::tempdir().unwrap();
        create_files(dir.path(), FILES_PER_DIR + 2).unwrap();
        let count = |name: &str| fs::read_dir(dir.path().join("files").join(name)).unwrap().count();
        assert_eq!([count("0"), count("1")], [1000, 2]);
    }

    #[test]
    fn second_write_overwrites_the_first() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        for _ in 0..2 {
            write_dirty(&path, CHUNK as u64 + 3).unwrap();
            assert_eq!(fs::metadata(&path).unwrap().len(), CHUNK as u64 + 3);
        }
    }
}

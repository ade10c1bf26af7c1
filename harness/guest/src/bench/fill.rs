// SPDX-License-Identifier: MIT OR Apache-2.0
//! What is in an upper: many small files, and dirty pages.

use std::fs::{self, File};
use std::io::Write;
use std::path::Path;

use crate::error::{Failure, context};

const FILE_BYTES: usize = 512;
/// No folder has more files.
const IN_A_FOLDER: u32 = 1000;
const CHUNK: usize = 1 << 20;

/// Makes so many small files.
pub fn fill(upper: &Path, files: u32) -> Result<(), Failure> {
    let content = [b'x'; FILE_BYTES];
    for number in 0..files {
        let folder = upper.join(format!("files/{}", number / IN_A_FOLDER));
        if number % IN_A_FOLDER == 0 {
            context("create", &folder, fs::create_dir_all(&folder))?;
        }
        let path = folder.join(number.to_string());
        context("write", &path, fs::write(&path, content))?;
    }
    Ok(())
}

/// Writes over what is there; what is written does not matter, so that most of the time is the kernel's.
pub fn dirty(path: &Path, bytes: u64) -> Result<(), Failure> {
    let opened = File::options().write(true).create(true).truncate(false).open(path);
    let mut file = context("open", path, opened)?;
    let chunk = vec![b'y'; CHUNK];
    let mut left = bytes;
    while left > 0 {
        let length = usize::try_from(left).unwrap_or(CHUNK).min(CHUNK);
        context("write", path, file.write_all(&chunk[..length]))?;
        left -= length as u64;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn makes_as_many_files_as_asked_for() {
        let folder = tempfile::tempdir().unwrap();
        fill(folder.path(), IN_A_FOLDER + 2).unwrap();
        let count = |name: &str| fs::read_dir(folder.path().join("files").join(name)).unwrap().count();
        assert_eq!([count("0"), count("1")], [1000, 2]);
    }

    #[test]
    fn makes_as_many_bytes_dirty_and_no_file_longer_the_second_time() {
        let path = tempfile::tempdir().unwrap().keep().join("file");
        for _ in 0..2 {
            dirty(&path, CHUNK as u64 + 3).unwrap();
            assert_eq!(fs::metadata(&path).unwrap().len(), CHUNK as u64 + 3);
        }
        fs::remove_dir_all(path.parent().unwrap()).unwrap();
    }
}

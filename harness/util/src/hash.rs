// SPDX-License-Identifier: MIT OR Apache-2.0
//! SHA-256 of files and cache keys, as hexadecimal text.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use sha2::{Digest, Sha256};

/// Bytes of a hash that a cache key consists of.
const KEY_BYTES: usize = 8;

/// Bytes as lowercase hexadecimal text.
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The first 16 hexadecimal digits of a hash: enough to distinguish the entries of one cache.
#[must_use]
pub fn cache_key(hash: Sha256) -> String {
    hex(&hash.finalize()[..KEY_BYTES])
}

/// SHA-256 of a file: 64 hexadecimal digits.
///
/// # Errors
/// [`io::Error`] if the file cannot be read.
pub fn sha256_file(path: &Path) -> io::Result<String> {
    let mut hash = Sha256::new();
    let mut file = File::open(path)?;
    let mut chunk = vec![0; 1 << 20];
    while let length @ 1.. = file.read(&mut chunk)? {
        hash.update(&chunk[..length]);
    }
    Ok(hex(&hash.finalize()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn file_hash_equals_that_of_sha256sum() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "abc").unwrap();
        let expected = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(sha256_file(file.path()).unwrap(), expected);
        assert_eq!(cache_key(Sha256::new_with_prefix("abc")), expected[..16]);
    }
}

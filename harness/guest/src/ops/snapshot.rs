// SPDX-License-Identifier: MIT OR Apache-2.0
//! Snapshots of files, to detect changes. Taking one does not change access times, and access times
//! are not compared.

use std::collections::BTreeMap;
use std::fs::{self, File, Metadata, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};
use vremount_protocol::{CHECKPOINT_XATTR, Checkpoint};

use crate::error::{Failure, context};
use crate::init::init_system::hex;

/// Properties of files by name, by path of the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot(BTreeMap<PathBuf, BTreeMap<String, String>>);

impl Snapshot {
    /// Takes a snapshot of a directory and everything below it.
    pub fn from_tree(root: &Path) -> Result<Self, Failure> {
        let mut files = BTreeMap::new();
        let mut pending = vec![root.to_path_buf()];
        while let Some(path) = pending.pop() {
            let metadata = context("stat", &path, fs::symlink_metadata(&path))?;
            if metadata.is_dir() {
                for entry in context("list", &path, fs::read_dir(&path))? {
                    pending.push(context("list", &path, entry)?.path());
                }
            }
            files.insert(path.clone(), context("read", &path, properties(&path, &metadata))?);
        }
        Ok(Snapshot(files))
    }

    /// Takes a snapshot of these files only.
    pub fn from_files(paths: &[PathBuf]) -> Result<Self, Failure> {
        let mut files = BTreeMap::new();
        for path in paths {
            let metadata = context("stat", path, fs::symlink_metadata(path))?;
            files.insert(path.clone(), context("read", path, properties(path, &metadata))?);
        }
        Ok(Snapshot(files))
    }

    /// Describes the first difference between `self` and a later snapshot. None if they are equal.
    pub fn difference(&self, now: &Snapshot) -> Option<String> {
        for (path, before) in &self.0 {
            let Some(now) = now.0.get(path) else {
                return Some(format!("{} was removed", path.display()));
            };
            let names = before.keys().chain(now.keys());
            if let Some(name) = names.into_iter().find(|name| before.get(*name) != now.get(*name)) {
                let value = |properties: &BTreeMap<String, String>| {
                    properties.get(name).map_or("none", String::as_str).to_string()
                };
                return Some(format!("{}: {name} changed from {} to {}", path.display(), value(before), value(now)));
            }
        }
        let new = now.0.keys().find(|path| !self.0.contains_key(*path))?;
        Some(format!("{} was created", new.display()))
    }
}

fn properties(path: &Path, metadata: &Metadata) -> io::Result<BTreeMap<String, String>> {
    let mut properties = BTreeMap::from([
        ("inode".to_string(), metadata.ino().to_string()),
        ("mode".to_string(), format!("{:o}", metadata.mode())),
        ("owner".to_string(), format!("{}:{}", metadata.uid(), metadata.gid())),
        ("links".to_string(), metadata.nlink().to_string()),
        ("device".to_string(), metadata.rdev().to_string()),
        ("size".to_string(), metadata.size().to_string()),
        ("modified".to_string(), format!("{}.{:09}", metadata.mtime(), metadata.mtime_nsec())),
        ("changed".to_string(), format!("{}.{:09}", metadata.ctime(), metadata.ctime_nsec())),
    ]);
    if metadata.is_file() {
        properties.insert("content".to_string(), content_hash(path)?);
    } else if metadata.is_symlink() {
        properties.insert("target".to_string(), fs::read_link(path)?.to_string_lossy().into_owned());
    }
    for name in xattr::list(path)? {
        let value = xattr::get(path, &name)?.unwrap_or_default();
        let text = if name == CHECKPOINT_XATTR { Checkpoint::format_xattr(&value) } else { hex(&value) };
        properties.insert(format!("xattr {}", name.to_string_lossy()), text);
    }
    Ok(properties)
}

/// SHA-256 of the content, hexadecimal.
fn content_hash(path: &Path) -> io::Result<String> {
    let open = |flags| OpenOptions::new().read(true).custom_flags(flags).open(path);
    // O_NOATIME fails with EPERM for files of other users, which exist only where unit tests run.
    let mut file: File = open(libc::O_NOATIME).or_else(|_| open(0))?;
    let mut hash = Sha256::new();
    let mut chunk = [0; 64 * 1024];
    loop {
        match file.read(&mut chunk)? {
            0 => return Ok(hex(&hash.finalize())),
            length => hash.update(&chunk[..length]),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt, symlink};

    use rstest::rstest;

    use super::*;

    fn tree() -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("dir")).unwrap();
        fs::write(dir.path().join("dir/file"), "content").unwrap();
        symlink("file", dir.path().join("dir/link")).unwrap();
        dir
    }

    type Change = fn(&Path);

    #[rstest]
    #[case::content(|dir: &Path| fs::write(dir.join("file"), "CONTENT").unwrap(), "file: ")]
    #[case::mode(|dir: &Path| fs::set_permissions(dir.join("file"), fs::Permissions::from_mode(0o600)).unwrap(), "file: ")]
    #[case::removed(|dir: &Path| fs::remove_file(dir.join("link")).unwrap(), "dir: ")]
    #[case::created(|dir: &Path| fs::write(dir.join("new"), "").unwrap(), "dir: ")]
    #[case::xattr(|dir: &Path| xattr::set(dir.join("file"), "user.x", b"1").unwrap(), "file: ")]
    fn first_change_is_described(#[case] change: Change, #[case] named: &str) {
        let dir = tree();
        let before = Snapshot::from_tree(dir.path()).unwrap();
        assert_eq!(before.difference(&Snapshot::from_tree(dir.path()).unwrap()), None);
        change(&dir.path().join("dir"));
        let difference = before.difference(&Snapshot::from_tree(dir.path()).unwrap()).unwrap();
        assert!(difference.contains(named), "{difference}");
    }

    #[test]
    fn reading_a_file_is_not_a_change() {
        let dir = tree();
        let before = Snapshot::from_tree(dir.path()).unwrap();
        fs::read(dir.path().join("dir/file")).unwrap();
        assert_eq!(before.difference(&Snapshot::from_tree(dir.path()).unwrap()), None);
    }
}

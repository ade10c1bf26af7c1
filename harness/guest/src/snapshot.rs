// SPDX-License-Identifier: MIT OR Apache-2.0
//! The state of files, to tell whether anything changed. Looking changes nothing: access times neither count nor move.

use std::collections::BTreeMap;
use std::fs::{self, File, Metadata, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use crate::error::{Failure, context};
use crate::init_system::hex;

/// Every file, by path; of each its properties, by name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot(BTreeMap<PathBuf, BTreeMap<String, String>>);

impl Snapshot {
    /// All below a folder, the folder included.
    pub fn of_tree(root: &Path) -> Result<Self, Failure> {
        let mut files = BTreeMap::new();
        let mut left = vec![root.to_path_buf()];
        while let Some(path) = left.pop() {
            let metadata = context("look at", &path, fs::symlink_metadata(&path))?;
            if metadata.is_dir() {
                for entry in context("list", &path, fs::read_dir(&path))? {
                    left.push(context("list", &path, entry)?.path());
                }
            }
            files.insert(path.clone(), context("read", &path, properties(&path, &metadata))?);
        }
        Ok(Snapshot(files))
    }

    /// These files alone.
    pub fn of_files(paths: &[PathBuf]) -> Result<Self, Failure> {
        let mut files = BTreeMap::new();
        for path in paths {
            let metadata = context("look at", path, fs::symlink_metadata(path))?;
            files.insert(path.clone(), context("read", path, properties(path, &metadata))?);
        }
        Ok(Snapshot(files))
    }

    /// The first difference, in words.
    pub fn difference(&self, now: &Snapshot) -> Option<String> {
        for (path, before) in &self.0 {
            let Some(now) = now.0.get(path) else {
                return Some(format!("{} is gone", path.display()));
            };
            let names = before.keys().chain(now.keys());
            if let Some(name) = names.into_iter().find(|name| before.get(*name) != now.get(*name)) {
                let value = |of: &BTreeMap<String, String>| of.get(name).map_or("none", String::as_str).to_string();
                return Some(format!("{}: {name} was {}, is {}", path.display(), value(before), value(now)));
            }
        }
        let new = now.0.keys().find(|path| !self.0.contains_key(*path))?;
        Some(format!("{} is new", new.display()))
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
        properties.insert("content".to_string(), content(path)?);
    } else if metadata.is_symlink() {
        properties.insert("target".to_string(), fs::read_link(path)?.to_string_lossy().into_owned());
    }
    for name in xattr::list(path)? {
        let value = xattr::get(path, &name)?.unwrap_or_default();
        properties.insert(format!("xattr {}", name.to_string_lossy()), hex(&value));
    }
    Ok(properties)
}

fn content(path: &Path) -> io::Result<String> {
    let open = |flags| OpenOptions::new().read(true).custom_flags(flags).open(path);
    // Only the owner of a file may leave its access time alone; the guest owns every file, others need not.
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
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("dir")).unwrap();
        fs::write(folder.path().join("dir/file"), "content").unwrap();
        symlink("file", folder.path().join("dir/link")).unwrap();
        folder
    }

    type Change = fn(&Path);

    #[rstest]
    #[case::content(|dir: &Path| fs::write(dir.join("file"), "CONTENT").unwrap(), "file: ")]
    #[case::mode(|dir: &Path| fs::set_permissions(dir.join("file"), fs::Permissions::from_mode(0o600)).unwrap(), "file: ")]
    #[case::gone(|dir: &Path| fs::remove_file(dir.join("link")).unwrap(), "dir: ")]
    #[case::new(|dir: &Path| fs::write(dir.join("new"), "").unwrap(), "dir: ")]
    #[case::xattr(|dir: &Path| xattr::set(dir.join("file"), "user.x", b"1").unwrap(), "file: ")]
    fn a_change_is_named(#[case] change: Change, #[case] named: &str) {
        let folder = tree();
        let before = Snapshot::of_tree(folder.path()).unwrap();
        assert_eq!(before.difference(&Snapshot::of_tree(folder.path()).unwrap()), None);
        change(&folder.path().join("dir"));
        let difference = before.difference(&Snapshot::of_tree(folder.path()).unwrap()).unwrap();
        assert!(difference.contains(named), "{difference}");
    }

    #[test]
    fn reading_is_no_change() {
        let folder = tree();
        let before = Snapshot::of_tree(folder.path()).unwrap();
        fs::read(folder.path().join("dir/file")).unwrap();
        assert_eq!(before.difference(&Snapshot::of_tree(folder.path()).unwrap()), None);
    }
}

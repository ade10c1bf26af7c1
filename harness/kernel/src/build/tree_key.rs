// SPDX-License-Identifier: MIT OR Apache-2.0
//! Cache keys of the tree of a commit: one for the files that affect the image, one for those that
//! only affect overlay.ko. The image is built once for all commits that have the same key.

use std::path::Path;

use sha2::{Digest, Sha256};
use vremount_util::{command, hash};

use crate::source::git_command;

const OVERLAY: &str = "fs/overlayfs/";

/// Keys of a tree. Equal keys mean identical build inputs.
#[derive(Debug, PartialEq, Eq)]
pub struct TreeKey {
    /// Key of the image and of all other files that a module may include.
    pub image: String,
    /// Key of the sources of overlay.ko alone.
    pub overlay: String,
}

impl TreeKey {
    /// The keys of the tree of a commit.
    pub fn of_commit(repository: &Path, commit: &str) -> Result<Self, command::Error> {
        let mut list = git_command(repository, ["ls-tree", "-r", "--full-tree", "-z"]);
        Ok(TreeKey::from_list(&command::run("list a tree", list.arg(commit))?))
    }

    /// The keys of a listing of `git ls-tree -z`: mode, type, id, a tab and the path of each entry.
    fn from_list(list: &str) -> Self {
        let (mut image, mut overlay) = (Sha256::new(), Sha256::new());
        for entry in list.split_terminator('\0') {
            let path = entry.split_once('\t').map_or(entry, |(_, path)| path);
            let hash = match part_of(path) {
                TreePart::Nothing => continue,
                TreePart::Overlay => &mut overlay,
                TreePart::Image => &mut image,
            };
            hash.update(entry);
            hash.update([0]);
        }
        TreeKey { image: hash::cache_key(image), overlay: hash::cache_key(overlay) }
    }
}

/// The part of a kernel that a file affects.
#[derive(Debug, PartialEq, Eq)]
enum TreePart {
    Nothing,
    Overlay,
    Image,
}

/// The part that a file affects. A file that may affect the image counts as such: also Makefile and
/// Kconfig of overlayfs, which affect the configuration.
fn part_of(path: &str) -> TreePart {
    let is_source = || path.ends_with(".c") || path.ends_with(".h");
    let is_kconfig = || path.rsplit('/').next().is_some_and(|name| name.starts_with("Kconfig"));
    if path.starts_with(OVERLAY) && is_source() {
        TreePart::Overlay
    } else if path.starts_with("Documentation/") && !is_kconfig() {
        TreePart::Nothing
    } else {
        TreePart::Image
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::overlayfs_source("fs/overlayfs/super.c", TreePart::Overlay)]
    #[case::overlayfs_header("fs/overlayfs/overlayfs.h", TreePart::Overlay)]
    #[case::overlayfs_makefile("fs/overlayfs/Makefile", TreePart::Image)]
    #[case::overlayfs_kconfig("fs/overlayfs/Kconfig", TreePart::Image)]
    #[case::similar_name("fs/overlayfs.c", TreePart::Image)]
    #[case::other_source("fs/super.c", TreePart::Image)]
    #[case::other_header("include/linux/fs.h", TreePart::Image)]
    #[case::document("Documentation/filesystems/overlayfs.rst", TreePart::Nothing)]
    #[case::kconfig_of_documentation("Documentation/Kconfig", TreePart::Image)]
    fn files_are_assigned_to_the_part_that_they_affect(#[case] path: &str, #[case] expected: TreePart) {
        assert_eq!(part_of(path), expected);
    }

    #[test]
    fn key_only_changes_with_its_files() {
        let list = |super_c: char, fs_h: char, rst: char| {
            let line = |id: char, path: &str| format!("100644 blob {id}\t{path}\0");
            line(super_c, "fs/overlayfs/super.c")
                + &line(fs_h, "include/linux/fs.h")
                + &line(rst, "Documentation/x.rst")
        };
        let keys = |super_c, fs_h, rst| TreeKey::from_list(&list(super_c, fs_h, rst));
        let first = keys('1', '1', '1');
        assert_eq!(keys('1', '1', '2'), first);
        assert!(keys('2', '1', '1').image == first.image && keys('2', '1', '1').overlay != first.overlay);
        assert!(keys('1', '2', '1').image != first.image && keys('1', '2', '1').overlay == first.overlay);
    }
}

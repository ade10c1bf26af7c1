// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a kernel of a workspace is made of, told from the tree of a commit: which part of it shows in the image, and which
//! only in overlay.ko. Two commits with the same image need it built once, however far apart they are.

use std::path::Path;

use sha2::{Digest, Sha256};
use vremount_util::{command, hash};

use crate::source::git;

const OVERLAY: &str = "fs/overlayfs/";

/// The same, the same.
#[derive(Debug, PartialEq, Eq)]
pub struct TreeKey {
    /// Of the image, and of everything that a module of its can see.
    pub image: String,
    /// Of overlay.ko, given the image.
    pub overlay: String,
}

impl TreeKey {
    pub fn of(repository: &Path, commit: &str) -> Result<Self, command::Error> {
        let mut list = git(repository, ["ls-tree", "-r", "--full-tree", "-z"]);
        Ok(TreeKey::of_list(&command::run("list a tree", list.arg(commit))?))
    }

    /// Of entries as git lists them: mode, type, id, a tab, path.
    fn of_list(list: &str) -> Self {
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
        TreeKey { image: hash::short(image), overlay: hash::short(overlay) }
    }
}

#[derive(Debug, PartialEq, Eq)]
enum TreePart {
    Nothing,
    Overlay,
    Image,
}

/// In doubt, of the image. Makefile and Kconfig of overlayfs are: the kernel's configuration comes from them.
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
    #[case("fs/overlayfs/super.c", TreePart::Overlay)]
    #[case("fs/overlayfs/overlayfs.h", TreePart::Overlay)]
    #[case("fs/overlayfs/Makefile", TreePart::Image)]
    #[case("fs/overlayfs/Kconfig", TreePart::Image)]
    #[case("fs/overlayfs.c", TreePart::Image)]
    #[case("fs/super.c", TreePart::Image)]
    #[case("include/linux/fs.h", TreePart::Image)]
    #[case("Documentation/filesystems/overlayfs.rst", TreePart::Nothing)]
    #[case("Documentation/Kconfig", TreePart::Image)]
    fn what_may_show_in_the_image_counts_as_such(#[case] path: &str, #[case] expected: TreePart) {
        assert_eq!(part_of(path), expected);
    }

    #[test]
    fn only_what_changed_changes() {
        let list = |super_c: char, fs_h: char, rst: char| {
            let line = |id: char, path: &str| format!("100644 blob {id}\t{path}\0");
            line(super_c, "fs/overlayfs/super.c")
                + &line(fs_h, "include/linux/fs.h")
                + &line(rst, "Documentation/x.rst")
        };
        let of = |super_c, fs_h, rst| TreeKey::of_list(&list(super_c, fs_h, rst));
        let first = of('1', '1', '1');
        assert_eq!(of('1', '1', '2'), first);
        assert!(of('2', '1', '1').image == first.image && of('2', '1', '1').overlay != first.overlay);
        assert!(of('1', '2', '1').image != first.image && of('1', '2', '1').overlay == first.overlay);
    }
}

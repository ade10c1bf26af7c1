// SPDX-License-Identifier: MIT OR Apache-2.0
//! Upper filesystems, as data: how they are made, how they are mounted, what they have.

use std::str::FromStr;

use serde::{Deserialize, Serialize};
use vremount_protocol::Filesystem;
use vremount_util::suggest::{closest, did_you_mean};

/// A filesystem that claims are proved on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Fs {
    Ext4,
    /// ext4 without a journal.
    Ext4NoJournal,
    Ext2,
    Xfs,
    Btrfs,
    /// A subvolume of a btrfs, mounted by its name.
    BtrfsSubvolume,
    F2fs,
    Tmpfs,
    /// In memory like tmpfs, and without xattrs of any kind.
    Ramfs,
}

/// `--fs` named something else.
#[derive(Debug, thiserror::Error)]
#[error(
    "failed to find filesystem {0:?}: {suggestion}the filesystems are {known}",
    suggestion = did_you_mean(closest(.0, Fs::ALL.map(Fs::name))),
    known = Fs::ALL.map(Fs::name).join(", ")
)]
pub struct UnknownFs(String);

/// The command that makes an image. In its arguments `{image}` stands for the path of the image, `{bytes}`, `{kib}` and
/// `{sectors}` for the size of the filesystem.
pub struct Mkfs {
    pub program: &'static str,
    pub package: &'static str,
    pub(super) args: Vec<&'static str>,
    /// Size of the image, of which the filesystem leaves a little at the end.
    pub image_mib: u64,
}

/// What the filesystem leaves free at the end of the device, where what fails flushes goes.
const SPARE_BYTES: u64 = 4096;

impl Mkfs {
    /// Its arguments for an image.
    #[must_use]
    pub fn args_for(&self, image: &str) -> Vec<String> {
        let bytes = (self.image_mib << 20) - SPARE_BYTES;
        let sizes = [("{bytes}", bytes), ("{kib}", bytes / 1024), ("{sectors}", bytes / 512)];
        let filled = |arg: &&str| {
            let sized = sizes.iter().fold((*arg).to_string(), |arg, (name, size)| arg.replace(name, &size.to_string()));
            sized.replace("{image}", image)
        };
        self.args.iter().map(filled).collect()
    }

    /// What it must find in its environment.
    #[must_use]
    pub fn env(&self) -> &'static [(&'static str, &'static str)] {
        match self.program {
            "mkfs.ext4" | "mkfs.ext2" => &[("E2FSPROGS_FAKE_TIME", "1")],
            // It makes nothing smaller than 300 MB but for tests.
            "mkfs.xfs" => &[("TEST_DIR", "/"), ("TEST_DEV", "/"), ("QA_CHECK_FS", "1")],
            _ => &[],
        }
    }
}

impl Fs {
    pub const ALL: [Fs; 9] =
        [Fs::Ext4, Fs::Ext4NoJournal, Fs::Ext2, Fs::Xfs, Fs::Btrfs, Fs::BtrfsSubvolume, Fs::F2fs, Fs::Tmpfs, Fs::Ramfs];

    /// Those that are asked for, each once and in the order in which they are told; nothing asked for is all.
    #[must_use]
    pub fn selected(asked: &[Fs]) -> Vec<Fs> {
        Fs::ALL.into_iter().filter(|fs| asked.is_empty() || asked.contains(fs)).collect()
    }

    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Fs::Ext4 => "ext4",
            Fs::Ext4NoJournal => "ext4-no-journal",
            Fs::Ext2 => "ext2",
            Fs::Xfs => "xfs",
            Fs::Btrfs => "btrfs",
            Fs::BtrfsSubvolume => "btrfs-subvolume",
            Fs::F2fs => "f2fs",
            Fs::Tmpfs => "tmpfs",
            Fs::Ramfs => "ramfs",
        }
    }

    /// Whether it is on a disk: one that can fail, be counted at, and outlive the machine.
    #[must_use]
    pub fn on_disk(self) -> bool {
        !matches!(self, Fs::Tmpfs | Fs::Ramfs)
    }

    /// Whether a checkpoint can be stored in it.
    #[must_use]
    pub fn has_xattrs(self) -> bool {
        self != Fs::Ramfs
    }

    /// How a guest mounts it. Journals are not committed in the middle of a claim, so that only what is asked for reaches
    /// the disk.
    #[must_use]
    pub fn filesystem(self) -> Filesystem {
        let (kind, options, subvolume) = match self {
            Fs::Ext4 => ("ext4", "commit=300", None),
            Fs::Ext4NoJournal => ("ext4", "", None),
            Fs::Ext2 => ("ext2", "", None),
            Fs::Xfs => ("xfs", "nouuid", None),
            Fs::Btrfs => ("btrfs", "commit=300,nodatacow", None),
            Fs::BtrfsSubvolume => ("btrfs", "commit=300,nodatacow", Some("subvolume")),
            Fs::F2fs => ("f2fs", "", None),
            Fs::Tmpfs => ("tmpfs", "size=64m", None),
            Fs::Ramfs => ("ramfs", "", None),
        };
        Filesystem {
            kind: kind.to_string(),
            options: options.to_string(),
            subvolume: subvolume.map(ToString::to_string),
        }
    }

    /// How its image is made. Everything that would differ from run to run is fixed as far as the tool lets us, and
    /// nothing is left for the kernel to initialise later.
    #[must_use]
    pub fn mkfs(self) -> Option<Mkfs> {
        let (program, package, image_mib, args) = match self {
            Fs::Ext4 => (
                "mkfs.ext4",
                "e2fsprogs",
                32,
                "-q -F -t ext4 -b 4096 -U 76726d74-0000-4000-8000-000000000004 -E root_owner=0:0,lazy_itable_init=0,\
                 lazy_journal_init=0,hash_seed=76726d74-0000-4000-8000-000000000004 {image} {kib}k",
            ),
            // Inodes that are too small for xattrs: those get a block of their own, which can be broken.
            Fs::Ext4NoJournal => (
                "mkfs.ext4",
                "e2fsprogs",
                32,
                "-q -F -t ext4 -b 4096 -I 128 -O ^has_journal -U 76726d74-0000-4000-8000-000000000014 \
                 -E root_owner=0:0,lazy_itable_init=0,hash_seed=76726d74-0000-4000-8000-000000000014 {image} {kib}k",
            ),
            Fs::Ext2 => (
                "mkfs.ext2",
                "e2fsprogs",
                32,
                "-q -F -t ext2 -b 4096 -U 76726d74-0000-4000-8000-000000000002 \
                 -E root_owner=0:0,hash_seed=76726d74-0000-4000-8000-000000000002 {image} {kib}k",
            ),
            // The features that all our bases know.
            Fs::Xfs => (
                "mkfs.xfs",
                "xfsprogs",
                64,
                "-q -f -m uuid=76726d74-0000-4000-8000-000000000003,bigtime=0,inobtcount=0 -d size={bytes} {image}",
            ),
            Fs::Btrfs | Fs::BtrfsSubvolume => (
                "mkfs.btrfs",
                "btrfs-progs",
                128,
                "-q -f -m single -d single -U 76726d74-0000-4000-8000-000000000005 -b {bytes} {image}",
            ),
            Fs::F2fs => (
                "mkfs.f2fs",
                "f2fs-tools",
                64,
                "-q -f -r -T 0 -t 0 -U 76726d74-0000-4000-8000-000000000006 {image} {sectors}",
            ),
            Fs::Tmpfs | Fs::Ramfs => return None,
        };
        Some(Mkfs { program, package, args: args.split(' ').collect(), image_mib })
    }
}

impl FromStr for Fs {
    type Err = UnknownFs;

    fn from_str(name: &str) -> Result<Self, UnknownFs> {
        Fs::ALL.into_iter().find(|fs| fs.name() == name).ok_or_else(|| UnknownFs(name.to_string()))
    }
}

// SPDX-License-Identifier: MIT OR Apache-2.0
//! The upper filesystems: how they are made and mounted, and what they support.

use std::str::FromStr;

use serde::{Deserialize, Serialize};
use vremount_protocol::Filesystem;
use vremount_util::suggest::{closest, did_you_mean};

/// A filesystem on which claims are tested as upper filesystem.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Fs {
    /// ext4 with its default features.
    Ext4,
    /// ext4 without a journal.
    Ext4NoJournal,
    /// ext2.
    Ext2,
    /// xfs without features that the oldest base lacks.
    Xfs,
    /// btrfs, its top-level subvolume.
    Btrfs,
    /// A named subvolume of a btrfs.
    BtrfsSubvolume,
    /// f2fs.
    F2fs,
    /// tmpfs, in memory.
    Tmpfs,
    /// ramfs, in memory and without xattrs.
    Ramfs,
}

/// The name of a filesystem is unknown.
#[derive(Debug, thiserror::Error)]
#[error(
    "failed to find filesystem {0:?}: {suggestion}the filesystems are {known}",
    suggestion = did_you_mean(closest(.0, Fs::ALL.map(Fs::name))),
    known = Fs::ALL.map(Fs::name).join(", ")
)]
pub struct UnknownFs(String);

/// The command that makes a filesystem in an image file.
pub struct Mkfs {
    /// The program, for example `mkfs.ext4`.
    pub program: &'static str,
    /// The Debian package that contains it.
    pub package: &'static str,
    /// Arguments. `{image}` stands for the path of the image; `{bytes}`, `{kib}` and `{sectors}`
    /// stand for the size of the filesystem.
    pub(super) args: Vec<&'static str>,
    /// Size of the image, MiB. The filesystem is 4 KiB smaller.
    pub image_mib: u64,
}

/// Space at the end of the image that the filesystem does not use, bytes. Faults that fail flushes
/// need it.
const SPARE_BYTES: u64 = 4096;

impl Mkfs {
    /// Arguments for the image file `image`.
    #[must_use]
    pub fn args_for(&self, image: &str) -> Vec<String> {
        let bytes = (self.image_mib << 20) - SPARE_BYTES;
        let sizes = [("{bytes}", bytes), ("{kib}", bytes / 1024), ("{sectors}", bytes / 512)];
        let expand = |arg: &&str| {
            let with_size =
                sizes.iter().fold((*arg).to_string(), |arg, (name, size)| arg.replace(name, &size.to_string()));
            with_size.replace("{image}", image)
        };
        self.args.iter().map(expand).collect()
    }

    /// Environment variables for the command, which make the image reproducible and small.
    #[must_use]
    pub fn env(&self) -> &'static [(&'static str, &'static str)] {
        match self.program {
            "mkfs.ext4" | "mkfs.ext2" => &[("E2FSPROGS_FAKE_TIME", "1")],
            // Otherwise mkfs.xfs makes no filesystem below 300 MB.
            "mkfs.xfs" => &[("TEST_DIR", "/"), ("TEST_DEV", "/"), ("QA_CHECK_FS", "1")],
            _ => &[],
        }
    }
}

impl Fs {
    /// All filesystems, in the order of tables and reports.
    pub const ALL: [Fs; 9] =
        [Fs::Ext4, Fs::Ext4NoJournal, Fs::Ext2, Fs::Xfs, Fs::Btrfs, Fs::BtrfsSubvolume, Fs::F2fs, Fs::Tmpfs, Fs::Ramfs];

    /// The filesystems `asked` without duplicates, in the order of [`Fs::ALL`]. An empty list
    /// selects all.
    #[must_use]
    pub fn select(asked: &[Fs]) -> Vec<Fs> {
        Fs::ALL.into_iter().filter(|fs| asked.is_empty() || asked.contains(fs)).collect()
    }

    /// Name as the command line and the reports spell it.
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

    /// Whether it is on a disk, which can fail, whose requests can be counted, and whose content
    /// can outlive the machine.
    #[must_use]
    pub fn is_on_disk(self) -> bool {
        !matches!(self, Fs::Tmpfs | Fs::Ramfs)
    }

    /// Whether it supports the xattrs in which overlayfs stores a checkpoint.
    #[must_use]
    pub fn has_xattrs(self) -> bool {
        self != Fs::Ramfs
    }

    /// How the guest mounts it. Commit intervals are longer than a claim, so that nothing but
    /// explicit requests writes to the disk.
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

    /// The command that makes its image; none for a filesystem in memory.
    ///
    /// UUIDs and hash seeds are fixed as far as the tool permits, so that each run gets the same
    /// image. Nothing is left for the kernel to initialize after the mount.
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
            // Inodes of 128 bytes have no space for xattrs. They are stored in a separate block,
            // which a fault can target.
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
            // Without features that the oldest base lacks.
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

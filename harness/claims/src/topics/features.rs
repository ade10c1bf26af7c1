// SPDX-License-Identifier: MIT OR Apache-2.0
//! Reuse with other options of overlayfs: index, nfs_export, metacopy, redirect_dir, xino, many
//! layers.

use libc::{EBUSY, ENOENT};
use vremount_machine::image::Fs;
use vremount_protocol::Mode::Volatile;
use vremount_protocol::{Disk, FileLocation, LayerSet, Op};

use crate::Claim;
use crate::builder::{BYTES, ClaimBuilder, FILE, FIRST_SEED, mount_layers_with, mount_overlay_with};
use crate::citations::{ALLOWS_VOLATILE, OURS_IN_USE};
use crate::refusal_reason::Reason;
use crate::step::Expectation;

/// A file of the lower layer and a hard link to it.
const LOWER_FILE: &str = "data/lower-file";
const LOWER_LINK: &str = "data/lower-link";
/// A temporary file in the index directory. overlayfs gives them names that begin with `#`.
const LEFTOVER: &str = "../work/index/#1";
/// A file mode that no file has by default.
const MODE: u32 = 0o751;
/// The number of lower layers besides `/lower`.
const LOWERS: u32 = 100;

/// Mounts the overlay volatile with options, writes data, runs `modify`, unmounts the overlay,
/// asserts that the same mount succeeds again with intact data, and runs `check`.
fn reuse_on(
    upper: ClaimBuilder,
    options: &str,
    modify: impl FnOnce(ClaimBuilder) -> ClaimBuilder,
    check: impl FnOnce(ClaimBuilder) -> ClaimBuilder,
) -> ClaimBuilder {
    let mount = || mount_overlay_with(Volatile, options);
    let mounted = upper.require(mount(), Expectation::Mounted).write_data();
    check(modify(mounted).unmount().assert(mount(), Expectation::Mounted).assert_data_intact())
}

/// The same on a new upper filesystem.
fn reuse_with(
    options: &str,
    modify: impl FnOnce(ClaimBuilder) -> ClaimBuilder,
    check: impl FnOnce(ClaimBuilder) -> ClaimBuilder,
) -> ClaimBuilder {
    reuse_on(ClaimBuilder::with_upper(), options, modify, check)
}

pub fn claims() -> Vec<Claim> {
    let feature = |name, title, builder| Claim::new(name, title, ALLOWS_VOLATILE, 3, builder);
    let copy_up = |builder: ClaimBuilder| {
        builder.run(Op::Write {
            disk: Disk::A,
            layers: LayerSet::First,
            location: FileLocation::Overlay,
            file: LOWER_FILE.to_string(),
            bytes: BYTES,
            seed: FIRST_SEED,
        })
    };
    let compare_link = |builder: ClaimBuilder| {
        let file = LOWER_LINK.to_string();
        let op = Op::Compare { disk: Disk::A, layers: LayerSet::First, file, bytes: BYTES, seed: FIRST_SEED };
        builder.assert(op, Expectation::Done)
    };
    let take_handle =
        |builder: ClaimBuilder| builder.run(Op::RecordFileHandle { disk: Disk::A, file: LOWER_FILE.to_string() });
    let open_handle = |builder: ClaimBuilder| builder.assert(Op::OpenFileHandle { disk: Disk::A }, Expectation::Done);
    let set_mode = |file: &str| Op::SetMode { disk: Disk::A, file: file.to_string(), mode: MODE };
    let has_mode = |file: &str| Op::HasMode { disk: Disk::A, file: file.to_string(), mode: MODE };
    let has_xattr =
        |file: &str, name: &str| Op::HasOverlayXattr { disk: Disk::A, file: file.to_string(), name: name.to_string() };
    let record_inode = |file: &str| Op::RecordInode { disk: Disk::A, file: file.to_string() };
    let has_same_inode = |file: &str| Op::CompareInode { disk: Disk::A, file: file.to_string() };
    let create_leftover = || Op::Write {
        disk: Disk::A,
        layers: LayerSet::First,
        location: FileLocation::Upper,
        file: LEFTOVER.to_string(),
        bytes: BYTES,
        seed: FIRST_SEED,
    };
    let find_leftover = || Op::FsyncUpperFile { disk: Disk::A, file: LEFTOVER.to_string() };
    let lowers: Vec<String> = (1..=LOWERS).map(|number| format!("/lowers/{number}")).collect();
    let lowers = format!("lowerdir=/lower:{}", lowers.join(":"));
    let second = mount_layers_with(LayerSet::Second, Volatile, "index=on");
    vec![
        feature(
            "reuse-with-index",
            "With `index=on`, a hard link to a copied-up lower file still reads the new data after reuse",
            reuse_with("index=on", copy_up, compare_link),
        ),
        feature(
            "reuse-with-nfs-export",
            "With `nfs_export=on`, a file handle obtained before reuse can be opened after it",
            reuse_with("index=on,nfs_export=on", |builder| take_handle(copy_up(builder)), open_handle),
        ),
        feature(
            "reuse-with-metacopy",
            "With `metacopy=on`, the changed mode of a metadata-only copy-up is preserved after reuse",
            reuse_with(
                "metacopy=on,redirect_dir=on",
                |builder| builder.run(set_mode(LOWER_FILE)).run(has_xattr(LOWER_FILE, "metacopy")),
                |builder| builder.assert(has_mode(LOWER_FILE), Expectation::Done),
            ),
        ),
        feature(
            "reuse-with-redirect-dir",
            "With `redirect_dir=on`, a renamed lower directory still contains its files after reuse",
            reuse_with(
                "redirect_dir=on",
                |builder| {
                    let rename = Op::Rename { disk: Disk::A, from: "folder".to_string(), to: "renamed".to_string() };
                    builder.run(rename).run(has_xattr("renamed", "redirect")).run(set_mode("renamed/lower-file"))
                },
                |builder| builder.assert(has_mode("renamed/lower-file"), Expectation::Done),
            ),
        )
        .on_filesystems(
            &[Fs::Ext4, Fs::Ext4NoJournal, Fs::Xfs, Fs::Btrfs, Fs::BtrfsSubvolume, Fs::F2fs, Fs::Tmpfs],
            "the filesystem does not support RENAME_WHITEOUT",
        ),
        feature(
            "reuse-with-xino",
            "With `xino=on`, files have the same inode numbers before and after reuse",
            reuse_with(
                "xino=on",
                |builder| builder.run(record_inode(LOWER_FILE)).run(record_inode(FILE)),
                |builder| {
                    builder
                        .assert(has_same_inode(LOWER_FILE), Expectation::Done)
                        .assert(has_same_inode(FILE), Expectation::Done)
                },
            ),
        ),
        feature(
            "reuse-with-a-leftover-in-the-index",
            "With `index=on`, reuse removes a temporary file that an interrupted copy-up left in the index",
            reuse_with(
                "index=on",
                |builder| builder.run(create_leftover()),
                |builder| builder.assert(find_leftover(), Expectation::Fails(ENOENT)),
            ),
        ),
        feature(
            "reuse-with-many-layers",
            "A volatile upper over 101 lower layers can be reused",
            reuse_on(
                ClaimBuilder::new().run(Op::MakeLowers { count: LOWERS }).attach(Disk::A),
                &lowers,
                copy_up,
                |builder| builder,
            ),
        ),
        Claim::new(
            "second-mount-with-index",
            "With `index=on`, a second mount of the same upper is refused with EBUSY",
            OURS_IN_USE,
            0,
            ClaimBuilder::with_upper()
                .require(mount_overlay_with(Volatile, "index=on"), Expectation::Mounted)
                .assert_op_refused(second, EBUSY, Reason::Busy),
        )
        .on_filesystems(
            &[Fs::Ext4, Fs::Ext4NoJournal, Fs::Ext2, Fs::Xfs, Fs::Btrfs, Fs::BtrfsSubvolume, Fs::F2fs, Fs::Tmpfs],
            "the filesystem has no xattrs, which `index=on` needs",
        ),
    ]
}

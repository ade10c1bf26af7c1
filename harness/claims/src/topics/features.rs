// SPDX-License-Identifier: MIT OR Apache-2.0
//! Reuse with the other options of overlayfs.

use libc::{EBUSY, ENOENT};
use vremount_machine::image::Fs;
use vremount_protocol::Mode::Volatile;
use vremount_protocol::{AccessPath, Disk, FileLocation, LayerSet, Mode, Op};

use crate::Claim;
use crate::citations::{ALLOWS_VOLATILE, OURS_IN_USE};
use crate::refusal_reason::Reason;
use crate::step::{BYTES, ClaimBuilder, Expectation, FILE, FIRST_SEED, overlay_with};

/// A file of the lower layer, and its other name.
const LOWER_FILE: &str = "data/lower-file";
const LOWER_LINK: &str = "data/lower-link";
/// What copies up to the index begins with such a name.
const LEFTOVER: &str = "../work/index/#1";
/// None that a file has by itself.
const MODE: u32 = 0o751;
/// As many as fit in the options of a mount.
const LOWERS: u32 = 100;

/// Volatile with options, then work, then the same again.
fn reused(
    options: &str,
    work: impl FnOnce(ClaimBuilder) -> ClaimBuilder,
    check: impl FnOnce(ClaimBuilder) -> ClaimBuilder,
) -> ClaimBuilder {
    let script = ClaimBuilder::on_upper().precondition(overlay_with(Volatile, options), Expectation::Mounted).write();
    check(work(script).unmount().assertion(overlay_with(Volatile, options), Expectation::Mounted).assert_data_intact())
}

pub fn claims() -> Vec<Claim> {
    let feature = |name, title, script| Claim::new(name, title, ALLOWS_VOLATILE, 3, script);
    let copy_up = |script: ClaimBuilder| {
        script.run(Op::Write {
            disk: Disk::A,
            layers: LayerSet::First,
            place: FileLocation::Overlay,
            file: LOWER_FILE.to_string(),
            bytes: BYTES,
            seed: FIRST_SEED,
        })
    };
    let linked = |script: ClaimBuilder| {
        let file = LOWER_LINK.to_string();
        let op = Op::Compare { disk: Disk::A, layers: LayerSet::First, file, bytes: BYTES, seed: FIRST_SEED };
        script.assertion(op, Expectation::Done)
    };
    let handle = |script: ClaimBuilder| script.run(Op::TakeHandle { disk: Disk::A, file: LOWER_FILE.to_string() });
    let opened = |script: ClaimBuilder| script.assertion(Op::OpenHandle { disk: Disk::A }, Expectation::Done);
    let set_mode = |file: &str| Op::SetMode { disk: Disk::A, file: file.to_string(), mode: MODE };
    let has_mode = |file: &str| Op::HasMode { disk: Disk::A, file: file.to_string(), mode: MODE };
    let has_xattr =
        |file: &str, name: &str| Op::HasOverlayXattr { disk: Disk::A, file: file.to_string(), name: name.to_string() };
    let note = |file: &str| Op::NoteInode { disk: Disk::A, file: file.to_string() };
    let same = |file: &str| Op::SameInode { disk: Disk::A, file: file.to_string() };
    let leftover = || Op::Write {
        disk: Disk::A,
        layers: LayerSet::First,
        place: FileLocation::Upper,
        file: LEFTOVER.to_string(),
        bytes: BYTES,
        seed: FIRST_SEED,
    };
    let find_leftover = || Op::FsyncUpperFile { disk: Disk::A, file: LEFTOVER.to_string() };
    let lowers: Vec<String> = (1..=LOWERS).map(|number| format!("/lowers/{number}")).collect();
    let lowers = format!("lowerdir=/lower:{}", lowers.join(":"));
    let second = Op::MountOverlay {
        disk: Disk::A,
        layers: LayerSet::Second,
        mode: Mode::Volatile,
        via: AccessPath::Mount,
        options: "index=on".to_string(),
    };
    vec![
        feature(
            "reuse-with-index",
            "With index=on, hard links of the lower layer stay links after reuse",
            reused("index=on", copy_up, linked),
        ),
        feature(
            "reuse-with-nfs-export",
            "With nfs_export=on, a file handle from before the reuse is good after it",
            reused("index=on,nfs_export=on", |script| handle(copy_up(script)), opened),
        ),
        feature(
            "reuse-with-metacopy",
            "With metacopy=on, a file whose metadata alone was copied up has both after reuse",
            reused(
                "metacopy=on,redirect_dir=on",
                |script| script.run(set_mode(LOWER_FILE)).run(has_xattr(LOWER_FILE, "metacopy")),
                |script| script.assertion(has_mode(LOWER_FILE), Expectation::Done),
            ),
        ),
        feature(
            "reuse-with-redirect-dir",
            "With redirect_dir=on, a directory of the lower layer that was renamed is whole after reuse",
            reused(
                "redirect_dir=on",
                |script| {
                    let rename = Op::Rename { disk: Disk::A, from: "folder".to_string(), to: "renamed".to_string() };
                    script.run(rename).run(has_xattr("renamed", "redirect")).run(set_mode("renamed/lower-file"))
                },
                |script| script.assertion(has_mode("renamed/lower-file"), Expectation::Done),
            ),
        )
        .on_filesystems(
            &[Fs::Ext4, Fs::Ext4NoJournal, Fs::Xfs, Fs::Btrfs, Fs::BtrfsSubvolume, Fs::F2fs, Fs::Tmpfs],
            "has no rename that leaves a whiteout behind",
        ),
        feature(
            "reuse-with-xino",
            "With xino=on, files have the inode numbers after reuse that they had before",
            reused(
                "xino=on",
                |script| script.run(note(LOWER_FILE)).run(note(FILE)),
                |script| script.assertion(same(LOWER_FILE), Expectation::Done).assertion(same(FILE), Expectation::Done),
            ),
        ),
        feature(
            "reuse-with-a-leftover-in-the-index",
            "With index=on, what a copy-up that was interrupted left in the index is removed on reuse",
            reused(
                "index=on",
                |script| script.run(leftover()),
                |script| script.assertion(find_leftover(), Expectation::Fails(ENOENT)),
            ),
        ),
        feature("reuse-with-many-layers", "Reuse over a hundred and one lower layers", {
            let ClaimBuilder(steps) = reused(&lowers, copy_up, |script| script);
            ClaimBuilder([ClaimBuilder(Vec::new()).run(Op::MakeLowers { count: LOWERS }).0, steps].concat())
        }),
        Claim::new(
            "second-mount-with-index",
            "With index=on a second mount fails with EBUSY, as it always did",
            OURS_IN_USE,
            0,
            ClaimBuilder::on_upper()
                .precondition(overlay_with(Volatile, "index=on"), Expectation::Mounted)
                .assert_op_refused(second, EBUSY, Reason::Busy),
        )
        .on_filesystems(
            &[Fs::Ext4, Fs::Ext4NoJournal, Fs::Ext2, Fs::Xfs, Fs::Btrfs, Fs::BtrfsSubvolume, Fs::F2fs, Fs::Tmpfs],
            "has no xattrs, and so no index",
        ),
    ]
}

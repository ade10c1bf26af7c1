// SPDX-License-Identifier: MIT OR Apache-2.0
//! Mount interfaces of newer bases: `userxattr`, user namespaces, idmapped mounts, casefolding,
//! fsopen(2), `fsync=`.

use libc::{EINVAL, EIO};
use vremount_kernel::base::Feature;
use vremount_machine::image::Fs;
use vremount_protocol::Mode::{Durable, Volatile};
use vremount_protocol::{AccessPath, DeviceStack, Disk, Op};

use crate::Claim;
use crate::builder::{ClaimBuilder, SYNC, mount_overlay, mount_overlay_with};
use crate::citations::{ALLOWS_VOLATILE, CHECKPOINT, NOT_DURABLE, OURS_LOGS};
use crate::refusal_reason::Reason;
use crate::step::Expectation;

/// Filesystems with user xattrs on every base that has the option `userxattr`.
const USER_XATTRS: &[Fs] = &[Fs::Ext4, Fs::Ext4NoJournal, Fs::Ext2, Fs::Xfs, Fs::Btrfs, Fs::BtrfsSubvolume, Fs::F2fs];
const NO_USER_XATTRS: &str = "the filesystem has no user xattrs, or only since Linux 6.6";

pub fn claims() -> Vec<Claim> {
    [userxattr(), user_namespaces(), layers(), by_context(), fsync_option()].into_iter().flatten().collect()
}

fn userxattr() -> Vec<Claim> {
    let user = || mount_overlay_with(Volatile, "userxattr");
    let claims = [
        Claim::new(
            "reuse-with-userxattr",
            "With `userxattr`, a volatile upper can be reused, and a durable mount is refused as `not-volatile`",
            ALLOWS_VOLATILE,
            3,
            ClaimBuilder::with_upper()
                .require(user(), Expectation::Mounted)
                .write_data()
                .unmount()
                .assert(user(), Expectation::Mounted)
                .assert_data_intact()
                .unmount()
                .assert_op_refused(mount_overlay_with(Durable, "userxattr"), EINVAL, Reason::NotVolatile),
        ),
        Claim::new(
            "userxattr-after-trusted",
            "A mount with `userxattr` ignores a checkpoint written without it and is refused as `no-checkpoint`",
            CHECKPOINT,
            3,
            ClaimBuilder::with_upper()
                .setup_volatile_upper()
                .assert_op_refused(user(), EINVAL, Reason::NoCheckpoint)
                .assert_mounts(Volatile)
                .assert_data_intact(),
        ),
        Claim::new(
            "trusted-after-userxattr",
            "A mount without `userxattr` ignores a checkpoint written with it and is refused as `no-checkpoint`",
            CHECKPOINT,
            3,
            ClaimBuilder::with_upper()
                .require(user(), Expectation::Mounted)
                .write_data()
                .unmount()
                .assert_refused(Volatile, EINVAL, Reason::NoCheckpoint)
                .assert(user(), Expectation::Mounted)
                .assert_data_intact(),
        ),
    ];
    claims
        .into_iter()
        .map(|claim| claim.requiring(&[Feature::Userxattr]).on_filesystems(USER_XATTRS, NO_USER_XATTRS))
        .collect()
}

fn user_namespaces() -> Vec<Claim> {
    let mount = |mode, options: &str| Op::MountInUserNamespace { disk: Disk::A, mode, options: options.to_string() };
    vec![
        Claim::new(
            "reuse-in-user-namespace",
            "An unprivileged user can reuse a volatile upper in a user namespace, with `userxattr`",
            ALLOWS_VOLATILE,
            3,
            ClaimBuilder::with_upper()
                .require(mount(Volatile, "userxattr"), Expectation::Mounted)
                .assert(mount(Volatile, "userxattr"), Expectation::Mounted)
                .assert(
                    mount(Durable, "userxattr"),
                    Expectation::Refused { errno: EINVAL, reason: Reason::NotVolatile },
                ),
        )
        .requiring(&[Feature::Userxattr])
        .on_filesystems(USER_XATTRS, NO_USER_XATTRS),
        Claim::new(
            "user-namespace-without-userxattr",
            "In a user namespace without `userxattr`, a first mount succeeds and reuse is refused as `no-checkpoint`",
            CHECKPOINT,
            3,
            ClaimBuilder::with_upper()
                .require(mount(Volatile, ""), Expectation::Mounted)
                .assert(mount(Volatile, ""), Expectation::Refused { errno: EINVAL, reason: Reason::NoCheckpoint }),
        )
        .requiring(&[Feature::Userxattr]),
    ]
}

fn layers() -> Vec<Claim> {
    let idmapped = || mount_overlay(Disk::A, Volatile, AccessPath::Idmapped);
    let casefolded = || mount_overlay_with(Volatile, "lowerdir=/mnt/a/lower");
    let (disk, mode) = (Disk::A, 0o751);
    vec![
        Claim::new(
            "reuse-idmapped-upper",
            "An upper on an idmapped mount can be reused through that mount and through the original one",
            ALLOWS_VOLATILE,
            3,
            ClaimBuilder::with_upper()
                .run(Op::AddAccessPath { disk: Disk::A, via: AccessPath::Idmapped })
                .require(idmapped(), Expectation::Mounted)
                .write_data()
                .unmount()
                .assert(idmapped(), Expectation::Mounted)
                .assert_data_intact()
                .unmount()
                .assert_mounts(Volatile)
                .assert_data_intact(),
        )
        .requiring(&[Feature::IdmappedLayers])
        .on_filesystems(
            &[Fs::Ext4, Fs::Ext4NoJournal, Fs::Xfs, Fs::Btrfs, Fs::BtrfsSubvolume, Fs::F2fs],
            "the filesystem has no idmapped mounts, or only since Linux 6.3",
        ),
        Claim::new(
            "reuse-ignoring-case",
            "A volatile upper with casefolded layers can be reused, and names stay case-insensitive",
            ALLOWS_VOLATILE,
            3,
            ClaimBuilder::new()
                .attach_on(Disk::A, DeviceStack::Loop, "casefold")
                .run(Op::RecreateCasefolded { disk: Disk::A })
                .require(casefolded(), Expectation::Mounted)
                // A directory: Linux 6.18 and 7.2 require casefolding of files too, which no
                // filesystem provides.
                .run(Op::SetMode { disk, file: "folder".to_string(), mode })
                .unmount()
                .assert(casefolded(), Expectation::Mounted)
                .assert(Op::HasMode { disk, file: "FOLDER".to_string(), mode }, Expectation::Done),
        )
        .requiring(&[Feature::Casefold])
        .on_filesystems(&[Fs::Tmpfs], "the disk image of this filesystem is made without casefolding"),
    ]
}

/// Mounts with fsopen(2). Their verdict requires the reason once in the log of the fs context and
/// once in the kernel log.
fn by_context() -> Vec<Claim> {
    let mount = |mode| Op::MountOverlayByContext { disk: Disk::A, mode, options: String::new() };
    let refused = |errno, reason| Expectation::Refused { errno, reason };
    let claims = [
        Claim::new(
            "reuse-by-fsopen",
            "A volatile upper can be reused with fsopen(2), and afterwards with mount(2)",
            ALLOWS_VOLATILE,
            3,
            ClaimBuilder::with_upper()
                .require(mount(Volatile), Expectation::Mounted)
                .write_data()
                .unmount()
                .assert(mount(Volatile), Expectation::Mounted)
                .assert_data_intact()
                .unmount()
                .assert_mounts(Volatile)
                .assert_data_intact(),
        ),
        Claim::new(
            "fsopen-is-told-why",
            "With fsopen(2), a refusal is logged once to the fs context and once to the kernel log",
            OURS_LOGS,
            3,
            ClaimBuilder::with_upper()
                .setup_volatile_upper()
                .assert(mount(Durable), refused(EINVAL, Reason::NotVolatile))
                .run(Op::ReloadOverlay)
                .assert(mount(Volatile), refused(EINVAL, Reason::OtherBoot)),
        ),
        Claim::new(
            "fsopen-is-told-of-errors",
            "With fsopen(2), the fs context logs a writeback error both while it is unseen and after it was reported",
            OURS_LOGS,
            4,
            ClaimBuilder::with_upper()
                .setup_dirty_on_broken_disk()
                .unmount()
                .require_unseen_error()
                .assert(mount(Volatile), refused(EIO, Reason::UnseenError))
                .require(SYNC, Expectation::Fails(EIO))
                .assert(mount(Volatile), refused(EINVAL, Reason::WritebackError)),
        ),
    ];
    claims.into_iter().map(|claim| claim.requiring(&[Feature::FsContext])).collect()
}

fn fsync_option() -> Vec<Claim> {
    let claims = [
        Claim::new(
            "reuse-with-fsync-volatile",
            "`fsync=volatile` and `volatile` are equivalent: an upper mounted with one can be reused with the other",
            ALLOWS_VOLATILE,
            3,
            ClaimBuilder::with_upper()
                .require(mount_overlay_with(Durable, "fsync=volatile"), Expectation::Mounted)
                .write_data()
                .unmount()
                .assert_mounts(Volatile)
                .assert_data_intact()
                .unmount()
                .assert(mount_overlay_with(Durable, "fsync=volatile"), Expectation::Mounted)
                .assert_data_intact(),
        ),
        Claim::new(
            "fsync-option-last-one-wins",
            "If `volatile` and `fsync=` are both given, the last one decides whether the mount is volatile",
            NOT_DURABLE,
            3,
            ClaimBuilder::with_upper()
                .setup_volatile_upper()
                .assert_op_refused(mount_overlay_with(Volatile, "fsync=strict"), EINVAL, Reason::NotVolatile)
                .assert_op_refused(mount_overlay_with(Volatile, "fsync=auto"), EINVAL, Reason::NotVolatile)
                .assert(mount_overlay_with(Durable, "fsync=strict,volatile"), Expectation::Mounted)
                .assert_data_intact(),
        ),
    ];
    claims.into_iter().map(|claim| claim.requiring(&[Feature::FsyncOption])).collect()
}

// SPDX-License-Identifier: MIT OR Apache-2.0
//! Ways to mount an overlay that only newer bases have: user namespaces, idmapped mounts, fsopen(2), further options.

use libc::{EINVAL, EIO};
use vremount_kernel::base::Feature;
use vremount_machine::image::Fs;
use vremount_protocol::Mode::{Durable, Volatile};
use vremount_protocol::{AccessPath, DeviceStack, Disk, Mode, Op};

use crate::Claim;
use crate::refusal_reason::Reason;
use crate::step::{ClaimBuilder, Expectation, SYNC, overlay, overlay_with};

const ALLOWS_VOLATILE: &str = "This also allows for: volatile -> volatile";
const NOT_DURABLE: &str = "But, for now, prevents volatile -> non-volatile";
const CHECKPOINT: &str = "we can checkpoint this data on disk in an xattr";
const OURS_LOGS: &str = "logs why in a fixed form";

/// Those with xattrs that any user may set, on every base that has the option.
const USER_XATTRS: &[Fs] = &[Fs::Ext4, Fs::Ext4NoJournal, Fs::Ext2, Fs::Xfs, Fs::Btrfs, Fs::BtrfsSubvolume, Fs::F2fs];
const NO_USER_XATTRS: &str = "has no user xattrs, or has them only since Linux 6.6";

pub fn claims() -> Vec<Claim> {
    [userxattr(), user_namespaces(), layers(), by_context(), fsync_option()].into_iter().flatten().collect()
}

fn userxattr() -> Vec<Claim> {
    let user = || overlay_with(Volatile, "userxattr");
    let claims = [
        Claim::new(
            "reuse-with-userxattr",
            "With userxattr the checkpoint is in user.overlay.volatile, and an upper is reused",
            ALLOWS_VOLATILE,
            3,
            ClaimBuilder::on_upper()
                .precondition(user(), Expectation::Mounted)
                .write()
                .unmount()
                .assertion(user(), Expectation::Mounted)
                .assert_data_intact()
                .unmount()
                .assert_op_refused(overlay_with(Durable, "userxattr"), EINVAL, Reason::NotVolatile),
        ),
        Claim::new(
            "userxattr-after-trusted",
            "A mount with userxattr does not see the checkpoint of one without, which stays good",
            CHECKPOINT,
            3,
            ClaimBuilder::on_upper()
                .volatile_session()
                .assert_op_refused(user(), EINVAL, Reason::NoCheckpoint)
                .assert_mounts(Volatile)
                .assert_data_intact(),
        ),
        Claim::new(
            "trusted-after-userxattr",
            "A mount without userxattr does not see the checkpoint of one with it, which stays good",
            CHECKPOINT,
            3,
            ClaimBuilder::on_upper()
                .precondition(user(), Expectation::Mounted)
                .write()
                .unmount()
                .assert_refused(Volatile, EINVAL, Reason::NoCheckpoint)
                .assertion(user(), Expectation::Mounted)
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
            "An ordinary user mounts an overlay with userxattr in a user namespace, and reuses its upper",
            ALLOWS_VOLATILE,
            3,
            ClaimBuilder::on_upper()
                .precondition(mount(Volatile, "userxattr"), Expectation::Mounted)
                .assertion(mount(Volatile, "userxattr"), Expectation::Mounted)
                .assertion(mount(Durable, "userxattr"), Expectation::Refused { errno: EINVAL, reason: Reason::NotVolatile }),
        )
        .requiring(&[Feature::Userxattr])
        .on_filesystems(USER_XATTRS, NO_USER_XATTRS),
        Claim::new(
            "user-namespace-without-userxattr",
            "Without userxattr an ordinary user cannot store a checkpoint: a first mount works as ever, reuse is refused",
            CHECKPOINT,
            3,
            ClaimBuilder::on_upper()
                .precondition(mount(Volatile, ""), Expectation::Mounted)
                .assertion(mount(Volatile, ""), Expectation::Refused { errno: EINVAL, reason: Reason::NoCheckpoint }),
        )
        .requiring(&[Feature::Userxattr]),
    ]
}

fn layers() -> Vec<Claim> {
    let idmapped = || overlay(Disk::A, Volatile, AccessPath::Idmapped);
    let ignoring_case = || overlay_with(Volatile, "lowerdir=/mnt/a/lower");
    let (disk, mode) = (Disk::A, 0o751);
    vec![
        Claim::new(
            "reuse-idmapped-upper",
            "An upper on an idmapped mount is reused, through that mount and through the plain one",
            ALLOWS_VOLATILE,
            3,
            ClaimBuilder::on_upper()
                .run(Op::Reach { disk: Disk::A, via: AccessPath::Idmapped })
                .precondition(idmapped(), Expectation::Mounted)
                .write()
                .unmount()
                .assertion(idmapped(), Expectation::Mounted)
                .assert_data_intact()
                .unmount()
                .assert_mounts(Volatile)
                .assert_data_intact(),
        )
        .requiring(&[Feature::IdmappedLayers])
        .on_filesystems(
            &[Fs::Ext4, Fs::Ext4NoJournal, Fs::Xfs, Fs::Btrfs, Fs::BtrfsSubvolume, Fs::F2fs],
            "has no idmapped mounts, or has them only since Linux 6.3",
        ),
        Claim::new(
            "reuse-ignoring-case",
            "Layers that ignore case are reused",
            ALLOWS_VOLATILE,
            3,
            ClaimBuilder(Vec::new())
                .attach_on(Disk::A, DeviceStack::Plain, "casefold")
                .run(Op::FoldCase { disk: Disk::A })
                .precondition(ignoring_case(), Expectation::Mounted)
                // No file: Linux 6.18 and 7.2 want a file to ignore case itself, which no filesystem has.
                .run(Op::SetMode { disk, file: "folder".to_string(), mode })
                .unmount()
                .assertion(ignoring_case(), Expectation::Mounted)
                .assertion(Op::HasMode { disk, file: "FOLDER".to_string(), mode }, Expectation::Done),
        )
        .requiring(&[Feature::Casefold])
        .on_filesystems(&[Fs::Tmpfs], "is not made to ignore case here: that takes a feature of the whole filesystem"),
    ]
}

/// What a context is told the kernel log is too, each of them once: the verdict on a refusal asks for both.
fn by_context() -> Vec<Claim> {
    let mount = |mode| Op::MountOverlayByContext { disk: Disk::A, mode, options: String::new() };
    let refused = |errno, reason| Expectation::Refused { errno, reason };
    let claims = [
        Claim::new(
            "reuse-by-fsopen",
            "A volatile upper is reused by fsopen(2), and by mount(2) after it",
            ALLOWS_VOLATILE,
            3,
            ClaimBuilder::on_upper()
                .precondition(mount(Volatile), Expectation::Mounted)
                .write()
                .unmount()
                .assertion(mount(Volatile), Expectation::Mounted)
                .assert_data_intact()
                .unmount()
                .assert_mounts(Volatile)
                .assert_data_intact(),
        ),
        Claim::new(
            "fsopen-is-told-why",
            "Who mounts by fsopen(2) finds the reason in the log of the context, once, and once in the kernel log",
            OURS_LOGS,
            3,
            ClaimBuilder::on_upper()
                .volatile_session()
                .assertion(mount(Durable), refused(EINVAL, Reason::NotVolatile))
                .run(Op::ReloadOverlay)
                .assertion(mount(Volatile), refused(EINVAL, Reason::OtherBoot)),
        ),
        Claim::new(
            "fsopen-is-told-of-errors",
            "Who mounts by fsopen(2) is told that there is an error, before and after somebody has seen it",
            OURS_LOGS,
            4,
            ClaimBuilder::on_upper()
                .dirty_on_broken_disk()
                .unmount()
                .fail_unreported()
                .assertion(mount(Volatile), refused(EIO, Reason::UnseenError))
                .precondition(SYNC, Expectation::Fails(EIO))
                .assertion(mount(Volatile), refused(EINVAL, Reason::WritebackError)),
        ),
    ];
    claims.into_iter().map(|claim| claim.requiring(&[Feature::FsContext])).collect()
}

fn fsync_option() -> Vec<Claim> {
    let with = |mode: Mode, options: &str| overlay_with(mode, options);
    let claims = [
        Claim::new(
            "reuse-with-fsync-volatile",
            "fsync=volatile and volatile are the same: an upper of either is reused with the other",
            ALLOWS_VOLATILE,
            3,
            ClaimBuilder::on_upper()
                .precondition(with(Durable, "fsync=volatile"), Expectation::Mounted)
                .write()
                .unmount()
                .assert_mounts(Volatile)
                .assert_data_intact()
                .unmount()
                .assertion(with(Durable, "fsync=volatile"), Expectation::Mounted)
                .assert_data_intact(),
        ),
        Claim::new(
            "fsync-option-last-one-wins",
            "Of several options the last one decides whether a mount is volatile",
            NOT_DURABLE,
            3,
            ClaimBuilder::on_upper()
                .volatile_session()
                .assert_op_refused(with(Volatile, "fsync=strict"), EINVAL, Reason::NotVolatile)
                .assert_op_refused(with(Volatile, "fsync=auto"), EINVAL, Reason::NotVolatile)
                .assertion(with(Durable, "fsync=strict,volatile"), Expectation::Mounted)
                .assert_data_intact(),
        ),
    ];
    claims.into_iter().map(|claim| claim.requiring(&[Feature::FsyncOption])).collect()
}

// SPDX-License-Identifier: MIT OR Apache-2.0
//! Predictions for sequences of operations that no claim uses, but that exploration may generate.

use rstest::rstest;
use vremount_kernel::base::{Base, Feature, Level};
use vremount_machine::image::Fs;
use vremount_protocol::{
    AccessPath, CheckpointField, CheckpointTamper, DeviceStack, Disk, Fault, FileLocation, LayerSet, MarkerReplacement,
    Mode, Op, SnapshotScope,
};

use crate::model::{ModelState, OutOfModel};
use crate::refusal_reason::Reason;
use crate::{Expectation, FILE, HostStep};

const A: Disk = Disk::A;
const B: Disk = Disk::B;

fn attach(disk: Disk) -> Op {
    Op::Attach { disk, stack: DeviceStack::Loop }
}

fn mount_upper(disk: Disk) -> Op {
    Op::MountUpper { disk, options: String::new() }
}

fn unmount_upper(lazy: bool) -> Op {
    Op::UnmountUpper { disk: A, lazy }
}

fn remount_upper(options: &str) -> Op {
    Op::RemountUpper { disk: A, options: options.to_string() }
}

fn mount_overlay(layers: LayerSet, mode: Mode, options: &str) -> Op {
    Op::MountOverlay { disk: A, layers, mode, via: AccessPath::Mount, options: options.to_string() }
}

fn mount() -> Op {
    mount_overlay(LayerSet::First, Mode::Volatile, "")
}

fn mount_durable() -> Op {
    mount_overlay(LayerSet::First, Mode::Durable, "")
}

fn unmount(lazy: bool) -> Op {
    Op::UnmountOverlay { disk: A, layers: LayerSet::First, lazy }
}

fn write_to(disk: Disk, layers: LayerSet, location: FileLocation, file: &str, seed: u64) -> Op {
    Op::Write { disk, layers, location, file: file.to_string(), bytes: 1, seed }
}

fn write(seed: u64) -> Op {
    write_to(A, LayerSet::First, FileLocation::Overlay, FILE, seed)
}

fn write_direct() -> Op {
    Op::WriteDirect { disk: A, file: FILE.to_string(), bytes: 1, seed: 2 }
}

fn compare(file: &str, seed: u64) -> Op {
    Op::Compare { disk: A, layers: LayerSet::First, file: file.to_string(), bytes: 1, seed }
}

fn open_file(disk: Disk, location: FileLocation) -> Op {
    Op::OpenFile { disk, location, file: FILE.to_string() }
}

fn sync() -> Op {
    Op::SyncUpper { disk: A }
}

fn inject(fault: Fault) -> Op {
    Op::InjectFault { disk: A, fault }
}

fn data_fault() -> Fault {
    Fault::Data { file: FILE.to_string() }
}

fn tamper(tamper: CheckpointTamper) -> Op {
    Op::TamperCheckpoint { disk: A, tamper }
}

fn replace_marker() -> Op {
    Op::ReplaceMarker { disk: A, replacement: MarkerReplacement::File }
}

fn snapshot(scope: SnapshotScope) -> Op {
    Op::Snapshot { disk: A, scope }
}

fn compare_with_snapshot(scope: SnapshotScope) -> Op {
    Op::CompareSnapshot { disk: A, scope }
}

/// Operations after one volatile mount that wrote a file.
fn after_volatile_mount(then: &[Op]) -> Vec<Op> {
    [&[mount(), write(1), unmount(false)][..], then].concat()
}

/// Operations after a write to a file with broken data blocks, whose old content is on the disk.
fn after_write_to_broken_file(then: &[Op]) -> Vec<Op> {
    [&[mount(), write(1), sync(), inject(data_fault()), write(2)][..], then].concat()
}

/// Predicted outcome of the last operation, on a machine with disk A attached and mounted.
fn predict_last(level: u8, fs: Fs, ops: &[Op]) -> Result<Expectation, OutOfModel> {
    let mut state = ModelState::new(level.to_string().parse().unwrap(), fs);
    let mut last = Expectation::Done;
    for op in [attach(A), mount_upper(A)].iter().chain(ops) {
        (state, last) = state.apply_op(op)?;
    }
    Ok(last)
}

#[rstest]
// Disks, writeback and the module.
#[case::disk_attached_twice(Fs::Ext4, vec![attach(A)], Err(OutOfModel::ATTACHED_TWICE))]
#[case::copy_of_a_mounted_disk(Fs::Ext4, vec![attach(B), Op::CopyDisk { from: A, to: B }],
    Err(OutOfModel::COPY_OF_MOUNTED_DISK))]
#[case::io_of_an_in_memory_filesystem(Fs::Tmpfs, vec![Op::StartIoCount { disk: A }], Err(OutOfModel::NO_DISK))]
#[case::sleep_of_about_the_expiry_time(Fs::Ext4, vec![Op::Sleep { ms: 30_000 }],
    Err(OutOfModel::DIRTY_EXPIRY))]
#[case::sleep_with_writeback_paused(
    Fs::Ext4,
    vec![Op::PauseWriteback, Op::Sleep { ms: 30_000 }],
    Ok(Expectation::Done)
)]
#[case::io_without_a_request(
    Fs::Ext4,
    vec![Op::StartIoCount { disk: A }, Op::ReadIoCount { disk: A }],
    Err(OutOfModel::UNREQUESTED_IO)
)]
#[case::second_sync(
    Fs::Ext4,
    vec![Op::PauseWriteback, sync(), Op::StartIoCount { disk: A }, sync(), Op::ReadIoCount { disk: A }],
    Err(OutOfModel::UNREQUESTED_IO)
)]
#[case::unmount_of_a_durable_overlay_writes(
    Fs::Ext4,
    vec![mount_durable(), write(1), Op::StartIoCount { disk: A }, unmount(false), Op::ReadIoCount { disk: A }],
    Ok(Expectation::SomeIo)
)]
#[case::chmod_without_overlay(
    Fs::Ext4,
    vec![Op::SetMode { disk: A, file: FILE.to_string(), mode: 0o600 }],
    Err(OutOfModel::UNKNOWN_OPERATION)
)]
#[case::file_handle_without_overlay(
    Fs::Ext4,
    vec![Op::RecordFileHandle { disk: A, file: FILE.to_string() }],
    Err(OutOfModel::NO_OVERLAY)
)]
#[case::open_without_a_file_handle(
    Fs::Ext4,
    vec![mount(), Op::OpenFileHandle { disk: A }],
    Err(OutOfModel::UNKNOWN_OPERATION)
)]
#[case::module_reload_while_mounted(Fs::Ext4, vec![mount(), Op::ReloadOverlay], Ok(Expectation::Fails(libc::EAGAIN)))]
#[case::durable_mount_after_a_reset(
    Fs::Ext4,
    after_volatile_mount(&[Op::Reset, attach(A), mount_upper(A), mount_durable()]),
    Ok(Expectation::Mounted)
)]
#[case::fault_in_a_file_without_blocks(Fs::Ext4, vec![mount(), write(1), inject(data_fault())],
    Err(OutOfModel::NO_BLOCKS_TO_BREAK))]
// Users of an upper filesystem.
#[case::file_opened_before_a_lazy_unmount(
    Fs::Ext4,
    after_volatile_mount(&[
        open_file(A, FileLocation::Upper), unmount_upper(true), mount_upper(A), unmount_upper(false)],
    ),
    Ok(Expectation::Done)
)]
#[case::file_of_the_overlay_keeps_it_busy(
    Fs::Ext4,
    vec![mount(), write(1), open_file(A, FileLocation::Overlay), unmount_upper(true), unmount(false)],
    Ok(Expectation::Fails(libc::EBUSY))
)]
#[case::open_file_on_another_disk(
    Fs::Ext4,
    after_volatile_mount(&[
        attach(B), mount_upper(B), write_to(B, LayerSet::First, FileLocation::Upper, FILE, 1),
        open_file(B, FileLocation::Upper), unmount_upper(false), mount_upper(A), mount()],
    ),
    Ok(Expectation::Refused { errno: libc::EINVAL, reason: Reason::UpperRemounted })
)]
#[case::superblock_kept_by_an_overlay(Fs::Ext4,
    vec![mount(), unmount_upper(false), mount_upper(A), unmount(false), mount()], Ok(Expectation::Mounted))]
#[case::superblock_kept_by_a_lazily_unmounted_overlay(Fs::Ext4,
    vec![mount(), write(1), open_file(A, FileLocation::Overlay), unmount(true), unmount_upper(false), mount_upper(A),
        Op::CloseFiles, mount()], Ok(Expectation::Mounted))]
#[case::upper_remounted_under_an_overlay(
    Fs::Ext4,
    vec![mount(), remount_upper("ro")],
    Err(OutOfModel::OVERLAY_MAY_WRITE)
)]
#[case::read_only_upper_unmounted(
    Fs::Ext4,
    after_volatile_mount(&[remount_upper("ro"), unmount_upper(false)]),
    Ok(Expectation::Done)
)]
#[case::second_btrfs_mounted(Fs::Btrfs, vec![attach(B), mount_upper(B)], Err(OutOfModel::DUPLICATE_UUID))]
#[case::second_btrfs_not_mounted(
    Fs::Btrfs,
    vec![attach(B), unmount_upper(false), mount_upper(A)],
    Ok(Expectation::Done)
)]
// Overlays.
#[case::write_in_shared_directories(
    Fs::Ext4,
    vec![mount_durable(), mount_overlay(LayerSet::Second, Mode::Volatile, ""), write(1)],
    Err(OutOfModel::SHARED_DIRECTORIES)
)]
#[case::write_beside_shared_directories(
    Fs::Ext4,
    vec![
        mount_durable(), mount_overlay(LayerSet::Other, Mode::Volatile, ""),
        mount_overlay(LayerSet::Second, Mode::Volatile, ""),
        write_to(A, LayerSet::Other, FileLocation::Overlay, FILE, 1),
    ],
    Ok(Expectation::Done)
)]
#[case::write_to_a_read_only_overlay(Fs::Ext4, vec![mount_overlay(LayerSet::First, Mode::Volatile, "ro"), write(1)],
    Err(OutOfModel::READ_ONLY_OVERLAY))]
// Files.
#[case::write_to_an_unmounted_upper(
    Fs::Ext4,
    vec![mount(), unmount_upper(false), write_to(A, LayerSet::First, FileLocation::Upper, FILE, 1)],
    Err(OutOfModel::NOT_AT_MOUNT_POINT)
)]
#[case::open_in_an_unmounted_upper(
    Fs::Ext4,
    vec![mount(), write(1), unmount_upper(false), open_file(A, FileLocation::Upper)],
    Err(OutOfModel::NOT_AT_MOUNT_POINT)
)]
#[case::hard_links_are_broken_without_index(
    Fs::Ext4,
    vec![
        mount(), write_to(A, LayerSet::First, FileLocation::Overlay, "data/lower-file", 1),
        compare("data/lower-link", 1),
    ],
    Ok(Expectation::Fails(libc::ENOENT))
)]
#[case::old_content_stays_on_the_disk(
    Fs::Ext4,
    after_write_to_broken_file(&[sync(), Op::RemoveFault { disk: A }, Op::DropCaches, compare(FILE, 1)]),
    Ok(Expectation::Done)
)]
#[case::lost_content_stays_cached(
    Fs::Ext4,
    after_write_to_broken_file(&[sync(), Op::RemoveFault { disk: A }, compare(FILE, 2)]),
    Ok(Expectation::Done)
)]
#[case::btrfs_drops_lost_content(
    Fs::Btrfs,
    after_write_to_broken_file(&[sync(), Op::RemoveFault { disk: A }, compare(FILE, 2)]),
    Ok(Expectation::Differs)
)]
#[case::earlier_error_is_reported_before_the_write(
    Fs::Ext4,
    after_write_to_broken_file(&[Op::WriteBack, Op::WriteBackData { disk: A, file: FILE.to_string() }]),
    Ok(Expectation::Fails(libc::EIO))
)]
#[case::read_from_a_broken_disk(Fs::Ext4,
    vec![mount(), write(1), sync(), Op::DropCaches, inject(Fault::Everything), compare(FILE, 1)],
    Ok(Expectation::Fails(libc::EIO)))]
#[case::rewrite_of_allocated_blocks_in_a_full_pool(
    Fs::Xfs,
    vec![mount(), write(1), sync(), inject(Fault::PoolFull), write(2), sync()],
    Err(OutOfModel::POOL_ALLOCATION)
)]
// Work directories.
#[case::fresh_upper_while_mounted(Fs::Ext4, vec![mount(), Op::RecreateUpper { disk: A }], Err(OutOfModel::FILES_IN_USE))]
#[case::fresh_upper_while_a_file_is_open(
    Fs::Ext4,
    after_volatile_mount(&[open_file(A, FileLocation::Upper), Op::RecreateUpper { disk: A }]),
    Err(OutOfModel::FILES_IN_USE)
)]
#[case::fresh_upper_on_a_broken_disk(Fs::Ext4, vec![inject(Fault::Writes), Op::RecreateUpper { disk: A }],
    Err(OutOfModel::REUSED_BROKEN_BLOCKS))]
#[case::fresh_upper_is_empty(Fs::Ext4, after_volatile_mount(&[Op::RecreateUpper { disk: A }, mount(), compare(FILE, 1)]),
    Ok(Expectation::Fails(libc::ENOENT)))]
#[case::replaced_marker_removed(Fs::Ext4, after_volatile_mount(&[replace_marker(), Op::RemoveMarker { disk: A }]),
    Err(OutOfModel::REMOVAL_OF_REPLACEMENT))]
#[case::no_checkpoint_to_tamper_with(
    Fs::Ext4,
    vec![tamper(CheckpointTamper::Remove)],
    Ok(Expectation::Fails(libc::ENOENT))
)]
#[case::no_marker_to_replace(Fs::Ext4, vec![replace_marker()], Ok(Expectation::Fails(libc::ENOENT)))]
#[case::no_content_left_behind(Fs::Ext4, vec![Op::RemoveLeftover { disk: A }], Ok(Expectation::Fails(libc::ENOENT)))]
#[case::checkpoint_set_to_its_own_length(
    Fs::Ext4,
    after_volatile_mount(&[tamper(CheckpointTamper::Resize(28)), mount()]),
    Ok(Expectation::Mounted)
)]
#[case::checkpoint_truncated_and_extended(
    Fs::Ext4,
    after_volatile_mount(&[tamper(CheckpointTamper::Resize(16)), tamper(CheckpointTamper::Resize(20)), mount()]),
    Ok(Expectation::Refused { errno: libc::EINVAL, reason: Reason::BadCheckpoint })
)]
// Snapshots.
#[case::directory_made_after_the_snapshot(
    Fs::Ext4,
    vec![
        snapshot(SnapshotScope::Tree), Op::MakeIncompat { disk: A, name: "x".to_string() },
        compare_with_snapshot(SnapshotScope::Tree),
    ],
    Err(OutOfModel::CHANGED_TREE)
)]
#[case::file_written_after_the_snapshot(
    Fs::Ext4,
    vec![mount(), snapshot(SnapshotScope::Tree), write(1), compare_with_snapshot(SnapshotScope::Tree)],
    Err(OutOfModel::CHANGED_TREE)
)]
#[case::file_written_directly_after_the_snapshot(
    Fs::Ext4,
    vec![mount(), write(1), snapshot(SnapshotScope::Tree), write_direct(), compare_with_snapshot(SnapshotScope::Tree)],
    Err(OutOfModel::CHANGED_TREE)
)]
#[case::file_written_both_ways_after_the_snapshot(
    Fs::Ext4,
    vec![
        mount(), write(1), snapshot(SnapshotScope::Tree), write_direct(), write(2),
        compare_with_snapshot(SnapshotScope::Tree),
    ],
    Err(OutOfModel::CHANGED_TREE)
)]
#[case::checkpoint_removed_after_the_snapshot(
    Fs::Ext4,
    after_volatile_mount(&[
        snapshot(SnapshotScope::Tree), tamper(CheckpointTamper::Remove), compare_with_snapshot(SnapshotScope::Tree)],
    ),
    Err(OutOfModel::CHANGED_TREE)
)]
#[case::missing_checkpoint_removed_after_the_snapshot(
    Fs::Ext4,
    after_volatile_mount(&[
        tamper(CheckpointTamper::Remove), snapshot(SnapshotScope::Tree), tamper(CheckpointTamper::Remove),
        compare_with_snapshot(SnapshotScope::Tree)],
    ),
    Ok(Expectation::Done)
)]
#[case::snapshot_of_an_unreadable_tree(
    Fs::Ext4,
    after_volatile_mount(&[sync(), Op::DropCaches, inject(Fault::Everything), snapshot(SnapshotScope::Tree)]),
    Err(OutOfModel::UNREADABLE_FILE)
)]
#[case::boot_id_changed_after_the_snapshot(
    Fs::Ext4,
    after_volatile_mount(&[
        snapshot(SnapshotScope::Marker), tamper(CheckpointTamper::Increment(CheckpointField::BootId)),
        compare_with_snapshot(SnapshotScope::Marker)],
    ),
    Ok(Expectation::Differs)
)]
#[case::checkpoint_length_set_after_the_snapshot(
    Fs::Ext4,
    after_volatile_mount(&[
        snapshot(SnapshotScope::Marker), tamper(CheckpointTamper::Resize(28)),
        compare_with_snapshot(SnapshotScope::Marker)],
    ),
    Err(OutOfModel::CHANGED_MARKER)
)]
#[case::many_checkpoints_tried_after_the_snapshot(
    Fs::Ext4,
    after_volatile_mount(&[
        snapshot(SnapshotScope::Marker), Op::FuzzCheckpoint { disk: A, seed: 1, count: 1 },
        compare_with_snapshot(SnapshotScope::Marker)],
    ),
    Err(OutOfModel::CHANGED_MARKER)
)]
#[case::marker_replaced_after_the_snapshot(
    Fs::Ext4,
    after_volatile_mount(&[
        snapshot(SnapshotScope::Marker), replace_marker(), compare_with_snapshot(SnapshotScope::Marker)],
    ),
    Err(OutOfModel::CHANGED_MARKER)
)]
fn unclaimed_sequence_is_predicted(
    #[case] fs: Fs,
    #[case] ops: Vec<Op>,
    #[case] expected: Result<Expectation, OutOfModel>,
) {
    assert_eq!(predict_last(4, fs, &ops), expected);
}

#[rstest]
#[case::checkpoint_set_to_its_own_length(
    after_volatile_mount(&[tamper(CheckpointTamper::Resize(24)), mount()]),
    Ok(Expectation::Mounted)
)]
#[case::errseq_incremented_after_the_snapshot(
    after_volatile_mount(&[
        snapshot(SnapshotScope::Marker), tamper(CheckpointTamper::Increment(CheckpointField::Errseq)),
        compare_with_snapshot(SnapshotScope::Marker)],
    ),
    Err(OutOfModel::CHANGED_MARKER)
)]
fn checkpoint_at_level_3_has_no_errseq(#[case] ops: Vec<Op>, #[case] expected: Result<Expectation, OutOfModel>) {
    assert_eq!(predict_last(3, Fs::Ext4, &ops), expected);
}

/// At level 0 markers have no checkpoint, so the model distinguishes them by number, and numbering
/// continues after a reboot.
#[test]
fn markers_of_two_boots_are_different() {
    let after = |state: ModelState, ops: &[Op]| ops.iter().fold(state, |state, op| state.apply_op(op).unwrap().0);
    let start = ModelState::new(Level::PRISTINE, Fs::Ext4);
    let state = after(start, &[attach(A), mount_upper(A), mount(), unmount(false), unmount_upper(false)]);
    let state = state.apply_host_step(HostStep::Reboot).unwrap();
    let again = [attach(A), mount_upper(A), snapshot(SnapshotScope::Marker), Op::RemoveMarker { disk: A }, mount()];
    assert_eq!(
        after(state, &again)
            .apply_op(&compare_with_snapshot(SnapshotScope::Marker))
            .map(|(_, expectation)| expectation),
        Err(OutOfModel::CHANGED_MARKER)
    );
}

/// The overlayfs of the base refuses unseen errors even without the series.
#[test]
fn reset_keeps_the_kernel_of_the_base() {
    let root = vremount_kernel::testing::checkout();
    let base = Base::all(&root).unwrap().into_iter().find(|base| base.features.contains(&Feature::SyncErrors)).unwrap();
    let start = ModelState::new(Level::PRISTINE, Fs::Ext4).with_base(&base);
    let lose = [write_to(A, LayerSet::First, FileLocation::Upper, FILE, 2), Op::WriteBack];
    let used = [mount(), write(1), sync(), unmount(false), Op::RemoveMarker { disk: A }, inject(data_fault())];
    let ops = [vec![Op::Reset, attach(A), mount_upper(A)], used.into(), lose.into()].concat();
    let state = ops.iter().fold(start, |state, op| state.apply_op(op).unwrap().0);
    let refused = Expectation::Refused { errno: libc::EIO, reason: Reason::UnseenError };
    assert_eq!(state.apply_op(&mount()).map(|(_, expectation)| expectation), Ok(refused));
}

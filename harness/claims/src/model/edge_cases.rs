// SPDX-License-Identifier: MIT OR Apache-2.0
//! What no claim does is foretold by the model, too.

use rstest::rstest;
use vremount_kernel::base::{Base, Feature, Level};
use vremount_machine::image::Fs;
use vremount_protocol::{
    AccessPath, CheckpointTamper, DeviceStack, Disk, Fault, Field, FileLocation, LayerSet, MarkerReplacement, Mode, Op,
    SnapshotScope,
};

use crate::model::{ModelState, OutOfModel};
use crate::refusal_reason::Reason;
use crate::{Expectation, FILE, HostStep};

const A: Disk = Disk::A;
const B: Disk = Disk::B;

fn attach(disk: Disk) -> Op {
    Op::Attach { disk, on: DeviceStack::Plain }
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

fn mount_of(layers: LayerSet, mode: Mode, options: &str) -> Op {
    Op::MountOverlay { disk: A, layers, mode, via: AccessPath::Mount, options: options.to_string() }
}

fn mount() -> Op {
    mount_of(LayerSet::First, Mode::Volatile, "")
}

fn durable() -> Op {
    mount_of(LayerSet::First, Mode::Durable, "")
}

fn unmount(lazy: bool) -> Op {
    Op::UnmountOverlay { disk: A, layers: LayerSet::First, lazy }
}

fn write_to(disk: Disk, layers: LayerSet, place: FileLocation, file: &str, seed: u64) -> Op {
    Op::Write { disk, layers, place, file: file.to_string(), bytes: 1, seed }
}

fn write(seed: u64) -> Op {
    write_to(A, LayerSet::First, FileLocation::Overlay, FILE, seed)
}

fn direct() -> Op {
    Op::WriteDirect { disk: A, file: FILE.to_string(), bytes: 1, seed: 2 }
}

fn compare(file: &str, seed: u64) -> Op {
    Op::Compare { disk: A, layers: LayerSet::First, file: file.to_string(), bytes: 1, seed }
}

fn hold(disk: Disk, place: FileLocation) -> Op {
    Op::HoldFile { disk, place, file: FILE.to_string() }
}

fn sync() -> Op {
    Op::SyncUpper { disk: A }
}

fn break_with(fault: Fault) -> Op {
    Op::Break { disk: A, fault }
}

fn data() -> Fault {
    Fault::Data { file: FILE.to_string() }
}

fn forge(forgery: CheckpointTamper) -> Op {
    Op::Forge { disk: A, forgery }
}

fn replace() -> Op {
    Op::ReplaceMarker { disk: A, with: MarkerReplacement::File }
}

fn look(scope: SnapshotScope) -> Op {
    Op::Snapshot { disk: A, scope }
}

fn same(scope: SnapshotScope) -> Op {
    Op::SameAsSnapshot { disk: A, scope }
}

/// Volatile once, with a file.
fn used(then: &[Op]) -> Vec<Op> {
    [&[mount(), write(1), unmount(false)][..], then].concat()
}

/// The file is on the disk, and what was written after that is not.
fn failed(then: &[Op]) -> Vec<Op> {
    [&[mount(), write(1), sync(), break_with(data()), write(2)][..], then].concat()
}

/// What the last of these leads to on a machine whose disk A is attached and mounted.
fn outlook(level: u8, fs: Fs, ops: &[Op]) -> Result<Expectation, OutOfModel> {
    let mut world = ModelState::new(level.to_string().parse().unwrap(), fs);
    let mut last = Expectation::Done;
    for op in [attach(A), mount_upper(A)].iter().chain(ops) {
        (world, last) = world.op(op)?;
    }
    Ok(last)
}

const NO_OVERLAY: &str = "there is no overlay";
const UNKNOWN: &str = "the model does not know this operation";
const ELSEWHERE: &str = "the upper filesystem is not at its mount point";
const PERHAPS: &str = "a filesystem may ask its disk for more than it is asked for";
const IN_USE: &str = "its files are in use";
const SHARED: &str = "two overlays share their directories, and what files come to is undefined";
const CHANGED: &str = "what else changes with a change is open";
const ANOTHER: &str = "whether another marker looks the same is open";
const COPY: &str = "a filesystem that is known by its UUID is not mounted from a copy of its device";

/// What no claim does.
#[rstest]
// The machine.
#[case::attached_twice(Fs::Ext4, vec![attach(A)], Err("the disk is attached already"))]
#[case::copied_while_mounted(Fs::Ext4, vec![attach(B), Op::CopyDisk { from: A, to: B }],
    Err("what of a mounted filesystem is on its disk is open"))]
#[case::no_disk(Fs::Tmpfs, vec![Op::CountIo { disk: A }], Err("there is no disk"))]
#[case::old_enough(Fs::Ext4, vec![Op::Sleep { ms: 30_000 }],
    Err("whether data is old enough to be written back is open"))]
#[case::paused(Fs::Ext4, vec![Op::PauseWriteback, Op::Sleep { ms: 30_000 }], Ok(Expectation::Done))]
#[case::by_itself(Fs::Ext4, vec![Op::CountIo { disk: A }, Op::CountedIo { disk: A }], Err(PERHAPS))]
#[case::synced_again(Fs::Ext4,
    vec![Op::PauseWriteback, sync(), Op::CountIo { disk: A }, sync(), Op::CountedIo { disk: A }], Err(PERHAPS))]
#[case::durable_syncs(Fs::Ext4,
    vec![durable(), write(1), Op::CountIo { disk: A }, unmount(false), Op::CountedIo { disk: A }], Ok(Expectation::SomeIo))]
#[case::mode_without_overlay(Fs::Ext4, vec![Op::SetMode { disk: A, file: FILE.to_string(), mode: 0o600 }], Err(UNKNOWN))]
#[case::handle_without_overlay(Fs::Ext4, vec![Op::TakeHandle { disk: A, file: FILE.to_string() }], Err(NO_OVERLAY))]
#[case::no_handle(Fs::Ext4, vec![mount(), Op::OpenHandle { disk: A }], Err(UNKNOWN))]
#[case::reloaded_in_use(Fs::Ext4, vec![mount(), Op::ReloadOverlay], Ok(Expectation::Fails(libc::EAGAIN)))]
#[case::reset(Fs::Ext4, used(&[Op::Reset, attach(A), mount_upper(A), durable()]), Ok(Expectation::Mounted))]
#[case::broken_before_it_has_blocks(Fs::Ext4, vec![mount(), write(1), break_with(data())],
    Err("a file that was not written back may have no blocks to break"))]
// Who uses an upper filesystem.
#[case::held_before(Fs::Ext4,
    used(&[hold(A, FileLocation::Upper), unmount_upper(true), mount_upper(A), unmount_upper(false)]), Ok(Expectation::Done))]
#[case::held_elsewhere(Fs::Ext4,
    vec![mount(), write(1), hold(A, FileLocation::Overlay), unmount_upper(true), unmount(false)], Ok(Expectation::Fails(libc::EBUSY)))]
#[case::held_on_another_disk(Fs::Ext4,
    used(&[attach(B), mount_upper(B), write_to(B, LayerSet::First, FileLocation::Upper, FILE, 1), hold(B, FileLocation::Upper),
        unmount_upper(false), mount_upper(A), mount()]),
    Ok(Expectation::Refused { errno: libc::EINVAL, reason: Reason::UpperRemounted }))]
#[case::kept_by_an_overlay(Fs::Ext4,
    vec![mount(), unmount_upper(false), mount_upper(A), unmount(false), mount()], Ok(Expectation::Mounted))]
#[case::kept_by_one_on_its_way_out(Fs::Ext4,
    vec![mount(), write(1), hold(A, FileLocation::Overlay), unmount(true), unmount_upper(false), mount_upper(A),
        Op::ReleaseFiles, mount()], Ok(Expectation::Mounted))]
#[case::remounted_under_an_overlay(Fs::Ext4, vec![mount(), remount_upper("ro")], Err("an overlay may be writing"))]
#[case::read_only_and_unmounted(Fs::Ext4, used(&[remount_upper("ro"), unmount_upper(false)]), Ok(Expectation::Done))]
#[case::second_btrfs(Fs::Btrfs, vec![attach(B), mount_upper(B)], Err(COPY))]
#[case::second_btrfs_untouched(Fs::Btrfs, vec![attach(B), unmount_upper(false), mount_upper(A)], Ok(Expectation::Done))]
// Overlays.
#[case::shared(Fs::Ext4, vec![durable(), mount_of(LayerSet::Second, Mode::Volatile, ""), write(1)], Err(SHARED))]
#[case::not_shared(Fs::Ext4,
    vec![durable(), mount_of(LayerSet::Other, Mode::Volatile, ""), mount_of(LayerSet::Second, Mode::Volatile, ""),
        write_to(A, LayerSet::Other, FileLocation::Overlay, FILE, 1)], Ok(Expectation::Done))]
#[case::read_only_overlay(Fs::Ext4, vec![mount_of(LayerSet::First, Mode::Volatile, "ro"), write(1)],
    Err("the overlay is read-only"))]
// Files.
#[case::write_to_an_upper_elsewhere(Fs::Ext4,
    vec![mount(), unmount_upper(false), write_to(A, LayerSet::First, FileLocation::Upper, FILE, 1)], Err(ELSEWHERE))]
#[case::hold_in_an_upper_elsewhere(Fs::Ext4,
    vec![mount(), write(1), unmount_upper(false), hold(A, FileLocation::Upper)], Err(ELSEWHERE))]
#[case::links_without_index(Fs::Ext4,
    vec![mount(), write_to(A, LayerSet::First, FileLocation::Overlay, "data/lower-file", 1), compare("data/lower-link", 1)],
    Ok(Expectation::Fails(libc::ENOENT)))]
#[case::old_data_stays(Fs::Ext4,
    failed(&[sync(), Op::Heal { disk: A }, Op::DropCaches, compare(FILE, 1)]), Ok(Expectation::Done))]
#[case::lost_and_cached(Fs::Ext4, failed(&[sync(), Op::Heal { disk: A }, compare(FILE, 2)]), Ok(Expectation::Done))]
#[case::lost_and_forgotten(Fs::Btrfs, failed(&[sync(), Op::Heal { disk: A }, compare(FILE, 2)]), Ok(Expectation::Differs))]
#[case::told_before_it_writes(Fs::Ext4,
    failed(&[Op::WriteBack, Op::WriteBackData { disk: A, file: FILE.to_string() }]), Ok(Expectation::Fails(libc::EIO)))]
#[case::unreadable(Fs::Ext4,
    vec![mount(), write(1), sync(), Op::DropCaches, break_with(Fault::Everything), compare(FILE, 1)],
    Ok(Expectation::Fails(libc::EIO)))]
#[case::pool_of_old_blocks(Fs::Xfs, vec![mount(), write(1), sync(), break_with(Fault::PoolFull), write(2), sync()],
    Err("which blocks of a file the pool has given already is the pool's business"))]
// Work directories.
#[case::fresh_in_use(Fs::Ext4, vec![mount(), Op::FreshUpper { disk: A }], Err(IN_USE))]
#[case::fresh_while_held(Fs::Ext4, used(&[hold(A, FileLocation::Upper), Op::FreshUpper { disk: A }]), Err(IN_USE))]
#[case::fresh_and_broken(Fs::Ext4, vec![break_with(Fault::Writes), Op::FreshUpper { disk: A }],
    Err("which file gets the broken blocks is open"))]
#[case::fresh_is_empty(Fs::Ext4, used(&[Op::FreshUpper { disk: A }, mount(), compare(FILE, 1)]),
    Ok(Expectation::Fails(libc::ENOENT)))]
#[case::impostor_removed(Fs::Ext4, used(&[replace(), Op::RemoveMarker { disk: A }]),
    Err("what takes the place of a marker is not removed like one"))]
#[case::nothing_to_forge(Fs::Ext4, vec![forge(CheckpointTamper::Remove)], Ok(Expectation::Fails(libc::ENOENT)))]
#[case::nothing_to_replace(Fs::Ext4, vec![replace()], Ok(Expectation::Fails(libc::ENOENT)))]
#[case::nothing_left_behind(Fs::Ext4, vec![Op::RemoveLeftBehind { disk: A }], Ok(Expectation::Fails(libc::ENOENT)))]
#[case::same_length(Fs::Ext4, used(&[forge(CheckpointTamper::Length(28)), mount()]), Ok(Expectation::Mounted))]
#[case::cut_twice(Fs::Ext4, used(&[forge(CheckpointTamper::Length(16)), forge(CheckpointTamper::Length(20)), mount()]),
    Ok(Expectation::Refused { errno: libc::EINVAL, reason: Reason::BadCheckpoint }))]
// What is remembered.
#[case::tree_made(Fs::Ext4,
    vec![look(SnapshotScope::Tree), Op::MakeIncompat { disk: A, name: "x".to_string() }, same(SnapshotScope::Tree)], Err(CHANGED))]
#[case::tree_written(Fs::Ext4, vec![mount(), look(SnapshotScope::Tree), write(1), same(SnapshotScope::Tree)], Err(CHANGED))]
#[case::tree_written_directly(Fs::Ext4,
    vec![mount(), write(1), look(SnapshotScope::Tree), direct(), same(SnapshotScope::Tree)], Err(CHANGED))]
#[case::tree_written_both_ways(Fs::Ext4,
    vec![mount(), write(1), look(SnapshotScope::Tree), direct(), write(2), same(SnapshotScope::Tree)], Err(CHANGED))]
#[case::tree_forged(Fs::Ext4, used(&[look(SnapshotScope::Tree), forge(CheckpointTamper::Remove), same(SnapshotScope::Tree)]), Err(CHANGED))]
#[case::tree_forged_again(Fs::Ext4,
    used(&[forge(CheckpointTamper::Remove), look(SnapshotScope::Tree), forge(CheckpointTamper::Remove), same(SnapshotScope::Tree)]), Ok(Expectation::Done))]
#[case::tree_unreadable(Fs::Ext4,
    used(&[sync(), Op::DropCaches, break_with(Fault::Everything), look(SnapshotScope::Tree)]), Err("a file cannot be read"))]
#[case::marker_forged(Fs::Ext4,
    used(&[look(SnapshotScope::Marker), forge(CheckpointTamper::Next(Field::BootId)), same(SnapshotScope::Marker)]), Ok(Expectation::Differs))]
#[case::marker_as_long(Fs::Ext4,
    used(&[look(SnapshotScope::Marker), forge(CheckpointTamper::Length(28)), same(SnapshotScope::Marker)]), Err(ANOTHER))]
#[case::marker_forged_often(Fs::Ext4,
    used(&[look(SnapshotScope::Marker), Op::ForgeMany { disk: A, seed: 1, times: 1 }, same(SnapshotScope::Marker)]), Err(ANOTHER))]
#[case::marker_replaced(Fs::Ext4, used(&[look(SnapshotScope::Marker), replace(), same(SnapshotScope::Marker)]), Err(ANOTHER))]
fn what_no_claim_does_is_foretold_too(
    #[case] fs: Fs,
    #[case] ops: Vec<Op>,
    #[case] expected: Result<Expectation, &'static str>,
) {
    assert_eq!(outlook(4, fs, &ops), expected.map_err(OutOfModel));
}

/// Before patch 4 a checkpoint has four bytes less, and no sample that could be forged.
#[rstest]
#[case::same_length_without_errseq(used(&[forge(CheckpointTamper::Length(24)), mount()]), Ok(Expectation::Mounted))]
#[case::marker_without_errseq(
    used(&[look(SnapshotScope::Marker), forge(CheckpointTamper::Next(Field::Errseq)), same(SnapshotScope::Marker)]), Err(ANOTHER))]
fn the_third_patch_has_no_errseq(#[case] ops: Vec<Op>, #[case] expected: Result<Expectation, &'static str>) {
    assert_eq!(outlook(3, Fs::Ext4, &ops), expected.map_err(OutOfModel));
}

/// At level 0 markers have no xattr that would tell them apart: only their numbers do, which go on over a reboot.
#[test]
fn markers_of_two_boots_are_two() {
    let after = |world: ModelState, ops: &[Op]| ops.iter().fold(world, |world, op| world.op(op).unwrap().0);
    let start = ModelState::new(Level::PRISTINE, Fs::Ext4);
    let world = after(start, &[attach(A), mount_upper(A), mount(), unmount(false), unmount_upper(false)]);
    let world = world.host(HostStep::Reboot).unwrap();
    let again = [attach(A), mount_upper(A), look(SnapshotScope::Marker), Op::RemoveMarker { disk: A }, mount()];
    assert_eq!(after(world, &again).op(&same(SnapshotScope::Marker)).map(|(_, want)| want), Err(OutOfModel(ANOTHER)));
}

/// Its overlayfs looks for errors that nobody has seen without the series.
#[test]
fn the_kernel_outlives_a_reset() {
    let root = vremount_kernel::testing::checkout();
    let base = Base::all(&root).unwrap().into_iter().find(|base| base.has.contains(&Feature::SyncErrors)).unwrap();
    let start = ModelState::new(Level::PRISTINE, Fs::Ext4).of(&base);
    let lose = [write_to(A, LayerSet::First, FileLocation::Upper, FILE, 2), Op::WriteBack];
    let used = [mount(), write(1), sync(), unmount(false), Op::RemoveMarker { disk: A }, break_with(data())];
    let ops = [vec![Op::Reset, attach(A), mount_upper(A)], used.into(), lose.into()].concat();
    let world = ops.iter().fold(start, |world, op| world.op(op).unwrap().0);
    let refused = Expectation::Refused { errno: libc::EIO, reason: Reason::UnseenError };
    assert_eq!(world.op(&mount()).map(|(_, want)| want), Ok(refused));
}

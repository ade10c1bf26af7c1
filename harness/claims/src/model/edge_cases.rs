// SPDX-License-Identifier: MIT OR Apache-2.0
//! What no claim does is foretold by the model, too.

use rstest::rstest;
use vremount_kernel::base::{Base, Feature, Level};
use vremount_machine::image::Fs;
use vremount_protocol::{Disk, Fault, Field, Forgery, Impostor, Layers, Mode, Op, Place, Scope, Stack, Via};

use crate::model::{Beyond, World};
use crate::refusal_reason::Reason;
use crate::{FILE, HostStep, Want};

const A: Disk = Disk::A;
const B: Disk = Disk::B;

fn attach(disk: Disk) -> Op {
    Op::Attach { disk, on: Stack::Plain }
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

fn mount_of(layers: Layers, mode: Mode, options: &str) -> Op {
    Op::MountOverlay { disk: A, layers, mode, via: Via::Mount, options: options.to_string() }
}

fn mount() -> Op {
    mount_of(Layers::First, Mode::Volatile, "")
}

fn durable() -> Op {
    mount_of(Layers::First, Mode::Durable, "")
}

fn unmount(lazy: bool) -> Op {
    Op::UnmountOverlay { disk: A, layers: Layers::First, lazy }
}

fn write_to(disk: Disk, layers: Layers, place: Place, file: &str, seed: u64) -> Op {
    Op::Write { disk, layers, place, file: file.to_string(), bytes: 1, seed }
}

fn write(seed: u64) -> Op {
    write_to(A, Layers::First, Place::Overlay, FILE, seed)
}

fn direct() -> Op {
    Op::WriteDirect { disk: A, file: FILE.to_string(), bytes: 1, seed: 2 }
}

fn compare(file: &str, seed: u64) -> Op {
    Op::Compare { disk: A, layers: Layers::First, file: file.to_string(), bytes: 1, seed }
}

fn hold(disk: Disk, place: Place) -> Op {
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

fn forge(forgery: Forgery) -> Op {
    Op::Forge { disk: A, forgery }
}

fn replace() -> Op {
    Op::ReplaceMarker { disk: A, with: Impostor::File }
}

fn look(scope: Scope) -> Op {
    Op::Snapshot { disk: A, scope }
}

fn same(scope: Scope) -> Op {
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
fn outlook(level: u8, fs: Fs, ops: &[Op]) -> Result<Want, Beyond> {
    let mut world = World::new(level.to_string().parse().unwrap(), fs);
    let mut last = Want::Done;
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
#[case::paused(Fs::Ext4, vec![Op::PauseWriteback, Op::Sleep { ms: 30_000 }], Ok(Want::Done))]
#[case::by_itself(Fs::Ext4, vec![Op::CountIo { disk: A }, Op::CountedIo { disk: A }], Err(PERHAPS))]
#[case::synced_again(Fs::Ext4,
    vec![Op::PauseWriteback, sync(), Op::CountIo { disk: A }, sync(), Op::CountedIo { disk: A }], Err(PERHAPS))]
#[case::durable_syncs(Fs::Ext4,
    vec![durable(), write(1), Op::CountIo { disk: A }, unmount(false), Op::CountedIo { disk: A }], Ok(Want::SomeIo))]
#[case::mode_without_overlay(Fs::Ext4, vec![Op::SetMode { disk: A, file: FILE.to_string(), mode: 0o600 }], Err(UNKNOWN))]
#[case::handle_without_overlay(Fs::Ext4, vec![Op::TakeHandle { disk: A, file: FILE.to_string() }], Err(NO_OVERLAY))]
#[case::no_handle(Fs::Ext4, vec![mount(), Op::OpenHandle { disk: A }], Err(UNKNOWN))]
#[case::reloaded_in_use(Fs::Ext4, vec![mount(), Op::ReloadOverlay], Ok(Want::Fails(libc::EAGAIN)))]
#[case::reset(Fs::Ext4, used(&[Op::Reset, attach(A), mount_upper(A), durable()]), Ok(Want::Mounted))]
#[case::broken_before_it_has_blocks(Fs::Ext4, vec![mount(), write(1), break_with(data())],
    Err("a file that was not written back may have no blocks to break"))]
// Who uses an upper filesystem.
#[case::held_before(Fs::Ext4,
    used(&[hold(A, Place::Upper), unmount_upper(true), mount_upper(A), unmount_upper(false)]), Ok(Want::Done))]
#[case::held_elsewhere(Fs::Ext4,
    vec![mount(), write(1), hold(A, Place::Overlay), unmount_upper(true), unmount(false)], Ok(Want::Fails(libc::EBUSY)))]
#[case::held_on_another_disk(Fs::Ext4,
    used(&[attach(B), mount_upper(B), write_to(B, Layers::First, Place::Upper, FILE, 1), hold(B, Place::Upper),
        unmount_upper(false), mount_upper(A), mount()]),
    Ok(Want::Refused { errno: libc::EINVAL, reason: Reason::UpperRemounted }))]
#[case::kept_by_an_overlay(Fs::Ext4,
    vec![mount(), unmount_upper(false), mount_upper(A), unmount(false), mount()], Ok(Want::Mounted))]
#[case::kept_by_one_on_its_way_out(Fs::Ext4,
    vec![mount(), write(1), hold(A, Place::Overlay), unmount(true), unmount_upper(false), mount_upper(A),
        Op::ReleaseFiles, mount()], Ok(Want::Mounted))]
#[case::remounted_under_an_overlay(Fs::Ext4, vec![mount(), remount_upper("ro")], Err("an overlay may be writing"))]
#[case::read_only_and_unmounted(Fs::Ext4, used(&[remount_upper("ro"), unmount_upper(false)]), Ok(Want::Done))]
#[case::second_btrfs(Fs::Btrfs, vec![attach(B), mount_upper(B)], Err(COPY))]
#[case::second_btrfs_untouched(Fs::Btrfs, vec![attach(B), unmount_upper(false), mount_upper(A)], Ok(Want::Done))]
// Overlays.
#[case::shared(Fs::Ext4, vec![durable(), mount_of(Layers::Second, Mode::Volatile, ""), write(1)], Err(SHARED))]
#[case::not_shared(Fs::Ext4,
    vec![durable(), mount_of(Layers::Other, Mode::Volatile, ""), mount_of(Layers::Second, Mode::Volatile, ""),
        write_to(A, Layers::Other, Place::Overlay, FILE, 1)], Ok(Want::Done))]
#[case::read_only_overlay(Fs::Ext4, vec![mount_of(Layers::First, Mode::Volatile, "ro"), write(1)],
    Err("the overlay is read-only"))]
// Files.
#[case::write_to_an_upper_elsewhere(Fs::Ext4,
    vec![mount(), unmount_upper(false), write_to(A, Layers::First, Place::Upper, FILE, 1)], Err(ELSEWHERE))]
#[case::hold_in_an_upper_elsewhere(Fs::Ext4,
    vec![mount(), write(1), unmount_upper(false), hold(A, Place::Upper)], Err(ELSEWHERE))]
#[case::links_without_index(Fs::Ext4,
    vec![mount(), write_to(A, Layers::First, Place::Overlay, "data/lower-file", 1), compare("data/lower-link", 1)],
    Ok(Want::Fails(libc::ENOENT)))]
#[case::old_data_stays(Fs::Ext4,
    failed(&[sync(), Op::Heal { disk: A }, Op::DropCaches, compare(FILE, 1)]), Ok(Want::Done))]
#[case::lost_and_cached(Fs::Ext4, failed(&[sync(), Op::Heal { disk: A }, compare(FILE, 2)]), Ok(Want::Done))]
#[case::lost_and_forgotten(Fs::Btrfs, failed(&[sync(), Op::Heal { disk: A }, compare(FILE, 2)]), Ok(Want::Differs))]
#[case::told_before_it_writes(Fs::Ext4,
    failed(&[Op::WriteBack, Op::WriteBackData { disk: A, file: FILE.to_string() }]), Ok(Want::Fails(libc::EIO)))]
#[case::unreadable(Fs::Ext4,
    vec![mount(), write(1), sync(), Op::DropCaches, break_with(Fault::Everything), compare(FILE, 1)],
    Ok(Want::Fails(libc::EIO)))]
#[case::pool_of_old_blocks(Fs::Xfs, vec![mount(), write(1), sync(), break_with(Fault::PoolFull), write(2), sync()],
    Err("which blocks of a file the pool has given already is the pool's business"))]
// Work directories.
#[case::fresh_in_use(Fs::Ext4, vec![mount(), Op::FreshUpper { disk: A }], Err(IN_USE))]
#[case::fresh_while_held(Fs::Ext4, used(&[hold(A, Place::Upper), Op::FreshUpper { disk: A }]), Err(IN_USE))]
#[case::fresh_and_broken(Fs::Ext4, vec![break_with(Fault::Writes), Op::FreshUpper { disk: A }],
    Err("which file gets the broken blocks is open"))]
#[case::fresh_is_empty(Fs::Ext4, used(&[Op::FreshUpper { disk: A }, mount(), compare(FILE, 1)]),
    Ok(Want::Fails(libc::ENOENT)))]
#[case::impostor_removed(Fs::Ext4, used(&[replace(), Op::RemoveMarker { disk: A }]),
    Err("what takes the place of a marker is not removed like one"))]
#[case::nothing_to_forge(Fs::Ext4, vec![forge(Forgery::Remove)], Ok(Want::Fails(libc::ENOENT)))]
#[case::nothing_to_replace(Fs::Ext4, vec![replace()], Ok(Want::Fails(libc::ENOENT)))]
#[case::nothing_left_behind(Fs::Ext4, vec![Op::RemoveLeftBehind { disk: A }], Ok(Want::Fails(libc::ENOENT)))]
#[case::same_length(Fs::Ext4, used(&[forge(Forgery::Length(28)), mount()]), Ok(Want::Mounted))]
#[case::cut_twice(Fs::Ext4, used(&[forge(Forgery::Length(16)), forge(Forgery::Length(20)), mount()]),
    Ok(Want::Refused { errno: libc::EINVAL, reason: Reason::BadCheckpoint }))]
// What is remembered.
#[case::tree_made(Fs::Ext4,
    vec![look(Scope::Tree), Op::MakeIncompat { disk: A, name: "x".to_string() }, same(Scope::Tree)], Err(CHANGED))]
#[case::tree_written(Fs::Ext4, vec![mount(), look(Scope::Tree), write(1), same(Scope::Tree)], Err(CHANGED))]
#[case::tree_written_directly(Fs::Ext4,
    vec![mount(), write(1), look(Scope::Tree), direct(), same(Scope::Tree)], Err(CHANGED))]
#[case::tree_written_both_ways(Fs::Ext4,
    vec![mount(), write(1), look(Scope::Tree), direct(), write(2), same(Scope::Tree)], Err(CHANGED))]
#[case::tree_forged(Fs::Ext4, used(&[look(Scope::Tree), forge(Forgery::Remove), same(Scope::Tree)]), Err(CHANGED))]
#[case::tree_forged_again(Fs::Ext4,
    used(&[forge(Forgery::Remove), look(Scope::Tree), forge(Forgery::Remove), same(Scope::Tree)]), Ok(Want::Done))]
#[case::tree_unreadable(Fs::Ext4,
    used(&[sync(), Op::DropCaches, break_with(Fault::Everything), look(Scope::Tree)]), Err("a file cannot be read"))]
#[case::marker_forged(Fs::Ext4,
    used(&[look(Scope::Marker), forge(Forgery::Next(Field::BootId)), same(Scope::Marker)]), Ok(Want::Differs))]
#[case::marker_as_long(Fs::Ext4,
    used(&[look(Scope::Marker), forge(Forgery::Length(28)), same(Scope::Marker)]), Err(ANOTHER))]
#[case::marker_forged_often(Fs::Ext4,
    used(&[look(Scope::Marker), Op::ForgeMany { disk: A, seed: 1, times: 1 }, same(Scope::Marker)]), Err(ANOTHER))]
#[case::marker_replaced(Fs::Ext4, used(&[look(Scope::Marker), replace(), same(Scope::Marker)]), Err(ANOTHER))]
fn what_no_claim_does_is_foretold_too(
    #[case] fs: Fs,
    #[case] ops: Vec<Op>,
    #[case] expected: Result<Want, &'static str>,
) {
    assert_eq!(outlook(4, fs, &ops), expected.map_err(Beyond));
}

/// Before patch 4 a checkpoint has four bytes less, and no sample that could be forged.
#[rstest]
#[case::same_length_without_errseq(used(&[forge(Forgery::Length(24)), mount()]), Ok(Want::Mounted))]
#[case::marker_without_errseq(
    used(&[look(Scope::Marker), forge(Forgery::Next(Field::Errseq)), same(Scope::Marker)]), Err(ANOTHER))]
fn the_third_patch_has_no_errseq(#[case] ops: Vec<Op>, #[case] expected: Result<Want, &'static str>) {
    assert_eq!(outlook(3, Fs::Ext4, &ops), expected.map_err(Beyond));
}

/// At level 0 markers have no xattr that would tell them apart: only their numbers do, which go on over a reboot.
#[test]
fn markers_of_two_boots_are_two() {
    let after = |world: World, ops: &[Op]| ops.iter().fold(world, |world, op| world.op(op).unwrap().0);
    let start = World::new(Level::PRISTINE, Fs::Ext4);
    let world = after(start, &[attach(A), mount_upper(A), mount(), unmount(false), unmount_upper(false)]);
    let world = world.host(HostStep::Reboot).unwrap();
    let again = [attach(A), mount_upper(A), look(Scope::Marker), Op::RemoveMarker { disk: A }, mount()];
    assert_eq!(after(world, &again).op(&same(Scope::Marker)).map(|(_, want)| want), Err(Beyond(ANOTHER)));
}

/// Its overlayfs looks for errors that nobody has seen without the series.
#[test]
fn the_kernel_outlives_a_reset() {
    let root = vremount_kernel::testing::checkout();
    let base = Base::all(&root).unwrap().into_iter().find(|base| base.has.contains(&Feature::SyncErrors)).unwrap();
    let start = World::new(Level::PRISTINE, Fs::Ext4).of(&base);
    let lose = [write_to(A, Layers::First, Place::Upper, FILE, 2), Op::WriteBack];
    let used = [mount(), write(1), sync(), unmount(false), Op::RemoveMarker { disk: A }, break_with(data())];
    let ops = [vec![Op::Reset, attach(A), mount_upper(A)], used.into(), lose.into()].concat();
    let world = ops.iter().fold(start, |world, op| world.op(op).unwrap().0);
    let refused = Want::Refused { errno: libc::EIO, reason: Reason::UnseenError };
    assert_eq!(world.op(&mount()).map(|(_, want)| want), Ok(refused));
}

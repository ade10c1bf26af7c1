# shellcheck shell=bash disable=SC2034,SC2086,SC2154
# SPDX-License-Identifier: MIT OR Apache-2.0
# Functions of a test of xfstests, in place of the functions of a script with the same names.

# Begins a step that prepares the claim. With another outcome the test is not run.
precondition() {
    begin_step precondition "$1"
}

# Begins a step that the claim is about. Its outcome is in the golden output.
assertion() {
    begin_step assertion "$1"
}

# The kernel log after the mark belongs to the step.
begin_step() {
    number=$((number + 1)) kind=$1 step=$2 outcome='done' output='' matches=''
    echo "$step" >> $seqres.full
    mark="$seq: step $number"
    echo "$mark" > /dev/kmsg
}

check() {
    echo "expected: $1, observed: $2 $output" >> $seqres.full
    case "$kind $outcome" in
    assertion\ cannot\ tell*) cannot_tell "$outcome" ;;
    assertion*) echo "$step: $2" ;;
    esac
    [ "$1" = "$2" ] && return
    [ $kind = assertion ] && exit
    cannot_tell "$step: expected $1, observed $2"
}

# The claim could not be tested.
cannot_tell() {
    _notrun "$1"
}

# Creates an empty base filesystem on the scratch device, and a lower layer.
begin() {
    [ -b "$OVL_BASE_SCRATCH_DEV" ] || _notrun "test needs a base filesystem on a block device"
    _scratch_mkfs >> $seqres.full 2>&1
    _scratch_unmount >> $seqres.full 2>&1
    must mkdir -p $top/lower/data $top/lower/folder
    must mount --bind $top $top
    # A mount below a shared mount cannot be moved.
    must mount --make-private $top
    echo "from the lower layer" > $top/lower/data/lower-file
    must ln $top/lower/data/lower-file $top/lower/data/lower-link
    echo "from the lower layer too" > $top/lower/folder/lower-file
}

_cleanup() {
    cd /
    [ -n "$later" ] && kill $later
    wait
    exec 9<&-
    [ -n "$frozen" ] && $XFS_FREEZE_PROG -u $frozen
    [ -n "$interval" ] && echo $interval > /proc/sys/vm/dirty_writeback_centisecs
    unmount_all '' &> /dev/null
    _dmsetup_remove volatile-$seq-a
    rm -rf $tmp.*
}

# Creates a device-mapper device under the base filesystem, to inject faults.
attach() {
    below=$OVL_BASE_SCRATCH_DEV
    sectors=$(blockdev --getsz $below)
    _dmsetup_create volatile-$seq-a --table "0 $sectors linear $below 0" || cannot_tell "failed to create a device"
    device=/dev/mapper/volatile-$seq-a
}

find_disk() {
    below=$OVL_BASE_SCRATCH_DEV
}

flush_buffers() {
    try blockdev --flushbufs $device
}

# The filesystem is not frozen, which would sync it, and pending I/O is not waited for.
load_table() {
    echo "$2" > $tmp.table
    must dmsetup load volatile-$seq-$1 $tmp.table
    must dmsetup suspend --noflush --nolockfs volatile-$seq-$1
    must dmsetup resume volatile-$seq-$1
}

mount_filesystem() {
    try mount -t $OVL_BASE_FSTYP $OVL_BASE_MOUNT_OPTIONS ${3:+-o $3} $device $2
}

remount_upper() {
    try mount -o remount,$2 $device $top/mnt/$1
}

freeze_upper() {
    try $XFS_FREEZE_PROG -f $top/mnt/$1
    frozen=$top/mnt/$1
}

thaw_upper() {
    try $XFS_FREEZE_PROG -u $top/mnt/$1
    frozen=
}

# The test device is an overlay as well, and is unmounted for the reload.
reload_overlay() {
    must _test_unmount
    must _patient_rmmod overlay
    must modprobe overlay
    must _test_mount
}

heal_disk() {
    load_table $1 "0 $sectors linear $below 0"
}

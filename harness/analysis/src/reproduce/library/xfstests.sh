# shellcheck shell=bash disable=SC2034,SC2086,SC2154
# SPDX-License-Identifier: MIT OR Apache-2.0
# What a test of xfstests does in another way than a script that is alone.

# A step without whose outcome the test says nothing.
given() {
    begin_step given "$1"
}

# A step whose outcome is in the golden output.
claim() {
    begin_step claim "$1"
}

# What is in the kernel log behind this mark belongs to the step.
begin_step() {
    number=$((number + 1)) kind=$1 step=$2 got='done' said='' held=''
    echo "$step" >> $seqres.full
    mark="$seq: step $number"
    echo "$mark" > /dev/kmsg
}

check() {
    echo "expected: $1, observed: $2 $said" >> $seqres.full
    case "$kind $got" in
    claim\ cannot\ tell*) cannot_tell "$got" ;;
    claim*) echo "$step: $2" ;;
    esac
    [ "$1" = "$2" ] && return
    [ $kind = claim ] && exit
    cannot_tell "$step: expected $1, observed $2"
}

# What has to come before the claim did not, so that nothing is known of it.
cannot_tell() {
    _notrun "$1"
}

# The base filesystem of the scratch device without its files, and a lower layer.
begin() {
    [ -b "$OVL_BASE_SCRATCH_DEV" ] || _notrun "test needs a base filesystem on a block device"
    _scratch_mkfs >> $seqres.full 2>&1
    _scratch_unmount >> $seqres.full 2>&1
    must mkdir -p $top/lower/data $top/lower/folder
    must mount --bind $top $top
    # A mount below one that is shared cannot be moved.
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

# A device under the base filesystem that can be told to fail.
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

# Neither is the filesystem frozen, which would sync it, nor is I/O waited for.
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

# The test device is an overlay too.
reload_overlay() {
    must _test_unmount
    must _patient_rmmod overlay
    must modprobe overlay
    must _test_mount
}

heal() {
    load_table $1 "0 $sectors linear $below 0"
}

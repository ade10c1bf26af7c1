# shellcheck shell=sh disable=SC2034,SC2154
# SPDX-License-Identifier: MIT OR Apache-2.0
# Disks and upper filesystems.

# A disk: an image on a tmpfs of its own, a loop device over that, a device-mapper device over that.
attach() {
    prepare_image "$1"
    name=vremount-$$-$1
    create_device "$name" "0 $sectors linear $loop 0"
    eval "below_$1=\$loop device_$1=\$device"
}

# The same with a thin volume in between: what is written comes out of a pool of fixed size.
attach_thin() {
    prepare_image "$1"
    name=vremount-$$-$1 origin=$loop
    must truncate -s 2M "$top/images/$1/meta"
    must truncate -s 24M "$top/images/$1/data"
    find_loop "$top/images/$1/meta"
    meta=$loop
    find_loop "$top/images/$1/data"
    # A pool that is full says so at once.
    create_device "$name-pool" "0 49152 thin-pool $meta $loop 128 0 1 error_if_no_space"
    pool=$device
    must dmsetup message "$name-pool" 0 'create_thin 0'
    create_device "$name-thin" "0 $sectors thin $pool 0 $origin"
    below=$device
    create_device "$name" "0 $sectors linear $below 0"
    loop=$origin
    eval "below_$1=\$below device_$1=\$device pool_$1=\$pool"
}

# A filesystem in memory has no disk.
attach_nothing() {
    eval "device_$1=none"
}

# Byte for byte.
copy_disk() {
    eval "from=\$device_$1 to=\$device_$2"
    try dd if="$from" of="$to" bs=64k conv=fsync
}

prepare_image() {
    must mkdir -p "$top/images/$1"
    must mount -t tmpfs -o size=128m vremount "$top/images/$1"
    must truncate -s "${image_mib}M" "$top/images/$1/image"
    make_filesystem "$top/images/$1/image"
    find_loop "$top/images/$1/image"
    read -r sectors <"/sys/block/${loop#/dev/}/size"
    eval "loop_$1=\$loop"
}

# Another may take the free device between the question and the answer's use: ask again.
find_loop() {
    loop=$(losetup -f) || cannot_tell 'there is no loop device'
    while ! said=$(losetup "$loop" "$1" 2>&1); do
        taken=$loop
        loop=$(losetup -f) || cannot_tell 'there is no loop device'
        [ "$loop" != "$taken" ] || cannot_tell "failed to attach $loop: $said"
    done
    loops="$loop $loops" said=''
}

# The node is the kernel's own: nobody need run udev.
create_device() {
    must dmsetup create "$1" --table "$2"
    devices="$1 $devices"
    device=/dev/dm-$(dmsetup info -c --noheadings -o minor "$1" 2>/dev/null) || cannot_tell "there is no device $1"
}

find_disk() {
    eval "below=\$below_$1 loop=\$loop_$1"
    read -r sectors <"/sys/block/${loop#/dev/}/size"
}

# Mounts the upper filesystem, and makes the directories of overlays where they are missing.
mount_upper() {
    must mkdir -p "$top/mnt/$1"
    mount_filesystem "$1" "$top/mnt/$1" "${2:-}"
    [ "$got" = 'done' ] || return 0
    must mkdir -p "$top/mnt/$1/upper" "$top/mnt/$1/work" "$top/mnt/$1/upper-other" "$top/mnt/$1/work-other"
}

mount_filesystem() {
    eval "device=\$device_$1"
    options=$upper_options${3:+${upper_options:+,}$3}
    try mount -t "$upper_type" ${options:+-o "$options"} "$device" "$2"
}

unmount_upper() {
    try umount "$top/mnt/$1"
}

unmount_upper_lazily() {
    try umount -l "$top/mnt/$1"
}

remount_upper() {
    eval "device=\$device_$1"
    try mount -t "$upper_type" -o "remount,$2" "$device" "$top/mnt/$1"
}

reach_by_bind() {
    must mkdir -p "$top/bind/$1"
    try mount --bind "$top/mnt/$1" "$top/bind/$1"
}

reach_again() {
    must mkdir -p "$top/again/$1"
    mount_filesystem "$1" "$top/again/$1"
}

reach_by_move() {
    must mkdir -p "$top/moved/$1"
    try mount --move "$top/mnt/$1" "$top/moved/$1"
}

unreach() {
    try umount "$top/$2/$1"
}

unreach_by_move() {
    try mount --move "$top/moved/$1" "$top/mnt/$1"
}

freeze_upper() {
    try fsfreeze --freeze "$top/mnt/$1"
    frozen=$top/mnt/$1
}

thaw_upper() {
    try fsfreeze --unfreeze "$top/mnt/$1"
    frozen=''
}

# Without a flush of the log.
shut_down_upper() {
    try xfs_io -x -c shutdown "$top/mnt/$1"
    [ -z "$said" ] || { find_errno "$said"; got="failed $errno"; }
}

fresh_upper() {
    must rm -r "$top/mnt/$1/upper" "$top/mnt/$1/work"
    try mkdir "$top/mnt/$1/upper" "$top/mnt/$1/work"
}

# Layers that ignore case: all of an overlay do, or none.
fold_case() {
    must rm -r "$top/mnt/$1/upper" "$top/mnt/$1/work"
    must mkdir "$top/mnt/$1/upper" "$top/mnt/$1/work" "$top/mnt/$1/lower"
    try chattr +F "$top/mnt/$1/upper" "$top/mnt/$1/work" "$top/mnt/$1/lower"
    must mkdir "$top/mnt/$1/lower/folder"
}

upper_writable() {
    find_mounted "$top/mnt/$1"
    case $got in *read-only) got='failed EROFS' ;; *) got='done' ;; esac
}

flush_buffers() {
    eval "device=\$device_$1"
    try blockdev --flushbufs "$device"
}

# Of the loop device, where a flush is a request of its own.
count_io() {
    eval "loop=\$loop_$1"
    read -r _ _ _ _ writes _ _ _ _ _ _ _ _ _ _ flushes _ <"/sys/block/${loop#/dev/}/stat"
    counted_from="$writes $flushes"
}

counted_io() {
    before=$counted_from
    count_io "$1"
    got="$((writes - ${before% *})) writes, $((flushes - ${before#* })) flushes"
}

# What is mounted in place of the whole filesystem; made where it is not there yet.
make_subvolume() {
    eval "device=\$device_$1"
    must mkdir -p "$top/mnt/$1"
    must mount -t "$upper_type" "$device" "$top/mnt/$1"
    [ -d "$top/mnt/$1/subvolume" ] || must btrfs subvolume create "$top/mnt/$1/subvolume"
    must umount "$top/mnt/$1"
}

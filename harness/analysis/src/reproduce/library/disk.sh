# shellcheck shell=sh disable=SC2034,SC2154
# SPDX-License-Identifier: MIT OR Apache-2.0
# Disks and upper filesystems.

# Creates a disk: an image on its own tmpfs, a loop device on it, and a device-mapper device on
# that.
attach() {
    prepare_image "$1"
    name=vremount-$$-$1
    create_device "$name" "0 $sectors linear $loop 0"
    eval "below_$1=\$loop device_$1=\$device"
}

# Creates a disk with a thin volume between loop device and device-mapper device. Writes allocate
# blocks from a small pool.
attach_thin() {
    prepare_image "$1"
    name=vremount-$$-$1 origin=$loop
    must truncate -s 2M "$top/images/$1/meta"
    must truncate -s 24M "$top/images/$1/data"
    find_loop "$top/images/$1/meta"
    meta=$loop
    find_loop "$top/images/$1/data"
    # A full pool returns an error immediately.
    create_device "$name-pool" "0 49152 thin-pool $meta $loop 128 0 1 error_if_no_space"
    pool=$device
    must dmsetup message "$name-pool" 0 'create_thin 0'
    create_device "$name-thin" "0 $sectors thin $pool 0 $origin"
    below=$device
    create_device "$name" "0 $sectors linear $below 0"
    loop=$origin
    eval "below_$1=\$below device_$1=\$device pool_$1=\$pool"
}

# A filesystem in memory needs no disk.
attach_in_memory() {
    eval "device_$1=none"
}

# Copies disk $1 to disk $2, byte by byte.
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

# Attaches a loop device to $1. Another process may take the free device first; then the next one is
# tried.
find_loop() {
    loop=$(losetup -f) || cannot_tell 'there is no free loop device'
    while ! output=$(losetup "$loop" "$1" 2>&1); do
        taken=$loop
        loop=$(losetup -f) || cannot_tell 'there is no free loop device'
        [ "$loop" != "$taken" ] || cannot_tell "failed to attach $loop: $output"
    done
    loops="$loop $loops" output=''
}

# Creates a device-mapper device with a table. The device node comes from devtmpfs, so that udev is
# not needed.
create_device() {
    must dmsetup create "$1" --table "$2"
    devices="$1 $devices"
    device=/dev/dm-$(dmsetup info -c --noheadings -o minor "$1" 2>/dev/null) ||
        cannot_tell "failed to find the device-mapper device $1"
}

find_disk() {
    eval "below=\$below_$1 loop=\$loop_$1"
    read -r sectors <"/sys/block/${loop#/dev/}/size"
}

# Mounts the upper filesystem, and creates the directories of overlays if they are missing.
mount_upper() {
    must mkdir -p "$top/mnt/$1"
    mount_filesystem "$1" "$top/mnt/$1" "${2:-}"
    [ "$outcome" = 'done' ] || return 0
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

bind_mount_upper() {
    must mkdir -p "$top/bind/$1"
    try mount --bind "$top/mnt/$1" "$top/bind/$1"
}

mount_upper_again() {
    must mkdir -p "$top/again/$1"
    mount_filesystem "$1" "$top/again/$1"
}

move_upper() {
    must mkdir -p "$top/moved/$1"
    try mount --move "$top/mnt/$1" "$top/moved/$1"
}

unmount_access_path() {
    try umount "$top/$2/$1"
}

move_upper_back() {
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

# Shuts the upper filesystem down without flushing its journal.
shut_down_upper() {
    try xfs_io -x -c shutdown "$top/mnt/$1"
    [ -z "$output" ] || { find_errno "$output"; outcome="failed $errno"; }
}

recreate_upper() {
    must rm -r "$top/mnt/$1/upper" "$top/mnt/$1/work"
    try mkdir "$top/mnt/$1/upper" "$top/mnt/$1/work"
}

# Creates empty layers that ignore case. Either all layers of an overlay do, or none.
recreate_casefolded() {
    must rm -r "$top/mnt/$1/upper" "$top/mnt/$1/work"
    must mkdir "$top/mnt/$1/upper" "$top/mnt/$1/work" "$top/mnt/$1/lower"
    try chattr +F "$top/mnt/$1/upper" "$top/mnt/$1/work" "$top/mnt/$1/lower"
    must mkdir "$top/mnt/$1/lower/folder"
}

check_upper_writable() {
    find_mount_mode "$top/mnt/$1"
    case $outcome in *read-only) outcome='failed EROFS' ;; *) outcome='done' ;; esac
}

flush_buffers() {
    eval "device=\$device_$1"
    try blockdev --flushbufs "$device"
}

# Stores the I/O counters of the loop device, which counts flushes separately.
start_io_counts() {
    eval "loop=\$loop_$1"
    read -r _ _ _ _ writes _ _ _ _ _ _ _ _ _ _ flushes _ <"/sys/block/${loop#/dev/}/stat"
    counted_from="$writes $flushes"
}

read_io_counts() {
    before=$counted_from
    start_io_counts "$1"
    outcome="$((writes - ${before% *})) writes, $((flushes - ${before#* })) flushes"
}

# Creates the subvolume that is mounted in place of the whole filesystem, unless it exists.
make_subvolume() {
    eval "device=\$device_$1"
    must mkdir -p "$top/mnt/$1"
    must mount -t "$upper_type" "$device" "$top/mnt/$1"
    [ -d "$top/mnt/$1/subvolume" ] || must btrfs subvolume create "$top/mnt/$1/subvolume"
    must umount "$top/mnt/$1"
}

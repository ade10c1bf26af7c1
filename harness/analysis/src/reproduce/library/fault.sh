# shellcheck shell=sh disable=SC2034,SC2154
# SPDX-License-Identifier: MIT OR Apache-2.0
# Disks that are broken, and healed.

# Another table under a mounted filesystem, which is not frozen, for that would sync it.
load_table() {
    echo "$2" >"$top/table"
    must dmsetup load "vremount-$$-$1" "$top/table"
    must dmsetup suspend --noflush --nolockfs "vremount-$$-$1"
    must dmsetup resume "vremount-$$-$1"
}

# Only the blocks of one file, or of its xattrs, fail; all else is read so many milliseconds late, if any are given.
break_blocks() {
    find_disk "$1"
    # An error of what was written before is told once.
    extents=$(filefrag "$2" -b512 -v "$3" 2>/dev/null) || extents=$(filefrag "$2" -b512 -v "$3") ||
        cannot_tell "failed to ask for the blocks of $3: $extents"
    table=$(echo "$extents" | awk -v sectors="$sectors" -v below="$below" -v ms="${4:-}" '
        BEGIN { at = 0 }
        function works(from, to) {
            if (from < to && ms == "") print from, to - from, "linear", below, from
            else if (from < to) print from, to - from, "delay", below, from, ms, below, from, 0
        }
        $1 ~ /^[0-9]+:$/ {
            if (/unknown|delalloc|inline|not_aligned|unwritten/) exit bad = 1
            gsub(/[.:]+/, " ")
            works(at, $4)
            print $4, $6, "error"
            at = $4 + $6
        }
        END {
            if (bad || !at) exit 1
            works(at, sectors)
        }') || cannot_tell "$3 has data that is in no block of its own: $extents"
    load_table "$1" "$table"
}

break_data() {
    break_blocks "$1" -s "$top/mnt/$1/upper/$2" "${3:-}"
}

break_checkpoint() {
    break_blocks "$1" -x "$top/mnt/$1/work/work/incompat/volatile"
}

break_everything() {
    find_disk "$1"
    load_table "$1" "0 $sectors error"
}

# In its down time, which is from now on, flakey fails all that writes.
break_writes() {
    find_disk "$1"
    load_table "$1" "0 $sectors flakey $below 0 0 1000000 1 error_writes"
}

# A flush goes to every target of the device: flakey gets the sectors that the filesystem leaves free.
break_flushes() {
    find_disk "$1"
    spare=$((sectors - 8))
    load_table "$1" "0 $spare linear $below 0
$spare 8 flakey $below $spare 0 1000000 1 error_writes"
}

# Blocks of dust are bad until they are written. Large ones are few, but one in which a filesystem notes its errors would be
# good again at once: the place of its superblock is left out.
break_reads() {
    find_disk "$1"
    load_table "$1" "0 128 linear $below 0
128 $((sectors - 128)) dust $below 128 4194304"
    block=0
    while [ "$block" -lt "$((sectors / 8192))" ]; do
        must dmsetup message "vremount-$$-$1" 128 addbadblock "$block"
        block=$((block + 1))
    done
    must dmsetup message "vremount-$$-$1" 128 enable
}

slow_reads() {
    find_disk "$1"
    load_table "$1" "0 $sectors delay $below 0 $2 $below 0 0"
}

# The image cannot grow any more.
use_up_space() {
    dd if=/dev/zero of="$top/images/$1/filler" bs=64k 2>/dev/null
    [ -s "$top/images/$1/filler" ] || cannot_tell 'there was no space to use up'
}

# A neighbour takes all that the pool has left.
use_up_pool() {
    eval "pool=\$pool_$1"
    must dmsetup message "vremount-$$-$1-pool" 0 'create_thin 1'
    create_device "vremount-$$-$1-neighbour" "0 98304 thin $pool 1"
    said=$(dd if=/dev/zero of="$device" bs=64k oflag=direct 2>&1) && cannot_tell 'the pool did not become full'
    said=''
}

heal() {
    find_disk "$1"
    rm -f "$top/images/$1/filler"
    load_table "$1" "0 $sectors linear $below 0"
}

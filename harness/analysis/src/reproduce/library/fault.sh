# shellcheck shell=sh disable=SC2034,SC2154
# SPDX-License-Identifier: MIT OR Apache-2.0
# Injects faults into disks and removes them.

# Replaces the table of a device under a mounted filesystem. The filesystem is not frozen: that
# would sync it.
load_table() {
    echo "$2" >"$top/table"
    must dmsetup load "vremount-$$-$1" "$top/table"
    must dmsetup suspend --noflush --nolockfs "vremount-$$-$1"
    must dmsetup resume "vremount-$$-$1"
}

# Makes the blocks of one file fail ($2 -s), or those of its xattrs (-x). All other reads are
# delayed by $4 ms, if given.
break_blocks() {
    find_disk "$1"
    # An earlier writeback error is reported once; the second call succeeds.
    extents=$(filefrag "$2" -b512 -v "$3" 2>/dev/null) || extents=$(filefrag "$2" -b512 -v "$3") ||
        cannot_tell "failed to list the blocks of $3: $extents"
    table=$(echo "$extents" | awk -v sectors="$sectors" -v below="$below" -v ms="${4:-}" '
        BEGIN { pos = 0 }
        function linear(from, to) {
            if (from < to && ms == "") print from, to - from, "linear", below, from
            else if (from < to) print from, to - from, "delay", below, from, ms, below, from, 0
        }
        $1 ~ /^[0-9]+:$/ {
            if (/unknown|delalloc|inline|not_aligned|unwritten/) exit bad = 1
            gsub(/[.:]+/, " ")
            linear(pos, $4)
            print $4, $6, "error"
            pos = $4 + $6
        }
        END {
            if (bad || !pos) exit 1
            linear(pos, sectors)
        }') || cannot_tell "$3 has data without blocks of its own: $extents"
    load_table "$1" "$table"
}

break_data() {
    break_blocks "$1" -s "$top/mnt/$1/upper/$2" "${3:-}"
}

break_checkpoint() {
    break_blocks "$1" -x "$top/mnt/$1/work/work/incompat/volatile"
}

break_disk() {
    find_disk "$1"
    load_table "$1" "0 $sectors error"
}

# dm-flakey is in its down interval from now on, in which it fails all writes.
break_writes() {
    find_disk "$1"
    load_table "$1" "0 $sectors flakey $below 0 0 1000000 1 error_writes"
}

# A flush is sent to every target of the device. dm-flakey gets the last sectors, which the
# filesystem does not use.
break_flushes() {
    find_disk "$1"
    spare=$((sectors - 8))
    load_table "$1" "0 $spare linear $below 0
$spare 8 flakey $below $spare 0 1000000 1 error_writes"
}

# dm-dust fails reads of bad blocks until they are written. Large blocks need few messages. The
# first sectors are left out: the filesystem records its errors in the superblock, and that write
# would make a whole large block readable again.
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

# Fills the tmpfs of the image, so that the image cannot grow.
fill_backing() {
    dd if=/dev/zero of="$top/images/$1/filler" bs=64k 2>/dev/null
    [ -s "$top/images/$1/filler" ] || cannot_tell 'the tmpfs of the image is already full'
}

# Fills the pool with another thin volume.
fill_pool() {
    eval "pool=\$pool_$1"
    must dmsetup message "vremount-$$-$1-pool" 0 'create_thin 1'
    create_device "vremount-$$-$1-filler" "0 98304 thin $pool 1"
    output=$(dd if=/dev/zero of="$device" bs=64k oflag=direct 2>&1) && cannot_tell 'writing to the second volume did not fill the pool'
    output=''
}

heal_disk() {
    find_disk "$1"
    rm -f "$top/images/$1/filler"
    load_table "$1" "0 $sectors linear $below 0"
}

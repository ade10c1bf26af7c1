# shellcheck shell=sh disable=SC2034,SC2154
# SPDX-License-Identifier: MIT OR Apache-2.0
# The marker of a volatile mount, its checkpoint, and what else a work directory holds.

remove_marker() {
    try rm -r "$top/mnt/$1/work/work/incompat/volatile"
}

# The checkpoint of a marker as hexadecimal digits; none where there is none, or no xattrs.
find_checkpoint() {
    if said=$(getfattr --absolute-names -h -e hex -n trusted.overlay.volatile "$1" 2>&1); then
        checkpoint=$(echo "$said" | sed -n 's/^trusted.overlay.volatile=0x//p')
        got='done'
    else
        find_errno "$said"
        checkpoint=none
        case $errno in ENODATA | EOPNOTSUPP) got='done' ;; *) got="failed $errno" ;; esac
    fi
    said=''
    marker=$1
}

set_checkpoint() {
    case $2 in
    '') try setfattr -h -n trusted.overlay.volatile "$1" ;;
    *) try setfattr -h -n trusted.overlay.volatile -v "0x$2" "$1" ;;
    esac
}

remove_checkpoint() {
    find_checkpoint "$1"
    [ "$checkpoint" = none ] || try setfattr -h -x trusted.overlay.volatile "$1"
}

move_checkpoint() {
    remove_checkpoint "$1"
    [ "$checkpoint" = none ] || set_checkpoint "$2" "$checkpoint"
}

copy_checkpoint() {
    find_checkpoint "$1"
    set_checkpoint "$2" "${checkpoint%none}"
}

# Cut off or filled up with zeros to so many bytes.
resize_checkpoint() {
    find_checkpoint "$1"
    [ "$got" = 'done' ] || return 0
    bytes=$(printf "%-$((2 * $2)).$((2 * $2))s" "${checkpoint%none}" | tr ' ' 0)
    set_checkpoint "$1" "$bytes"
}

# Counts up a field, from one byte to another, the least byte first.
count_up_checkpoint() {
    find_checkpoint "$1"
    [ "$got" = 'done' ] || return 0
    counted=$(echo "${checkpoint%none}" | awk -v from="$2" -v to="$3" '{
        digits = "0123456789abcdef"
        for (at = 1; at < length($0); at += 2) {
            byte = 16 * (index(digits, substr($0, at, 1)) - 1) + index(digits, substr($0, at + 1, 1)) - 1
            place = (at - 1) / 2
            if (place >= from && place < to && !counted && length($0) >= 2 * to) {
                byte = (byte + 1) % 256
                counted = byte != 0
            }
            printf "%02x", byte
        }
    }')
    set_checkpoint "$1" "$counted"
}

# Something else in the place of the marker, with its checkpoint if it has one.
put_marker_aside() {
    find_checkpoint "$top/mnt/$1/work/work/incompat/volatile"
    [ "$got" = 'done' ] || cannot_tell "failed to read the checkpoint: $got"
    must mv "$marker" "$top/mnt/$1/work/aside"
}

restore_checkpoint() {
    [ "$checkpoint" = none ] || set_checkpoint "$marker" "$checkpoint"
}

replace_marker_by_file() {
    put_marker_aside "$1"
    : >"$marker"
    must chmod 755 "$marker"
    restore_checkpoint
}

replace_marker_by_symlink() {
    put_marker_aside "$1"
    must ln -s "$top/mnt/$1/work/aside" "$marker"
    restore_checkpoint
}

replace_marker_by_fifo() {
    put_marker_aside "$1"
    must mkfifo "$marker"
    restore_checkpoint
}

# A whiteout.
replace_marker_by_device() {
    put_marker_aside "$1"
    must mknod "$marker" c 0 0
    restore_checkpoint
}

# With the marker in it.
replace_incompat_by_file() {
    must rm -r "$top/mnt/$1/work/work/incompat"
    : >"$top/mnt/$1/work/work/incompat"
}

rename_marker() {
    try mv "$top/mnt/$1/work/work/incompat/volatile" "$top/mnt/$1/work/work/incompat/$2"
}

make_incompat() {
    try mkdir -p "$top/mnt/$1/work/work/incompat/$2"
}

remove_incompat() {
    if [ -d "$top/mnt/$1/work/work/incompat/$2" ]; then
        try rmdir "$top/mnt/$1/work/work/incompat/$2"
    else
        try rm "$top/mnt/$1/work/work/incompat/$2"
    fi
}

# Deeper than an overlay knows how to clean.
leave_behind() {
    must mkdir -p "$top/mnt/$1/work/work/left/behind/here"
    echo 'left behind' >"$top/mnt/$1/work/work/left/behind/here/file"
}

remove_left_behind() {
    try rm -r "$top/mnt/$1/work/work/left"
}

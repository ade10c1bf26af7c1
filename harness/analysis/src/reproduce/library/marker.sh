# shellcheck shell=sh disable=SC2034,SC2154
# SPDX-License-Identifier: MIT OR Apache-2.0
# The marker of a volatile mount, its checkpoint, and other contents of a work directory.

remove_marker() {
    try rm -r "$top/mnt/$1/work/work/incompat/volatile"
}

# Sets checkpoint to the hexadecimal digits of the checkpoint; none if there is none, or the
# filesystem has no xattrs.
find_checkpoint() {
    if output=$(getfattr --absolute-names -h -e hex -n trusted.overlay.volatile "$1" 2>&1); then
        checkpoint=$(echo "$output" | sed -n 's/^trusted.overlay.volatile=0x//p')
        outcome='done'
    else
        find_errno "$output"
        checkpoint=none
        case $errno in ENODATA | EOPNOTSUPP) outcome='done' ;; *) outcome="failed $errno" ;; esac
    fi
    output=''
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

# Truncates the checkpoint to $2 bytes, or pads it with zeros.
resize_checkpoint() {
    find_checkpoint "$1"
    [ "$outcome" = 'done' ] || return 0
    bytes=$(printf "%-$((2 * $2)).$((2 * $2))s" "${checkpoint%none}" | tr ' ' 0)
    set_checkpoint "$1" "$bytes"
}

# Increments a little-endian field of the checkpoint, from byte $2 to before byte $3.
count_up_checkpoint() {
    find_checkpoint "$1"
    [ "$outcome" = 'done' ] || return 0
    counted=$(echo "${checkpoint%none}" | awk -v from="$2" -v to="$3" '{
        digits = "0123456789abcdef"
        for (pos = 1; pos < length($0); pos += 2) {
            byte = 16 * (index(digits, substr($0, pos, 1)) - 1) + index(digits, substr($0, pos + 1, 1)) - 1
            offset = (pos - 1) / 2
            if (offset >= from && offset < to && !counted && length($0) >= 2 * to) {
                byte = (byte + 1) % 256
                counted = byte != 0
            }
            printf "%02x", byte
        }
    }')
    set_checkpoint "$1" "$counted"
}

# Moves the marker out of its place, to be replaced by something else with the same checkpoint.
move_marker_away() {
    find_checkpoint "$top/mnt/$1/work/work/incompat/volatile"
    [ "$outcome" = 'done' ] || cannot_tell "failed to read the checkpoint: $outcome"
    must mv "$marker" "$top/mnt/$1/work/moved"
}

restore_checkpoint() {
    [ "$checkpoint" = none ] || set_checkpoint "$marker" "$checkpoint"
}

replace_marker_by_file() {
    move_marker_away "$1"
    : >"$marker"
    must chmod 755 "$marker"
    restore_checkpoint
}

replace_marker_by_symlink() {
    move_marker_away "$1"
    must ln -s "$top/mnt/$1/work/moved" "$marker"
    restore_checkpoint
}

replace_marker_by_fifo() {
    move_marker_away "$1"
    must mkfifo "$marker"
    restore_checkpoint
}

# The device number of a whiteout.
replace_marker_by_device() {
    move_marker_away "$1"
    must mknod "$marker" c 0 0
    restore_checkpoint
}

# Removes the marker together with its directory.
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

# overlayfs does not remove directories as deep as this when it cleans its work directory.
create_leftover() {
    must mkdir -p "$top/mnt/$1/work/work/left/behind/here"
    echo 'leftover' >"$top/mnt/$1/work/work/left/behind/here/file"
}

remove_leftover() {
    try rm -r "$top/mnt/$1/work/work/left"
}

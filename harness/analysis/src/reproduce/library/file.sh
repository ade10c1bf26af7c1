# shellcheck shell=sh disable=SC2034,SC2154
# SPDX-License-Identifier: MIT OR Apache-2.0
# Files, and how they reach the disk.

# Bytes that can be written and recognised, in a file; a seed gives the same ones each time.
content() {
    content=$top/content-$1-$2
    [ -e "$content" ] || yes "$1 bytes of seed $2" | head -c "$1" >"$content"
}

# Writes over what is there, so that a file that has its blocks keeps them. No sync.
write_file() {
    content "$2" "$3"
    [ -d "${1%/*}" ] || must mkdir -p "${1%/*}"
    try dd if="$content" of="$1" bs=64k conv=notrunc
}

# Past the page cache.
write_direct() {
    content "$2" "$3"
    try dd if="$content" of="$1" bs=64k conv=notrunc oflag=direct
}

compare() {
    content "$2" "$3"
    if said=$(cmp "$content" "$1" 2>&1); then
        got='done'
    else
        case $said in
        *'Input/output error'* | *'No such file or directory'*) find_errno "$said" && got="failed $errno" ;;
        *) got="differs: $said" ;;
        esac
    fi
    said=''
}

# Past the page cache: what is dirty is written back first, and an old error of that is told once.
compare_on_disk() {
    dd if="$1" of="$top/seen" bs=64k iflag=direct 2>/dev/null || must dd if="$1" of="$top/seen" bs=64k iflag=direct
    compare "$top/seen" "$2" "$3"
}

# Keeps a file open. Who cannot open it says so in a shell of his own, for it is the end of that.
hold_file() {
    if said=$( (exec 9<"$1") 2>&1); then
        exec 9<"$1"
    else
        find_errno "$said"
        got="failed $errno"
    fi
}

release_files() {
    exec 9<&-
}

set_mode() {
    try chmod "$2" "$1"
}

has_mode() {
    mode=$(stat -c %a "$1")
    [ "$mode" = "$2" ] || got="differs: $1 has mode $mode, not $2"
}

rename() {
    try mv "$1" "$2"
}

has_xattr() {
    try getfattr --absolute-names -h -n "$2" "$1"
}

note_inode() {
    inode=$(stat -c %i "$1") || cannot_tell "failed to look at $1"
    echo "$inode" >"$top/inode-$2"
}

same_inode() {
    inode=$(stat -c %i "$1") || cannot_tell "failed to look at $1"
    read -r before <"$top/inode-$2"
    [ "$inode" = "$before" ] || got="differs: $1 has inode $inode, not $before"
}

# Nobody is told of errors.
write_back() {
    try sync
}

# Its error is the file's own; the superblock's stays unseen. Where data is not written, metadata is not either.
write_back_data() {
    try "$sync" -d "$1"
}

fsync_file() {
    try "$sync" "$1"
}

# syncfs(2), which is told of the error of the superblock, once.
sync_filesystem() {
    try "$sync" -f "$1"
}

sync_filesystem_later() {
    rm -f "$top/later"
    {
        sleep "$2"
        try "$sync" -f "$1"
        echo "$got" >"$top/later"
    } &
    later=$!
}

has_ended() {
    [ -s "$top/later" ] || got='failed EBUSY'
}

join() {
    wait "$later"
    later=''
    read -r got <"$top/later" || got='cannot tell: it left no word'
}

drop_caches() {
    echo 3 >/proc/sys/vm/drop_caches
}

pause_writeback() {
    read -r interval </proc/sys/vm/dirty_writeback_centisecs
    echo 0 >/proc/sys/vm/dirty_writeback_centisecs
}

# All that can be told of files and directories, but for when they were looked at.
describe_tree() {
    find "$1" -exec stat -c '%n inode %i mode %f owner %u:%g links %h device %t:%T size %s modified %y changed %z' {} + \
        -type f -exec sha256sum {} + && getfattr --absolute-names -R -P -h -d -m - -e hex "$1"
}

snapshot() {
    said=$(describe_tree "$2" 2>&1 >"$top/$1") || { find_errno "$said"; got="failed $errno"; }
}

same_as_snapshot() {
    mv "$top/$1" "$top/$1-before"
    snapshot "$1" "$2"
    [ "$got" != 'done' ] || cmp -s "$top/$1-before" "$top/$1" || {
        got='differs: it is not as it was'
        said=$(diff "$top/$1-before" "$top/$1")
    }
}

pause() {
    must sleep "$1"
}

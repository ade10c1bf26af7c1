# shellcheck shell=sh disable=SC2034,SC2154
# SPDX-License-Identifier: MIT OR Apache-2.0
# Files, and their way to the disk.

# Sets content to a file of $1 bytes that depend on the seed $2 only.
content() {
    content=$top/content-$1-$2
    [ -e "$content" ] || yes "$1 bytes of seed $2" | head -c "$1" >"$content"
}

# Overwrites the file in place, so that it keeps its blocks. Does not sync.
write_file() {
    content "$2" "$3"
    [ -d "${1%/*}" ] || must mkdir -p "${1%/*}"
    try dd if="$content" of="$1" bs=64k conv=notrunc
}

# Bypasses the page cache.
write_direct() {
    content "$2" "$3"
    try dd if="$content" of="$1" bs=64k conv=notrunc oflag=direct
}

compare() {
    content "$2" "$3"
    if output=$(cmp "$content" "$1" 2>&1); then
        outcome='done'
    else
        case $output in
        *'Input/output error'* | *'No such file or directory'*) find_errno "$output" && outcome="failed $errno" ;;
        *) outcome="differs: $output" ;;
        esac
    fi
    output=''
}

# Bypasses the page cache. Dirty pages are written back first; an earlier error of that is reported
# once, so that the second dd succeeds.
compare_on_disk() {
    dd if="$1" of="$top/seen" bs=64k iflag=direct 2>/dev/null || must dd if="$1" of="$top/seen" bs=64k iflag=direct
    compare "$top/seen" "$2" "$3"
}

# Keeps a file open. A failed exec ends the shell, so the open is tried in a subshell first.
hold_file() {
    if output=$( (exec 9<"$1") 2>&1); then
        exec 9<"$1"
    else
        find_errno "$output"
        outcome="failed $errno"
    fi
}

release_files() {
    exec 9<&-
}

set_mode() {
    try chmod "$2" "$1"
}

check_mode() {
    mode=$(stat -c %a "$1")
    [ "$mode" = "$2" ] || outcome="differs: $1 has mode $mode, not $2"
}

rename() {
    try mv "$1" "$2"
}

check_xattr() {
    try getfattr --absolute-names -h -n "$2" "$1"
}

record_inode() {
    inode=$(stat -c %i "$1") || cannot_tell "failed to stat $1"
    echo "$inode" >"$top/inode-$2"
}

check_inode() {
    inode=$(stat -c %i "$1") || cannot_tell "failed to stat $1"
    read -r before <"$top/inode-$2"
    [ "$inode" = "$before" ] || outcome="differs: $1 has inode $inode, not $before"
}

# sync(2) reports no errors.
write_back() {
    try sync
}

# fdatasync(2): reports the error of the file, and leaves that of the superblock unseen. If writing
# data fails, metadata is not written.
write_back_data() {
    try "$sync" -d "$1"
}

fsync_file() {
    try "$sync" "$1"
}

# syncfs(2): reports the error of the superblock once.
sync_filesystem() {
    try "$sync" -f "$1"
}

sync_filesystem_later() {
    rm -f "$top/later"
    {
        sleep "$2"
        try "$sync" -f "$1"
        echo "$outcome" >"$top/later"
    } &
    later=$!
}

check_sync_has_ended() {
    [ -s "$top/later" ] || outcome='failed EBUSY'
}

wait_for_sync() {
    wait "$later"
    later=''
    read -r outcome <"$top/later" || outcome='cannot tell: the process ended without an outcome'
}

drop_caches() {
    echo 3 >/proc/sys/vm/drop_caches
}

pause_writeback() {
    read -r interval </proc/sys/vm/dirty_writeback_centisecs
    echo 0 >/proc/sys/vm/dirty_writeback_centisecs
}

# Describes files and directories completely, except for access times.
describe_tree() {
    find "$1" -exec stat -c '%n inode %i mode %f owner %u:%g links %h device %t:%T size %s modified %y changed %z' {} + \
        -type f -exec sha256sum {} + && getfattr --absolute-names -R -P -h -d -m - -e hex "$1"
}

snapshot() {
    output=$(describe_tree "$2" 2>&1 >"$top/$1") || { find_errno "$output"; outcome="failed $errno"; }
}

compare_snapshot() {
    mv "$top/$1" "$top/$1-before"
    snapshot "$1" "$2"
    [ "$outcome" != 'done' ] || cmp -s "$top/$1-before" "$top/$1" || {
        outcome='differs: it has changed'
        output=$(diff "$top/$1-before" "$top/$1")
    }
}

pause() {
    must sleep "$1"
}

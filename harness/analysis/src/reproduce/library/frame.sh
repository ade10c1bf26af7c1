# shellcheck shell=sh disable=SC2034,SC2154
# SPDX-License-Identifier: MIT OR Apache-2.0
# What every script has: its beginning, its steps, its end.

# Before the first step: who runs this, on what, and where.
begin() {
    [ "$(id -u)" = 0 ] || cannot_tell 'only root can do this'
    missing=''
    for tool in "$@"; do
        command -v "${tool%:*}" >/dev/null || missing="$missing ${tool%:*} (${tool#*:})"
    done
    [ -z "$missing" ] || cannot_tell "these tools are missing, with their Debian packages:$missing"
    grep -qw overlay /proc/filesystems || modprobe overlay || cannot_tell 'this kernel has no overlay'
    uname -sr
    top=$(mktemp -d "${TMPDIR:-/tmp}/vremount.XXXXXX") || cannot_tell 'there is no place for a folder'
    # As the kernel shows it, without symbolic links.
    top=$(cd "$top" && pwd -P)
    trap finish EXIT
    trap 'exit 125' HUP INT PIPE TERM
    must mount -t tmpfs -o mode=755 vremount "$top"
    # A mount below one that is shared cannot be moved.
    must mount --make-private "$top"
    must mkdir -p "$top/lower/data" "$top/lower/folder"
    echo 'from the lower layer' >"$top/lower/data/lower-file"
    must ln "$top/lower/data/lower-file" "$top/lower/data/lower-link"
    echo 'from the lower layer too' >"$top/lower/folder/lower-file"
}

# Finds a tool that says this of itself. Those of busybox do not: its sync(1) tells nobody of errors.
find_tool() {
    for folder in $(echo "$PATH" | tr : ' '); do
        case $("$folder/$1" --help 2>/dev/null) in *"$2"*) eval "$1=\$folder/\$1" && return ;; esac
    done
    cannot_tell "$1(1) is missing, or has no $2"
}

# Takes down whatever is there, the last of it first.
finish() {
    trap '' HUP INT PIPE TERM
    {
        [ -z "$later" ] || kill "$later"
        wait
        exec 9<&-
        [ -z "$frozen" ] || fsfreeze --unfreeze "$frozen"
        [ -z "$interval" ] || echo "$interval" >/proc/sys/vm/dirty_writeback_centisecs
        unmount_all keep-images
        for device in $devices; do
            dmsetup remove --retry "$device"
        done
        for loop in $loops; do
            losetup -d "$loop"
        done
        unmount_all ''
        rmdir "$top"
    } >/dev/null 2>&1
    [ ! -e "$top" ] || echo "note: failed to remove all that is in $top" >&2
}

# All mounts of this script, the last one first; with a word, those are kept that hold images. What is still used goes when its
# users do.
unmount_all() {
    [ -n "$top" ] || return 0
    awk -v top="$top" -v keep="$1" '
        index($5 "/", top "/") == 1 && (keep == "" || $5 != top && index($5, top "/images/") != 1) { at[++count] = $5 }
        END { while (count) print at[count--] }' /proc/self/mountinfo | while read -r at; do
        umount "$at" || umount -l "$at"
    done
}

# A step without whose outcome nothing can be said about the claim.
given() {
    begin_step 125 "$1"
}

# A step that is the claim: with another outcome it is broken.
claim() {
    begin_step 1 "$1"
}

# What is in the kernel log behind this mark belongs to the step.
begin_step() {
    number=$((number + 1)) otherwise=$1 got='done' said='' held=''
    echo "$number. $2"
    mark="vremount-$$: step $number"
    echo "$mark" >/dev/kmsg || cannot_tell 'nothing can be written to /dev/kmsg'
}

# Ends the script unless what was observed is what was expected.
check() {
    echo "   expected: $1"
    echo "   observed: $2"
    [ -z "$said" ] || echo "$said" | sed 's/^/   | /'
    [ "$1" != "$2" ] || return 0
    case $got in cannot\ tell*) otherwise=125 ;; esac
    [ "$otherwise" != 1 ] || { echo "broken: step $number did not lead to what the claim says"; exit 1; }
    cannot_tell "step $number did not lead to what must come before the claim"
}

# As check, where the condition and not the words decides.
check_that() {
    if [ "$1" = yes ]; then check "$2" "$2"; else check "$2" "$got"; fi
}

cannot_tell() {
    echo "cannot tell: $1"
    exit 125
}

# Does something; its outcome is that it is done, or the errno that it complains of.
try() {
    if said=$("$@" 2>&1); then
        got='done' said=''
    else
        find_errno "$said"
        got="failed $errno"
    fi
}

# Does something of which nobody doubts that it can be done.
must() {
    said=$("$@" 2>&1) || cannot_tell "failed to do: $*: $said"
    said=''
}

# By name, from the words of a message; mount(8) has its own for some.
find_errno() {
    case $1 in
    *'Input/output error'* | *"can't read superblock"*) errno=EIO ;;
    *'Invalid argument'* | *'wrong fs type, bad option'* | *': not mounted'*) errno=EINVAL ;;
    *'No such file or directory'*) errno=ENOENT ;;
    *'No such attribute'* | *'No data available'*) errno=ENODATA ;;
    *'No space left on device'*) errno=ENOSPC ;;
    *'Read-only file system'*) errno=EROFS ;;
    *'Device or resource busy'* | *' already mounted '*) errno=EBUSY ;;
    *'Structure needs cleaning'*) errno=EUCLEAN ;;
    *'Cannot allocate memory'*) errno=ENOMEM ;;
    *'Operation not permitted'* | *'permission denied'*) errno=EPERM ;;
    *'Operation not supported'*) errno=EOPNOTSUPP ;;
    *'Stale file handle'*) errno=ESTALE ;;
    *) cannot_tell "failed to find an errno in: $1" ;;
    esac
}

# How an overlay is mounted; since 6.12.80 the kernel says volatile in other words.
find_mounted() {
    options=,$(awk -v at="$1" '$5 == at { options = $NF } END { print options }' /proc/self/mountinfo),
    case $options in *,volatile,* | *,fsync=volatile,*) got='mounted volatile' ;; *) got='mounted durable' ;; esac
    case $options in *,ro,*) got="$got, read-only" ;; esac
}
